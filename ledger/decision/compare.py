"""API or own GPU for a month of work: formulas with every assumption an argument, and nothing divided by zero.

Amounts are `core.money.Money`, rates `Decimal` or `Fraction`, usage integers or Fractions; a float is refused. Work is
counted in the meter's own unit (audio seconds, tokens, characters): the formulas do not care which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from core.errors import UsageError
from core.money import NANO, Exact, Money, total


class Cheaper(StrEnum):
    """Which side costs least. A tie goes to the API: equal cost does not pay for operating anything."""

    API = "api"
    HYBRID = "hybrid"
    SELF_HOSTED = "self_hosted"


class Counted(StrEnum):
    """What a meter counts."""

    AUDIO = "audio seconds"
    TOKENS = "tokens"
    CHARACTERS = "characters"


class WorkUnit(StrEnum):
    """The amount of work that people quote a price for."""

    AUDIO_HOUR = "audio hour"
    AUDIO_MINUTE = "audio minute"
    AUDIO_SECOND = "audio second"
    MILLION_TOKENS = "million tokens"
    TOKEN = "token"
    MILLION_CHARACTERS = "million characters"
    CHARACTER = "character"

    @property
    def counted(self) -> Counted:
        """What its meter counts."""
        return _UNITS[self][0]

    @property
    def meter_units(self) -> int:
        """How many of the meter's units (audio seconds, tokens, characters) it is."""
        return _UNITS[self][1]

    @property
    def plural(self) -> str:
        """Several of them."""
        return self.value if self.value.startswith("million") else f"{self.value}s"

    @property
    def speed_name(self) -> str:
        """What a speed in meter units a second is called; audio seconds a second are times real time."""
        return "x real time" if self.counted is Counted.AUDIO else f"{self.counted.value}/s"


_UNITS = {
    WorkUnit.AUDIO_HOUR: (Counted.AUDIO, 3600),
    WorkUnit.AUDIO_MINUTE: (Counted.AUDIO, 60),
    WorkUnit.AUDIO_SECOND: (Counted.AUDIO, 1),
    WorkUnit.MILLION_TOKENS: (Counted.TOKENS, 1_000_000),
    WorkUnit.TOKEN: (Counted.TOKENS, 1),
    WorkUnit.MILLION_CHARACTERS: (Counted.CHARACTERS, 1_000_000),
    WorkUnit.CHARACTER: (Counted.CHARACTERS, 1),
}


def exact(value: Exact, name: str) -> Fraction:
    """``value`` as a Fraction, 0 or more. Raises UsageError for a float, a bool, NaN, infinity or a negative."""
    if isinstance(value, bool) or not isinstance(value, int | Fraction | Decimal):
        raise UsageError(f"{name} is not exact: {value!r}", "give an integer, a Decimal or a Fraction, not a float")
    if isinstance(value, Decimal) and not value.is_finite():
        raise UsageError(f"{name} is not a number: {value}", "give a finite number")
    if value < 0:
        raise UsageError(f"{name} is negative: {value}", "give 0 or more")
    return Fraction(value)


def share(value: Exact, name: str = "utilization") -> Fraction:
    """A share: 0 to 1. Raises UsageError."""
    found = exact(value, name)
    if found > 1:
        raise UsageError(f"a {name} of {value} is above 1", "give a share from 0 to 1: 40 % is 0.4")
    return found


# -- a month's formulas --------------------------------------------------------------------------------------


def monthly_capacity(effective_throughput: Exact, seconds_per_month: Exact) -> Fraction:
    """Meter units that one GPU does in a month: ``effective_throughput x seconds_per_month``."""
    return exact(effective_throughput, "effective_throughput") * exact(seconds_per_month, "seconds_per_month")


def gpus_for(usage: Exact, capacity: Exact) -> int | None:
    """``ceil(usage / capacity)`` GPUs; None when no number of them can do it."""
    wanted, one = exact(usage, "usage"), exact(capacity, "capacity")
    if not wanted:
        return 0
    return math.ceil(wanted / one) if one else None


def gpus_paid(usage: Exact, capacity: Exact) -> int | None:
    """As `gpus_for`, and at least one: what is always on is paid without work, too."""
    gpus = gpus_for(usage, capacity)
    return None if gpus is None else max(1, gpus)


def api_monthly_cost(input_cost: Money, output_cost: Money, platform_fees: Money) -> Money:
    """The whole of an API's bill for a month."""
    return total((input_cost, output_cost, platform_fees), input_cost.currency)


