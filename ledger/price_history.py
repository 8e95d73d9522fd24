"""Rows of the price book that were used: a row is never rewritten, a new price is a row with an id of its own."""

from __future__ import annotations

from collections.abc import Iterable

from core.keys import digest_value
from ledger.entries import LedgerEntry
from ledger.prices import PriceBook, PriceRow

#: What a row's amounts depend on. When it was looked at, by whom and until when it holds may be learned later.
_TERMS = (
    "provider",
    "meter",
    "sku",
    "stage",
    "region",
    "spot",
    "unit_price",
    "per",
    "currency",
    "billing_increment",
    "rounding",
    "minimum_quantity",
    "effective_from",
)


def terms_digest(row: PriceRow) -> str:
    """A digest of what a row's amounts depend on."""
    said = row.as_json()
    return digest_value([str(said[name]) for name in _TERMS])


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
        if terms_digest(before) != terms_digest(row):
            problems.append(f"the row {name} was {_terms(before)} when it was used, and is {_terms(row)} now")
        elif before.holds(last) and not row.holds(last):
            problems.append(f"the row {name} ends before it was last used")
    return problems


def _terms(row: PriceRow) -> str:
    return f"{row.unit_price} {row.currency} per {row.per} {row.meter.value}"
