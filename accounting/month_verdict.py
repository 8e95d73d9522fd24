"""Which was cheaper for a period: the fleet with its idle and its people, or an API for the same work.

Both sides have what was computed in the period, and nothing else: the API is given the audio and the tokens of those
units, silence skipped, as for a job (`accounting.verdict`). The fleet's side is all that was paid: idle is in it,
whatever the rule of sharing says, and so is work that a death took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from accounting.fleet_ledger import FleetLedger
from accounting.idle import IdleRule, with_shared_idle
from accounting.month_use import month_uses
from accounting.month_work import StageWork, added_work, work_of
from accounting.people import PeopleRules, PeopleShares, whole_months
from accounting.periods import now_ms
from accounting.report import JobVerdict
from accounting.verdict import VerdictInputs, judge
from accounting.workload import stage_counterfactuals
from core.money import Money
from ledger.api import Counterfactual
from ledger.entries import Bucket, LedgerEntry, Period, Quality, Unpriced
from ledger.model_tiers import tier_of
from ledger.tiers import Tier
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
    found = judge(
        VerdictInputs(
            invoices=invoices,
            computed=invoices,
            entries=_entries(books, period),
            unpriced=[_usage(one, period) for one in books.unpriced_totals],
            elsewhere=[Money(nano, name) for name, nano in books.totals.whole().items() if name != currency],
            currency=currency,
            people=people,
            against=against,
            finished=True,
            partly_cached=False,
            tiers=_tiers(books),
        )
    )
    return _with_open_batches(found, books, currency)


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
    parts = [(place, nano, Quality.MEASURED) for place, nano in measured.items() if nano]
    parts += [(place, nano, Quality.ESTIMATED) for place, nano in totals.estimated.items() if nano]
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


def _usage(one: UnpricedSum, period: Period) -> Unpriced:
    return Unpriced(
        id="",
        session=one.session,
        attempt="",
        bucket=one.bucket,
        stage=one.stage,
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


def _with_open_batches(found: JobVerdict, ledger: FleetLedger, currency: str) -> JobVerdict:
    """Undecided where the API wins only by what batches under way cost, whose work is not on its bill yet."""
    costs = found.found
    open_now = 0 if ledger.under_way is None else ledger.under_way.amounts.get(currency, 0)
    if costs is None or not open_now:
        return found

    def judged(one: CostVerdict) -> CostVerdict:
        if one.outcome is not CostOutcome.API or one.difference is None or one.difference.high.nano + open_now <= 0:
            return one
        why = f"batches under way cost {Money(open_now, currency)} so far, and the API's bill has nothing for them"
        return replace(one, outcome=CostOutcome.UNDECIDED, undecided_because=(why,))

    return replace(
        found,
        found=replace(
            costs,
            job=judged(costs.job),
            without_people=judged(costs.without_people),
            by_stage={stage: judged(one) for stage, one in costs.by_stage.items()},
        ),
    )
