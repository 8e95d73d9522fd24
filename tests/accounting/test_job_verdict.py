"""Which was cheaper, from a job's entries and the invoices of an API: every outcome, and what it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accounting.report import JobVerdict, People
from accounting.verdicts.verdict import VerdictInputs, judge
from core.money import Money
from ledger.api import Basis, Counterfactual
from ledger.entries import Bucket, LedgerEntry, Quality, Unpriced
from ledger.price_book.tiers import Tier
from ledger.verdict import CostOutcome, Range

CENT = 10_000_000
SET = People(Range.exactly(Money(0, "USD")), "0 hours a month")
UNSET = People(None, "what people cost is unknown: no engineering hours given")


def entry(stage: str, cents: int, bucket: Bucket = Bucket.BUSY, *, fake: bool = False) -> LedgerEntry:
    return LedgerEntry(
        id=f"{stage}{bucket}{cents}",
        session="s",
        attempt="a",
        bucket=bucket,
        stage=stage,
        engine="e",
        job="j",
        owner="o",
        language="",
        unit_ms=0 if bucket is Bucket.API_FEE else 1000,
        start=0,
        end=1000,
        nano=cents * CENT,
        currency="USD",
        price_row="session",
        quality=Quality.MEASURED,
        fake=fake,
    )


def invoices(
    stage: str, model: str, cents: int, *, verified: bool = True, currency: str = "USD"
) -> list[Counterfactual]:
    amounts = {Basis.WHOLE_FILE: 2 * cents, Basis.SPEECH_ONLY: cents, Basis.PER_WINDOW: cents + 1}
    bases = amounts if stage == "transcribe" else {Basis.WHOLE_FILE: cents, Basis.SPEECH_ONLY: cents}
    return [
        Counterfactual(
            stage, "api", model, basis, {"requests": 1}, Money(amount * CENT, currency), ("row",), "", verified
        )
        for basis, amount in bases.items()
    ]


def reference(*entries: LedgerEntry, cents: int = 100, translation: int = 100, people: People = SET) -> VerdictInputs:
    offered = [*invoices("transcribe", "dear", 5 * cents), *invoices("transcribe", "cheap", cents)]
    offered += invoices("translate", "cheap", translation)
    return VerdictInputs(
        invoices=offered,
        computed=offered,
        entries=entries,
        unpriced=(),
        elsewhere=(),
        currency="USD",
        people=people,
        against=(),
        finished=True,
        partly_cached=False,
    )


def outcome(found: JobVerdict) -> CostOutcome:
    assert found.job is not None
    return found.job.outcome


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((entry("transcribe", 50),), CostOutcome.SELF_HOSTED),
        ((entry("transcribe", 300),), CostOutcome.API),
        ((entry("transcribe", 50), entry("translate", 10, Bucket.API_FEE)), CostOutcome.HYBRID),
        ((entry("transcribe", 60), entry("transcribe", 80, Bucket.IDLE)), CostOutcome.UNDECIDED),
        ((entry("transcribe", 50, fake=True),), CostOutcome.UNDECIDED),
    ],
)
def test_every_outcome_is_reached(entries: tuple[LedgerEntry, ...], expected: CostOutcome) -> None:
    assert outcome(judge(reference(*entries))) is expected


def test_stages_may_go_either_way() -> None:
    found = judge(reference(entry("transcribe", 50), entry("detect", 10), entry("translate", 400)))
    assert found.found is not None
    by_stage = {stage: one.outcome for stage, one in found.found.by_stage.items()}
    assert by_stage == {"transcribe": CostOutcome.SELF_HOSTED, "translate": CostOutcome.API}
    assert found.paid["transcribe"].point == Money(60 * CENT, "USD")


def test_the_cheapest_verified_api_is_compared_unless_another_is_named() -> None:
    ours = reference(entry("transcribe", 50))
    offered = [*ours.computed, *invoices("transcribe", "rumour", 1, verified=False)]
    assert judge(replace(ours, computed=offered)).against["transcribe"].model == "cheap"
    assert judge(replace(ours, computed=offered, against=("api/dear",))).against["transcribe"].model == "dear"
    # Whoever names an API in another currency is not answered with another API.
    foreign = [*offered, *invoices("transcribe", "far", 1, currency="EUR")]
    found = judge(replace(ours, computed=foreign, against=("api/far",)))
    assert "transcribe" not in found.against
    assert found.job is not None
    assert found.job.outcome is CostOutcome.UNDECIDED


def test_what_could_no_longer_be_bought_is_compared_only_by_name() -> None:
    ours = reference(entry("transcribe", 50))
    gone = [replace(one, retired=True, retired_from="2026-08-16") for one in invoices("transcribe", "gone", 1)]
    offered = [*ours.computed, *gone]
    assert judge(replace(ours, computed=offered)).against["transcribe"].model == "cheap"
    named = judge(replace(ours, computed=offered, against=("api/gone",)))
    assert named.against["transcribe"].model == "gone"
    assert named.job is not None
    assert "transcribe: api gone (named; class unknown, ended on 2026-08-16), " in named.job.rests_on[0]
    assert judge(replace(ours, computed=gone)).against == {}


def test_whole_file_and_silence_skipped_are_never_mixed() -> None:
    ours = reference(entry("transcribe", 150))
    assert outcome(judge(ours)) is CostOutcome.API
    assert outcome(judge(replace(ours, whole_file=True))) is CostOutcome.SELF_HOSTED
    assert judge(replace(ours, whole_file=True, partly_cached=True)).found is None


def test_unset_people_leave_it_open() -> None:
    found = judge(reference(entry("transcribe", 50), people=UNSET))
    assert outcome(found) is CostOutcome.UNDECIDED
    assert "what people cost is unknown" in found.line


def test_unpriced_usage_and_foreign_money_leave_it_open() -> None:
    usage = Unpriced("i", "s", "a", Bucket.BUSY, "transcribe", "e", "j", "o", "node_ms", 1000, 0, 1, "no price", False)
    ours = reference(entry("transcribe", 50))
    assert outcome(judge(replace(ours, unpriced=(usage,)))) is CostOutcome.UNDECIDED
    assert outcome(judge(replace(ours, elsewhere=(Money(1, "EUR"),)))) is CostOutcome.UNDECIDED


def test_an_unfinished_job_has_not_paid_for_what_the_api_would_do() -> None:
    found = judge(replace(reference(entry("transcribe", 50)), finished=False))
    assert outcome(found) is CostOutcome.UNDECIDED
    assert "not finished" in found.line


def test_an_api_in_another_currency_is_no_price() -> None:
    ours = reference(entry("transcribe", 50))
    found = judge(replace(ours, computed=invoices("transcribe", "x", 100, currency="EUR")))
    assert outcome(found) is CostOutcome.UNDECIDED
    assert found.against == {}


def test_a_job_for_which_nothing_was_computed_has_no_verdict() -> None:
    found = judge(reference())
    assert found.found is None
    assert found.as_json()["outcome"] == "undecided"


def test_the_verdict_says_the_classes_and_compares_at_equal_quality_beside() -> None:
    # "cheap" at 1.00 is of the tiny class, "dear" at 5.00 of ours. Ours cost 2.00: dearer than another class, and
    # 3.00 cheaper than the same.
    ours = reference(entry("transcribe", 200))
    offered = [
        replace(one, tier=Tier.LARGE_V3 if one.model == "dear" else Tier.TINY)
        for one in ours.computed
        if one.stage == "transcribe"
    ]
    told = replace(ours, computed=offered, tiers={"transcribe": Tier.LARGE_V3})
    cheapest, alike = judge(told), judge(replace(told, same_tier=True))
    assert outcome(cheapest) is CostOutcome.API
    assert cheapest.against["transcribe"].model == "cheap"
    assert cheapest.job is not None
    words = "transcribe: NOT of the same class: here it was done by a large-v3 class, there by a tiny class"
    assert words in cheapest.job.rests_on
    assert outcome(alike) is CostOutcome.SELF_HOSTED
    assert alike.against["transcribe"].model == "dear"
    assert alike.job is not None
    assert alike.job.difference is not None
    assert alike.job.difference.point == Money(300 * CENT, "USD")
    assert not any("NOT of the same class" in line for line in alike.job.rests_on)
    # No API of the class, or a class that nobody knows: never compared with another one instead.
    for tiers, said in (
        ({"transcribe": Tier.MEDIUM}, "transcribe: no API of the medium class is sold at a known price"),
        ({}, "the class of the model that did transcribe is not known"),
    ):
        none = judge(replace(told, same_tier=True, tiers=tiers))
        assert (none.against, none.found, none.why_none) == ({}, None, said)
