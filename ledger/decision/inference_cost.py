"""A month of one kind of work by API, on own GPUs, or some of it by either: what each takes, and which costs least.

GPUs are bought whole, for the busiest hour, and paid all month. What people take is compared without and with: it is
known to be at least so much, and at most so much or not at all. Undecided is only what that can turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from core.errors import UsageError
from core.money import NANO, Exact, Money, total
from ledger.decision.compare import (
    ApiUse,
    Cheaper,
    WholeGpuBreakEven,
    WorkUnit,
    break_even_usage,
    exact,
    gpus_for,
    gpus_paid,
    monthly_capacity,
    self_hosted_monthly_cost,
    share,
    whole_gpu_break_even,
)

#: What something takes: at least, and at most; None when nobody knows how much it may be.
Bounds = tuple[Money, Money | None]


@dataclass(frozen=True)
class InferenceCostInputs:
    """A month's work and what either side asks for it. Every assumption is a field."""

    #: What usage and the API's price are counted in.
    unit: WorkUnit
    #: ISO 4217 code of every price.
    currency: str
    #: The month's usage and what the API asks for it.
    api: ApiUse
    #: What one GPU takes for the month, whether it works or waits.
    gpu_monthly_cost: Exact
    #: Meter units a second that one GPU does, over the time it is paid for.
    effective_throughput: Exact
    #: The part of the month that a GPU is paid for: all of it, unless it is switched off.
    seconds_per_month: Exact
    #: How many times the average the busiest hour is.
    peak_to_average: Exact
    #: What people take for self-hosting.
    people: Bounds
    #: Storage, networking and observability of self-hosting, a month.
    infrastructure: tuple[Money, Money, Money]
    #: The share of usage that goes by API in any case, below 1.
    api_share: Exact = 0

    def __post_init__(self) -> None:
        for name in ("gpu_monthly_cost", "effective_throughput", "seconds_per_month"):
            exact(getattr(self, name), name)
        if exact(self.peak_to_average, "peak_to_average") < 1:
            raise UsageError("the peak is below the average", "peak_to_average is 1 or more")
        if share(self.api_share, "share by API") == 1:
            raise UsageError("all of the usage goes by API", "give a share below 1: there is nothing else to compare")


@dataclass(frozen=True)
class Serving:
    """One way to serve the month."""

    #: The API's part of it.
    api: Money
    #: GPUs that are paid.
    gpus: int
    #: What they take.
    machines: Money
    #: API, machines and infrastructure.
    without_people: Money
    #: All of it.
    with_people: Bounds


@dataclass(frozen=True)
class InferenceCostComparison:
    """A month's comparison."""

    #: What was compared.
    inputs: InferenceCostInputs
    #: By way: the API, own GPUs, and both where a share goes by API; a way is absent when no number of GPUs can do it.
    ways: dict[Cheaper, Serving]
    #: Units a month that one GPU can do.
    monthly_capacity: Fraction
    #: Units in an average month that one GPU can be planned for: its capacity, less what waits for the peak.
    planned_capacity: Fraction
    #: Units a month for which one GPU costs what the API costs; None when the API is free.
    break_even_usage: Fraction | None
    #: Whether that is more than one GPU can be planned for; None without a break-even.
    break_even_exceeds_single_gpu_capacity: bool | None
    #: GPUs that so much usage needs; None without a break-even, or when no number of them can do it.
    break_even_gpus: int | None
    #: GPUs that this usage needs; None when no number of them can do it.
    gpus: int | None
    #: The cheapest way, people not counted.
    cheaper: Cheaper
    #: The cheapest way, people counted; None when that depends on what they take.
    cheaper_with_people: Cheaper | None

    @property
    def api_monthly_cost(self) -> Money:
        """The API's bill for all of it."""
        return self.ways[Cheaper.API].without_people

    @property
    def own(self) -> Cheaper | None:
        """The cheapest way that needs GPUs; None when no number of them can do it."""
        own = [way for way in (Cheaper.HYBRID, Cheaper.SELF_HOSTED) if way in self.ways]
        return min(own, key=lambda way: self.ways[way].without_people.nano, default=None)

    @property
    def saved(self) -> Money | None:
        """What people may take before the API is no dearer; negative when it is cheaper even if people are free."""
        return None if self.own is None else self.api_monthly_cost - self.ways[self.own].without_people

    def cost_of(self, gpus: int, people: Money) -> Money:
        """So many GPUs, infrastructure and these people."""
        return _self_hosted(self.inputs, gpus, people)

    @property
    def break_even_of_machines(self) -> WholeGpuBreakEven | None:
        """As `break_even_with`, of nothing but GPUs and usage."""
        return whole_gpu_break_even(
            self.inputs.api.unit_price, self.inputs.gpu_monthly_cost, self.planned_capacity, Fraction(0)
        )

    def break_even_with(self, people: Money) -> WholeGpuBreakEven | None:
        """The usage that pays for GPUs, infrastructure and these people; None when no number of GPUs gets there."""
        once = total((people, *self.inputs.infrastructure), people.currency)
        more = Fraction(once.nano, NANO) - Fraction(self.inputs.api.platform_fees)
        return whole_gpu_break_even(
            self.inputs.api.unit_price, self.inputs.gpu_monthly_cost, self.planned_capacity, more
        )


