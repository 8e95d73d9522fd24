"""A closed month stays closed: what is learned later is entered into the next one, and the sum is always right."""

from __future__ import annotations

import random
from collections import Counter

from fleet_simulation import MONTH_EDGE, price_book, simulate

from ledger.closing import close_period, extended, late_entries
from ledger.entries import LedgerEntry, Period
from ledger.fold import Ledger, fold

BOOK = price_book()
BEFORE, AFTER = Period(0, MONTH_EDGE), Period(MONTH_EDGE, 10**15)


def sums(entries: list[LedgerEntry]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        found[entry.job, entry.currency] += entry.nano
    return found


def nonzero(found: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    return {place: nano for place, nano in found.items() if nano}


def test_facts_that_come_late_are_entered_into_the_next_month() -> None:
    corrected = 0
    for seed in range(60):
        rng = random.Random(seed)
        fleet = simulate(seed)

        def books(share: float, rng: random.Random = rng, fleet: object = fleet) -> Ledger:
            known = [fact for fact in simulate(seed).facts if rng.random() < share]  # noqa: B023
            return fold(known, simulate(seed).made_by, simulate(seed).wants, BOOK, BEFORE)  # noqa: B023

        closing = close_period(BEFORE, books(0.9).entries, BOOK.digest)
        later = books(0.95)
        first = late_entries(closing, later.entries, AFTER)
        now = fold(fleet.facts, fleet.made_by, fleet.wants, BOOK, BEFORE)
        second = late_entries(extended(closing, later.entries), now.entries, Period(AFTER.start + 1, AFTER.end))
        corrected += len(first) + len(second)
        told = [*closing.entries.values(), *first, *second]
        assert nonzero(sums(told)) == nonzero(sums(list(now.entries)))
        assert all(entry.start >= MONTH_EDGE for entry in first + second)
        assert len({entry.id for entry in told}) == len(told)
    assert corrected > 100


def test_nothing_new_is_no_entry() -> None:
    fleet = simulate(1)
    books = fold(fleet.facts, fleet.made_by, fleet.wants, BOOK, BEFORE)
    closing = close_period(BEFORE, books.entries, books.book)
    assert late_entries(closing, books.entries, AFTER) == []
    assert closing.digest == close_period(BEFORE, reversed(books.entries), books.book).digest
    assert closing.digest != close_period(BEFORE, books.entries[1:], books.book).digest
