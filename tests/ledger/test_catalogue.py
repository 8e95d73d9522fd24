"""Planned work: hours, languages and shares, by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from core.errors import UsageError
from ledger.catalogue import CatalogueWork, machine_time, machines_needed
from ledger.speed import Spread

HOUR = 3_600_000


def test_a_catalogue_is_hours_of_speech_of_text_and_of_dubs() -> None:
    work = CatalogueWork(Decimal(400), 8, Fraction(60, 100), Fraction(30, 100))
    assert (work.media_ms, work.speech_ms) == (400 * HOUR, 240 * HOUR)
    # 240 h into eight languages; 120 h of media dubbed in each of them.
    assert (work.translated_ms, work.dubbed_ms) == (1920 * HOUR, 960 * HOUR)


def test_paid_time_is_useful_time_and_idle() -> None:
    assert machine_time(Spread(9 * HOUR, 18 * HOUR, 36 * HOUR), Fraction(3, 5)) == Spread(
        15 * HOUR, 30 * HOUR, 60 * HOUR
    )
    for share in (Fraction(0), Fraction(11, 10)):
        with pytest.raises(UsageError, match="no utilization"):
            machine_time(Spread(1, 1, 1), share)


def test_machines_work_all_the_time_that_there_is() -> None:
    # 730 hours a month.
    assert machines_needed(730 * HOUR, Decimal(1)) == 1
    assert machines_needed(730 * HOUR + 1, Decimal(1)) == 2
    assert machines_needed(730 * HOUR + 1, Decimal("0.5")) == 3
    assert machines_needed(0, Decimal(1)) == 0


@pytest.mark.parametrize(
    "planned",
    [
        (Decimal(0), 8),
        (Decimal(-1), 8),
        (Decimal("0.001"), 8),
        (Decimal("NaN"), 8),
        (Decimal("Infinity"), 8),
        (Decimal(1), -1),
        (Decimal(1), 1, Fraction(0)),
        (Decimal(1), 1, Fraction(11, 10)),
        (Decimal(1), 1, Fraction(1), Fraction(-1, 10)),
        (Decimal(1), 1, Fraction(1), Fraction(0), Decimal(0)),
        (Decimal(1), 1, Fraction(1, 10**9)),
    ],
)
def test_what_is_no_work_is_refused(planned: tuple[object, ...]) -> None:
    with pytest.raises(UsageError):
        CatalogueWork(*planned)  # type: ignore[arg-type]