def compare_inference_cost(inputs: InferenceCostInputs) -> InferenceCostComparison:
    """The month by each way, and where they cost the same. Pure."""
    capacity = monthly_capacity(inputs.effective_throughput, inputs.seconds_per_month) / inputs.unit.meter_units
    planned = capacity / Fraction(inputs.peak_to_average)
    even = break_even_usage(inputs.gpu_monthly_cost, inputs.api.unit_price)
    none = Money(0, inputs.currency)
    by_api = inputs.api.monthly_cost(inputs.currency)
    ways = {Cheaper.API: Serving(by_api, 0, none, by_api, (by_api, by_api))}
    for way, by_others in ((Cheaper.HYBRID, Fraction(inputs.api_share)), (Cheaper.SELF_HOSTED, Fraction(0))):
        gpus = gpus_paid(Fraction(inputs.api.usage) * (1 - by_others), planned)
        if gpus is not None and (by_others or way is Cheaper.SELF_HOSTED):
            ways[way] = _serving(inputs, gpus, inputs.api.monthly_cost(inputs.currency, by_others))
    own = ways.get(Cheaper.SELF_HOSTED)
    return InferenceCostComparison(
        inputs=inputs,
        ways=ways,
        monthly_capacity=capacity,
        planned_capacity=planned,
        break_even_usage=even,
        break_even_exceeds_single_gpu_capacity=None if even is None else even > planned,
        break_even_gpus=None if even is None else gpus_for(even, planned),
        gpus=None if own is None else own.gpus,
        # The API stands first, then what needs fewer GPUs: a tie goes to the one with less to operate.
        cheaper=min(ways, key=lambda way: ways[way].without_people.nano),
        cheaper_with_people=_cheaper_with_people(ways),
    )


def _serving(inputs: InferenceCostInputs, gpus: int, api: Money) -> Serving:
    machines = Money.of(gpus, inputs.gpu_monthly_cost, inputs.currency)
    least, most = inputs.people
    return Serving(
        api=api,
        gpus=gpus,
        machines=machines,
        without_people=api + _self_hosted(inputs, gpus, Money(0, inputs.currency)),
        with_people=(
            api + _self_hosted(inputs, gpus, least),
            None if most is None else api + _self_hosted(inputs, gpus, most),
        ),
    )


def _self_hosted(inputs: InferenceCostInputs, gpus: int, people: Money) -> Money:
    machines = Money.of(gpus, inputs.gpu_monthly_cost, inputs.currency)
    return self_hosted_monthly_cost(machines, *inputs.infrastructure, people)


def _cheaper_with_people(ways: dict[Cheaper, Serving]) -> Cheaper | None:
    """People take the same for any use of own GPUs, so that they turn nothing but whether to have some."""
    api = ways[Cheaper.API].without_people
    own = min(
        (way for way in ways if way is not Cheaper.API), key=lambda way: ways[way].without_people.nano, default=None
    )
    if own is None:
        return Cheaper.API
    least, most = ways[own].with_people
    if api <= least:
        return Cheaper.API
    return own if most is not None and most < api else None
