"""Which was cheaper for a job: its entries against the invoices of one API a stage. See `ledger.verdict` for the rules.

A stage's side of ours is everything that it was charged: useful, load, idle, lost, duplicate, boot, fees. Deciding the
language belongs to transcription, as it does at an API. People are what they are in the job's spending, stage by stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from accounting.report import JobVerdict, People, unpriced_lines
from core.money import Money
from ledger.api import Basis, Counterfactual
from ledger.entries import Bucket, LedgerEntry, Quality, Unpriced
from ledger.price_book.tiers import Tier
from ledger.verdict import (
    CostOutcome,
    Grounds,
    Range,
    StageFigures,
    Uncertainty,
    paid_range,
    verdicts,
    weakest,
)
from pipeline.stages import main_stages, shown_as

#: How far off idle time and estimated amounts may be, as shares of themselves: half, either way. See docs/ledger.md.
UNCERTAINTY = Uncertainty(idle=Fraction(1, 2), estimated=Fraction(1, 2))


@dataclass(frozen=True)
class VerdictInputs:
    """What a verdict is made from."""

    #: Invoices for the whole job.
    invoices: Sequence[Counterfactual]
    #: Invoices for what was computed for this job; the same where nothing came from the cache.
    computed: Sequence[Counterfactual]
    #: The job's entries, people not among them.
    entries: Sequence[LedgerEntry]
    #: Its usage without a price.
    unpriced: Sequence[Unpriced]
    #: Amounts in other currencies.
    elsewhere: Sequence[Money]
    #: Of the report.
    currency: str
    #: The people.
    people: People
    #: APIs to compare with, ``provider/model``.
    against: Sequence[str]
    #: Whether every unit of the job is there.
    finished: bool
    #: Whether some units were there before the job wanted them.
    partly_cached: bool
    #: Compare with the whole file as it is, else with silence skipped.
    whole_file: bool = False
    #: The class of the model that did each stage here; a stage of which it is not known is not there.
    tiers: Mapping[str, Tier] = field(default_factory=dict)
    #: Compare with models of the same class only.
    same_tier: bool = False


def judge(reference: VerdictInputs) -> JobVerdict:
    """The verdict of one form of sending."""
    if reference.whole_file and reference.partly_cached:
        return JobVerdict(None, "some of the units came from the cache: what was paid is not for the whole file")
    stages = _stages(reference)
    if not stages:
        return JobVerdict(None, "nothing was computed for this job")
    if reference.same_tier and (unknown := [stage for stage in stages if stage not in reference.tiers]):
        return JobVerdict(None, f"the class of the model that did {' and '.join(unknown)} is not known")
    figures, against = [], {}
    for stage in stages:
        invoice = _chosen(stage, reference)
        if invoice is not None:
            against[stage] = invoice
        elif reference.same_tier:
            return JobVerdict(None, f"{stage}: no API of the {reference.tiers[stage]} is sold at a known price")
        figures.append(_figures(stage, invoice, reference))
    found = verdicts(figures, _people(reference.people))
    return JobVerdict(found, "", against, {figure.stage: figure.paid for figure in figures})


def _stages(reference: VerdictInputs) -> list[str]:
    names = {_stage(entry) for entry in reference.entries} | {_stage(usage) for usage in reference.unpriced}
    return [stage.name for stage in main_stages() if stage.name in names]


def _stage(each: LedgerEntry | Unpriced) -> str:
    return shown_as(each.stage)


def _people(people: People) -> dict[str, Range] | None:
    if people.amount is None:
        return None
    found: dict[str, Range] = {}
    for name, share in people.by_stage.items():
        stage = shown_as(name)
        found[stage] = found[stage] + share if stage in found else share
    return found


def _chosen(stage: str, reference: VerdictInputs) -> Counterfactual | None:
    """The API that the person named, else the cheapest whose price was read at its source; in the report's currency.

    What could no longer be bought when the work was done is chosen only by name.
    """
    basis = Basis.WHOLE_FILE if reference.whole_file else Basis.SPEECH_ONLY
    offered = [
        one for one in reference.computed if one.stage == stage and one.basis is basis and one.amount is not None
    ]
    priced = [one for one in offered if one.amount is not None and one.amount.currency == reference.currency]
    if reference.same_tier:
        priced = [one for one in priced if one.tier is reference.tiers.get(stage)]
    elif any(_is_named(one, reference) for one in offered):
        # Another one's price is no answer to who asked for this one.
        return min((one for one in priced if _is_named(one, reference)), key=_amount_and_name, default=None)
    sold = [one for one in priced if not one.retired]
    return min([one for one in sold if one.verified] or sold, key=_amount_and_name, default=None)


def _is_named(one: Counterfactual, reference: VerdictInputs) -> bool:
    return f"{one.provider}/{one.model}" in reference.against


def _amount_and_name(one: Counterfactual) -> tuple[int, str, str]:
    return (one.amount.nano if one.amount else 0), one.provider, one.model


def _figures(stage: str, invoice: Counterfactual | None, reference: VerdictInputs) -> StageFigures:
    entries = [entry for entry in reference.entries if _stage(entry) == stage]
    amounts: dict[tuple[Bucket, Quality], int] = {}
    for entry in entries:
        if entry.currency == reference.currency and not entry.fake:
            place = entry.bucket, entry.quality
            amounts[place] = amounts.get(place, 0) + entry.nano
    unpriced = [*unpriced_lines(usage for usage in reference.unpriced if _stage(usage) == stage)]
    unpriced += [f"{amount} has no dated rate to {reference.currency}" for amount in reference.elsewhere]
    fake = any(entry.fake for entry in entries) or any(
        usage.fake for usage in reference.unpriced if _stage(usage) == stage
    )
    # A job that is not through has not paid for all that the API would do. What it paid can only grow; what the API
    # would charge grows with it where only what was computed is compared.
    unfinished = () if reference.finished else ("the job is not finished, or some of it failed",)
    grounds = Grounds(
        people_set=reference.people.amount is not None,
        quality=weakest(entry.quality for entry in entries),
        unpriced=tuple(unpriced),
        still_to_come=() if reference.partly_cached else unfinished,
        incomparable=unfinished if reference.partly_cached else (),
        fake=fake,
        ran=_ran(entries),
        rests_on=tuple(_rests_on(stage, invoice, reference)),
    )
    api = None if invoice is None else _api_range(invoice, reference)
    return StageFigures(stage, paid_range(amounts, UNCERTAINTY, reference.currency), api, grounds)


def _ran(entries: Iterable[LedgerEntry]) -> CostOutcome:
    """By fees alone, by machines alone, or by both: machines that only wait for an API are not why it is dear."""
    work = [entry for entry in entries if entry.bucket in (Bucket.BUSY, Bucket.API_FEE)]
    fees = any(entry.bucket is Bucket.API_FEE for entry in work)
    return CostOutcome.HYBRID if fees else CostOutcome.SELF_HOSTED


def _api_range(invoice: Counterfactual, reference: VerdictInputs) -> Range:
    """The invoice, as wide as the ways of sending the same audio: in one recording, or window by window."""
    assert invoice.amount is not None
    others = []
    if not reference.whole_file:
        others = [
            one.amount
            for one in reference.computed
            if (one.stage, one.provider, one.model) == (invoice.stage, invoice.provider, invoice.model)
            and one.basis is Basis.PER_WINDOW
            and one.amount is not None
        ]
    return Range.spanning(invoice.amount, others)


def _rests_on(stage: str, invoice: Counterfactual | None, reference: VerdictInputs) -> Iterable[str]:
    tier = reference.tiers.get(stage)
    if invoice is None:
        yield f"{stage}: no API that is sold has a price in {reference.currency}"
        return
    form = "the whole file" if reference.whole_file else "silence skipped on both sides"
    how = "the cheapest verified price" if invoice.verified else "the cheapest price known"
    if _is_named(invoice, reference):
        how = "named"
    yield f"{stage}: {invoice.provider} {invoice.model} ({how}; {invoice.remark}), {form}"
    if tier is not None and invoice.tier is not None and tier is not invoice.tier:
        yield f"{stage}: NOT of the same class: here it was done by a {tier}, there by a {invoice.tier}"
    elif tier is None:
        yield f"{stage}: the class of the model that did it here is not known"
    if reference.partly_cached:
        yield "only what was computed for this job is compared; what came from the cache is on neither side"
    yield "idle and estimated amounts: they may be half off either way"
    yield f"people: {reference.people.basis}"
