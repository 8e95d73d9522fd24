"""Verdicts on work that was done: who won, by how much, and when that cannot be said."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.money import CurrencyError, Money
from ledger.entries import Bucket, Quality
from ledger.verdict import (
    CostOutcome,
    Grounds,
    Range,
    StageFigures,
    Uncertainty,
    paid_range,
    verdict,
    verdicts,
    weakest,
)

GROUNDS = Grounds(people_set=True, quality=Quality.MEASURED, rests_on=("API: openai/whisper-1, speech only",))
DOUBT = Uncertainty(idle=Fraction(1, 2), estimated=Fraction(1, 4))


def usd(text: str) -> Money:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return Money(sign * Money.parse(f"{digits} USD").nano, "USD")


def between(low: str, high: str) -> Range:
    return Range.between(usd(low), usd(high))


def exactly(text: str) -> Range:
    return Range.exactly(usd(text))


def test_what_was_paid_counts_every_bucket_and_widens_by_what_is_in_doubt() -> None:
    amounts = {
        (Bucket.BUSY, Quality.MEASURED): 1000,
        (Bucket.LOAD, Quality.MEASURED): 100,
        (Bucket.IDLE, Quality.MEASURED): 200,
        (Bucket.LOST, Quality.ESTIMATED): 40,
        (Bucket.DUPLICATE, Quality.MEASURED): 10,
        (Bucket.API_FEE, Quality.MEASURED): 5,
        (Bucket.PEOPLE, Quality.MEASURED): 3,
    }
    # 1,358; idle half of 200 and lost a quarter of 40 either way
    found = paid_range(amounts, DOUBT, "USD")
    assert (found.low.nano, found.point.nano, found.high.nano) == (1248, 1358, 1468)


def test_idle_that_is_also_estimated_is_doubted_once_by_the_wider_share() -> None:
    found = paid_range({(Bucket.IDLE, Quality.ESTIMATED): 100}, DOUBT, "USD")
    assert (found.low.nano, found.high.nano) == (50, 150)


def test_self_hosting_wins_by_what_the_api_would_have_cost_more() -> None:
    found = verdict(between("1", "1.2"), between("2", "2.4"), GROUNDS)
    # 2.2 - 1.1, from 2 - 1.2 to 2.4 - 1
    assert found.outcome is CostOutcome.SELF_HOSTED
    assert found.difference == Range(usd("0.8"), usd("1.1"), usd("1.4"))
    assert found.line == "self-hosting wins by 1.1000 USD (0.8000 to 1.4000 USD), measured"
    assert found.rests_on == GROUNDS.rests_on


def test_the_api_wins_when_it_does_and_it_is_said() -> None:
    found = verdict(between("2", "2.4"), exactly("1"), GROUNDS)
    assert found.outcome is CostOutcome.API
    assert found.line == "the API wins by 1.2000 USD (1.0000 to 1.4000 USD), measured"


def test_an_interval_with_zero_in_it_decides_nothing() -> None:
    for paid, api in (
        (between("1", "3"), exactly("2.5")),
        (between("1", "2"), exactly("2")),
        (between("1", "2"), exactly("1")),
    ):
        found = verdict(paid, api, GROUNDS)
        assert found.outcome is CostOutcome.UNDECIDED
        assert "zero included" in found.line
        assert found.difference is not None


def test_an_exact_tie_goes_to_the_api() -> None:
    found = verdict(exactly("2"), exactly("2"), GROUNDS)
    assert (found.outcome, found.line) == (CostOutcome.API, "the API wins a tie, measured")


def test_unset_hours_are_undecided_and_never_zero() -> None:
    found = verdict(exactly("0.01"), exactly("1000"), replace(GROUNDS, people_set=False))
    assert found.outcome is CostOutcome.UNDECIDED
    assert "what people cost is unknown" in found.line


def test_the_api_wins_when_what_is_unknown_can_only_make_our_side_dearer() -> None:
    # 1 - 5: the API is 4 USD cheaper before anybody has been paid.
    for grounds, named in (
        (replace(GROUNDS, people_set=False), "what people cost, which is unknown"),
        (replace(GROUNDS, unpriced=("node acme/x1",)), "what is unpriced: node acme/x1"),
        (replace(GROUNDS, still_to_come=("the job is not finished",)), "the job is not finished"),
    ):
        found = verdict(exactly("5"), exactly("1"), grounds)
        assert (found.outcome, found.even_without) == (CostOutcome.API, (named,))
        assert found.line == f"the API wins by 4.0000 USD or more, even without {named}; measured"
        # Where our known side is cheaper, the unknown may turn it, and a tie in the interval decides nothing.
        assert verdict(exactly("1"), exactly("5"), grounds).outcome is CostOutcome.UNDECIDED
        assert verdict(between("4", "6"), exactly("5"), grounds).outcome is CostOutcome.UNDECIDED
    assert verdict(exactly("5"), None, replace(GROUNDS, people_set=False)).outcome is CostOutcome.UNDECIDED
    hard = replace(GROUNDS, people_set=False, incomparable=("only a part of it is compared",))
    assert verdict(exactly("5"), exactly("1"), hard).outcome is CostOutcome.UNDECIDED


def test_with_people_and_without_them_stand_side_by_side() -> None:
    # 5 + 6 from the APIs, 1 + 4 paid: 6 more without people. People of 9 make it 3 less; their hours are an estimate.
    found = verdicts(STAGES, {"transcribe": exactly("4"), "translate": exactly("5")})
    apis = [figure.api for figure in STAGES if figure.api is not None]
    alone = sum(api.point.nano for api in apis) - sum(figure.paid.point.nano for figure in STAGES)
    assert found.without_people.difference is not None
    assert found.without_people.difference.point.nano == alone
    assert found.job.difference is not None
    assert found.job.difference.point.nano == alone - 9 * 10**9
    assert (found.without_people.quality, found.job.quality) == (Quality.ESTIMATED, Quality.ESTIMATED)
    first = verdicts(STAGES[:1], {"transcribe": exactly("4")})
    assert (first.without_people.quality, first.job.quality) == (Quality.MEASURED, Quality.ESTIMATED)
    unset = verdicts(STAGES, None)
    assert unset.without_people.outcome is not CostOutcome.UNDECIDED or unset.without_people.undecided_because
    assert unset.as_json()["without_people"]["outcome"] == unset.without_people.outcome.value


def test_anything_unpriced_is_undecided_and_named() -> None:
    found = verdict(exactly("1"), exactly("9"), replace(GROUNDS, unpriced=("node acme/x1 has no price",)))
    assert found.line == "undecided: unpriced: node acme/x1 has no price"
    assert verdict(exactly("1"), None, GROUNDS).line == "undecided: the API's price is not known"


def test_fake_work_has_no_verdict_and_no_difference() -> None:
    found = verdict(exactly("1"), exactly("9"), replace(GROUNDS, fake=True))
    assert (found.outcome, found.difference) == (CostOutcome.UNDECIDED, None)
    assert "fake engines" in found.line


def test_currencies_are_not_compared() -> None:
    with pytest.raises(CurrencyError):
        verdict(exactly("1"), Range.exactly(Money.parse("1 EUR")), GROUNDS)
    with pytest.raises(CurrencyError):
        Range.between(usd("1"), Money.parse("2 EUR"))


def test_the_quality_of_a_sum_is_its_weakest_part() -> None:
    assert weakest([Quality.RECONCILED, Quality.RECONCILED]) is Quality.RECONCILED
    assert weakest([Quality.RECONCILED, Quality.MEASURED]) is Quality.MEASURED
    assert weakest([Quality.MEASURED, Quality.ESTIMATED]) is Quality.ESTIMATED
    assert weakest([]) is Quality.ESTIMATED


STAGES = (
    # Transcribing ourselves saves 4, translating by own GPU loses 2.
    StageFigures("transcribe", exactly("1"), exactly("5"), replace(GROUNDS, people_set=False)),
    StageFigures("translate", exactly("3"), exactly("1"), replace(GROUNDS, quality=Quality.ESTIMATED)),
)


def test_stages_have_verdicts_of_their_own() -> None:
    found = verdicts(STAGES, {})
    assert {stage: one.outcome for stage, one in found.by_stage.items()} == {
        "transcribe": CostOutcome.SELF_HOSTED,
        "translate": CostOutcome.API,
    }
    # 6 - 4
    assert found.job.outcome is CostOutcome.SELF_HOSTED
    assert found.job.difference == exactly("2")
    assert found.job.quality is Quality.ESTIMATED


def test_each_stage_carries_its_people_and_the_job_all_of_them() -> None:
    found = verdicts(STAGES, {"transcribe": between("1", "2"), "translate": between("3", "6")})
    # 5 - 1 - (1 to 2)
    assert found.by_stage["transcribe"].difference == Range(usd("2"), usd("2.5"), usd("3"))
    # 6 - 4 - (4 to 8)
    assert found.job.difference == Range(usd("-6"), usd("-4"), usd("-2"))
    assert found.job.outcome is CostOutcome.API


def test_a_job_with_unset_people_or_one_fake_stage_is_undecided() -> None:
    assert verdicts(STAGES, None).job.outcome is CostOutcome.UNDECIDED
    faked = (STAGES[0], replace(STAGES[1], grounds=replace(GROUNDS, fake=True)))
    found = verdicts(faked, {})
    assert (found.job.outcome, found.job.difference) == (CostOutcome.UNDECIDED, None)
    assert found.by_stage["transcribe"].outcome is CostOutcome.SELF_HOSTED


def test_stages_that_ran_differently_make_a_mix() -> None:
    mixed = (STAGES[0], replace(STAGES[1], paid=exactly("1"), grounds=replace(GROUNDS, ran=CostOutcome.API)))
    found = verdicts(mixed, {})
    assert found.job.line.startswith("this mix wins by 4.0000 USD")


def test_the_json_holds_nano_units_and_reads_back() -> None:
    value = json.loads(json.dumps(verdicts(STAGES, {}).as_json()))
    assert value["outcome"] == "self_hosted"
    assert value["difference"] == {"low": 2 * 10**9, "point": 2 * 10**9, "high": 2 * 10**9}
    assert value["by_stage"]["translate"]["difference"]["point"] == -2 * 10**9


def test_a_verdict_needs_work_and_ranges_need_order() -> None:
    with pytest.raises(UsageError):
        verdicts((), None)
    with pytest.raises(UsageError):
        between("2", "1")
    with pytest.raises(UsageError):
        Uncertainty(idle=Fraction(2), estimated=Fraction(0))
    with pytest.raises(UsageError):
        Uncertainty(idle=0.5, estimated=Fraction(0))  # type: ignore[arg-type]


nano = st.integers(-(10**12), 10**12)
ranges = st.tuples(nano, nano, nano).map(lambda ends: Range(*(Money(end, "USD") for end in sorted(ends))))
all_grounds = st.builds(
    Grounds,
    people_set=st.booleans(),
    quality=st.sampled_from(list(Quality)),
    unpriced=st.sampled_from([(), ("something",)]),
    fake=st.booleans(),
)


@given(ranges, ranges, all_grounds)
def test_a_verdict_is_given_only_when_every_value_in_the_interval_agrees(paid: Range, api: Range, on: Grounds) -> None:
    found = verdict(paid, api, on)
    if found.outcome is CostOutcome.UNDECIDED:
        assert found.undecided_because
        return
    assert not on.fake
    if not on.people_set or on.unpriced:
        assert found.outcome is CostOutcome.API
        assert paid.low >= api.high
        return
    if found.outcome is CostOutcome.SELF_HOSTED:
        assert paid.high < api.low
    else:
        assert paid.low > api.high or (paid.low == paid.high == api.low == api.high)


@given(ranges, ranges)
def test_more_doubt_never_turns_a_verdict_round(paid: Range, api: Range) -> None:
    sure = verdict(Range.exactly(paid.point), Range.exactly(api.point), GROUNDS)
    assert verdict(paid, api, GROUNDS).outcome in (sure.outcome, CostOutcome.UNDECIDED)


@given(
    st.dictionaries(st.tuples(st.sampled_from(list(Bucket)), st.sampled_from(list(Quality))), st.integers(0, 10**15))
)
def test_the_figure_paid_is_the_sum_to_the_nano_unit(amounts: dict[tuple[Bucket, Quality], int]) -> None:
    found = paid_range(amounts, DOUBT, "USD")
    assert found.point.nano == sum(amounts.values())
    assert found.low.nano >= 0


positive = st.integers(0, 10**12).map(lambda value: Range.exactly(Money(value, "USD")))


@given(st.lists(st.tuples(positive, st.none() | ranges), min_size=1, max_size=5))
def test_the_stages_and_the_job_agree_to_the_nano_unit(sides: list[tuple[Range, Range | None]]) -> None:
    figures = [StageFigures(str(place), paid, exactly("0"), GROUNDS) for place, (paid, _) in enumerate(sides)]
    people = {str(place): share for place, (_, share) in enumerate(sides) if share is not None}
    found = verdicts(figures, people)
    assert found.job.difference is not None
    whole = sum(one.point.nano for one, _ in sides) + sum(share.point.nano for share in people.values())
    assert -found.job.difference.point.nano == whole
    stages = [one.difference for one in found.by_stage.values() if one.difference]
    for end in ("low", "point", "high"):
        assert sum(getattr(one, end).nano for one in stages) == getattr(found.job.difference, end).nano


def test_people_of_a_stage_that_did_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="dub"):
        verdicts(STAGES, {"dub": exactly("1")})