@dataclass(frozen=True)
class ApiUse:
    """A month's use of an API and its prices."""

    #: Units in an average month.
    usage: Exact
    #: Price of one unit.
    price: Exact
    #: Units a month that are charged apart, such as tokens of output.
    output_usage: Exact = 0
    #: Price of one of those.
    output_price: Exact = 0
    #: What the platform takes a month beside usage.
    platform_fees: Exact = 0

    def __post_init__(self) -> None:
        for name in ("usage", "price", "output_usage", "output_price", "platform_fees"):
            exact(getattr(self, name), name)

    @property
    def unit_price(self) -> Fraction:
        """The price of one unit with the output that comes of it."""
        beside = Fraction(self.output_usage) * Fraction(self.output_price)
        return Fraction(self.price) + (beside / Fraction(self.usage) if self.usage else 0)

    def monthly_cost(self, currency: str, part: Exact = 1) -> Money:
        """The bill for a part of the usage; the platform's fees are the same for any part above 0."""
        if not part:
            return Money(0, currency)
        return api_monthly_cost(
            Money.of(Fraction(part) * Fraction(self.usage), self.price, currency),
            Money.of(Fraction(part) * Fraction(self.output_usage), self.output_price, currency),
            Money.of(1, self.platform_fees, currency),
        )


def self_hosted_monthly_cost(
    gpu_hours: Money, storage: Money, networking: Money, observability: Money, engineering_tax: Money
) -> Money:
    """The whole of a month of own GPUs."""
    return total((gpu_hours, storage, networking, observability, engineering_tax), gpu_hours.currency)


def effective_inference_cost(total_monthly_serving_cost: Money, successful_requests: int) -> Money | None:
    """What one request that succeeded has cost, those that failed included; None when none succeeded."""
    if not exact(successful_requests, "successful_requests"):
        return None
    return Money.of(
        Fraction(total_monthly_serving_cost.nano, NANO),
        Fraction(1, successful_requests),
        total_monthly_serving_cost.currency,
    )


def break_even_usage(gpu_monthly_cost: Exact, api_price: Exact) -> Fraction | None:
    """``gpu_monthly_cost / api_price``: units a month that cost the same by API; None when the API is free."""
    price = exact(api_price, "api_price")
    return exact(gpu_monthly_cost, "gpu_monthly_cost") / price if price else None


@dataclass(frozen=True)
class MonthlyUsage:
    """A month's usage, and the whole GPUs that do so much."""

    #: Units a month.
    usage: Fraction
    #: GPUs that are paid for it.
    gpus: int


@dataclass(frozen=True)
class WholeGpuBreakEven:
    """Where own GPUs begin to cost no more than the API, when GPUs are bought whole.

    Each further GPU is paid before it is full, so that the API can be cheaper again just above a volume at which own
    GPUs were.
    """

    #: The least usage at which both cost the same.
    first: MonthlyUsage
    #: The usage from which own GPUs cost no more at any higher usage either; None when there is none.
    lasting: MonthlyUsage | None


def whole_gpu_break_even(
    api_price: Exact, gpu_monthly_cost: Exact, capacity: Exact, paid_once: Fraction
) -> WholeGpuBreakEven | None:
    """Where ``n`` GPUs and what is ``paid_once`` cost as much as the API; None when no number of GPUs gets there.

    ``capacity`` is what one GPU does in a month, in the unit of ``api_price``. ``paid_once`` is people and
    infrastructure, less the fees that only the API takes; it may be negative.

    With n GPUs both cost the same at (paid_once + n x gpu) / price, which n GPUs can do if
    n x (price x capacity - gpu) >= paid_once. The worst above that is usage just over k GPUs' capacity, which pays for
    k + 1 of them: the API costs no less if k x (price x capacity - gpu) >= paid_once + gpu.
    """
    price, gpu = exact(api_price, "api_price"), exact(gpu_monthly_cost, "gpu_monthly_cost")
    saved_by_one = price * exact(capacity, "capacity") - gpu

    def gpus_that_save(amount: Fraction) -> int | None:
        if saved_by_one >= amount:
            return 1
        return math.ceil(amount / saved_by_one) if saved_by_one > 0 else None

    def at(gpus: int) -> MonthlyUsage:
        return MonthlyUsage(max(Fraction(0), (paid_once + gpus * gpu) / price), gpus)

    first, lasting = gpus_that_save(paid_once), gpus_that_save(paid_once + gpu)
    if not price or first is None:
        return None
    return WholeGpuBreakEven(at(first), None if lasting is None or saved_by_one < 0 else at(lasting))
