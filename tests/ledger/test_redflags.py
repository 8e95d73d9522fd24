"""Every red flag of a comparison, and what silences it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from decision_samples import HOURS, PEOPLE, decide

from core.errors import UsageError
from ledger.decision.compare import WorkUnit
from ledger.decision.redflags import ApiExtra, ComparisonBasis, RedFlagKind, people_flags, stage_flags
from ledger.decision.tax import EngineeringTax, Hours, TaxCategory

CLEAN = ComparisonBasis(WorkUnit.MILLION_TOKENS, peak_to_average=2, api_counts=frozenset(ApiExtra), idle_counted=True)


def test_a_complete_comparison_has_no_red_flag() -> None:
    assert stage_flags(CLEAN) == []
    assert people_flags(PEOPLE) == []


def without(category: TaxCategory) -> EngineeringTax:
    return EngineeringTax("USD", Decimal(90), {one: hours for one, hours in HOURS.items() if one is not category})


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"peak_to_average": None}, RedFlagKind.AVERAGE_WITHOUT_PEAK),
        ({"api_counts": frozenset(ApiExtra) - {ApiExtra.LONG_OUTPUTS}}, RedFlagKind.LONG_OUTPUTS_IGNORED),
        ({"api_counts": frozenset(ApiExtra) - {ApiExtra.RETRIES}}, RedFlagKind.RETRIES_IGNORED),
        ({"api_counts": frozenset(ApiExtra) - {ApiExtra.TOOL_CALLS}}, RedFlagKind.TOOL_CALLS_IGNORED),
        ({"api_counts": frozenset(ApiExtra) - {ApiExtra.MULTI_STEP}}, RedFlagKind.MULTI_STEP_IGNORED),
        ({"idle_counted": False}, RedFlagKind.IDLE_IGNORED),
    ],
)
def test_each_thing_forgotten_raises_its_own_flag(changes: dict[str, Any], kind: RedFlagKind) -> None:
    assert [flag.kind for flag in stage_flags(replace(CLEAN, **changes))] == [kind]


@pytest.mark.parametrize(
    ("engineering", "kind"),
    [
        (without(TaxCategory.ON_CALL), RedFlagKind.NO_ON_CALL),
        (without(TaxCategory.MODEL_UPDATES), RedFlagKind.NO_UPGRADES),
        (without(TaxCategory.FAILURE_RESPONSE), RedFlagKind.NO_MONITORING),
        (without(TaxCategory.FAILED_DEPLOYMENTS), RedFlagKind.NO_FAILED_DEPLOYMENTS),
        (replace(PEOPLE, hours={**HOURS, TaxCategory.ON_CALL: Hours.parse("0")}), RedFlagKind.NO_ON_CALL),
    ],
)
def test_people_who_are_forgotten_raise_a_flag(engineering: EngineeringTax, kind: RedFlagKind) -> None:
    assert [flag.kind for flag in people_flags(engineering)] == [kind]


def test_sound_has_no_long_outputs_or_tool_calls_to_forget() -> None:
    basis = ComparisonBasis(WorkUnit.AUDIO_HOUR, peak_to_average=1, idle_counted=True)
    assert [flag.kind for flag in stage_flags(basis)] == [RedFlagKind.RETRIES_IGNORED]


PEOPLE_FLAGS = [
    RedFlagKind.NO_ON_CALL,
    RedFlagKind.NO_UPGRADES,
    RedFlagKind.NO_MONITORING,
    RedFlagKind.NO_FAILED_DEPLOYMENTS,
]


def people_flags_of(hours: str, *includes: TaxCategory) -> list[RedFlagKind]:
    tax = EngineeringTax("USD", Decimal(90), lump=Hours.parse(hours), lump_includes=frozenset(includes))
    return [flag.kind for flag in decide(engineering=tax).red_flags]


def test_one_sum_of_hours_silences_no_flag_but_those_that_it_includes_by_name() -> None:
    assert people_flags_of("30") == PEOPLE_FLAGS
    assert people_flags_of("30", TaxCategory.ON_CALL, TaxCategory.MODEL_UPDATES) == PEOPLE_FLAGS[2:]
    assert people_flags_of("30", *TaxCategory) == []
    assert people_flags_of("0", *TaxCategory) == PEOPLE_FLAGS


def test_a_list_of_what_a_sum_includes_needs_the_sum() -> None:
    with pytest.raises(UsageError, match="no such sum"):
        EngineeringTax("USD", Decimal(90), HOURS, lump_includes=frozenset({TaxCategory.ON_CALL}))
