"""Which was cheaper for a period: the fleet with its idle and its people, or an API for the same work.

Both sides have what was computed in the period, and nothing else: the API is given the audio and the tokens of those
units, silence skipped, as for a job (`accounting.verdicts.verdict`). The fleet's side is all that was paid: idle is in
it, whatever the rule of sharing says, and so is work that a death took.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from msgspec import structs

from accounting.fleet_ledger import FleetLedger
from accounting.periods import now_ms
from accounting.report import JobVerdict
from accounting.sharing.idle import IdleRule, with_shared_idle
from accounting.sharing.month_use import month_uses
from accounting.sharing.people import PeopleRules, PeopleShares, whole_months
from accounting.verdicts.month_work import StageWork, added_work, work_of
from accounting.verdicts.verdict import VerdictInputs, judge
from accounting.verdicts.workload import stage_counterfactuals
from core.money import Money, split
from ledger.api import Counterfactual
from ledger.entries import Bucket, LedgerEntry, Period, Quality, Unpriced
from ledger.price_book.model_tiers import tier_of
from ledger.price_book.tiers import Tier
from ledger.totals import EstimatedPlace, UnpricedSum
from ledger.verdict import CostOutcome, CostVerdict
from pipeline.stages import charged_stages


def period_verdict(ledger: FleetLedger, rules: PeopleRules, currency: str, against: Sequence[str] = ()) -> JobVerdict:
    """The verdict of a period of whole months. ``ledger``: without people, and with idle not shared yet.

    Raises UsageError, MoneyError.
    """
    period = ledger.period
    months = [] if period is None else list(whole_months(period))
    if period is None or not months or (months[0].start, months[-1].end) != (period.start, period.end):
        return JobVerdict(None, "a verdict is of whole months: work is counted in the month in which it began")
    people = PeopleShares(ledger, rules, currency, month_uses(ledger)).fleet(months)
    books = with_shared_idle(ledger, IdleRule.SHARED)
    work = _work(ledger, months)
    at = min(ledger.rules.now or now_ms(), period.end - 1)
    invoices = _invoices(books, work, at)
    entries = _entries(books, period)
    stages = _weights(entries)
    if not stages:
        paid = ": what was paid is for no work" if entries else ""
        return JobVerdict(None, f"nothing was computed in this period{paid}")
    entries = [each for entry in entries for each in _in_stages(entry, stages)]
    found = judge(
        VerdictInputs(
            invoices=invoices,
            computed=invoices,
            entries=entries,
            unpriced=[_usage(one, period, stages) for one in books.unpriced_totals],
            elsewhere=[Money(nano, name) for name, nano in books.totals.whole().items() if name != currency],
            currency=currency,
            people=people,
            against=against,
            finished=True,
            partly_cached=False,
            tiers=_tiers(books),
        )
    )
    return _with_unmatched(found, books, currency)


def _work(ledger: FleetLedger, months: Sequence[Period]) -> dict[str, StageWork]:
    """By stage."""
    kept = ledger.work
    if kept is None:
        kept = added_work(work_of(ledger.facts))
    starts = {month.start for month in months}
    chosen = [structs.replace(one, month=0) for (start, _), one in kept.items() if start in starts]
    return {stage: one for (_, stage), one in added_work(chosen).items()}


def _invoices(ledger: FleetLedger, work: dict[str, StageWork], at: int) -> list[Counterfactual]:
    rates = ledger.rules.exchange.valid(at)
    return [
        invoice
        for stage in charged_stages()
        if stage.name in work
        for invoice in stage_counterfactuals(stage, work[stage.name].as_workload(), ledger.book, at, rates)
    ]


def _entries(ledger: FleetLedger, period: Period) -> list[LedgerEntry]:
    """One entry for each bucket, stage and quality: all that a verdict looks at."""
    totals = ledger.totals
    measured: dict[EstimatedPlace, int] = {}
    for (bucket, stage, _, _, _, _, _, currency, fake), (nano, _) in totals.cells.items():
        place = bucket, stage, currency, fake
        measured[place] = measured.get(place, 0) + nano
    for place, nano in totals.estimated.items():
        measured[place] -= nano
    estimated = dict(totals.estimated)
    for place in [place for place in measured if not place[1]]:
        # Idle and its reversal are one amount here: in an open month the reversal alone is an estimate.
        whole = measured.pop(place) + (given := estimated.pop(place, 0))
        (estimated if given else measured)[place] = whole
    parts = [(place, nano, Quality.MEASURED) for place, nano in measured.items() if nano]
    parts += [(place, nano, Quality.ESTIMATED) for place, nano in estimated.items() if nano]
    return [
        LedgerEntry(
            id="",
            session="",
            attempt="",
            bucket=Bucket(bucket),
            stage=stage,
            engine="",
            job="",
            owner="",
            language="",
            unit_ms=0,
            start=period.start,
            end=period.end,
            nano=nano,
            currency=currency,
            price_row="",
            quality=quality,
            fake=fake,
        )
        for (bucket, stage, currency, fake), nano, quality in parts
    ]


def _weights(entries: Sequence[LedgerEntry]) -> dict[str, int]:
    """What the useful work of each stage cost, by which stages share what was paid for none."""
    names = {entry.stage for entry in entries if entry.stage}
    useful = dict.fromkeys(sorted(names), 0)
    for entry in entries:
        if entry.stage and entry.bucket is Bucket.BUSY:
            useful[entry.stage] += entry.nano
    return useful if any(nano > 0 for nano in useful.values()) else dict.fromkeys(useful, 1)


def _in_stages(entry: LedgerEntry, weights: dict[str, int]) -> list[LedgerEntry]:
    """The entry; idle that no job carries (none had time on the fleet) in parts, so that no stage leaves it out."""
    if entry.stage or not weights:
        return [entry]
    parts = split(entry.nano, [max(weight, 0) for weight in weights.values()])
    return [structs.replace(entry, stage=stage, nano=nano) for stage, nano in zip(weights, parts, strict=True)]


def _usage(one: UnpricedSum, period: Period, stages: Iterable[str]) -> Unpriced:
    return Unpriced(
        id="",
        session=one.session,
        attempt="",
        bucket=one.bucket,
        stage=one.stage or next(iter(stages), ""),
        engine=one.engine,
        job=one.job,
        owner=one.owner,
        meter=one.meter,
        quantity=one.quantity,
        start=period.start,
        end=period.end,
        why=one.why,
        fake=one.fake,
    )


def _tiers(ledger: FleetLedger) -> dict[str, Tier]:
    """The class of the models that did each stage's useful work, where it is known and one."""
    found: dict[str, set[Tier | None]] = {}
    for bucket, stage, _, _, _, _, engine, _, fake in ledger.totals.cells:
        if bucket in (Bucket.BUSY, Bucket.API_FEE) and engine and not fake:
            provider, model, *_ = [*engine.split(), ""]
            found.setdefault(stage, set()).add(tier_of(stage, provider, model, ledger.book))
    known = {stage: next(iter(tiers)) for stage, tiers in found.items() if len(tiers) == 1}
    return {stage: tier for stage, tier in known.items() if tier is not None}


