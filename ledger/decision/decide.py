"""Where each stage should run: by API, managed, self-hosted, or not decided; together they may be a hybrid.

The tree, for each stage, first answer wins:

1. Data sovereignty or a regulation rules the API out: self-hosted with an operations owner and known hours, else
   managed (or undecided while the hours are unset).
2. Usage is uncertain: API. Nobody can plan GPUs for it.
3. Autoscaling or support is needed: managed.
4. A model that no API serves: self-hosted, with the same two provisos as in 1.
5. High volume, always on and predictable, or an extreme unit cost: self-hosted with an operations owner, else managed.
6. Whether 5 holds cannot be known (hours, prices or speed are unset, or the hours' range says both): undecided.
7. Nothing justifies self-hosting: API. So it is with unset hours, too, where even free people would not pay.

Where a share of a stage's usage goes by API in any case, self-hosting it is a hybrid.

"High volume" is no number of ours: it is the volume at which what the machines save pays the people too. The people
are counted once, against what all cost-justified stages save together; a tie goes to the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from core.money import Money, total
from ledger.decision.inference_cost import Bounds
from ledger.decision.redflags import ComparisonBasis, RedFlag, people_flags, stage_flags
from ledger.decision.workload import StageCosts, StageWorkload, WorkloadProfile, stage_costs


class Arm(StrEnum):
    """Where work goes."""

    API = "api"
    MANAGED = "managed"
    SELF_HOSTED = "self_hosted"
    HYBRID = "hybrid"
    UNDECIDED = "undecided"


class Condition(StrEnum):
    """What justifies self-hosting; any one is enough, and nothing else is."""

    HIGH_VOLUME_ALWAYS_ON = "high_volume_always_on"
    DATA_SOVEREIGNTY = "data_sovereignty"
    REGULATION = "regulation"
    EXTREME_COST_OR_CUSTOMIZATION = "extreme_unit_cost_or_customization"

    @property
    def words(self) -> str:
        """As a person reads it."""
        return {
            Condition.HIGH_VOLUME_ALWAYS_ON: "high volume, always on",
            Condition.DATA_SOVEREIGNTY: "data sovereignty",
            Condition.REGULATION: "regulation",
            Condition.EXTREME_COST_OR_CUSTOMIZATION: "extreme unit cost or customization",
        }[self]


class State(StrEnum):
    """Whether a condition holds."""

    MET = "met"
    UNMET = "unmet"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ConditionResult:
    """One condition in one stage."""

    #: Which condition.
    condition: Condition
    #: Of which stage.
    stage: str
    #: Whether it holds.
    state: State
    #: Why, in a few words.
    why: str


@dataclass(frozen=True)
class Recommendation:
    """What to do, and all it rests on."""

    #: The one arm of all stages; hybrid when they differ; undecided when any of them is.
    arm: Arm
    #: The arm of each stage.
    per_stage: dict[str, Arm]
    #: One line a stage: ``transcribe: ...``.
    reasons: tuple[str, ...]
    #: Every condition for every stage.
    conditions: tuple[ConditionResult, ...]
    #: What the comparison forgets.
    red_flags: tuple[RedFlag, ...]
    #: Motives that were given. None of them counts.
    not_counting: tuple[str, ...]
    #: The months that were compared.
    costs: tuple[StageCosts, ...]

    def conditions_in(self, state: State) -> tuple[Condition, ...]:
        """Conditions by their best state over all stages: met if any stage meets it, else unknown if any might."""
        order = (State.MET, State.UNKNOWN, State.UNMET)
        best = {
            condition: min((f.state for f in self.conditions if f.condition is condition), key=order.index)
            for condition in Condition
        }
        return tuple(condition for condition, found in best.items() if found is state)


def recommend_deployment(profile: WorkloadProfile) -> Recommendation:
    """Walks the tree for every stage of ``profile``. Pure; nothing unset is taken for 0."""
    costs = {s.stage: stage_costs(s, profile.currency, profile.seconds_per_month) for s in profile.stages}
    volume, extreme = _Volume.of(profile, costs), _Extreme.of(profile, costs)
    findings: list[ConditionResult] = []
    reasons: list[str] = []
    arms: dict[str, Arm] = {}
    for stage in profile.stages:
        found = _findings(stage, volume, extreme)
        arm, why = _place(stage, profile, found)
        findings += found
        arms[stage.stage] = arm
        reasons.append(f"{stage.stage}: {why}")
    return Recommendation(
        arm=overall(list(arms.values())),
        per_stage=arms,
        reasons=tuple(reasons),
        conditions=tuple(findings),
        red_flags=_red_flags(profile),
        not_counting=profile.motives,
        costs=tuple(costs.values()),
    )


def overall(arms: Sequence[Arm]) -> Arm:
    """One arm for all: the common one, undecided if any is, else hybrid."""
    if Arm.UNDECIDED in arms:
        return Arm.UNDECIDED
    return arms[0] if len(set(arms)) == 1 else Arm.HYBRID


def _place(stage: StageWorkload, profile: WorkloadProfile, findings: Sequence[ConditionResult]) -> tuple[Arm, str]:
    """The tree of this module's first lines."""
    by_condition = {finding.condition: finding for finding in findings}
    cost = by_condition[Condition.EXTREME_COST_OR_CUSTOMIZATION]
    if stage.data_sovereignty or stage.regulation:
        rule = "data sovereignty" if stage.data_sovereignty else "a regulation"
        if stage.needs_support or stage.needs_autoscaling:
            need = _need(stage)
            return Arm.MANAGED, f"{rule} rules the API out and {need} is needed: managed where the rule allows it"
        return _own(stage, profile, f"{rule} rules the API out")
    if not stage.usage_is_certain or stage.usage is None:
        return Arm.API, "usage is uncertain: an API is paid for what is used and nothing else"
    if stage.needs_support or stage.needs_autoscaling:
        return Arm.MANAGED, f"{_need(stage)} is needed: a managed deployment has it"
    if stage.customization:
        return _own(stage, profile, "no API serves this model")
    paying = (by_condition[Condition.HIGH_VOLUME_ALWAYS_ON], cost)
    met = next((finding for finding in paying if finding.state is State.MET), None)
    if met is not None:
        return _own(stage, profile, met.why)
    unknown = next((finding for finding in paying if finding.state is State.UNKNOWN), None)
    if unknown is not None:
        return Arm.UNDECIDED, unknown.why
    return Arm.API, f"nothing justifies self-hosting: {paying[0].why}; {paying[1].why}"


