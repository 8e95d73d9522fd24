"""What the rest of a period will cost, from what whole days have cost so far. Pure.

The figure is the mean day times the days that are left. How far off it may be comes from how much days differ: each day
that is left varies as the days before did, and their mean is itself only as sure as their number makes it. The range is
two standard deviations of both together either way, which 19 of 20 stay within as long as days go on as they did. What
somebody plans to do differently is not foreseen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from core.money import NANO, settle, split
from ledger.speed import Spread

#: A week, so that a weekend is in it. With fewer days there is no forecast.
LEAST_DAYS = 7
#: Four of them: each day of the week as often as the others, and no more of the past than is like now.
MOST_DAYS = 28
_DEVIATIONS = 2


def rest_of_period(days: Sequence[int], left: Fraction) -> Spread | None:
    """What so many days more will cost, in the unit of ``days``: one amount for each whole day; None for too few.

    Never less than nothing: what was paid is not paid back.
    """
    if len(days) < LEAST_DAYS:
        return None
    count, mean = len(days), Fraction(sum(days), len(days))
    variance = sum(((day - mean) ** 2 for day in days), Fraction(0)) / (count - 1)
    point = settle(Fraction(sum(days), NANO * count), left)
    width = _root_up(_DEVIATIONS**2 * variance * (left + left**2 / count))
    return Spread(min(max(point - width, 0), point), point, point + width)


def rest_by_part(parts: Mapping[str, Sequence[int]], left: Fraction) -> tuple[Spread, dict[str, Spread]] | None:
    """The rest of the whole and of each of its parts, whose figures sum to the whole's; None for too few days.

    The range of the whole is no sum of ranges: where one part goes up for another, the whole does not move.
    """
    whole = rest_of_period([sum(day) for day in zip(*parts.values(), strict=True)], left)
    if whole is None:
        return None
    sums = [max(sum(days), 0) for days in parts.values()]
    points = split(whole.point, sums) if any(sums) else [0] * len(sums)
    found: dict[str, Spread] = {}
    for (name, days), point in zip(parts.items(), points, strict=True):
        alone = rest_of_period(days, left)
        assert alone is not None
        found[name] = Spread(min(alone.low, point), point, max(alone.high, point))
    return whole, found


def _root_up(value: Fraction) -> int:
    """The least integer whose square is not below."""
    least = math.ceil(value)
    root = math.isqrt(least)
    return root if root * root == least else root + 1
