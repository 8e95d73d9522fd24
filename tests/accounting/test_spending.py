"""What jobs have cost, from facts written by hand: every millisecond and every nano-unit is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from whole_ledger import read_fleet_ledger

from accounting import spending
from accounting.exchange_rates import parse_rates
from accounting.spending import Prices, Spending, Spent
from cache.store import Store
from core.keys import digest_value
from ledger.exchange import Exchange
from ledger.price_book.price_files import parse_toml
from ledger.price_book.prices import PriceBook
from ledger.totals import Dimension

#: 3.60 an hour is a thousandth of a unit a second: 1,000 nano-units a millisecond.
RATE = "3.60 USD"
NANO_A_MS = 1000
ZERO = datetime(2026, 11, 20, 8, tzinfo=UTC)


def at(ms: int) -> str:
    return (ZERO + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")


def key(name: str, place: int) -> str:
    return digest_value([name, place])


class Scene:
    """Writes journals as processes and machines do."""

    def __init__(self, home: Path) -> None:
        self.store = Store.open(home)
        self.spending = Spending(self.store, Prices(PriceBook(())))
        self.began: dict[str, int] = {}

    def fact(self, process: str, **fact: Any) -> None:
        self.store.append(("attempts", f"{process}.jsonl"), [fact], durable=False)

    def process(self, process: str, node: str, worker: str = "w", *, began: int = 0) -> None:
        self.fact(process, fact="process_started", session=process, node=node, worker=worker, pid=1, at=at(began))

    def begin(self, process: str, name: str, start: int, *jobs: str, remote: dict[str, int] | None = None) -> None:
        units = [{"key": key(name, place), "audio_ms": 1000} for place in range(len(jobs))]
        self.began[f"{process}/{name}"] = start
        engine = {"engine": "openai words", "provider": "openai", "remote": True, "estimated": remote}
        self.fact(
            process,
            fact="attempt_started",
            attempt=f"{process}/{name}",
            stage="translate",
            at=at(start),
            units=units,
            jobs=list(jobs),
            **(engine if remote else {"engine": "llama", "provider": "llama", "remote": False, "estimated": {}}),
        )

    def end(self, process: str, name: str, end: int, **usage: int) -> None:
        attempt = f"{process}/{name}"
        took = f"{(end - self.began[attempt]) / 1000:.3f}"
        self.fact(
            process, fact="attempt_ended", attempt=attempt, at=at(end), engine_seconds=took, yielded=1, usage=usage
        )

    def work(self, process: str, name: str, start: int, end: int, *jobs: str) -> None:
        self.begin(process, name, start, *jobs)
        self.end(process, name, end)

    def node(self, session: str, price: str = RATE, *, opened: int = 0) -> None:
        card = {"session": session, "at": at(opened), "price": price}
        self.store.write_once(("nodes", session, "opened.json"), json.dumps(card).encode())

    def sign(self, session: str, ms: int, fact: str = "beat", worker: str = "w", **more: str) -> None:
        self.store.append(
            ("nodes", session, f"beats-{worker or 'run'}.jsonl"),
            [{"fact": fact, "at": at(ms), "worker": worker, **more}],
            durable=False,
        )

    def of(self, *jobs: str, rate: str = "", currency: str = "USD") -> Spent:
        self.spending.refresh()
        return self.spending.of(jobs, currency, rate)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "home")


def test_a_job_pays_for_its_attempts_and_not_for_the_worker_s_pauses(scene: Scene) -> None:
    scene.node("n")
    scene.process("p", "n")
    scene.work("p", "1", 1000, 3000, "job")
    scene.work("p", "2", 10_000, 11_000, "other")
    scene.work("p", "3", 20_000, 20_500, "job")
    assert scene.of("job") == Spent(2500 * NANO_A_MS)
    assert scene.of("other") == Spent(1000 * NANO_A_MS)
    assert scene.of("job", "other") == Spent(3500 * NANO_A_MS)
    assert scene.of("unknown") == Spent(0)


def test_what_is_shared_is_paid_for_in_shares(scene: Scene) -> None:
    scene.node("n")
    scene.process("p", "n", "w1")
    scene.process("q", "n", "w2")
    # Two workers on one machine; one of the batches serves two jobs.
    scene.work("p", "1", 0, 4000, "a")
    scene.work("q", "1", 2000, 6000, "b", "b", "b", "c")
    assert scene.of("a") == Spent(3000 * NANO_A_MS)
    assert scene.of("b") == Spent(2250 * NANO_A_MS)
    assert scene.of("c") == Spent(750 * NANO_A_MS)
    assert scene.of("a", "b", "c") == Spent(6000 * NANO_A_MS)


def test_only_what_is_new_is_read_and_a_line_in_the_making_waits(scene: Scene) -> None:
    scene.node("n")
    scene.process("p", "n")
    scene.work("p", "1", 0, 1000, "job")
    assert scene.of("job").nano == 1000 * NANO_A_MS
    scene.begin("p", "2", 1000, "job")
    scene.end("p", "2", 3000)
    path = scene.store.home / "attempts" / "p.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    scene.sign("n", 1500)
    before = scene.of("job").nano
    path.write_bytes(whole)
    assert scene.of("job").nano == 3000 * NANO_A_MS
    # Open, last seen at 1500, and at the speed of the first its result was due at 2000: it counts until halfway.
    assert before == 1750 * NANO_A_MS


def test_an_attempt_that_never_ended_counts_until_its_worker_was_last_seen(scene: Scene) -> None:
    scene.node("n")
    scene.process("p", "n")
    scene.begin("p", "1", 0, "job")
    scene.sign("n", 7000)
    assert scene.of("job") == Spent(12_000 * NANO_A_MS)
    scene.sign("n", 9000, "session_closed", reason="signal")
    assert scene.of("job") == Spent(9000 * NANO_A_MS)
    scene.process("p2", "n", began=4000)
    assert scene.of("job") == Spent(4000 * NANO_A_MS)


def test_an_embedded_run_pays_for_loading_and_pauses_too(scene: Scene) -> None:
    scene.node("run")
    scene.process("run", "run", "")
    scene.work("run", "1", 10_000, 13_000, "a")
    scene.work("run", "2", 15_000, 16_000, "b")
    scene.sign("run", 20_000, worker="")
    scene.sign("run", 24_000, "session_closed", worker="", reason="done")
    assert scene.of("a", "b") == Spent(24_000 * NANO_A_MS)
    assert scene.of("a") == Spent(18_000 * NANO_A_MS)


def test_time_is_paid_at_the_price_of_its_time(scene: Scene) -> None:
    scene.node("n")
    scene.process("p", "n")
    scene.sign("n", 2000, "price_changed", price="7.20 USD")
    scene.work("p", "1", 1000, 4000, "job")
    assert scene.of("job") == Spent((1000 + 2 * 2000) * NANO_A_MS)


def test_a_machine_without_a_price_is_named_and_priced_only_when_somebody_says(scene: Scene) -> None:
    scene.node("nobody-knows", price="")
    scene.process("p", "nobody-knows")
    scene.work("p", "1", 0, 1000, "job")
    found = scene.of("job")
    assert found.nano == 0
    assert found.unknown == ("what machine nobody-knows costs an hour is not known",)
    assert scene.of("job", rate=RATE) == Spent(1000 * NANO_A_MS)
    (why,) = scene.of("job", rate=RATE, currency="EUR").unknown
    assert why.startswith("machine nobody-knows is priced in USD, the budget in EUR; no exchange rate from USD to EUR")
    assert "SEGUE_EXCHANGE_RATE='USD EUR RATE DAY SOURCE'" in why


def test_what_was_spent_has_the_rate_of_its_day(scene: Scene) -> None:
    rates = tuple(parse_rates("USD EUR 0.90 2026-11-01 ECB; USD EUR 0.80 2026-11-21 ECB"))
    scene.spending = Spending(scene.store, Prices(PriceBook(()), exchange=Exchange(conversions=rates)))
    midnight = 16 * 3600 * 1000
    scene.node("n", opened=midnight - 1000)
    scene.process("p", "n", began=midnight - 1000)
    scene.work("p", "1", midnight - 1000, midnight + 3000, "job")
    # A second of the twentieth: 0.001 x 0.90; three of the twenty-first: 0.003 x 0.80.
    assert scene.of("job", currency="EUR") == Spent(900_000 + 2_400_000)
    assert scene.of("job") == Spent(4000 * NANO_A_MS)


def test_what_an_api_may_have_charged_counts_until_its_usage_is_known(scene: Scene) -> None:
    row = (
        '[[price]]\nid = "o/{meter}"\nprovider = "openai"\nmeter = "{meter}"\nsku = "words"\nstage = "translate"\n'
        'unit_price = "1"\nper = "1000000"\ncurrency = "USD"\neffective_from = "2020-01-01"\n'
        'observed_at = "2026-01-01"\nsource_url = "https://example.org/prices"\nconfidence = "list"\n'
    )
    text = "".join(row.format(meter=meter) for meter in ("input_token", "output_token"))
    scene.spending = Spending(scene.store, Prices(PriceBook((parse_toml(text, "test"),))))
    scene.node("n", price="0 USD")
    scene.process("p", "n")
    scene.begin("p", "1", 0, "job", remote={"requests": 1, "input_tokens": 900, "output_tokens": 100})
    assert scene.of("job") == Spent(1000 * 1000)
    scene.end("p", "1", 500, requests=1, input_tokens=300, output_tokens=50)
    assert scene.of("job") == Spent(350 * 1000)
    scene.spending = Spending(scene.store, Prices(PriceBook(())))
    assert scene.of("job").unknown


def test_units_that_the_engine_was_stopped_before_have_no_part_in_what_their_batch_took(scene: Scene) -> None:
    scene.node("n")
    scene.process("p", "n")
    scene.begin("p", "1", 0, "a", "b", "b", "b")
    # Stopped after the first unit: the others are computed, and paid for, another time.
    scene.fact(
        "p",
        fact="attempt_ended",
        attempt="p/1",
        at=at(1000),
        engine_seconds="1",
        yielded=1,
        usage={},
        left=[key("1", place) for place in (1, 2, 3)],
    )
    assert scene.of("a") == Spent(1000 * NANO_A_MS)
    assert scene.of("b") == Spent(0)


def test_a_budget_counts_to_the_nano_unit_what_the_ledger_says(scene: Scene) -> None:
    scene.node("n", price="0.37 USD")
    scene.process("p", "n", "w1")
    scene.process("q", "n", "w2")
    scene.fact("p", fact="engine_loaded", stage="translate", engine="llama", at=at(7001), seconds="6.789")
    scene.work("p", "1", 7013, 11_017, "a", "b", "b")
    scene.work("q", "1", 9001, 16_003, "b", "c", "c")
    scene.begin("q", "2", 17_000, "a", "c")
    scene.sign("n", 18_001, worker="w1")
    scene.sign("n", 19_001, worker="w2")
    scene.node("run", price="0.91 USD")
    scene.process("run", "run", "")
    scene.work("run", "1", 1003, 2007, "a", "c")
    scene.sign("run", 5001, "session_closed", worker="", reason="done")
    books = read_fleet_ledger(scene.store, PriceBook(()))
    for job in ("a", "b", "c"):
        (amount,) = (sums["USD"].nano for name, sums in books.by(Dimension.JOB).items() if name == job)
        assert scene.of(job) == Spent(amount)
        assert amount > 0


def test_facts_that_nobody_asks_for_any_more_leave_memory_and_are_read_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.node("n")
    scene.process("p", "n")
    scene.work("p", "1", 0, 1000, "job")
    assert scene.of("job").nano == 1000 * NANO_A_MS
    monkeypatch.setattr(spending, "_KEPT_S", -1.0)
    scene.spending.refresh()
    assert scene.spending._machines == {}
    scene.work("p", "2", 1000, 1500, "job")
    assert scene.of("job").nano == 1500 * NANO_A_MS
