"""A month of work to be placed: what it is, what it needs, what either side would cost. Nothing unset counts as 0."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from core.errors import UsageError
from core.money import Exact, Money, currency_code, total
from ledger.decision.breakeven import machine_cost
from ledger.decision.compare import ApiUse, WorkUnit, exact, gpus_paid, monthly_capacity, share
from ledger.decision.inference_cost import Bounds, InferenceCostInputs
from ledger.decision.redflags import ApiExtra
from ledger.decision.tax import EngineeringTax


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
    #: Or what one takes for the whole month.
    gpu_price_per_month: Exact | None = None
    #: Meter units of ``usage`` a second that a GPU does, measured; None when not known.
    speed: Exact | None = None
    #: GPUs stay on all month, and are paid all month.
    always_on: bool = False
    #: The share of paid time that works. None is not known, or all of it where GPUs are always on and have work.
    utilization: Exact | None = None
    #: The share of usage that goes by API in any case, such as peaks or rare languages.
    api_share: Exact = 0
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
        optional = ("usage", "peak_to_average", "api_price", "gpu_price_per_hour", "gpu_price_per_month", "speed")
        for name in (*optional, "output_usage", "output_price", "platform_fees"):
            value = getattr(self, name)
            if value is not None:
                exact(value, f"{self.stage}: {name}")
        if self.peak_to_average is not None and self.peak_to_average < 1:
            raise UsageError(f"{self.stage}: the peak is below the average", "peak_to_average is 1 or more")
        if self.utilization is not None:
            share(self.utilization)
        if self.gpu_price_per_hour is not None and self.gpu_price_per_month is not None:
            raise UsageError(
                f"{self.stage}: the GPU's price is given twice", "give gpu_price_per_hour or gpu_price_per_month"
            )
        by_api = share(self.api_share, "share by API")
        if by_api == 1:
            raise UsageError(f"{self.stage}: all of the usage goes by API", "give an api_share below 1")
        if by_api and (self.data_sovereignty or self.regulation or self.customization):
            raise UsageError(
                f"{self.stage}: a share goes by API where none may or can", "leave out api_share, or what rules it out"
            )

    @property
    def api_use(self) -> ApiUse | None:
        """The API's side; None when usage or price are not known."""
        if self.usage is None or self.api_price is None:
            return None
        return ApiUse(self.usage, self.api_price, self.output_usage, self.output_price, self.platform_fees)

    def gpu_monthly_cost(self, seconds_per_month: Exact) -> Fraction | None:
        """What one GPU takes that is paid all month; None when not known."""
        if self.gpu_price_per_month is not None:
            return Fraction(self.gpu_price_per_month)
        if self.gpu_price_per_hour is None:
            return None
        return Fraction(self.gpu_price_per_hour) * Fraction(seconds_per_month) / 3600


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
    #: Requests a month that succeed; None when nobody counted.
    successful_requests: int | None = None
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
    def infrastructure_parts(self) -> tuple[Money, Money, Money]:
        """Storage, networking and observability."""
        storage, networking, observability = (
            Money.of(1, part, self.currency) for part in (self.storage, self.networking, self.observability)
        )
        return storage, networking, observability

    @property
    def infrastructure(self) -> Money:
        """Storage, networking and observability together."""
        return total(self.infrastructure_parts, self.currency)

    @property
    def overhead(self) -> Bounds:
        """People and infrastructure of self-hosting, at least and at most; None while people are unset."""
        least, most = self.engineering.bounds()
        return self.infrastructure + least, None if most is None else self.infrastructure + most


@dataclass(frozen=True)
class StageCosts:
    """A stage's month on either side, as far as it is known."""

    #: Name of the stage.
    stage: str
    #: The API's bill; None when not known.
    api: Money | None
    #: The GPUs, idle time included, people not; None when not known, or when they do nothing (speed 0, never busy).
    machines: Money | None
    #: What goes by API beside them; None when not known.
    beside: Money | None
    #: GPUs that the peak needs, when they are always on.
    gpus: int | None
    #: The share of the GPUs' paid time that works; None when not known.
    utilization: Fraction | None
    #: What is not known and would be needed, in words.
    unknown: tuple[str, ...]

    @property
    def replaced(self) -> Money | None:
        """The part of the API's bill that machines take the place of."""
        return None if self.api is None or self.beside is None else self.api - self.beside

    @property
    def saving(self) -> Money | None:
        """What machines cost less than that part; negative when they cost more."""
        return None if self.replaced is None or self.machines is None else self.replaced - self.machines


