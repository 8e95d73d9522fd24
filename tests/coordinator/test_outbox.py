"""Webhooks: signed, tried again, told once, over restarts and with a real HTTP server."""

from __future__ import annotations

import hmac
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_receiver import SECRET, Receiver

from cache.store import Store
from coordinator.outbox import Outbox, OutboxRules, sign
from core.errors import UsageError
from jobs.webhooks import EventEnd, check_webhook, make_event_id, outcomes, shown_webhook, waiting_events

JOB = "ab" * 12
FAST = OutboxRules(first_pause_s=0.01, longest_pause_s=0.02, connect_timeout_s=2.0, answer_timeout_s=2.0)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def open_outbox(store: Store, said: list[str]) -> Iterator[Callable[..., Outbox]]:
    opened: list[Outbox] = []

    def make(secret: str = SECRET, **options: Any) -> Outbox:
        opened.append(Outbox(store, secret, said.append, **({"rules": FAST} | options)))
        return opened[-1]

    yield make
    for outbox in opened:
        outbox.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_an_event_is_sent_signed_and_once(store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    assert outbox.post(JOB, "ended-1", receiver.url, {"state": "done"})
    until(lambda: outbox.waiting() == 0)
    (call,) = receiver.calls
    assert call.json["event"] == "ended-1"
    assert call.json["job"] == JOB
    assert call.json["data"] == {"state": "done"}
    assert call.headers["Segue-Event-Id"] == call.json["id"] == make_event_id(JOB, "ended-1", receiver.url)
    at = int(call.headers["Segue-Signature"].split(",")[0].removeprefix("t="))
    assert call.headers["Segue-Signature"] == sign(SECRET, at, call.body)
    assert not outbox.post(JOB, "ended-1", receiver.url, {"state": "done"})
    (outcome,) = outcomes(store, JOB)
    assert (outcome.end, outcome.attempts) == (EventEnd.DELIVERED, 1)
    assert outbox.collect() == [outcome]
    assert store.children(("queue", "outbox")) == ()


def test_the_example_in_the_documentation_verifies_what_is_sent(
    receiver: Receiver, open_outbox: Callable[..., Outbox]
) -> None:
    text = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    outbox = open_outbox()
    outbox.post(JOB, "ended-1", receiver.url, {"media": "d\udc80\u3042.mp4"})
    until(lambda: bool(receiver.calls))
    (call,) = receiver.calls
    verify = names["is_from_segue"]
    assert verify(SECRET, call.headers["Segue-Signature"], call.body)
    assert not verify("another secret", call.headers["Segue-Signature"], call.body)
    assert not verify(SECRET, call.headers["Segue-Signature"], call.body + b" ")
    assert not verify(SECRET, sign(SECRET, int(time.time()) - 3600, call.body), call.body)
    assert json.loads(call.body)["data"]["media"] == "d\udc80\u3042.mp4"


def test_what_fails_twice_is_sent_a_third_time(
    store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox]
) -> None:
    receiver.answers += [(500, {}), (503, {"Retry-After": "0"})]
    outbox = open_outbox()
    outbox.post(JOB, "ended-1", receiver.url, {})
    until(lambda: outbox.waiting() == 0)
    assert len(receiver.calls) == 3
    assert len({call.body for call in receiver.calls}) == 1
    assert [outcome.attempts for outcome in outcomes(store, JOB)] == [3]


def test_a_restart_goes_on_where_the_last_coordinator_was(
    store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox]
) -> None:
    receiver.answers += [(500, {}), (500, {})]
    slow = OutboxRules(first_pause_s=3600.0)
    first = open_outbox(rules=slow)
    first.post(JOB, "ended-1", receiver.url, {"n": 1})
    until(lambda: len(store.children(("queue", "outbox"))) == 2)
    first.close()
    assert len(receiver.calls) == 1
    # Hours later.
    second = open_outbox(clock=lambda: time.time() + 7200)
    assert not second.post(JOB, "ended-1", receiver.url, {"n": 1})
    until(lambda: bool(outcomes(store, JOB)))
    assert [outcome.attempts for outcome in outcomes(store, JOB)] == [3]
    assert len({call.headers["Segue-Event-Id"] for call in receiver.calls}) == 1
    second.close()
    third = open_outbox()
    assert not third.post(JOB, "ended-1", receiver.url, {"n": 1})
    assert len(receiver.calls) == 3


