"""What skipping silence is said to have saved: passes of the encoder, not minutes of silence."""

from __future__ import annotations

import pytest
from job_bench import Bench
from spoken import SPEECH

from accounting.avoided import Computed
from accounting.job import job_report
from cache.store import Store
from core.money import Money
from journals.facts import AttemptEnded, AttemptStarted, UnitUse
from ledger.price_book.prices import PriceBook
from pipeline.stages.silence import encoder_pass, windows_without_skipping
from pipeline.stages.stage import StageUsage


def test_without_a_measure_the_encoders_part_of_a_window_is_assumed() -> None:
    found = encoder_pass(StageUsage(units=4, ms=10_000, nano=2_000), StageUsage(0, 0, 0))
    assert (found.ms, found.nano) == (1000, 200)
    assert "assumed" in found.basis


def test_a_language_vote_measures_a_pass_of_the_encoder() -> None:
    found = encoder_pass(StageUsage(units=10, ms=10_000, nano=2_000), StageUsage(units=5, ms=3_000, nano=500))
    assert (found.ms, found.nano) == (600, 100)
    assert "language detection" in found.basis


def test_a_pass_of_the_encoder_costs_no_more_than_hearing_a_window() -> None:
    # The first call of an engine is slow: two windows that were voted on and then heard took 1.5 s each.
    found = encoder_pass(StageUsage(units=2, ms=500, nano=50), StageUsage(units=1, ms=2_500, nano=None))
    assert (found.ms, found.nano) == (1500, None)


@pytest.mark.parametrize(("duration_ms", "windows"), [(1, 1), (29_000, 1), (29_001, 2), (64_727, 3)])
def test_media_without_skipping_is_heard_end_to_end(duration_ms: int, windows: int) -> None:
    assert windows_without_skipping(duration_ms, {"params": {"max_window_ms": 29_000}}) == windows
    assert windows_without_skipping(duration_ms, {}) == windows
    assert windows_without_skipping(duration_ms, {"params": {"max_window_ms": 10}}) == -(-duration_ms // 10)


def test_silence_that_spares_no_window_saves_nothing(bench: Bench) -> None:
    result = bench.run_one(SPEECH, node_price="0.30 USD", fake_delay_ms=20)
    assert result.job_id is not None
    report = job_report(Store.open(bench.folder / "home"), result.job_id, PriceBook(()))
    (silence,) = (one for one in report.avoided if one.kind == "silence")
    assert "1 windows instead of 1" in silence.basis
    assert (silence.engine_ms, silence.amount) == (0, Money(0, "USD"))


def test_a_unit_that_the_engine_was_stopped_before_took_nothing_of_the_batch() -> None:
    units = (UnitUse("done", 6_000), UnitUse("left", 18_000))
    attempt = AttemptStarted("a", "p", "transcribe", 0, "whisper", units=units)
    ended = AttemptEnded("a", 2_000, 2_000, 1, {}, frozenset({"left"}))
    computed = Computed({"a": attempt}, {"a": ended}, ())
    assert computed.cost(attempt, "done", "USD") == (2_000, None)
    assert computed.cost(attempt, "left", "USD") == (0, None)
    assert computed.measured("transcribe", "whisper", "USD", {"done"}).units == 1


def test_a_jobs_own_batches_measure_it_before_anybody_elses() -> None:
    attempts = {
        name: AttemptStarted(name, "p", "transcribe", 0, "whisper", units=(UnitUse(key, 6_000),))
        for name, key in (("a", "mine"), ("b", "yours"))
    }
    ended = {name: AttemptEnded(name, 0, ms, 1) for name, ms in (("a", 1_000), ("b", 9_000))}
    computed = Computed(attempts, ended, ())
    assert computed.measured("transcribe", "whisper", "USD", {"mine"}).ms == 1_000
    assert computed.measured("transcribe", "whisper", "USD", {"nobody's"}).ms == 10_000