def stage_costs(stage: StageWorkload, currency: str, seconds_per_month: int) -> StageCosts:
    """Both sides of one stage. Always-on GPUs are whole ones, bought for the peak and paid for the whole month."""
    needed = {
        "usage": stage.usage,
        "API price": stage.api_price,
        "GPU price": stage.gpu_monthly_cost(seconds_per_month),
        "speed": stage.speed,
        "peak": stage.peak_to_average if stage.always_on else 1,
        "utilization": 1 if stage.always_on else stage.utilization,
    }
    unknown = tuple(name for name, value in needed.items() if value is None)
    gpus, busy, machines = _machines(stage, currency, seconds_per_month)
    api = stage.api_use
    return StageCosts(
        stage.stage,
        None if api is None else api.monthly_cost(currency),
        machines,
        None if api is None else api.monthly_cost(currency, stage.api_share),
        gpus,
        busy,
        unknown,
    )


def _machines(
    stage: StageWorkload, currency: str, seconds_per_month: int
) -> tuple[int | None, Fraction | None, Money | None]:
    """GPUs, utilization and cost, each None when not known."""
    monthly = stage.gpu_monthly_cost(seconds_per_month)
    if stage.usage is None or monthly is None or not stage.speed:
        return None, None, None
    usage = Fraction(stage.usage) * (1 - Fraction(stage.api_share))
    if not stage.always_on:
        if stage.utilization is None:
            return None, None, None
        hourly = monthly * 3600 / seconds_per_month
        each = machine_cost(hourly, stage.speed, stage.utilization, stage.unit)
        return None, Fraction(stage.utilization), None if each is None else Money.of(usage, each, currency)
    if stage.peak_to_average is None:
        return None, None, None
    most = 1 if stage.utilization is None else Fraction(stage.utilization)
    capacity = monthly_capacity(stage.speed, seconds_per_month)
    work = usage * stage.unit.meter_units
    gpus = gpus_paid(work * Fraction(stage.peak_to_average), capacity * most)
    if gpus is None:
        return None, None, None
    return gpus, work / (gpus * capacity), Money.of(gpus, monthly, currency)


def inference_cost_inputs(
    stage: StageWorkload, profile: WorkloadProfile, paid_seconds: Exact | None = None
) -> InferenceCostInputs:
    """A stage as `inference_cost` compares it; GPUs are paid ``paid_seconds`` of the month, else all of it.

    Without a peak or a utilization GPUs are planned for the average hour and for working all the time, which flatters
    them: `ledger.decision.redflags` says so. Raises UsageError for what is not known and cannot be done without.
    """
    paid = profile.seconds_per_month if paid_seconds is None else paid_seconds
    api, gpu, speed = stage.api_use, stage.gpu_monthly_cost(paid), stage.speed
    if api is None or gpu is None or speed is None:
        needed = {"--usage": stage.usage, "--api-price or --api": stage.api_price}
        needed |= {"--gpu-month or --gpu-price": gpu, "--rtfx": speed}
        missing = [flag for flag, value in needed.items() if value is None]
        raise UsageError("the months cannot be compared: not everything is known", f"give {', '.join(missing)}")
    return InferenceCostInputs(
        unit=stage.unit,
        currency=profile.currency,
        api=api,
        gpu_monthly_cost=gpu,
        effective_throughput=Fraction(speed) * (1 if stage.utilization is None else Fraction(stage.utilization)),
        seconds_per_month=paid,
        peak_to_average=1 if stage.peak_to_average is None else stage.peak_to_average,
        people=profile.engineering.bounds(),
        infrastructure=profile.infrastructure_parts,
        api_share=stage.api_share,
    )
