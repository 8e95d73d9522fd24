"""Whether price rows that were used are as they were: in the books that closed months keep, and in that of today."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from accounting.bills.bill import listed_prices
from accounting.closing import LEDGER, ClosedMonth, all_closed, book_name, parse_book
from cache.store import Store
from journals.chain import Flaw, LogProblem
from journals.log_ends import imported_rows
from ledger.price_book.price_history import rewritten_rows, rows_used, terms_digest
from ledger.price_book.prices import PriceBook, PriceBookError


def price_problems(store: Store, book: PriceBook, file: str, *, own: bool) -> list[str]:
    """One line for each row of ``book`` that is not as it was used, and for each kept book that is another.

    ``own``: whether ``file`` is the one that rows were imported into, which are compared as well. Raises StoreError
    when the disk fails.
    """
    closed, imported = all_closed(store), imported_rows(store) if own else {}
    found = [*kept_book_problems(store, closed), *row_problems(store, closed, imported, book, file)]
    return [f"{one.file}: {one.detail}" for one in found]


def kept_book_problems(store: Store, closed: Collection[ClosedMonth]) -> Iterator[LogProblem]:
    """Books of closed months that are there and are others than their digest says."""
    for digest in sorted({month.closing.book for month in closed}):
        data = store.read_document((LEDGER, book_name(digest)))
        if data is None:
            continue
        try:
            same = parse_book(data).digest == digest
        except (PriceBookError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            yield LogProblem(f"{LEDGER}/{book_name(digest)}", 0, Flaw.CHANGED, "its rows have another digest")


def row_problems(
    store: Store,
    closed: Collection[ClosedMonth],
    imported: Mapping[str, Collection[str]],
    book: PriceBook,
    file: str,
) -> Iterator[LogProblem]:
    """Rows of ``book``, which people keep in ``file``, that are not as a closed month or a bill used them, or imported.

    ``imported``: what rows were when `segue prices import` took them, by id.
    """
    for month in closed:
        data = store.read_document((LEDGER, book_name(month.closing.book)))
        if data is None:
            continue
        corrected = chain.from_iterable(now for now, _ in month.corrections.values())
        used = rows_used(chain(month.closing.entries.values(), month.late, corrected))
        try:
            kept = parse_book(data)
        except (PriceBookError, ValueError, KeyError, TypeError):
            continue
        for words in rewritten_rows(used, kept, book):
            yield LogProblem(file, 0, Flaw.CHANGED, f"{words}; {month.month} was closed with it")
    for listed in sorted({one.row for one in listed_prices(store) if one.row_changed(book)}):
        yield LogProblem(file, 0, Flaw.CHANGED, f"the row {listed} has other terms than a bill was reconciled with")
    for name, digests in sorted(imported.items()):
        row = book.row(name)
        if row is None:
            yield LogProblem(file, 0, Flaw.MISSING, f"the row {name} was imported, and is not there")
        elif terms_digest(row) not in digests:
            yield LogProblem(file, 0, Flaw.CHANGED, f"the row {name} has other terms than when it was imported")
