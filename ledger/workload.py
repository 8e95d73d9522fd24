"""A month of work to be placed: what it is, what it needs, what either side would cost. Nothing unset counts as 0."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from core.errors import UsageError
from core.money import Exact, Money, currency_code
from ledger.breakeven import machine_cost, share
from ledger.compare import WorkUnit, api_monthly_cost, exact, gpus_for, monthly_capacity
from ledger.redflags import ApiExtra
from ledger.tax import EngineeringTax


@dataclass(frozen=True)
class StageWorkload:
    """One stage's month. None is "not known", which is never 0."""

    #: Name of the stage: ``transcribe``, ``translate``.
    stage: str
    #: What usage and prices are counted in.
    unit: WorkUnit
    #: Units in an average month; None when not known.
    usage: Exact | None = None
    #: Whether one would sign for that usage.
    usage_is_certain: bool = False
    #: How many times the average the busiest hour is; None when nobody looked.
    peak_to_average: Exact | None = None
    #: Whether the load is even enough to plan GPUs for.
    predictable: bool = False
    #: The API's price for one unit; None when not known.
    api_price: Exact | None = None
    #: Units a month that the API charges apart, such as tokens of output.
    output_usage: Exact = 0
    #: The API's price for one of those.
    output_price: Exact = 0
    #: What the API's platform takes a month beside usage.
    platform_fees: Exact = 0
    #: The API's side includes these, or they do not occur.
    api_counts: frozenset[ApiExtra] = frozenset()
    #: A GPU's price an hour; None when not known.
    gpu_price_per_hour: Exact | None = None
    #: Meter units of ``usage`` a second that a GPU does, measured; None when not known.
    speed: Exact | None = None
    #: GPUs stay on all month, and are paid all month.
    always_on: bool = False
    #: Where they do not: the share of their paid time that works; None when not known.
    utilization: Exact | None = None
    #: Load must be followed up and down without anybody here.
    needs_autoscaling: bool = False
    #: Somebody must be reachable under a contract.
    needs_support: bool = False
    #: The data must stay on machines one controls.
    data_sovereignty: bool = False
    #: A regulation rules the API out.
    regulation: bool = False
    #: A model that no API serves.
    customization: bool = False

    def __post_init__(self) -> None:
        optional = ("usage", "peak_to_average", "api_price", "gpu_price_per_hour", "speed")
        for name in (*optional, "output_usage", "output_price", "platform_fees"):
            value = getattr(self, name)
            if value is not None:
                exact(value, f"{self.stage}: {name}")
        if self.peak_to_average is not None and self.peak_to_average < 1:
            raise UsageError(f"{self.stage}: the peak is below the average", "peak_to_average is 1 or more")
        if self.utilization is not None:
            share(self.utilization)


@dataclass(frozen=True)
class WorkloadProfile:
    """Everything a recommendation rests on."""

    #: ISO 4217 code of every price.
    currency: str
    #: The stages to place, each once, in the order to show.
    stages: tuple[StageWorkload, ...]
    #: The month's length in seconds.
    seconds_per_month: int
    #: From how many times the cost of self-hosting an API's unit cost is extreme.
    extreme_ratio: Exact
    #: The people; counted once for everything that is self-hosted.
    engineering: EngineeringTax
    #: Who operates the GPUs; empty when nobody does.
    operations_owner: str = ""
    #: Storage, networking and observability of self-hosting, a month.
    storage: Exact = 0
    networking: Exact = 0
    observability: Exact = 0
    #: Why somebody would like to self-host, in their own words. Reported; none of them counts.
    motives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        currency_code(self.currency)
        names = [stage.stage for stage in self.stages]
        if not names or len(set(names)) != len(names):
            raise UsageError("a workload needs stages, each of them once", "add [stages.transcribe] to the worksheet")
        if self.engineering.currency != self.currency:
            raise UsageError(
                f"hours are paid in {self.engineering.currency}, the rest in {self.currency}", "use one currency"
            )
        if exact(self.extreme_ratio, "extreme_ratio") < 1:
            raise UsageError(f"an extreme ratio of {self.extreme_ratio} is below 1", "give how many times dearer, as 5")
        for name in ("storage", "networking", "observability"):
            exact(getattr(self, name), name)
        if not exact(self.seconds_per_month, "seconds_per_month"):
            raise UsageError("a month of no length", "give its length in seconds, as 2592000")

    @property
    def infrastructure(self) -> Money:
        """Storage, networking and observability together."""
        parts = sum((Fraction(part) for part in (self.storage, self.networking, self.observability)), Fraction(0))
        return Money.of(parts, 1, self.currency)

    @property
    def overhead(self) -> tuple[Money, Money] | None:
        """People and infrastructure of self-hosting, at least and at most; None while people are unset."""
        people = self.engineering.monthly()
        return None if people is None else (self.infrastructure + people[0], self.infrastructure + people[1])


