"""The formulas, against months worked out by hand, and what must hold for any month."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.money import Money
from ledger.decision.compare import api_monthly_cost, exact, gpus_for
from ledger.decision.tax import EngineeringTax, Hours, TaxCategory


def usd(text: str) -> Money:
    return Money.parse(f"{text} USD")


@pytest.mark.parametrize("value", [0.36, True, -1, Decimal("NaN"), Decimal("Infinity")])
def test_what_is_not_exact_is_refused_by_name(value: object) -> None:
    with pytest.raises(UsageError, match="usage"):
        exact(value, "usage")  # type: ignore[arg-type]


@given(st.fractions(0, 10**9), st.fractions(0, 10**6).filter(bool))
def test_the_gpus_are_enough_and_one_less_is_not(usage: Fraction, capacity: Fraction) -> None:
    gpus = gpus_for(usage, capacity)
    assert gpus is not None
    assert gpus * capacity >= usage
    assert gpus == 0 or (gpus - 1) * capacity < usage


def test_the_whole_of_an_api() -> None:
    # 9 + 24 + 5
    assert api_monthly_cost(usd("9"), usd("24"), usd("5")) == usd("38")


HOURS = {
    TaxCategory.GPU_OPERATIONS: Hours.parse("8-12"),
    TaxCategory.MODEL_UPDATES: Hours.parse("4-6"),
    TaxCategory.FAILURE_RESPONSE: Hours.parse("4-8"),
    TaxCategory.SECURITY: Hours.parse("2-3"),
    TaxCategory.ON_CALL: Hours.parse("6-10"),
    TaxCategory.FAILED_DEPLOYMENTS: Hours.parse("2-4"),
}


def test_the_engineering_tax_by_category() -> None:
    tax = EngineeringTax("USD", Decimal(90), HOURS)
    # (8+4+4+2+6+2) x 90 and (12+6+8+3+10+4) x 90
    assert tax.monthly() == (usd("2340"), usd("3870"))
    assert tax.by_category()[TaxCategory.ON_CALL] == (usd("540"), usd("900"))
    assert EngineeringTax("USD", Decimal(90), lump=Hours.parse("26-43")).monthly() == tax.monthly()


@pytest.mark.parametrize("category", list(TaxCategory))
def test_one_unset_category_leaves_the_tax_without_an_amount(category: TaxCategory) -> None:
    hours = {one: found for one, found in HOURS.items() if one is not category}
    tax = EngineeringTax("USD", Decimal(90), hours)
    assert tax.monthly() is None
    assert tax.unset == (f"hours of {category.words}",)


def test_hours_without_a_rate_and_a_rate_without_hours_have_no_amount() -> None:
    assert EngineeringTax("USD", None, HOURS).monthly() is None
    assert EngineeringTax("USD", Decimal(90)).monthly() is None
    # Hours that were looked at and are none are a number.
    assert EngineeringTax("USD", Decimal(90), lump=Hours.parse("0")).monthly() == (usd("0"), usd("0"))


@pytest.mark.parametrize("text", ["", "-3", "8-4", "4-8-9", "four", "1e3", "nan"])
def test_hours_that_are_no_hours_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Hours.parse(text)
