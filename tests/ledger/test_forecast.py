"""The rest of a month from whole days, by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ledger.forecast import LEAST_DAYS, rest_by_part, rest_of_period
from ledger.speed import Spread


def test_the_range_is_as_wide_as_days_differ() -> None:
    # Nine days: four of 30, one of 40, four of 50. Mean 40; variance 8 x 100 / 8 = 100. Three days more: 120; they vary
    # by 3 x 100, and their mean by 9/9 x 100 more: the deviation is 20, twice that either way 40.
    days = [30, 50, 30, 50, 40, 50, 30, 50, 30]
    assert rest_of_period(days, Fraction(3)) == Spread(80, 120, 160)
    assert rest_of_period([40] * 9, Fraction(3)) == Spread(120, 120, 120)
    # A quarter of a day: a quarter of the mean.
    assert rest_of_period([40] * 9, Fraction(1, 4)) == Spread(10, 10, 10)
    assert rest_of_period(days, Fraction(0)) == Spread(0, 0, 0)


def test_what_was_paid_is_never_paid_back() -> None:
    # One day in seven cost 70: mean 10, variance (3600 + 6 x 100) / 6 = 700. One day: 700 x (1 + 1/7) x 4 = 3200, whose
    # root is 56.57: 57.
    assert rest_of_period([70, 0, 0, 0, 0, 0, 0], Fraction(1)) == Spread(0, 10, 67)


@pytest.mark.parametrize("count", range(LEAST_DAYS))
def test_from_less_than_a_week_there_is_no_figure(count: int) -> None:
    assert rest_of_period([10] * count, Fraction(3)) is None
    assert rest_by_part({"busy": [10] * count}, Fraction(3)) is None


def test_parts_sum_to_the_whole_and_ranges_do_not() -> None:
    # Idle goes up where useful goes down: the whole is 10 on each of seven days, whatever its parts do.
    parts = {"busy": [1, 8, 1, 8, 1, 8, 1], "idle": [9, 2, 9, 2, 9, 2, 9]}
    found = rest_by_part(parts, Fraction(1, 3))
    assert found is not None
    whole, by_part = found
    # 10/3 is 3; 28/70 of it is 1.2, 42/70 is 1.8: 1 and 2.
    assert whole == Spread(3, 3, 3)
    assert {name: spread.point for name, spread in by_part.items()} == {"busy": 1, "idle": 2}
    assert all(spread.low < spread.point < spread.high for spread in by_part.values())
    # Nothing is expected of what never cost anything.
    assert rest_by_part({"busy": [0] * 7}, Fraction(3)) == (Spread(0, 0, 0), {"busy": Spread(0, 0, 0)})