def _need(stage: StageWorkload) -> str:
    return "autoscaling" if stage.needs_autoscaling else "support"


def _own(stage: StageWorkload, profile: WorkloadProfile, why: str) -> tuple[Arm, str]:
    """Self-hosted, if there is somebody to do it and it is known what they cost."""
    if not profile.operations_owner:
        return Arm.MANAGED, f"{why}, but nobody here operates GPUs: managed, where the provider does"
    if profile.engineering.unset:
        return Arm.UNDECIDED, f"{why}, but what the people cost is unknown: {_unset(profile)} not filled in"
    why = f"{why}, and {profile.operations_owner} operates it"
    if not stage.api_share:
        return Arm.SELF_HOSTED, why
    return Arm.HYBRID, f"{why}; {Fraction(stage.api_share) * 100} % of the usage goes by API all the same"


def _unset(profile: WorkloadProfile) -> str:
    first, *others = profile.engineering.unset
    return f"{first} and {len(others)} more" if others else first


def _findings(stage: StageWorkload, volume: _Volume, extreme: _Extreme) -> tuple[ConditionResult, ...]:
    def declared(condition: Condition, holds: bool) -> ConditionResult:
        state = State.MET if holds else State.UNMET
        return ConditionResult(condition, stage.stage, state, "declared" if holds else "not declared")

    custom = Condition.EXTREME_COST_OR_CUSTOMIZATION
    return (
        ConditionResult(Condition.HIGH_VOLUME_ALWAYS_ON, stage.stage, *volume.judge(stage)),
        declared(Condition.DATA_SOVEREIGNTY, stage.data_sovereignty),
        declared(Condition.REGULATION, stage.regulation),
        ConditionResult(custom, stage.stage, State.MET, "no API serves this model")
        if stage.customization
        else ConditionResult(custom, stage.stage, *extreme.judge(stage)),
    )


def _incomparable(costs: StageCosts) -> tuple[State, str]:
    if not costs.unknown:
        return State.UNMET, "GPUs at this speed or utilization do nothing"
    return State.UNKNOWN, f"cannot be compared: {', '.join(costs.unknown)} not known"


