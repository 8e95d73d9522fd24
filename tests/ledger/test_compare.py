"""The formulas, against months worked out by hand, and what must hold for any month."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import UsageError
from core.money import CurrencyError, Money
from ledger.compare import (
    Cheaper,
    InferenceCostInputs,
    api_monthly_cost,
    compare_inference_cost,
    effective_inference_cost,
    gpus_for,
    self_hosted_monthly_cost,
)
from ledger.tax import EngineeringTax, Hours, TaxCategory

#: 730 hours. A T4 at 0.526 USD an hour is 383.98 USD for them.
MONTH = 2_628_000
T4 = Money.parse("383.98 USD")
#: 20,000 hours of audio at 0.36 USD an hour, by a T4 that does 30 seconds of audio in one.
BUSY = InferenceCostInputs("USD", 72_000_000, Decimal("0.0001"), T4, 30, MONTH)


def usd(text: str) -> Money:
    return Money.parse(f"{text} USD")


def test_a_month_worked_out_by_hand() -> None:
    found = compare_inference_cost(BUSY)
    # 72,000,000 s x 0.0001
    assert found.api_monthly_cost == usd("7200")
    # 383.98 / 0.0001
    assert found.break_even_usage == 3_839_800
    # 30 x 2,628,000
    assert found.monthly_capacity == 78_840_000
    assert (found.gpus, found.self_hosted_monthly_cost) == (1, T4)
    assert found.cheaper is Cheaper.SELF_HOSTED
    assert not found.break_even_exceeds_single_gpu_capacity
    # 72 / 78.84
    assert found.utilization == Fraction(7200, 7884)


def test_more_usage_than_one_gpu_can_do_is_paid_in_whole_gpus() -> None:
    found = compare_inference_cost(replace(BUSY, usage=200_000_000))
    # 200 / 78.84 = 2.54 -> 3; 3 x 383.98
    assert (found.gpus, found.self_hosted_monthly_cost) == (3, usd("1151.94"))
    assert found.api_monthly_cost == usd("20000")


def test_tokens_and_characters_are_compared_by_the_same_formula() -> None:
    # 60 million tokens at 0.15 a million against a month of 584 (0.80 x 730): 9 to 584.
    tokens = InferenceCostInputs("EUR", 60_000_000, Decimal("0.00000015"), Money.parse("584 EUR"), 1500, MONTH)
    found = compare_inference_cost(tokens)
    assert found.api_monthly_cost == Money.parse("9 EUR")
    assert found.cheaper is Cheaper.API
    # 584 / 0.00000015 = 3,893.3 million; one GPU does 1500 x 2,628,000 = 3,942 million.
    assert found.break_even_usage == Fraction(584) / Fraction("0.00000015")
    assert not found.break_even_exceeds_single_gpu_capacity
    # 300 million characters at 20 a million
    characters = replace(tokens, usage=300_000_000, api_price=Decimal("0.00002"))
    assert compare_inference_cost(characters).api_monthly_cost == Money.parse("6000 EUR")


def test_a_tie_goes_to_the_api() -> None:
    found = compare_inference_cost(replace(BUSY, usage=3_839_800))
    assert found.api_monthly_cost == found.self_hosted_monthly_cost == T4
    assert found.cheaper is Cheaper.API
    assert compare_inference_cost(replace(BUSY, usage=3_839_801)).cheaper is Cheaper.SELF_HOSTED


def test_a_free_api_is_never_broken_even_with() -> None:
    found = compare_inference_cost(replace(BUSY, api_price=0, gpu_monthly_cost=usd("0")))
    assert found.break_even_usage is None
    assert found.break_even_exceeds_single_gpu_capacity
    assert found.cheaper is Cheaper.API


def test_gpus_that_do_nothing_have_no_cost_and_lose() -> None:
    found = compare_inference_cost(replace(BUSY, effective_throughput=0))
    assert (found.monthly_capacity, found.gpus, found.self_hosted_monthly_cost) == (0, None, None)
    assert found.utilization is None
    assert found.cheaper is Cheaper.API


def test_no_usage_needs_no_gpu_and_goes_to_the_api() -> None:
    found = compare_inference_cost(replace(BUSY, usage=0, effective_throughput=0))
    assert (found.gpus, found.self_hosted_monthly_cost, found.cheaper) == (0, usd("0"), Cheaper.API)


@pytest.mark.parametrize("name", ["usage", "api_price", "effective_throughput", "seconds_per_month"])
@pytest.mark.parametrize("value", [0.36, True, -1, Decimal("NaN"), Decimal("Infinity")])
def test_what_is_not_exact_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        replace(BUSY, **{name: value})  # type: ignore[arg-type]


def test_currencies_do_not_mix() -> None:
    with pytest.raises(CurrencyError):
        replace(BUSY, currency="EUR")


amounts = st.integers(0, 10**15)
rates = st.decimals(0, 1000, places=6)
months = st.builds(
    InferenceCostInputs,
    currency=st.just("USD"),
    usage=st.integers(0, 10**12),
    api_price=rates,
    gpu_monthly_cost=amounts.map(lambda nano: Money(nano, "USD")),
    effective_throughput=st.fractions(0, 10**5),
    seconds_per_month=st.integers(1, 2_678_400),
)


@given(months)
def test_when_a_full_gpu_has_not_paid_for_itself_no_number_of_them_does(inputs: InferenceCostInputs) -> None:
    found = compare_inference_cost(inputs)
    if found.break_even_exceeds_single_gpu_capacity and found.gpus:
        # Rounding of the API's bill is half a nano-unit.
        assert found.self_hosted_monthly_cost is not None
        assert found.self_hosted_monthly_cost.nano >= found.api_monthly_cost.nano - 1


@given(months)
def test_on_one_gpu_usage_above_the_break_even_is_what_makes_it_cheaper(inputs: InferenceCostInputs) -> None:
    found = compare_inference_cost(inputs)
    assume(found.gpus == 1 and found.break_even_usage is not None)
    # Within a nano-unit the rounded bill decides.
    assume(abs(found.api_monthly_cost.nano - inputs.gpu_monthly_cost.nano) > 1)
    assert (found.usage > (found.break_even_usage or 0)) == (found.cheaper is Cheaper.SELF_HOSTED)


@given(st.fractions(0, 10**9), st.fractions(0, 10**6).filter(bool))
def test_the_gpus_are_enough_and_one_less_is_not(usage: Fraction, capacity: Fraction) -> None:
    gpus = gpus_for(usage, capacity)
    assert gpus is not None
    assert gpus * capacity >= usage
    assert gpus == 0 or (gpus - 1) * capacity < usage


def test_the_whole_of_self_hosting_and_of_an_api() -> None:
    # 767.96 + 20 + 15 + 40 + 2340
    parts = [usd(text) for text in ("767.96", "20", "15", "40", "2340")]
    assert self_hosted_monthly_cost(*parts) == usd("3182.96")
    # 9 + 24 + 5
    assert api_monthly_cost(usd("9"), usd("24"), usd("5")) == usd("38")


def test_self_hosting_without_the_people_has_no_cost_rather_than_a_smaller_one() -> None:
    assert self_hosted_monthly_cost(usd("1"), usd("1"), usd("1"), usd("1"), None) is None


def test_a_cost_for_each_success_needs_a_success() -> None:
    assert effective_inference_cost(usd("100"), 0) is None
    # 100 / 3, to the nano-unit
    assert effective_inference_cost(usd("100"), 3) == Money(33_333_333_333, "USD")


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
