"""What one unit of something cost: a total over how many there were. Pure."""

from __future__ import annotations

from fractions import Fraction

from core.errors import UsageError
from core.money import NANO, Money, settle


def cost_per(total: Money, count: int) -> Money | None:
    """The total over the count, rounded once; None where there was nothing to divide by. Raises UsageError."""
    if count < 0:
        raise UsageError(f"{count} is no count", "give 0 or more")
    return Money(settle(Fraction(total.nano, NANO * count), 1), total.currency) if count else None