def _with_unmatched(found: JobVerdict, ledger: FleetLedger, currency: str) -> JobVerdict:
    """Undecided where it is decided only by amounts whose work is not on the API's bill: what batches under way cost,
    and what was entered late of months that are closed.
    """
    costs = found.found
    open_now = 0 if ledger.under_way is None else ledger.under_way.amounts.get(currency, 0)
    late = sum(entry.nano for entry in ledger.late if entry.currency == currency and not entry.fake)
    reasons = []
    if open_now:
        said = f"batches under way cost {Money(open_now, currency)} so far"
        reasons.append(f"{said}, and the API's bill has nothing for them")
    if late:
        said = f"{Money(late, currency)} of what was paid were entered late for closed months"
        reasons.append(f"{said}, whose work is not on the API's bill")
    if costs is None or not reasons:
        return found

    def judged(one: CostVerdict) -> CostVerdict:
        if one.outcome is CostOutcome.UNDECIDED or one.difference is None:
            return one
        low, high = one.difference.low.nano + min(late, 0), one.difference.high.nano + open_now + max(late, 0)
        if high <= 0 if one.outcome is CostOutcome.API else low > 0:
            return one
        return replace(one, outcome=CostOutcome.UNDECIDED, undecided_because=tuple(reasons))

    return replace(
        found,
        found=replace(
            costs,
            job=judged(costs.job),
            without_people=judged(costs.without_people),
            by_stage={stage: judged(one) for stage, one in costs.by_stage.items()},
        ),
    )
