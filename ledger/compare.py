"""API or own GPU for a month of work: formulas with every assumption an argument, and nothing divided by zero.

Amounts are `core.money.Money`, rates `Decimal` or `Fraction`, usage integers or Fractions; a float is refused. Work is
counted in the meter's own unit (audio seconds, tokens, characters): the formulas do not care which.
"""

from __future__ import annotations

import math
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from core.errors import UsageError
from core.money import Exact, Money, total


class Cheaper(StrEnum):
    """Which side costs less. A tie goes to the API: equal cost does not pay for operating anything."""

    API = "api"
    SELF_HOSTED = "self_hosted"


class WorkUnit(StrEnum):
    """The amount of work that people quote a price for."""

    AUDIO_HOUR = "audio hour"
    MILLION_TOKENS = "million tokens"
    MILLION_CHARACTERS = "million characters"

    @property
    def meter_units(self) -> int:
        """How many of the meter's units (audio seconds, tokens, characters) it is."""
        return 3600 if self is WorkUnit.AUDIO_HOUR else 1_000_000

    @property
    def plural(self) -> str:
        """Several of them."""
        return "audio hours" if self is WorkUnit.AUDIO_HOUR else self.value

    @property
    def speed_name(self) -> str:
        """What a speed in meter units a second is called; audio seconds a second are times real time."""
        return {
            WorkUnit.AUDIO_HOUR: "x real time",
            WorkUnit.MILLION_TOKENS: "tokens/s",
            WorkUnit.MILLION_CHARACTERS: "characters/s",
        }[self]


def exact(value: Exact, name: str) -> Fraction:
    """``value`` as a Fraction, 0 or more. Raises UsageError for a float, a bool, NaN, infinity or a negative."""
    if isinstance(value, bool) or not isinstance(value, int | Fraction | Decimal):
        raise UsageError(f"{name} is not exact: {value!r}", "give an integer, a Decimal or a Fraction, not a float")
    if isinstance(value, Decimal) and not value.is_finite():
        raise UsageError(f"{name} is not a number: {value}", "give a finite number")
    if value < 0:
        raise UsageError(f"{name} is negative: {value}", "give 0 or more")
    return Fraction(value)


def monthly_capacity(effective_throughput: Exact, seconds_per_month: int) -> Fraction:
    """Meter units that one GPU does in a month: ``effective_throughput x seconds_per_month``."""
    return exact(effective_throughput, "effective_throughput") * exact(seconds_per_month, "seconds_per_month")


def gpus_for(usage: Exact, capacity: Exact) -> int | None:
    """``ceil(usage / capacity)`` GPUs; None when no number of them can do it."""
    wanted, one = exact(usage, "usage"), exact(capacity, "capacity")
    if not wanted:
        return 0
    return math.ceil(wanted / one) if one else None


def api_monthly_cost(input_cost: Money, output_cost: Money, platform_fees: Money) -> Money:
    """The whole of an API's bill for a month."""
    return total((input_cost, output_cost, platform_fees), input_cost.currency)
