"""Rows of the price book that were used: a row is never rewritten, a new price is a row with an id of its own."""

from __future__ import annotations

from collections.abc import Iterable

from core.keys import digest_value
from ledger.entries import LedgerEntry
from ledger.price_book.prices import NEW_ID, TERMS, PriceBook, PriceRow, changed_terms


def terms_digest(row: PriceRow) -> str:
    """A digest of what a row's amounts depend on."""
    said = row.as_json()
    return digest_value([str(said[name]) for name in TERMS])


def rows_used(entries: Iterable[LedgerEntry]) -> dict[str, int]:
    """The last instant at which each row priced something, by the row's id."""
    found: dict[str, int] = {}
    for entry in entries:
        name = entry.price_row.partition("#")[0]
        found[name] = max(found.get(name, entry.start), entry.start)
    return found


def rewritten_rows(used: dict[str, int], kept: PriceBook, now: PriceBook) -> list[str]:
    """What became of rows that were used under ``kept`` and that ``now`` has otherwise, one line each.

    A row that ``now`` does not have is no matter: the kept book has it.
    """
    problems = []
    for name, last in sorted(used.items()):
        before, row = kept.row(name), now.row(name)
        if before is None or row is None:
            continue
        if change := changed_terms(before, row, but=("effective_to",)):
            problems.append(f"the row {name} has been used, and {change}; leave it as it was, and {NEW_ID}")
        elif before.holds(last) and not row.holds(last):
            problems.append(f"the row {name} ends before it was last used")
    return problems
