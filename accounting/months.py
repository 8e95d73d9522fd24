"""Months of the books: what a period cost, and closing a month so that it stays as it is.

What is learned of a closed month later is entered, as a difference, into the first open month after it, and is frozen
with that one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from accounting.bills.bill import reconciled_sessions
from accounting.checks.verify import verify_store
from accounting.closing import ClosedMonth, all_closed, closed_months, read_book, read_closed, stands_for, write_closed
from accounting.facts import FactReader, LedgerFacts
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts, ledger_of
from accounting.kept.period_totals import read_totals
from accounting.late_entries import read_late
from accounting.periods import instant_text, month_after, month_of, month_text, now_ms
from accounting.report import Finality
from accounting.sharing.month_use import month_uses
from accounting.sharing.people import PeopleRules, PeopleShares, whole_months
from cache.store import Store
from core.errors import StoreError, UsageError
from journals.facts import parse_instant
from journals.log_ends import keep_documents
from ledger.closing import Closing, close_period, extended, late_entries
from ledger.entries import LedgerEntry, Period
from ledger.price_book.prices import PriceBook
from ledger.totals import Dimension

# -- reading a period ----------------------------------------------------------------------------------------


def read_period(store: Store, book: PriceBook, rules: PricingRules, period: Period) -> FleetLedger:
    """The fleet's books of a period: closed months as they were closed, the rest as the facts say now.

    A period that cuts a closed month shows that part as the facts say now.
    """
    taken = closed_months(store)
    if any(month.start in taken for month in whole_months(period)):
        return _read_with_closed(store, book, rules, period)
    ledger = read_totals(store, book, rules, period)
    found = (
        entry
        for start in sorted(taken)
        if period.start <= (following := first_open(month_of(start), taken)).start < period.end
        for entry in read_late(store, month_of(start), following, now_ms())
    )
    ledger = ledger.with_late(tuple(rules.exchange.entries(found))) if taken else ledger
    return replace(ledger, standing=_standing(store, ledger, period, {(rules.said, book.digest)}, book))


def first_open(month: Period, taken: Collection[int]) -> Period:
    """The first month after a closed one that is open; ``taken``: first instants of those that are closed."""
    following = month_after(month)
    while following.start in taken:
        following = month_after(following)
    return following


def late_months(store: Store, job_id: str, months: Collection[int]) -> frozenset[int]:
    """First instants of the months into which anything of a job was entered since those it ran in were closed."""
    taken = closed_months(store)
    frozen = sorted(taken & set(months))
    if not frozen:
        return frozenset()
    found = {
        each.period.start
        for each in all_closed(store)
        if each.period.start > frozen[0] and any(entry.job == job_id for entry in each.late)
    }
    for start in frozen:
        following = first_open(month_of(start), taken)
        if any(entry.job == job_id for entry in read_late(store, month_of(start), following, now_ms())):
            found.add(following.start)
    return frozenset(found)


def _read_with_closed(store: Store, book: PriceBook, rules: PricingRules, period: Period) -> FleetLedger:
    """As `read_period`, of one with a closed month in it: everything is read and folded."""
    reader = FactReader(store)
    reader.keep_usage(None)
    facts = reader.facts(reader.sessions())
    closed = all_closed(store)
    frozen = {each.period: each for each in closed}
    pieces = [(piece, frozen.get(piece)) for piece in _pieces(period, frozen)]
    parts = [fold_facts(facts, book, rules, piece) for piece, month in pieces if month is None]
    kept = [month for _, month in pieces if month is not None]
    found_late = (entry for found in _late(store, facts, closed, period).values() for entry in found.entries)
    late = tuple(rules.exchange.entries(found_late))
    base = parts[0] if parts else fold_facts(facts, book, rules, Period(period.start, period.start))
    frozen_entries = (entry for month in kept for entry in (*month.closing.entries.values(), *month.late))
    entries = [entry for part in parts for entry in part.entries]
    entries += [*late, *rules.exchange.entries(frozen_entries)]
    ordered = tuple(sorted(entries, key=lambda entry: (entry.session, entry.start, entry.attempt, entry.id)))
    unpriced = [usage for part in parts for usage in part.unpriced]
    unpriced += [usage for month in kept for usage in month.unpriced]
    said = {(month.rules.said, month.closing.book) for month in kept}
    said |= {(rules.said, book.digest)} if parts else set()
    ledger = ledger_of(replace(base.lines(), entries=ordered, unpriced=tuple(unpriced)), book, rules, period)
    return replace(
        ledger,
        residuals=tuple(each for part in parts for each in part.residuals),
        late=late,
        standing=_standing(store, ledger, period, said, None if len(kept) == len(pieces) else book),
        errors=tuple(sorted({line for part in (base, *parts) for line in part.errors})),
    )


def with_people(ledger: FleetLedger, rules: PeopleRules, currency: str) -> tuple[FleetLedger, tuple[str, ...]]:
    """The same books with the people of each month that is wholly in the period, and what is to be said of them.

    Raises MoneyError, UsageError.
    """
    rules = rules.into(currency)
    months = [] if ledger.period is None else list(whole_months(ledger.period))
    said = any(rules.of(month.start).monthly(currency) is not None for month in months)
    shares = PeopleShares(ledger, rules, currency, month_uses(ledger) if said else {})
    notes = (*shares.notes(), *_cut_notes(ledger.period))
    return ledger.adding(entry for month in months for entry in shares.month(month)) if said else ledger, notes


def _cut_notes(period: Period | None) -> Iterator[str]:
    """What a period that has a part of a month cannot say of it, a line each."""
    if period is None:
        return
    for month in dict.fromkeys((month_of(period.start), month_of(period.end - 1))):
        if period.start > month.start or period.end < month.end:
            yield (
                f"{month_text(month.start)} is here in part: its people are in no amount, and the fleet's idle is "
                "shared by these days alone, not as in the whole month"
            )


def _pieces(period: Period, frozen: Mapping[Period, ClosedMonth]) -> Iterator[Period]:
    """The period's months; neighbours that are open are one piece."""
    open_from: int | None = None
    at = period.start
    while at < period.end:
        month = month_of(at)
        end = min(month.end, period.end)
        if month in frozen and at == month.start and end == month.end:
            if open_from is not None:
                yield Period(open_from, at)
                open_from = None
            yield month
        elif open_from is None:
            open_from = at
        at = end
    if open_from is not None:
        yield Period(open_from, period.end)