def test_a_note_that_a_power_cut_brought_back_is_not_sent_again(
    store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox]
) -> None:
    receiver.open.clear()
    outbox = open_outbox()
    outbox.post(JOB, "ended-1", receiver.url, {})
    (name,) = store.children(("queue", "outbox"))
    note = store.read_document(("queue", "outbox", name))
    assert note is not None
    receiver.open.set()
    until(lambda: outbox.waiting() == 0)
    outbox.close()
    store.write_once(("queue", "outbox", name), note)
    open_outbox()
    until(lambda: store.children(("queue", "outbox")) == ())
    assert len(receiver.calls) == 1


def test_two_addresses_and_two_ends_are_four_events(receiver: Receiver, open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    for event in ("ended-1", "ended-2"):
        for path in ("/a", "/b"):
            assert outbox.post(JOB, event, receiver.url + path, {})
    until(lambda: outbox.waiting() == 0)
    assert len({call.json["id"] for call in receiver.calls}) == len(receiver.calls) == 4


def test_410_ends_it(store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox], said: list[str]) -> None:
    receiver.answers += [(410, {})]
    outbox = open_outbox()
    outbox.post(JOB, "ended-1", receiver.url, {})
    until(lambda: outbox.waiting() == 0)
    assert [outcome.end for outcome in outcomes(store, JOB)] == [EventEnd.REFUSED]
    assert any("refused" in line for line in said)


def test_a_redirect_is_not_followed(store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox]) -> None:
    receiver.answers += [(302, {"Location": f"{receiver.url}/elsewhere"})]
    outbox = open_outbox()
    outbox.post(JOB, "ended-1", receiver.url, {})
    until(lambda: outbox.waiting() == 0)
    assert [call.path for call in receiver.calls] == ["/hook", "/hook"]


def test_what_nobody_takes_for_a_day_is_given_up_and_the_job_says_so(
    store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox], said: list[str]
) -> None:
    url = receiver.url
    receiver.close()
    first = open_outbox(rules=OutboxRules(first_pause_s=3600.0))
    first.post(JOB, "ended-1", url, {})
    until(lambda: len(store.children(("queue", "outbox"))) == 2)
    first.close()
    outbox = open_outbox(clock=lambda: time.time() + 25 * 3600)
    until(lambda: bool(outcomes(store, JOB)))
    (outcome,) = outcomes(store, JOB)
    assert outcome.end is EventEnd.GIVEN_UP
    assert "given up" in outcome.describe()
    assert "cannot be reached" in outcome.describe()
    until(lambda: outbox.waiting() == 0)
    assert any("given up" in line for line in said)


def test_a_host_that_hangs_does_not_keep_others_from_being_told(
    receiver: Receiver, open_outbox: Callable[..., Outbox]
) -> None:
    stuck = Receiver()
    stuck.open.clear()
    try:
        outbox = open_outbox(rules=OutboxRules(first_pause_s=0.01, answer_timeout_s=60.0, connect_timeout_s=2.0))
        for number in range(6):
            outbox.post(JOB, f"ended-{number}", stuck.url, {})
        outbox.post(JOB, "ended-1", receiver.url, {})
        until(lambda: len(receiver.calls) == 1)
        assert stuck.calls == []
    finally:
        stuck.close()


def test_nothing_is_sent_unsigned(
    store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox], said: list[str]
) -> None:
    without = open_outbox(secret="")
    without.post(JOB, "ended-1", receiver.url, {})
    until(lambda: any("SEGUE_NOTIFY_SECRET" in line for line in said))
    without.close()
    assert receiver.calls == []
    outbox = open_outbox()
    until(lambda: bool(outcomes(store, JOB)))
    assert len(receiver.calls) == 1
    assert outbox.waiting() == 0


