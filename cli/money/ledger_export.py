"""The ledger for programs: CSV of entries, JSON of a period."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from typing import Any

from msgspec import to_builtins

from accounting.fleet_ledger import FleetLedger
from ledger.entries import LedgerEntry, Unpriced
from ledger.totals import Sum

#: Columns of the CSV; an amount that nobody can price is an empty cell, never 0.
COLUMNS = (
    "id",
    "session",
    "attempt",
    "bucket",
    "stage",
    "engine",
    "job",
    "owner",
    "language",
    "node_ms",
    "start",
    "end",
    "amount",
    "currency",
    "price_row",
    "quality",
    "fake",
    "meter",
    "quantity",
    "why",
)


def print_csv(entries: Iterable[LedgerEntry], unpriced: Iterable[Unpriced]) -> None:
    """Entries, then usage without a price; amounts are integer nano-units, times ms since the epoch."""
    writer = csv.DictWriter(sys.stdout, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in entry.as_json().items()} for entry in entries)
    writer.writerows({name: safe_cell(value) for name, value in one.as_json().items()} for one in unpriced)


def safe_cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def fleet_json(ledger: FleetLedger, table: dict[str, dict[str, Sum]], by: str) -> dict[str, Any]:
    """The object that ``segue ledger --json`` prints; amounts by currency, in nano-units."""
    period = ledger.period
    return {
        "period": None if period is None else {"start": period.start, "end": period.end},
        "standing": ledger.standing.value,
        "spent": {
            "total": ledger.totals.whole(),
            "by_bucket": _amounts(ledger.totals, "bucket"),
            "by_stage": _amounts(ledger.totals, "stage"),
            "fake": ledger.totals.whole(fake=True),
        },
        "by": by,
        "table": {
            name: {currency: {"amount": sums.nano, "node_ms": sums.ms} for currency, sums in found.items()}
            for name, found in table.items()
        },
        "unpriced": [one.as_json() for one in ledger.unpriced],
        "residuals": to_builtins(ledger.residuals),
        "entries": [one.as_json() for one in ledger.entries],
        "late": [one.as_json() for one in ledger.late],
        "price_book": ledger.folded.book,
        "errors": list(ledger.errors),
    }


def _amounts(totals: Any, dimension: str) -> dict[str, dict[str, int]]:
    from ledger.totals import Dimension

    found = totals.by(Dimension(dimension))
    return {name: {currency: sums.nano for currency, sums in each.items()} for name, each in found.items()}