@dataclass(frozen=True)
class _Late:
    """What a closed month is found to have been, beyond what is in the books of it."""

    #: The differences, at the first instant of an open month.
    entries: tuple[LedgerEntry, ...]
    #: What the month stood for until now.
    stood: Closing
    #: What it stands for with them.
    stands: Closing

    def correction(self) -> tuple[tuple[LedgerEntry, ...], tuple[str, ...]]:
        """(entries that are other or new, ids that are gone)."""
        before, now = self.stood.entries, self.stands.entries
        changed = tuple(entry for name, entry in now.items() if before.get(name) != entry)
        return changed, tuple(sorted(before.keys() - now.keys()))


def _late(store: Store, facts: LedgerFacts, closed: Sequence[ClosedMonth], period: Period) -> dict[str, _Late]:
    """By closed month, for those whose first open month begins in ``period``; each under its own price book."""
    taken = {each.period.start for each in closed}
    found = {}
    for month in closed:
        following = first_open(month.period, taken)
        if not period.start <= following.start < period.end:
            continue
        stood = stands_for(month, closed)
        rules = replace(month.rules, now=now_ms())
        now = fold_facts(facts, read_book(store, stood.book), rules, month.period).entries
        late = tuple(late_entries(stood, now, following))
        if late:
            found[month.month] = _Late(late, stood, extended(stood, now))
    return found


