"""One estimator for budgets, estimates and the coordinator's batches."""

from __future__ import annotations

from fractions import Fraction

import pytest

from journals.facts import AttemptEnded, AttemptStarted, UnitUse
from ledger.speed import Speeds, measured_ms


def test_a_prediction_is_the_mean_of_the_batches_weighed_by_their_speech() -> None:
    speeds = Speeds[str]()
    assert speeds.predict("q", 1_000) is None
    assert "q" not in speeds
    speeds.note("q", 100, 1_000)
    speeds.note("q", 900, 1_000)
    assert speeds.predict("q", 3_000) == 1_500
    assert speeds.measure("q").times(3_000).point == 1_500


def test_only_the_latest_batches_count_where_so_many_are_remembered() -> None:
    speeds = Speeds[str](recent=2)
    for took in (9_000, 100, 300):
        speeds.note("q", took, 1_000)
    assert speeds.pairs("q") == ((100, 1_000), (300, 1_000))
    assert speeds.predict("q", 1_000) == 200


def test_places_that_were_noted_longest_ago_are_forgotten_first() -> None:
    speeds = Speeds[str](most_places=2)
    for place in ("a", "b", "a", "c"):
        speeds.note(place, 1, 1)
    assert list(speeds) == ["a", "c"]
    assert speeds.pairs("a") == ((1, 1), (1, 1))


@pytest.mark.parametrize(("amount", "audio_ms"), [(5, 0), (5, -1), (-5, 1)])
def test_what_cannot_be_measures_nothing(amount: int, audio_ms: int) -> None:
    speeds = Speeds[str]()
    speeds.note("q", amount, audio_ms)
    assert list(speeds) == []


def test_a_range_is_wider_the_fewer_batches_it_was_measured_on() -> None:
    speeds = Speeds[str]()
    speeds.note("q", 1_000, 1_000)
    one = speeds.measure("q")
    assert (one.low, one.point, one.high, one.batches) == (Fraction(1, 2), 1, 2, 1)
    for _ in range(3):
        speeds.note("q", 1_000, 1_000)
    four = speeds.measure("q")
    assert (four.low, four.high) == (Fraction(2, 3), Fraction(3, 2))
    assert four.elsewhere().low == one.low


@pytest.mark.parametrize(("yielded", "left", "speech"), [(2, (), 3_000), (1, ("b",), 1_000), (1, (), 0)])
def test_an_attempt_measures_the_speech_that_its_time_went_to(yielded: int, left: tuple[str, ...], speech: int) -> None:
    units = (UnitUse("a", 1_000), UnitUse("b", 2_000))
    started = AttemptStarted("x", "p", "transcribe", 0, units=units)
    assert measured_ms(started, AttemptEnded("x", 9, 9, yielded, left=frozenset(left))) == speech
