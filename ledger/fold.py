"""From facts and records to the books: pure, and the same whatever the order and however often a fact is told.

Every machine is folded by itself, so a large ledger is folded in parts: `Ledger.merge` puts them together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from core.errors import SegueError
from core.money import MoneyError
from journals.facts import AttemptEnded, DemandInterval, Fact, SessionOpened
from ledger.activity import MachineActivity, Provenance
from ledger.allocation import Allocation
from ledger.billing import BilledSession, Rate, bill_session, find_rates, find_terms
from ledger.demand import Demand
from ledger.entries import Bucket, LedgerEntry, Period, Residual, Unpriced
from ledger.fees import Fees
from ledger.price_book.prices import PriceBook
from ledger.progress import note_progress
from ledger.spans import Spans, union
from ledger.timeline import NodeTimeline, gather
from ledger.totals import LedgerTotals


class ConservationError(SegueError):
    """The entries of a machine do not sum to its bill: a defect in the ledger, never in the facts."""


@dataclass(frozen=True)
class FoldRules:
    """What the fold assumes; every rule can be set by the caller."""

    #: Time between two beats of a worker.
    beat_ms: int = 10_000
    #: Price an hour, ``0.526 USD``, of machines that say none themselves; empty: the book's.
    node_price: str = ""
    #: The instant of asking, for books of a fleet that is at work: who has not missed its beats yet is alive, and what
    #: it has begun is no loss. None for books of the past, where whoever is silent is dead.
    now: int | None = None
    #: Engines (one line each, as facts name them) that our own machines serve: their cost is their machine's, no fee.
    own_engines: frozenset[str] = frozenset()
    #: Whether entries are cut at midnight, UTC, so that each is of one day and has that day's exchange rate.
    by_day: bool = False
    #: Whether the book goes before ``node_price``, which is then for what would have no price at all.
    book_first: bool = False


@dataclass
class Ledger:
    """What was spent. Amounts are in `entries`; `unpriced` is what nobody could price, and is in no amount."""

    #: Every entry, by session, start, attempt and id.
    entries: tuple[LedgerEntry, ...] = ()
    #: Sums of the entries.
    totals: LedgerTotals = field(default_factory=LedgerTotals)
    #: Usage without a price, in the order of the entries.
    unpriced: tuple[Unpriced, ...] = ()
    #: Billed time that no life accounts for, by session.
    residuals: tuple[Residual, ...] = ()
    #: The bill of each machine, by session; whole bills, also for a period.
    bills: tuple[BilledSession, ...] = ()
    #: What is wrong with the facts, one line each.
    errors: tuple[str, ...] = ()
    #: Digest of the price book that was used.
    book: str = ""
    #: Attempts that had not ended and may still come to their end: their time counts as useful until more is known.
    under_way: frozenset[str] = frozenset()
    #: When anything was active on each machine, of those that have a part in the period: whole, also for a period.
    work: Mapping[str, Spans] = field(default_factory=dict)

    @classmethod
    def merge(cls, parts: Iterable[Ledger]) -> Ledger:
        """The books of several parts that have no machine in common."""
        found = list(parts)
        if len(found) == 1:
            return found[0]
        totals = LedgerTotals()
        for part in found:
            totals.merge(part.totals)
        return cls(
            entries=tuple(sorted((entry for part in found for entry in part.entries), key=_place)),
            totals=totals,
            unpriced=tuple(sorted((usage for part in found for usage in part.unpriced), key=_place)),
            residuals=tuple(sorted((each for part in found for each in part.residuals), key=_residual_place)),
            bills=tuple(sorted((bill for part in found for bill in part.bills), key=lambda bill: bill.session)),
            errors=tuple(sorted({line for part in found for line in part.errors})),
            book=found[0].book if found else "",
            under_way=frozenset().union(*(part.under_way for part in found)),
            work={session: spans for part in found for session, spans in part.work.items()},
        )


def fold(
    facts: Iterable[Fact],
    made_by: Mapping[str, str],
    demand: Sequence[DemandInterval],
    book: PriceBook,
    period: Period | None = None,
    rules: FoldRules | None = None,
    made_at: Mapping[str, int] | None = None,
) -> Ledger:
    """The books over these facts.

    ``made_by`` gives the attempt that made a record, by its key, and ``made_at`` when it became durable (ms since the
    epoch; without it, the units of an attempt that a death took share its time by their speech). With a ``period``
    only what falls into it is there, cut at its edges; periods that adjoin sum to what they sum to together. Raises
    ConservationError for a defect.
    """
    used = rules or FoldRules()
    return fold_with(facts, Provenance(made_by, made_at or MappingProxyType({})), Demand(demand), book, period, used)


def fold_with(
    facts: Iterable[Fact],
    provenance: Provenance,
    demand: Demand,
    book: PriceBook,
    period: Period | None,
    rules: FoldRules,
    only: Collection[str] | None = None,
) -> Ledger:
    """As `fold`, for a caller that folds many parts with the same demand; with ``only``, of these machines alone."""
    gathered = gather(facts)
    errors = list(gathered.errors)
    parts = [
        _fold_node(gathered.timelines[session], gathered.ends, provenance, demand, _Scope(book, period, rules, errors))
        for session in sorted(gathered.timelines if only is None else gathered.timelines.keys() & set(only))
    ]
    ledger = Ledger.merge(parts)
    ledger.errors, ledger.book = tuple(sorted(errors)), book.digest
    return ledger


@dataclass(frozen=True)
class _Scope:
    """What is the same for every machine; ``errors`` is added to."""

    book: PriceBook
    period: Period | None
    rules: FoldRules
    errors: list[str]


def _fold_node(
    timeline: NodeTimeline, ends: Mapping[str, AttemptEnded], provenance: Provenance, demand: Demand, scope: _Scope
) -> Ledger:
    rules, period = scope.rules, scope.period
    note_progress(timeline, ends, provenance, rules.beat_ms)
    now = rules.now
    end = timeline.end(rules.beat_ms, now)
    opened = timeline.opening()
    terms = find_terms(opened, scope.book)
    # One millisecond more, so that the rates cover the billed end also where that is the opening itself.
    until = opened.at + terms.billed_ms(end.at - opened.at) + 1
    bill = bill_session(opened, end, _rates(opened, timeline, until, scope), terms)

    def running(process: str) -> bool:
        return now is not None and timeline.running(process, now, rules.beat_ms)

    activity = MachineActivity(timeline, end, ends, provenance, demand, running)
    entries: list[LedgerEntry] = []
    unpriced: list[Unpriced] = []
    # What lies wholly outside of the period has no part in it, whatever was active when.
    outside = period is not None and (bill.billed_until <= period.start or period.end <= bill.start)
    found = [] if outside else activity.all(rules.beat_ms)
    work = {} if outside else {timeline.session: union((each.start, each.end) for each in found)}
    allocation = Allocation(bill, found, _boot_end(timeline, end.at), demand, period, by_day=rules.by_day)
    for result in allocation.results():
        entries.append(result) if isinstance(result, LedgerEntry) else unpriced.append(result)
    if period is None:
        _check(bill, entries, unpriced)
    residuals = _residuals(bill, entries, unpriced)
    fees = Fees(timeline.session, scope.book, demand, period)
    for attempt in timeline.started:
        if attempt.remote and attempt.engine not in rules.own_engines:
            for result in fees.of(attempt, ends.get(attempt.attempt), activity.shares(attempt)):
                entries.append(result) if isinstance(result, LedgerEntry) else unpriced.append(result)
    entries.sort(key=_place)
    unpriced.sort(key=_place)
    alive = [each.attempt for each in timeline.started if each.attempt not in ends and running(each.process)]
    return Ledger(
        tuple(entries),
        LedgerTotals.of(entries),
        tuple(unpriced),
        residuals,
        (bill,),
        under_way=frozenset(alive),
        work=work,
    )


def _rates(opened: SessionOpened, timeline: NodeTimeline, until: int, scope: _Scope) -> list[Rate]:
    try:
        rules = scope.rules
        return find_rates(opened, timeline.prices, until, scope.book, rules.node_price, book_first=rules.book_first)
    except MoneyError as error:
        # One price that cannot be read must not take the other machines out of the books: this one is unpriced.
        scope.errors.append(f"session {opened.session}: {error}")
        return [Rate(opened.at, until, None, "", "")]


def _boot_end(timeline: NodeTimeline, end: int) -> int:
    """First instant of the first process: of one that computes, else of the worker, which beats at once."""
    first = timeline.first_sign()
    return end if first is None else first


def _check(bill: BilledSession, entries: Sequence[LedgerEntry], unpriced: Sequence[Unpriced]) -> None:
    """Every fold proves its own conservation, in amounts and in time."""
    sums: dict[str, int] = dict.fromkeys(bill.totals(), 0)
    for entry in entries:
        sums[entry.currency] = sums.get(entry.currency, 0) + entry.nano
    time = sum(entry.unit_ms for entry in entries) + sum(usage.quantity for usage in unpriced)
    if sums != bill.totals() or time != bill.billed_until - bill.start:
        raise ConservationError(
            f"session {bill.session}: entries of {sums} and {time} ms for a bill of {bill.totals()} and "
            f"{bill.billed_until - bill.start} ms",
            "this is a defect in Segue; the facts are not damaged",
        )


def _residuals(
    bill: BilledSession, entries: Sequence[LedgerEntry], unpriced: Sequence[Unpriced]
) -> tuple[Residual, ...]:
    why = "the provider's increment or minimum, beyond the machine's life"
    found = [
        Residual(bill.session, entry.unit_ms, entry.nano, entry.currency, why)
        for entry in entries
        if entry.bucket is Bucket.UNATTRIBUTED
    ]
    found += [
        Residual(bill.session, usage.quantity, 0, "", why) for usage in unpriced if usage.bucket is Bucket.UNATTRIBUTED
    ]
    return tuple(sorted(found, key=_residual_place))


def _place(each: LedgerEntry | Unpriced) -> tuple[str, int, str, str]:
    return each.session, each.start, each.attempt, each.id


def _residual_place(each: Residual) -> tuple[str, str, int, int]:
    return each.session, each.currency, each.ms, each.nano
