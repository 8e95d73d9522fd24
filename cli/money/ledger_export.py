"""The ledger outside: CSV of entries for people and programs, JSON of a period for programs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import to_builtins

from accounting.fleet_ledger import FleetLedger
from accounting.periods import instant_text
from cli.money.ledger_groups import Group, table_json
from core.money import Money
from ledger.entries import LedgerEntry, Unpriced
from ledger.totals import Sum

#: Columns of the CSV: first what people read, then the fields of `--json`. An amount that nobody can price is an empty
#: cell, never 0.
COLUMNS = (
    "from_utc",
    "until_utc",
    "cost",
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
    """Entries, then usage without a price.

    ``cost`` is a decimal amount of the entry's currency and exact, ``amount`` the same in integer nano-units;
    ``from_utc`` and ``until_utc`` are ISO 8601, ``start`` and ``end`` the same in ms since the epoch.
    """
    writer = csv.DictWriter(sys.stdout, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    lines: Iterable[LedgerEntry | Unpriced] = chain(entries, unpriced)
    writer.writerows({**_for_people(one), **_cells(one.as_json())} for one in lines)


def _for_people(one: LedgerEntry | Unpriced) -> dict[str, str]:
    found = {"from_utc": utc_text(one.start), "until_utc": utc_text(one.end)}
    if isinstance(one, LedgerEntry):
        found["cost"] = Money(one.nano, one.currency).amount()
    return found


def _cells(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: safe_cell(value) for name, value in fields.items()}


def utc_text(at: int) -> str:
    """``2026-11-28T08:14:53.404Z``, of ms since the epoch."""
    return instant_text(at).replace("+00:00", "Z")


def safe_cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def fleet_json(ledger: FleetLedger, table: Mapping[Group, Mapping[str, Sum]], by: Sequence[str]) -> dict[str, Any]:
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
        "by": by[0] if len(by) == 1 else list(by),
        "table": table_json(table),
        "unpriced": [one.as_json() for one in ledger.unpriced],
        "residuals": to_builtins(ledger.residuals),
        "entries": [one.as_json() for one in ledger.entries],
        "late": [one.as_json() for one in ledger.late],
        "exchange": ledger.exchanged().as_json(),
        "price_book": ledger.book.digest,
        "errors": list(ledger.errors),
    }


def _amounts(totals: Any, dimension: str) -> dict[str, dict[str, int]]:
    from ledger.totals import Dimension

    found = totals.by(Dimension(dimension))
    return {name: {currency: sums.nano for currency, sums in each.items()} for name, each in found.items()}