@dataclass(frozen=True)
class StageCosts:
    """A stage's month on either side, as far as it is known."""

    #: Name of the stage.
    stage: str
    #: The API's bill; None when not known.
    api: Money | None
    #: The GPUs, idle time included, people not; None when not known, or when they do nothing (speed 0, never busy).
    machines: Money | None
    #: GPUs that the peak needs, when they are always on.
    gpus: int | None
    #: The share of the GPUs' paid time that works; None when not known.
    utilization: Fraction | None
    #: What is not known and would be needed, in words.
    unknown: tuple[str, ...]

    @property
    def saving(self) -> Money | None:
        """What machines cost less than the API; negative when they cost more."""
        return None if self.api is None or self.machines is None else self.api - self.machines


def stage_costs(stage: StageWorkload, currency: str, seconds_per_month: int) -> StageCosts:
    """Both sides of one stage. Always-on GPUs are whole ones, bought for the peak and paid for the whole month."""
    needed = {
        "usage": stage.usage,
        "API price": stage.api_price,
        "GPU price": stage.gpu_price_per_hour,
        "speed": stage.speed,
        "peak": stage.peak_to_average if stage.always_on else 1,
        "utilization": 1 if stage.always_on else stage.utilization,
    }
    unknown = tuple(name for name, value in needed.items() if value is None)
    gpus, busy, machines = _machines(stage, currency, seconds_per_month)
    return StageCosts(stage.stage, _api(stage, currency), machines, gpus, busy, unknown)


def _api(stage: StageWorkload, currency: str) -> Money | None:
    if stage.usage is None or stage.api_price is None:
        return None
    return api_monthly_cost(
        Money.of(Fraction(stage.usage), Fraction(stage.api_price), currency),
        Money.of(Fraction(stage.output_usage), Fraction(stage.output_price), currency),
        Money.of(Fraction(stage.platform_fees), 1, currency),
    )


def _machines(
    stage: StageWorkload, currency: str, seconds_per_month: int
) -> tuple[int | None, Fraction | None, Money | None]:
    """GPUs, utilization and cost, each None when not known."""
    if stage.usage is None or stage.gpu_price_per_hour is None or not stage.speed:
        return None, None, None
    usage, price = Fraction(stage.usage), Fraction(stage.gpu_price_per_hour)
    if not stage.always_on:
        if stage.utilization is None:
            return None, None, None
        each = machine_cost(price, stage.speed, stage.utilization, stage.unit)
        return None, Fraction(stage.utilization), None if each is None else Money.of(usage, each, currency)
    if stage.peak_to_average is None:
        return None, None, None
    capacity = monthly_capacity(stage.speed, seconds_per_month)
    work = usage * stage.unit.meter_units
    peak = work * Fraction(stage.peak_to_average)
    # What is always on is paid without work, too.
    gpus = max(1, gpus_for(peak, capacity) or 0)
    return gpus, work / (gpus * capacity), Money.of(gpus * Fraction(seconds_per_month, 3600), price, currency)
