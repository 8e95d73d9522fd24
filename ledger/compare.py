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
from core.money import NANO, Exact, Money, currency_code, total


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


@dataclass(frozen=True)
class InferenceCostInputs:
    """One month of one kind of work."""

    #: ISO 4217 code of both prices.
    currency: str
    #: Work in the month, in meter units (audio seconds, tokens, characters).
    usage: Exact
    #: What the API takes for one meter unit.
    api_price: Exact
    #: What one GPU costs for the month, whatever it does.
    gpu_monthly_cost: Money
    #: Meter units that one GPU really does in a second, loading, losses and pauses included.
    effective_throughput: Exact
    #: The length of the month in seconds (30 days: 2,592,000).
    seconds_per_month: int

    def __post_init__(self) -> None:
        currency_code(self.currency)
        for name in ("usage", "api_price", "effective_throughput", "seconds_per_month"):
            exact(getattr(self, name), name)
        # Refuses another currency and a GPU that pays its owner.
        if self.gpu_monthly_cost < Money(0, self.currency):
            raise UsageError("gpu_monthly_cost is negative", "give 0 or more")


@dataclass(frozen=True)
class InferenceCostComparison:
    """What a month costs on either side, and where they meet."""

    #: The usage compared, in meter units.
    usage: Fraction
    #: ``usage x api_price``, rounded once.
    api_monthly_cost: Money
    #: All the GPUs that the usage needs; None when no number of them can do it (throughput 0).
    self_hosted_monthly_cost: Money | None
    #: Usage in meter units at which the API has cost as much as one GPU; None when the API is free: there is none.
    break_even_usage: Fraction | None
    #: Meter units one GPU does in the month.
    monthly_capacity: Fraction
    #: ``ceil(usage / capacity)``; 0 for no usage, None when the capacity is 0 and the usage is not.
    gpus: int | None
    #: Who is cheaper at this usage.
    cheaper: Cheaper
    #: True when one GPU is full before it has paid for itself: then more GPUs never do either.
    break_even_exceeds_single_gpu_capacity: bool

    @property
    def utilization(self) -> Fraction | None:
        """The share of the GPUs' time that the usage fills; None without GPUs."""
        if not self.gpus or not self.monthly_capacity:
            return None
        return self.usage / (self.gpus * self.monthly_capacity)


def compare_inference_cost(inputs: InferenceCostInputs) -> InferenceCostComparison:
    """The month by API and on own GPUs. Pure; see the fields for what 0 means."""
    usage, price = exact(inputs.usage, "usage"), exact(inputs.api_price, "api_price")
    capacity = monthly_capacity(inputs.effective_throughput, inputs.seconds_per_month)
    gpus = gpus_for(usage, capacity)
    one_gpu = inputs.gpu_monthly_cost
    by_api = Money.of(usage, price, inputs.currency)
    by_gpu = None if gpus is None else Money(gpus * one_gpu.nano, one_gpu.currency)
    meeting = break_even_usage(one_gpu, price)
    return InferenceCostComparison(
        usage=usage,
        api_monthly_cost=by_api,
        self_hosted_monthly_cost=by_gpu,
        break_even_usage=meeting,
        monthly_capacity=capacity,
        gpus=gpus,
        cheaper=Cheaper.SELF_HOSTED if by_gpu is not None and by_gpu < by_api else Cheaper.API,
        break_even_exceeds_single_gpu_capacity=meeting is None or meeting > capacity,
    )


def break_even_usage(monthly_cost: Money, price: Exact) -> Fraction | None:
    """Meter units at which an API at ``price`` each has cost ``monthly_cost``; None when the API is free."""
    each = exact(price, "price")
    return Fraction(monthly_cost.nano, NANO) / each if each else None


def monthly_capacity(effective_throughput: Exact, seconds_per_month: int) -> Fraction:
    """Meter units that one GPU does in a month: ``effective_throughput x seconds_per_month``."""
    return exact(effective_throughput, "effective_throughput") * exact(seconds_per_month, "seconds_per_month")


def gpus_for(usage: Exact, capacity: Exact) -> int | None:
    """``ceil(usage / capacity)`` GPUs; None when no number of them can do it."""
    wanted, one = exact(usage, "usage"), exact(capacity, "capacity")
    if not wanted:
        return 0
    return math.ceil(wanted / one) if one else None


def self_hosted_monthly_cost(
    gpu_hours: Money, storage: Money, networking: Money, observability: Money, engineering_tax: Money | None
) -> Money | None:
    """The whole of serving it yourself for a month; None while the people are unset, which is not the same as 0."""
    if engineering_tax is None:
        return None
    return total((gpu_hours, storage, networking, observability, engineering_tax), gpu_hours.currency)


def api_monthly_cost(input_cost: Money, output_cost: Money, platform_fees: Money) -> Money:
    """The whole of an API's bill for a month."""
    return total((input_cost, output_cost, platform_fees), input_cost.currency)


def effective_inference_cost(total_monthly_serving_cost: Money, successful_requests: int) -> Money | None:
    """What a request that succeeded has cost, failed ones included in the total; None when none succeeded."""
    if not exact(successful_requests, "successful_requests"):
        return None
    spent = total_monthly_serving_cost
    return Money.of(Fraction(spent.nano, NANO * successful_requests), 1, spent.currency)
