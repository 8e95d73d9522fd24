"""What the same media would have taken without skipping: two plans laid out with what was measured."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_bench import Bench
from long_speech import SAMPLE

from accounting.job import job_report
from accounting.media_spans import SpanStatus
from accounting.report import Avoided
from cache.store import Store
from core.money import Money
from engines.transcribe.fake import FakeTranscriber
from ledger.price_book.prices import PriceBook
from pipeline.stages.silence import Effort, Heard, hearing_ms, measured_effort, tokens_within

SHAPE = {"workers": 2, "batch_clips": 4, "call_clips": 16}
HEARD = {
    "encoder_ms": 300,
    "encoder_passes": 3,
    "decoder_ms": 2280,
    "decoder_texts": 5,
    "decoder_steps": 100,
    "decoder_tokens": 260,
    "aligner_ms": 600,
    "aligner_texts": 4,
    **SHAPE,
}
EFFORT = Effort(
    pass_ms=Fraction(1000),
    token_ms=Fraction(10),
    text_ms=Fraction(100),
    guess_ms=None,
    tokens=Fraction(50),
    workers=1,
    batch=1,
    call=1,
)


def window(tokens: int, *, votes: bool = False, audio_ms: int = 29_000) -> Heard:
    return Heard(audio_ms, Fraction(tokens), votes)


def test_the_costs_are_those_of_the_parts_that_were_measured() -> None:
    votes = {"encoder_ms": 240, "encoder_passes": 2, "decoder_ms": 90, **SHAPE}
    found = measured_effort([HEARD, {"audio_ms": 29_000}], [votes])
    assert found is not None
    assert found.pass_ms == Fraction(300 + 240, 3 + 2)
    # 100 steps count 90 tokens, five texts 37.5 for being opened.
    assert found.token_ms == Fraction(2 * 2280, 2 * (90 + 260) + 75)
    assert (found.text_ms, found.guess_ms, found.tokens) == (150, 45, 52)
    assert (found.workers, found.batch, found.call) == (2, 4, 16)


def test_journals_that_do_not_say_what_the_parts_took_measure_nothing() -> None:
    assert measured_effort([{"audio_ms": 29_000}], [{}]) is None
    assert measured_effort([], []) is None


def test_one_window_is_a_pass_its_text_and_its_alignment() -> None:
    # 40 steps count 36 tokens, the text 40, opening it 7.5.
    assert hearing_ms([window(40)], EFFORT) == 1000 + 10 * (36 + 40) + 75 + 100


def test_a_window_without_text_is_a_pass_and_an_opening() -> None:
    assert hearing_ms([window(0)], EFFORT) == 1000 + 75


def test_a_batch_takes_the_steps_of_its_longest_text() -> None:
    together = Effort(**{**vars(EFFORT), "batch": 2, "call": 2})
    apart = hearing_ms([window(60), window(40)], EFFORT)
    assert apart - hearing_ms([window(60), window(40)], together) == 10 * Fraction(9, 10) * 40


def test_a_window_that_voted_is_not_encoded_again() -> None:
    asked = Effort(**{**vars(EFFORT), "guess_ms": Fraction(50)})
    assert hearing_ms([window(40, votes=True)], asked) == hearing_ms([window(40)], EFFORT) + 50


def test_the_engine_waits_for_its_last_worker() -> None:
    two = Effort(**{**vars(EFFORT), "workers": 2, "batch": 4, "call": 16})
    alone = hearing_ms([window(40)], two)
    assert hearing_ms([window(40), window(40)], two) == alone
    # Three windows are a batch of two and a batch of one, however short the third is.
    assert hearing_ms([window(40), window(40), window(5, audio_ms=6000)], two) == alone + 1000 + 10 * 40 + 75 + 100


@given(
    st.lists(st.tuples(st.integers(0, 200), st.booleans(), st.integers(1, 29_000)), max_size=40),
    st.integers(1, 4),
    st.integers(1, 8),
)
def test_workers_share_the_work_and_take_none_away(
    windows: list[tuple[int, bool, int]], workers: int, batch: int
) -> None:
    heard = [window(tokens, votes=votes, audio_ms=audio_ms) for tokens, votes, audio_ms in windows]
    side_by_side = Effort(**{**vars(EFFORT), "workers": workers, "batch": batch, "call": 16})
    alone, spread = hearing_ms(heard, EFFORT), hearing_ms(heard, side_by_side)
    assert spread <= alone
    assert spread * workers >= 1000 * len(heard)


def test_text_over_a_border_is_shared_by_its_time() -> None:
    texts = [(0, 1000, Fraction(10)), (1500, 2500, Fraction(20)), (2000, 2000, Fraction(3))]
    assert tokens_within(texts, 0, 2000) == 10 + 10
    assert tokens_within(texts, 2000, 4000) == 10 + 3


def silence_of(bench: Bench, job_id: str | None) -> Avoided:
    assert job_id is not None
    report = job_report(Store.open(bench.folder / "home"), job_id, PriceBook(()))
    (silence,) = (one for one in report.avoided if one.kind == "silence")
    return silence


def test_a_job_whose_engine_says_what_its_parts_took_avoids_what_they_would_have_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only passes of the encoder cost anything, 100 ms each: the sample's two windows instead of three spare one.
    usage = {**HEARD, "encoder_ms": 200, "encoder_passes": 2, "decoder_ms": 0, "aligner_ms": 0, "workers": 1}
    monkeypatch.setattr(FakeTranscriber, "usage", lambda _self: usage)
    result = bench.run_one(SAMPLE, to=(), node_price="3.60 USD", fake_delay_ms=100)
    silence = silence_of(bench, result.job_id)
    assert silence.engine_ms == 100
    assert "2 windows instead of 3" in silence.basis
    assert "100 ms a pass" in silence.basis
    assert silence.amount is not None
    # 3.60 USD an hour are 0.001 USD a second.
    assert silence.amount <= Money(100_000, "USD")
    assert silence.amount > Money(0, "USD")
    assert not silence.measured


def test_a_job_that_skips_nothing_hears_the_media_end_to_end_and_avoids_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeTranscriber, "usage", lambda _self: HEARD)
    result = bench.run_one(SAMPLE, to=(), node_price="0.30 USD", whole_media=True)
    assert result.tally.units["transcribe"][0] == 3
    silence = silence_of(bench, result.job_id)
    assert (silence.media_ms, silence.engine_ms, silence.amount) == (0, 0, Money(0, "USD"))
    assert result.job_id is not None
    report = job_report(Store.open(bench.folder / "home"), result.job_id, PriceBook(()))
    assert {span.status for span in report.timeline} == {SpanStatus.COMPUTED}
