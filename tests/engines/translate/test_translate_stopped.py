"""The openai translator is stopped with requests under way: they are paid for, so they are waited for, and counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted_endpoint import Asked, Behaviour, Said, ScriptedEndpoint, error, honest

from cache.store import Store
from core.errors import EngineError, UnitError
from core.keys import Digest, Key, digest_value
from core.specs import EngineSpec
from engines.engine import EngineChoice, Result
from engines.resources import EngineResources
from engines.translate import openai
from engines.translate.chat import ChatClient, Patience, RequestsStoppedError, RequestTally
from engines.translate.interface import Line, Translation, TranslationTask
from engines.translate.retry import RetryPolicy
from journals.attempts import AttemptJournal, read_attempts
from journals.facts import AttemptEnded, AttemptStarted
from journals.lines import AttemptEndedLine
from ledger.activity import Share
from ledger.demand import Demand
from ledger.entries import Bucket, LedgerEntry, Quality
from ledger.fees import Fees
from ledger.price_book.price_files import parse_toml
from ledger.price_book.prices import PriceBook
from pipeline.batches import Outcome, run_units
from pipeline.job import JobSettings, MediaFacts, Plan
from pipeline.stages.cues import cues_slot
from pipeline.stages.language import LANGUAGE
from pipeline.stages.stage import Slot, Unit
from subtitles.cues import CueDraft

IMPATIENT = Patience(connect_s=1.0, read_s=0.4, retry=RetryPolicy(attempts=3, timeout_attempts=2, backoff_ms=5))
PATIENT = replace(IMPATIENT, read_s=60.0)
AT_MS = 1_790_000_000_000
ROW = """
[[price]]
id = "o/{meter}"
provider = "openai"
meter = "{meter}"
sku = "{model}"
stage = "translate"
unit_price = "1"
per = "1000000"
currency = "USD"
effective_from = "2020-01-01"
observed_at = "2026-01-01"
source_url = "https://example.org/prices"
confidence = "list"
"""


def silent(_asked: Asked) -> Said:
    return Said(delay_s=60.0, hang_up=True)


def slow(seconds: float) -> Behaviour:
    return lambda asked: replace(honest(asked), delay_s=seconds)


def tasks(count: int) -> list[TranslationTask]:
    return [
        TranslationTask(f"t{number}", "en", "es", (Line("a", f"This is sentence number {number}."),))
        for number in range(count)
    ]


@contextmanager
def translator(
    *script: Behaviour, patience: Patience = PATIENT
) -> Iterator[tuple[openai.OpenAITranslator, ScriptedEndpoint]]:
    with ScriptedEndpoint(*script) as endpoint:
        place = EngineResources(models_dir=Path("unused"), url=endpoint.url, concurrency=2)
        engine = openai.open_engine(openai.freeze(EngineChoice("openai"), place), place, patience)
        try:
            yield engine, endpoint
        finally:
            engine.close()


def after_requests(endpoint: ScriptedEndpoint, count: int) -> Callable[[], bool]:
    return lambda: len(endpoint.asked) >= count


def test_answers_under_way_at_a_stop_are_waited_for_and_nothing_more_is_begun() -> None:
    with translator(slow(0.5)) as (engine, endpoint):
        results = list(engine.run(tasks(6), after_requests(endpoint, 2)))
        assert len(endpoint.asked) == 2
    assert sorted(result.id for result in results) == ["t0", "t1"]
    assert all(isinstance(result.value, Translation) for result in results)


def test_what_does_not_come_in_time_is_named_with_its_request_and_never_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openai, "IN_FLIGHT_GRACE_S", 0.3)
    with translator(honest, silent) as (engine, endpoint):
        results = list(engine.run(tasks(6), after_requests(endpoint, 3)))
        assert len(endpoint.asked) == 3
    left = [result for result in results if result.value is None and not result.reason]
    assert len(left) == 2
    assert [(one.usage["requests"], one.usage["unanswered"]) for one in left] == [(0, 1), (0, 1)]
    assert len([result for result in results if isinstance(result.value, Translation)]) == 1


def test_a_request_that_timed_out_and_was_repeated_stays_in_the_usage() -> None:
    with translator(silent, honest, patience=IMPATIENT) as (engine, _):
        (result,) = engine.run(tasks(1))
    assert isinstance(result.value, Translation)
    assert (result.usage["requests"], result.usage["output_tokens"], result.usage["unanswered"]) == (1, 20, 1)


def test_a_task_that_failed_says_what_it_used_up() -> None:
    with translator(silent, patience=IMPATIENT) as (engine, _):
        (result,) = engine.run(tasks(1))
    assert result.reason
    assert (result.usage["requests"], result.usage["unanswered"]) == (0, 2)


def test_a_request_that_got_no_connection_was_never_sent_and_is_not_without_an_answer() -> None:
    with ScriptedEndpoint(silent) as endpoint:
        client, tally = ChatClient(endpoint.url, "", 1, IMPATIENT), RequestTally()
        client._http._timeout = httpx.Timeout(60.0, pool=IMPATIENT.read_s)

        def hold() -> None:
            with suppress(RequestsStoppedError):
                client.post("chat/completions", {})

        holder = threading.Thread(target=hold)
        holder.start()
        while not endpoint.asked:
            time.sleep(0.01)
        # One that still waits has the only connection.
        with pytest.raises(UnitError, match=r"no connection to .* became free within 0\.4 s \(2 tries\)"):
            client.post("chat/completions", {}, tally)
        client.close()
        # Whoever waits is woken.
        holder.join(20)
        assert not holder.is_alive()
    assert len(endpoint.asked) == 1
    assert tally.usage == {"requests": 0, "input_tokens": 0, "output_tokens": 0}


def test_errors_that_the_endpoint_tells_of_are_no_requests_without_an_answer() -> None:
    with translator(lambda _: error(500)) as (engine, _):
        (result,) = engine.run(tasks(1))
    assert result.reason
    assert result.usage == {"requests": 0, "input_tokens": 0, "output_tokens": 0}


def test_what_was_under_way_when_the_client_died_is_named_before_the_error() -> None:
    found: list[Result] = []
    with translator(silent) as (engine, endpoint):

        def die() -> None:
            while len(endpoint.asked) < 2:
                time.sleep(0.01)
            engine.close()

        threading.Thread(target=die, daemon=True).start()
        with pytest.raises(EngineError, match="closed while it worked"):
            found.extend(engine.run(tasks(2)))
    assert [result.usage["unanswered"] for result in found if not result.reason] == [1, 1]


def units(count: int) -> list[Unit]:
    spec = EngineSpec("openai", "m", "1")
    return [
        Unit(
            Slot("translate", number, "es"),
            "job",
            Key(digest_value({"unit": number})),
            spec,
            1000,
            _inputs(number, task),
        )
        for number, task in enumerate(tasks(count))
    ]


def _inputs(window: int, task: TranslationTask) -> dict[Slot, Any]:
    cues = tuple(CueDraft(0, 900, line.text, ()) for line in task.lines)
    return {LANGUAGE: "en", cues_slot(window): cues}


def plan_of(job: str) -> Plan:
    settings = JobSettings("en", ("es",), "", {}, {})
    return Plan(job, "me", MediaFacts(Digest("m" * 64), 9000, None), settings, "", {}, (), ())


def fees(started: AttemptStarted, ended: AttemptEnded) -> list[LedgerEntry]:
    model = started.engine.removeprefix("openai ")
    text = "".join(ROW.format(meter=meter, model=model) for meter in ("input_token", "output_token"))
    maker = Fees("node", PriceBook((parse_toml(text, "test"),)), Demand(()), None)
    found = list(maker.of(started, ended, [Share(Bucket.BUSY, "job", "", 1)]))
    return [entry for entry in found if isinstance(entry, LedgerEntry)]


def test_a_stopped_batch_pays_for_what_was_asked_and_never_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "IN_FLIGHT_GRACE_S", 0.3)
    store, settled = Store.open(tmp_path / "home"), list[Outcome]()
    journal, wanted = AttemptJournal(store), units(6)
    with translator(honest, silent) as (engine, endpoint):
        run_units(wanted, plan_of, engine, store, journal, settled.append, after_requests(endpoint, 3))
    facts = [line.fact("p") for line in read_attempts(store)]
    (started,) = [fact for fact in facts if isinstance(fact, AttemptStarted)]
    (ended,) = [fact for fact in facts if isinstance(fact, AttemptEnded)]
    assert len(settled) == ended.yielded == 1
    assert ended.usage == {"requests": 1, "input_tokens": 100, "output_tokens": 20, "unanswered": 2}
    # Three were begun: the others have no part in the time that the batch took.
    assert len(ended.left) == 3
    assert ended.left < {unit.key for unit in wanted}
    paid = fees(started, ended)
    known = [entry.nano for entry in paid if entry.quality is Quality.MEASURED]
    guessed = [entry.nano for entry in paid if entry.quality is Quality.ESTIMATED]
    assert sum(known) == (100 + 20) * 1000
    # Two of six mean requests, as they were estimated before they were sent.
    mean = (started.estimated["input_tokens"] + started.estimated["output_tokens"]) / 6
    assert sum(guessed) == pytest.approx(2 * mean * 1000, abs=2000)
    assert len({entry.id for entry in paid}) == len(paid) == 4


def test_a_stopped_batch_keeps_the_answers_that_were_under_way(tmp_path: Path) -> None:
    store, settled = Store.open(tmp_path / "home"), list[Outcome]()
    with translator(slow(0.5)) as (engine, endpoint):
        ran = run_units(
            units(6), plan_of, engine, store, AttemptJournal(store), settled.append, after_requests(endpoint, 2)
        )
    assert sorted(outcome.unit.window for outcome in settled) == [0, 1]
    assert all(store.get(outcome.unit.key) for outcome in settled)
    assert ran.attempt
    (ended,) = [line for line in read_attempts(store) if isinstance(line, AttemptEndedLine)]
    assert ended.usage == {"requests": 2, "input_tokens": 200, "output_tokens": 40}
    assert len(ended.left) == 4


def test_tokens_that_an_answer_does_not_report_are_charged_as_they_were_expected() -> None:
    estimated = {"requests": 2, "input_tokens": 700, "output_tokens": 60}
    started = AttemptStarted("a", "p", "translate", AT_MS, "openai m", "openai", remote=True, estimated=estimated)
    ended = AttemptEnded("a", AT_MS, 1, 2, {"requests": 2, "input_tokens": 650, "output_tokens": 0})
    paid = {entry.quality: entry.nano for entry in fees(started, ended)}
    assert paid == {Quality.MEASURED: 650 * 1000, Quality.ESTIMATED: 60 * 1000}
    # Where no request was answered, nothing was written.
    assert fees(started, AttemptEnded("a", AT_MS, 1, 0, {"requests": 0})) == []


def test_an_endpoint_that_nobody_answers_at_charges_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    journal = AttemptJournal(store)
    with translator() as (engine, _):
        gone = EngineResources(models_dir=Path("unused"), url="http://127.0.0.1:9/v1", concurrency=1)
        lost = openai.open_engine(engine.spec, gone, IMPATIENT)
        with pytest.raises(EngineError):
            run_units(units(1), plan_of, lost, store, journal, lambda _: None)
    facts = [line.fact("p") for line in read_attempts(store)]
    (started,) = [fact for fact in facts if isinstance(fact, AttemptStarted)]
    (ended,) = [fact for fact in facts if isinstance(fact, AttemptEnded)]
    assert list(Fees("", PriceBook(()), Demand(()), None).of(started, ended, [Share(Bucket.BUSY, "job", "", 1)])) == []