def _standing(
    store: Store,
    ledger: FleetLedger,
    period: Period,
    said: Collection[tuple[str, str]],
    book: PriceBook | None,
) -> Finality:
    """``said``: what the entries' books were told of machines of no known price, and their price books' digests.

    ``book``: that of the part that is not closed; None where all of it is.
    """
    sessions = {session for session in ledger.by(Dimension.NODE) if session}
    # Books are long; without bills none is read.
    if sessions and sessions <= reconciled_sessions(store, period):
        price_books = {
            digest: book if book and book.digest == digest else _kept_book(store, digest) for _, digest in said
        }
        if all(sessions <= reconciled_sessions(store, period, rate, price_books[digest]) for rate, digest in said):
            return Finality.RECONCILED
    return Finality.CLOSED if book is None else Finality.PROVISIONAL


def _kept_book(store: Store, digest: str) -> PriceBook:
    """A closing's price book; one that says nothing where it is gone."""
    try:
        return read_book(store, digest)
    except StoreError:
        return PriceBook(())


def _nobody(_entries: Sequence[LedgerEntry]) -> None:
    """No hours are said."""


def close_month(
    store: Store,
    text: str,
    book: PriceBook,
    rules: PricingRules,
    people: Callable[[Sequence[LedgerEntry]], PeopleRules | None] = _nobody,
) -> ClosedMonth:
    """Freezes a month as the facts say now. Raises UsageError for one that is not over or is closed already.

    Every amount stays in the currency of its price, and is cut by day, so that it can be shown in another one later.
    ``people``: `PeopleRules.frozen`, given the month's entries.
    """
    period = Period.month(text)
    now = now_ms()
    if period.end > now:
        raise UsageError(f"{text} is not over", f"the last month that can be closed is {_before(now)}")
    if read_closed(store, text) is not None:
        raise UsageError(f"{text} is closed already", "what is learned of it later goes into the first open month")
    reader = FactReader(store)
    facts = reader.facts(reader.sessions())
    rules = replace(rules.native, by_day=True)
    ledger = fold_facts(facts, book, replace(rules, now=now), period)
    late = _late(store, facts, all_closed(store), period)
    closing = close_period(period, ledger.entries, book.digest)
    checked = verify_store(store)
    month = ClosedMonth(
        month=text,
        at=instant_text(now),
        closing=closing,
        digest=closing.digest,
        rules=rules,
        unpriced=ledger.unpriced,
        late=tuple(entry for each in late.values() for entry in each.entries),
        corrections={name: each.correction() for name, each in late.items()},
        heads=facts.heads,
        anchors={anchor.file: (anchor.lines, anchor.head) for anchor in checked.heads},
        people=people(ledger.entries),
    )
    write_closed(store, month, book)
    keep_documents(store)
    return read_closed(store, text) or month


def _before(at: int) -> str:
    return month_text(month_of(at).start - 1)


@dataclass(frozen=True)
class Replay:
    """A closed month priced again."""

    #: The month.
    month: ClosedMonth
    #: The entries as they come out now.
    entries: tuple[LedgerEntry, ...]
    #: The book they were priced with.
    book: str
    #: Digest over them.
    digest: str

    @property
    def same(self) -> bool:
        """Whether every byte that the closing's digest is over came out again."""
        return self.digest == self.month.digest


def replay_month(store: Store, text: str, book: PriceBook | None, rules: PricingRules | None = None) -> Replay:
    """The month from the facts that its closing knew, under its own price book or another. Raises UsageError."""
    month = read_closed(store, text)
    if month is None:
        raise UsageError(f"{text} is not closed", f"close it first: segue ledger close {text}")
    used = book or read_book(store, month.closing.book)
    reader = FactReader(store, month.heads)
    facts = reader.facts(reader.sessions())
    chosen = replace(rules or month.rules, now=parse_instant(month.at))
    ledger = fold_facts(facts, used, chosen, month.period)
    closing = close_period(month.period, ledger.entries, used.digest)
    return Replay(month, ledger.entries, used.digest, closing.digest)
