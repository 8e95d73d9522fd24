"""What a comparison of an API with own GPUs usually forgets. Each forgotten thing favours one side, and says which."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.money import Exact
from ledger.decision.compare import Counted, WorkUnit
from ledger.decision.tax import EngineeringTax, TaxCategory


class ApiExtra(StrEnum):
    """What makes an API's real bill longer than one price times one clean pass."""

    LONG_OUTPUTS = "long_outputs"
    RETRIES = "retries"
    TOOL_CALLS = "tool_calls"
    MULTI_STEP = "multi_step"

    @property
    def words(self) -> str:
        """As a person reads it."""
        return {"long_outputs": "long outputs", "tool_calls": "tool calls", "multi_step": "multi-step work"}.get(
            self.value, self.value
        )


class RedFlagKind(StrEnum):
    """What was forgotten."""

    AVERAGE_WITHOUT_PEAK = "average_without_peak"
    NO_ON_CALL = "no_on_call"
    NO_UPGRADES = "no_upgrades"
    NO_MONITORING = "no_monitoring"
    NO_FAILED_DEPLOYMENTS = "no_failed_deployments"
    LONG_OUTPUTS_IGNORED = "long_outputs_ignored"
    RETRIES_IGNORED = "retries_ignored"
    TOOL_CALLS_IGNORED = "tool_calls_ignored"
    MULTI_STEP_IGNORED = "multi_step_ignored"
    IDLE_IGNORED = "idle_ignored"


@dataclass(frozen=True)
class RedFlag:
    """One thing a comparison forgot."""

    #: Which.
    kind: RedFlagKind
    #: The stage it was forgotten in; empty when it is the whole deployment's.
    stage: str
    #: What is wrong and whom it flatters, in one line.
    message: str


@dataclass(frozen=True)
class ComparisonBasis:
    """What a comparison took into account."""

    #: What the API's price is for: a price by token has more to forget than one by the hour of audio.
    unit: WorkUnit
    #: Stage, for the flags.
    stage: str = ""
    #: How many times the average the busiest hour is; None when nobody looked.
    peak_to_average: Exact | None = None
    #: Extras of the API that are in its side's usage, or that were looked for and do not occur.
    api_counts: frozenset[ApiExtra] = frozenset()
    #: Whether paid time in which the GPU waits is in the price of its work.
    idle_counted: bool = False


_PEOPLE = {
    TaxCategory.ON_CALL: RedFlagKind.NO_ON_CALL,
    TaxCategory.MODEL_UPDATES: RedFlagKind.NO_UPGRADES,
    TaxCategory.FAILURE_RESPONSE: RedFlagKind.NO_MONITORING,
    TaxCategory.FAILED_DEPLOYMENTS: RedFlagKind.NO_FAILED_DEPLOYMENTS,
}
_EXTRAS = {
    ApiExtra.LONG_OUTPUTS: RedFlagKind.LONG_OUTPUTS_IGNORED,
    ApiExtra.RETRIES: RedFlagKind.RETRIES_IGNORED,
    ApiExtra.TOOL_CALLS: RedFlagKind.TOOL_CALLS_IGNORED,
    ApiExtra.MULTI_STEP: RedFlagKind.MULTI_STEP_IGNORED,
}


def extras_of(unit: WorkUnit) -> frozenset[ApiExtra]:
    """What can make a bill longer under this unit: sound and characters are known beforehand, only retries repeat."""
    return frozenset(ApiExtra) if unit.counted is Counted.TOKENS else frozenset({ApiExtra.RETRIES})


def stage_flags(basis: ComparisonBasis) -> list[RedFlag]:
    """The red flags of one stage's comparison, in a fixed order; those of `people_flags` are the deployment's."""
    return [*_usage_flags(basis), *_api_flags(basis)]


def people_flags(engineering: EngineeringTax) -> list[RedFlag]:
    """Self-hosting without on-call, upgrades, monitoring or failed deployments.

    One sum of hours says nothing about what was thought of, unless it includes it by name.
    """
    flags = []
    for category, kind in _PEOPLE.items():
        counted = engineering.counted_hours(category)
        if counted is not None and counted.high > 0:
            continue
        if counted is not None:
            how = "0"
        elif engineering.lump is not None:
            how = "not named in the one sum"
        else:
            how = "none"
        flags.append(RedFlag(kind, "", f"hours of {category.words}: {how}; flatters self-hosting"))
    return flags


def _usage_flags(basis: ComparisonBasis) -> list[RedFlag]:
    flags = []
    if basis.peak_to_average is None:
        message = "average traffic without its peak: GPUs are bought for the busiest hour; flatters self-hosting"
        flags.append(RedFlag(RedFlagKind.AVERAGE_WITHOUT_PEAK, basis.stage, message))
    if not basis.idle_counted:
        price = "a token price" if basis.unit.counted is Counted.TOKENS else f"a price by the {basis.unit.value}"
        message = f"{price} set against a GPU's price by the hour without idle capacity; flatters self-hosting"
        flags.append(RedFlag(RedFlagKind.IDLE_IGNORED, basis.stage, message))
    return flags


def _api_flags(basis: ComparisonBasis) -> list[RedFlag]:
    return [
        RedFlag(kind, basis.stage, f"the API's side ignores {extra.words}; flatters the API")
        for extra, kind in _EXTRAS.items()
        if extra in extras_of(basis.unit) and extra not in basis.api_counts
    ]