def test_secrets_of_an_address_are_never_said(
    store: Store, open_outbox: Callable[..., Outbox], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    url = "http://user:pa55word@127.0.0.1:9/s3cretpath?token=t0ken"
    first = open_outbox(rules=OutboxRules(first_pause_s=3600.0))
    first.post(JOB, "ended-1", url, {})
    until(lambda: len(store.children(("queue", "outbox"))) == 2)
    first.close()
    open_outbox(clock=lambda: time.time() + 25 * 3600)
    until(lambda: bool(outcomes(store, JOB)))
    shown = " ".join([*said, *(outcome.describe() for outcome in outcomes(store, JOB)), caplog.text])
    assert "127.0.0.1:9" in shown
    for secret in ("pa55word", "s3cretpath", "t0ken"):
        assert secret not in shown


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/x",
        "example.org/hook",
        "http://",
        "http:///path",
        "https://a b/",
        "http://[::1",
        "",
        "file:///x",
    ],
)
def test_only_addresses_that_can_be_called_are_taken(url: str, open_outbox: Callable[..., Outbox]) -> None:
    with pytest.raises(UsageError):
        open_outbox().post(JOB, "ended-1", url, {})


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert shown_webhook(check_webhook("https://u:p@example.org:8443/a/b?c=d")) == "https://example.org:8443"
    assert shown_webhook("http://[::1]:80/x") == "http://[::1]:80"


@pytest.mark.parametrize(
    ("attempts", "luck", "asked_s", "expected_s"),
    [
        (1, 0.5, 0.0, 5.0),
        (2, 0.5, 0.0, 10.0),
        (3, 0.0, 0.0, 10.0),
        (3, 1.0, 0.0, 30.0),
        (40, 0.5, 0.0, 3600.0),
        (1, 0.5, 60.0, 60.0),
        (1, 0.5, 1e9, 3600.0),
    ],
)
def test_pauses_double_with_some_chance_in_them(attempts: int, luck: float, asked_s: float, expected_s: float) -> None:
    assert OutboxRules().pause_s(attempts, luck, asked_s) == expected_s


def test_a_signature_is_an_hmac_over_time_and_body() -> None:
    expected = hmac.new(b"k", b"12.{}", "sha256").hexdigest()
    assert sign("k", 12, b"{}") == f"t=12,v1={expected}"


def test_an_event_that_nobody_has_signed_says_so_on_disk_and_goes_at_once_when_there_is_a_secret(
    store: Store, receiver: Receiver, open_outbox: Callable[..., Outbox]
) -> None:
    unsigned = open_outbox("", rules=OutboxRules())
    unsigned.post(JOB, "ended-1", receiver.url, {})
    until(lambda: any(event.last for event in waiting_events(store).get(JOB, ())))
    (event,) = waiting_events(store)[JOB]
    assert event.describe().endswith("waits: SEGUE_NOTIFY_SECRET is not set for the coordinator")
    assert (event.attempts, event.place) == (0, shown_webhook(receiver.url))
    unsigned.close()
    signed = open_outbox()
    until(lambda: len(receiver.calls) == 1 and signed.waiting() == 0)
    assert waiting_events(store) == {}


def test_an_event_that_is_tried_again_says_when_and_why(store: Store, open_outbox: Callable[..., Outbox]) -> None:
    url = "http://user:secret@127.0.0.1:9/hook?token=secret"
    outbox = open_outbox(rules=OutboxRules(first_pause_s=600.0, connect_timeout_s=2.0))
    outbox.post(JOB, "ended-1", url, {})
    until(lambda: any(event.attempts for event in waiting_events(store).get(JOB, ())))
    (event,) = waiting_events(store)[JOB]
    assert "waits after 1 attempt: the host cannot be reached; tried again at 20" in event.describe()
    assert "secret" not in event.describe()


def test_a_note_that_makes_no_sense_does_not_keep_others_from_being_told(
    store: Store, receiver: Receiver, said: list[str], open_outbox: Callable[..., Outbox]
) -> None:
    store.write_once(("queue", "outbox", f"{'0' * 32}.json"), b'{"no": "event"}')
    before = open_outbox("")
    before.post(JOB, "ended-1", receiver.url, {})
    before.close()
    outbox = open_outbox()
    until(lambda: len(receiver.calls) == 1 and outbox.waiting() == 0)
    assert any("left where it is" in line for line in said)
