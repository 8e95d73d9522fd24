"""A month by API and on own GPUs, worked out by hand, and what must hold for any month."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.money import Money
from ledger.decision.compare import (
    ApiUse,
    Cheaper,
    MonthlyUsage,
    WholeGpuBreakEven,
    WorkUnit,
    break_even_usage,
    effective_inference_cost,
    gpus_for,
    self_hosted_monthly_cost,
    whole_gpu_break_even,
)
from ledger.decision.inference_cost import InferenceCostInputs, compare_inference_cost


def usd(text: str) -> Money:
    return Money.parse(f"{text} USD")


NOTHING = usd("0")
#: 20,000 hours at 0.36 are 7,200 USD; a GPU of 384 USD does 30 x 730 = 21,900 hours.
MONTH = InferenceCostInputs(
    unit=WorkUnit.AUDIO_HOUR,
    currency="USD",
    api=ApiUse(20_000, Decimal("0.36")),
    gpu_monthly_cost=384,
    effective_throughput=30,
    seconds_per_month=730 * 3600,
    peak_to_average=1,
    people=(NOTHING, NOTHING),
    infrastructure=(NOTHING, NOTHING, NOTHING),
)


def month(**changes: Any) -> InferenceCostInputs:
    return replace(MONTH, **changes)


def test_a_month_worked_out_by_hand() -> None:
    found = compare_inference_cost(MONTH)
    assert found.api_monthly_cost == usd("7200")
    assert found.ways[Cheaper.SELF_HOSTED].without_people == usd("384")
    # 384 / 0.36 = 1,066.67 hours
    assert found.break_even_usage == Fraction(384_00, 36)
    assert found.monthly_capacity == 21_900
    assert found.break_even_exceeds_single_gpu_capacity is False
    assert (found.break_even_gpus, found.gpus, found.cheaper) == (1, 1, Cheaper.SELF_HOSTED)
    assert found.saved == usd("6816")


def test_a_gpu_that_cannot_reach_the_break_even() -> None:
    # At 1 x real time it does 730 hours, for which the API asks 262.80: less than 384. 1,066.67 hours take two of them,
    # which cost 768 against 384; 20,000 take ceil(27.4) = 28: 10,752 against 7,200.
    found = compare_inference_cost(month(effective_throughput=1))
    assert found.monthly_capacity == 730
    assert found.break_even_exceeds_single_gpu_capacity is True
    assert (found.break_even_gpus, found.gpus) == (2, 28)
    assert found.ways[Cheaper.SELF_HOSTED].without_people == usd("10752")
    assert found.cheaper is Cheaper.API
    assert found.break_even_with(NOTHING) is None
    assert found.break_even_with(usd("900")) is None


def test_gpus_are_bought_for_the_peak() -> None:
    # 20,000 x 2 / 21,900 = 1.83: two GPUs, 768. Each may be planned for 10,950 hours in an average month.
    found = compare_inference_cost(month(peak_to_average=2))
    assert (found.gpus, found.planned_capacity) == (2, 10_950)
    assert found.ways[Cheaper.SELF_HOSTED].machines == usd("768")
    # A break-even of 1,066.67 exceeds what is left of 21,900 at a peak of 21: 1,042.86.
    assert compare_inference_cost(month(peak_to_average=21)).break_even_exceeds_single_gpu_capacity is True


def test_minutes_and_seconds_are_the_same_month() -> None:
    # 0.36 an hour = 0.006 a minute = 0.0001 a second
    hours = compare_inference_cost(MONTH)
    for unit, price, parts in ((WorkUnit.AUDIO_MINUTE, "0.006", 60), (WorkUnit.AUDIO_SECOND, "0.0001", 3600)):
        found = compare_inference_cost(month(unit=unit, api=ApiUse(20_000 * parts, Decimal(price))))
        assert {way: one.with_people for way, one in found.ways.items()} == {
            way: one.with_people for way, one in hours.ways.items()
        }
        assert found.monthly_capacity == hours.monthly_capacity * parts
        assert found.break_even_usage == (hours.break_even_usage or 0) * parts


def test_tokens_with_output_of_its_own_price_and_fees() -> None:
    # 60 million in at 0.15, 40 out at 0.60, 5 of fees: 9 + 24 + 5 = 38. A million with its output: 33 / 60 = 0.55.
    # 1,500 tokens/s x 2,628,000 s = 3,942 million. 584 / 0.55 = 1,061.82 million.
    api = ApiUse(60, Decimal("0.15"), 40, Decimal("0.60"), 5)
    inputs = month(unit=WorkUnit.MILLION_TOKENS, api=api, gpu_monthly_cost=584, effective_throughput=1500)
    found = compare_inference_cost(inputs)
    assert (found.api_monthly_cost, found.monthly_capacity) == (usd("38"), 3942)
    assert found.break_even_usage == Fraction(58400, 55)
    assert found.cheaper is Cheaper.API
    # The fees are saved too: (584 - 5) / 0.55 = 1,052.73.
    assert found.break_even_with(NOTHING) == WholeGpuBreakEven(*(MonthlyUsage(Fraction(57900, 55), 1),) * 2)
    token = compare_inference_cost(
        replace(
            inputs,
            unit=WorkUnit.TOKEN,
            api=ApiUse(60_000_000, Decimal("0.00000015"), 40_000_000, Decimal("0.0000006"), 5),
        )
    )
    assert (token.api_monthly_cost, token.monthly_capacity) == (usd("38"), 3_942_000_000)


def test_a_tie_goes_to_the_api() -> None:
    # 1,000 x 0.384 = 384
    tie = month(api=ApiUse(1000, Decimal("0.384")))
    assert compare_inference_cost(tie).cheaper is Cheaper.API
    assert compare_inference_cost(replace(tie, gpu_monthly_cost=Decimal("383.99"))).cheaper is Cheaper.SELF_HOSTED


def test_a_free_api_has_no_break_even() -> None:
    found = compare_inference_cost(month(api=ApiUse(20_000, 0)))
    assert (found.break_even_usage, found.break_even_exceeds_single_gpu_capacity) == (None, None)
    assert (found.break_even_gpus, found.cheaper, found.cheaper_with_people) == (None, Cheaper.API, Cheaper.API)
    assert compare_inference_cost(month(api=ApiUse(20_000, 0), gpu_monthly_cost=0)).cheaper is Cheaper.API


def test_a_gpu_that_does_nothing_cannot_do_it_at_any_number() -> None:
    found = compare_inference_cost(month(effective_throughput=0, people=(NOTHING, None)))
    assert (found.monthly_capacity, found.gpus, found.saved) == (0, None, None)
    assert (found.cheaper, found.cheaper_with_people) == (Cheaper.API, Cheaper.API)
    assert (found.break_even_exceeds_single_gpu_capacity, found.break_even_gpus) == (True, None)
    assert found.break_even_with(NOTHING) is None


def test_a_gpu_without_work_is_paid() -> None:
    found = compare_inference_cost(month(api=ApiUse(0, Decimal("0.36"))))
    assert (found.gpus, found.ways[Cheaper.SELF_HOSTED].machines) == (1, usd("384"))
    assert found.cheaper is Cheaper.API


# People.


@pytest.mark.parametrize(
    ("least", "most", "verdict"),
    [
        # Machines save 7,200 - 384 = 6,816.
        ("0", None, None),
        ("6815", None, None),
        ("6816", None, Cheaper.API),
        ("2340", "3870", Cheaper.SELF_HOSTED),
        ("2340", "6816", None),
        ("2340", "6815.99", Cheaper.SELF_HOSTED),
        ("6816", "6816", Cheaper.API),
    ],
)
def test_undecided_is_only_what_the_people_can_turn(least: str, most: str | None, verdict: Cheaper | None) -> None:
    found = compare_inference_cost(month(people=(usd(least), None if most is None else usd(most))))
    assert found.cheaper is Cheaper.SELF_HOSTED
    assert found.cheaper_with_people is verdict


def test_an_api_that_is_cheaper_even_with_free_people_wins_while_hours_are_unset() -> None:
    # 1,000 hours are 360 USD; the GPU alone takes 384.
    found = compare_inference_cost(month(api=ApiUse(1000, Decimal("0.36")), people=(NOTHING, None)))
    assert (found.cheaper, found.cheaper_with_people) == (Cheaper.API, Cheaper.API)
    assert found.ways[Cheaper.SELF_HOSTED].with_people == (usd("384"), None)


def test_people_and_infrastructure_are_paid_once_and_gpus_so_many_times() -> None:
    parts = (usd("20"), usd("15"), usd("40"))
    found = compare_inference_cost(month(peak_to_average=2, people=(usd("2340"), usd("3870")), infrastructure=parts))
    # 2 x 384 + 75 + 2,340 = 3,183, and with 3,870: 4,713
    assert found.ways[Cheaper.SELF_HOSTED].with_people == (usd("3183"), usd("4713"))
    # One GPU: (2,340 + 75 + 384) / 0.36 = 7,775 h of 10,950. With 3,870 one is not enough: (3,945 + 384) / 0.36 =
    # 12,025; two: (3,945 + 768) / 0.36 = 13,091.67 of 21,900.
    assert found.break_even_with(usd("2340")) == WholeGpuBreakEven(*(MonthlyUsage(Fraction(7775), 1),) * 2)
    assert found.break_even_with(usd("3870")) == WholeGpuBreakEven(*(MonthlyUsage(Fraction(4713_00, 36), 2),) * 2)


# Hybrid.


def test_a_share_by_api_and_the_rest_on_gpus() -> None:
    # 60 % of 20,000 h by API: 4,320; 8,000 h x 2 / 21,900: one GPU, 384. Without any by API two GPUs: 768.
    found = compare_inference_cost(month(peak_to_average=2, api_share=Decimal("0.6"), people=(usd("100"), usd("100"))))
    hybrid = found.ways[Cheaper.HYBRID]
    assert (hybrid.api, hybrid.gpus, hybrid.machines) == (usd("4320"), 1, usd("384"))
    assert (hybrid.without_people, hybrid.with_people) == (usd("4704"), (usd("4804"), usd("4804")))
    assert found.cheaper is found.own is Cheaper.SELF_HOSTED


def test_a_hybrid_that_needs_a_gpu_less_can_be_cheapest() -> None:
    # 22,000 h need two GPUs: 768. With 1 % by API, 79.20, one is enough for 21,780 h: 463.20.
    found = compare_inference_cost(month(api=ApiUse(22_000, Decimal("0.36")), api_share=Decimal("0.01")))
    assert found.ways[Cheaper.HYBRID].without_people == usd("463.20")
    assert (found.cheaper, found.cheaper_with_people) == (Cheaper.HYBRID, Cheaper.HYBRID)


# What a request costs, and the sums.


def test_the_cost_of_a_request_that_succeeded() -> None:
    # 7,233 / 40,000
    assert effective_inference_cost(usd("7233"), 40_000) == usd("0.180825")
    assert effective_inference_cost(usd("7233"), 0) is None


def test_the_whole_of_own_gpus() -> None:
    # 767.96 + 20 + 15 + 40 + 2,340
    parts = (usd("767.96"), usd("20"), usd("15"), usd("40"), usd("2340"))
    assert self_hosted_monthly_cost(*parts) == usd("3182.96")


# What must hold for any month.

amounts = st.fractions(0, 10**4, max_denominator=1000)
positive = st.fractions(Fraction(1, 1000), 10**4, max_denominator=1000)


@given(positive, amounts, positive, st.fractions(-(10**4), 10**4, max_denominator=1000))
def test_at_the_break_even_both_cost_the_same_and_so_many_gpus_can_do_it(
    price: Fraction, gpu: Fraction, capacity: Fraction, once: Fraction
) -> None:
    found = whole_gpu_break_even(price, gpu, capacity, once)
    if found is None:
        # Not even the best month of a hundred GPUs is enough.
        assert all(n * price * capacity < once + n * gpu for n in range(1, 100))
        return
    for volume in (found.first, found.lasting or found.first):
        assert volume.usage <= volume.gpus * capacity
        assert volume.usage * price == once + volume.gpus * gpu or volume.usage == 0


@given(positive, amounts, positive, amounts, st.fractions(0, 3, max_denominator=50))
def test_above_the_lasting_break_even_own_gpus_never_cost_more_and_below_the_first_always(
    price: Fraction, gpu: Fraction, capacity: Fraction, once: Fraction, times: Fraction
) -> None:
    def dearer(usage: Fraction) -> bool:
        return once + max(1, gpus_for(usage, capacity) or 0) * gpu > usage * price

    found = whole_gpu_break_even(price, gpu, capacity, once)
    if found is None or found.lasting is None:
        return
    assert not dearer(found.lasting.usage * (1 + times))
    below = found.first.usage * times
    assert below >= found.first.usage or dearer(below)


@given(amounts, amounts, amounts, st.fractions(1, 5, max_denominator=10))
def test_nothing_is_divided_by_zero_and_the_cheaper_side_costs_no_more(
    usage: Fraction, price: Fraction, gpu: Fraction, peak: Fraction
) -> None:
    for throughput in (0, 1, 30):
        found = compare_inference_cost(
            month(api=ApiUse(usage, price), gpu_monthly_cost=gpu, effective_throughput=throughput, peak_to_average=peak)
        )
        best = found.ways[found.cheaper].without_people
        assert all(best <= one.without_people for one in found.ways.values())
        assert found.cheaper_with_people is found.cheaper
        assert found.break_even_usage == break_even_usage(gpu, price)


@pytest.mark.parametrize(
    "changes", [{"peak_to_average": Fraction(1, 2)}, {"api_share": 1}, {"api_share": 2}, {"gpu_monthly_cost": -1}]
)
def test_a_month_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        month(**changes)
