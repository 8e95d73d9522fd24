"""Price rows against what amounts were priced with before: rows are appended, and what a row charged never changes.

Open months are priced anew with every reading. What stays is a closed month, whose book is kept beside it, and a
reconciled bill, which keeps the terms of the rows that its machines were priced by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accounting.bill import listed_prices
from accounting.closing import all_closed, read_book
from cache.store import Store
from core.errors import StoreError
from ledger.prices import NEW_ID, PriceBook, PriceRow, changed_terms

_AS_IT_WAS = f"leave it as it was, and {NEW_ID}"


@dataclass(frozen=True)
class PriceHistory:
    """What a book says of the rows that the store's amounts were priced with."""

    #: One line for each row that charges something else now, and for each kept book that is gone or another one.
    changed: tuple[str, ...]
    #: One line for each row that the book has no more; it may have stood in another file, so it is a warning.
    missing: tuple[str, ...]


def price_history(store: Store, book: PriceBook) -> PriceHistory:
    """Compares ``book`` with the store's closed months and reconciled bills, by the rows' ids.

    A price that was open may be ended, but not before the end of a month that was closed with it. Raises StoreError
    when the disk fails.
    """
    changed: dict[str, str] = {}
    missing: dict[str, str] = {}
    for month in all_closed(store):
        used = {entry.price_row.partition("#")[0] for entry in month.closing.entries.values()}
        try:
            kept = read_book(store, month.closing.book)
        except StoreError as error:
            changed[month.closing.book] = f"{month.month}: {error.message}"
            continue
        for row in kept.rows:
            now = book.row(row.id)
            if now is None and row.id in used:
                missing[row.id] = f"{row.id} priced {month.month} and is in no book that was read"
            elif now is not None and (change := _change(row, now, month.period.end)):
                changed[row.id] = f"{row.id} was in the book of {month.month}: {change}; {_AS_IT_WAS}"
    for line, row_id in _of_bills(store, book):
        changed.setdefault(row_id, line)
    return PriceHistory(tuple(changed.values()), tuple(missing.values()))


def _change(before: PriceRow, now: PriceRow, closed_until: int) -> str:
    ended_later = before.effective_to is None and now.effective_to is not None and now.effective_to >= closed_until
    return changed_terms(before, now, but=("effective_to",) if ended_later else ())


def _of_bills(store: Store, book: PriceBook) -> Iterator[tuple[str, str]]:
    for listed in listed_prices(store):
        if listed.row_changed(book):
            yield f"{listed.row} priced a machine of a reconciled bill at other terms; {_AS_IT_WAS}", listed.row