@dataclass(frozen=True)
class _Volume:
    """Whether the always-on stages that save on machines save enough, together, for the people."""

    #: Costs by stage.
    costs: dict[str, StageCosts]
    #: Stages that save on machines and may be planned for.
    saving: frozenset[str]
    #: What those save together.
    saved: Money
    #: What it must exceed, at least and at most; None while people are unset.
    overhead: Bounds
    #: What of the people is unset.
    unset: str

    @classmethod
    def of(cls, profile: WorkloadProfile, costs: dict[str, StageCosts]) -> _Volume:
        """Sums up the stages that qualify; those that are self-hosted for another reason are not needed for it."""
        saving = {}
        for stage in profile.stages:
            saved = costs[stage.stage].saving
            if saved is not None and saved.nano > 0 and _plannable(stage) and not _bound(stage):
                saving[stage.stage] = saved
        return cls(
            costs,
            frozenset(saving),
            total(saving.values(), profile.currency),
            profile.overhead,
            _unset(profile) if profile.engineering.unset else "",
        )

    def judge(self, stage: StageWorkload) -> tuple[State, str]:
        """The condition for one stage, and why."""
        costs = self.costs[stage.stage]
        if not stage.always_on:
            return State.UNMET, "the load is not always on"
        if not stage.predictable:
            return State.UNMET, "utilization is not predictable"
        if costs.saving is None:
            return _incomparable(costs)
        if costs.saving.nano <= 0:
            return State.UNMET, f"the GPUs alone cost {_short(costs.machines)}, the API {_short(costs.api)}"
        if stage.stage not in self.saving:
            return State.UNMET, "its cost does not place it" if stage.usage_is_certain else "usage is uncertain"
        least, most = self.overhead
        beside = f"people and infrastructure take {_span(least, most)}"
        if self.saved <= least:
            return State.UNMET, f"machines save only {_short(self.saved)} a month, {beside}"
        if most is None:
            return (
                State.UNKNOWN,
                f"machines save {_short(self.saved)} a month; what people cost is unset ({self.unset})",
            )
        if self.saved > most:
            return State.MET, f"machines save {_short(self.saved)} a month, {beside}"
        return State.UNKNOWN, f"machines save {_short(self.saved)} a month, {beside}: it could be either"


@dataclass(frozen=True)
class _Extreme:
    """Whether an API's unit costs many times what self-hosting does, people included."""

    #: Costs by stage.
    costs: dict[str, StageCosts]
    #: From how many times on it is extreme.
    ratio: Fraction
    #: Stages whose API costs that much more than their machines.
    dear: frozenset[str]
    #: What the API takes for those.
    api: Money
    #: What their machines take.
    machines: Money
    #: What self-hosting takes beside machines, at least and at most; None while people are unset.
    overhead: Bounds

    @classmethod
    def of(cls, profile: WorkloadProfile, costs: dict[str, StageCosts]) -> _Extreme:
        """Sums up the stages that are dear enough by themselves."""
        ratio, dear = Fraction(profile.extreme_ratio), []
        for stage in profile.stages:
            found = costs[stage.stage]
            if found.replaced is None or found.machines is None or _bound(stage) or not stage.usage_is_certain:
                continue
            if found.replaced > found.machines and found.replaced.nano >= ratio * found.machines.nano:
                dear.append(found)
        return cls(
            costs,
            ratio,
            frozenset(found.stage for found in dear),
            total((found.replaced for found in dear if found.replaced is not None), profile.currency),
            total((found.machines for found in dear if found.machines is not None), profile.currency),
            profile.overhead,
        )

    def judge(self, stage: StageWorkload) -> tuple[State, str]:
        """The condition for one stage, and why."""
        costs = self.costs[stage.stage]
        if costs.saving is None:
            return _incomparable(costs)
        least, most = self.overhead
        if stage.stage not in self.dear:
            return State.UNMET, f"the API does not cost {_ratio(self.ratio)} times self-hosting"
        if not self._extreme(least):
            return (
                State.UNMET,
                f"with what is beside machines, the API does not cost {_ratio(self.ratio)} times as much",
            )
        if most is None:
            return State.UNKNOWN, f"the API costs {_ratio(self.ratio)} times the machines, but people are unset"
        if self._extreme(most):
            return State.MET, f"the API costs over {_ratio(self.ratio)} times self-hosting, people included"
        return State.UNKNOWN, f"whether the API costs {_ratio(self.ratio)} times self-hosting depends on the hours"

    def _extreme(self, beside: Money) -> bool:
        whole = self.machines + beside
        return self.api > whole and self.api.nano >= self.ratio * whole.nano


def _plannable(stage: StageWorkload) -> bool:
    return stage.always_on and stage.predictable and stage.usage_is_certain


def _bound(stage: StageWorkload) -> bool:
    """Placed for another reason than cost, so that its costs decide nothing about the others."""
    elsewhere = stage.needs_autoscaling or stage.needs_support
    return stage.data_sovereignty or stage.regulation or stage.customization or elsewhere


def _short(amount: Money | None) -> str:
    return "an unknown amount" if amount is None else f"{amount.amount(2)} {amount.currency}"


def _span(low: Money, high: Money | None) -> str:
    if high is None:
        return f"at least {_short(low)}"
    return _short(low) if low == high else f"{low.amount(2)} to {_short(high)}"


def _ratio(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"


def _red_flags(profile: WorkloadProfile) -> tuple[RedFlag, ...]:
    flags = people_flags(profile.engineering)
    for stage in profile.stages:
        flags += stage_flags(comparison_basis(stage))
    return tuple(flags)


def comparison_basis(stage: StageWorkload) -> ComparisonBasis:
    """What a comparison of this stage takes into account; the people are the deployment's."""
    return ComparisonBasis(
        unit=stage.unit,
        stage=stage.stage,
        peak_to_average=stage.peak_to_average,
        api_counts=stage.api_counts,
        idle_counted=stage.always_on or stage.utilization is not None,
    )
