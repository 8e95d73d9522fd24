"""The price book's gate: no row without a source and a day, no instant with two prices, no old price unnoticed."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from ledger.currencies import CURRENCIES
from ledger.prices import Meter, PriceBook, PriceRow, instant_text

#: Days after which a price that still holds should be looked at again.
STALE_AFTER_DAYS = 180
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_book(book: PriceBook, today: date | None = None) -> list[str]:
    """One line for each thing that is wrong with the book; an empty list is a sound book.

    Within a layer, an open end is closed by the row that follows; two rows that begin together, and a row that ends
    after the next one has begun, overlap. With ``today``, a row seen in the future is wrong.
    """
    problems: list[str] = []
    for layer in book.layers:
        for row in layer:
            problems += [f"{row.id}: {problem}" for problem in _flaws(row, today)]
        problems += _overlaps(layer)
    return problems


def _flaws(row: PriceRow, today: date | None) -> list[str]:
    flaws: list[str] = []
    if row.currency not in CURRENCIES:
        flaws.append(f"is in {row.currency}, which is no currency of ISO 4217")
    if not row.source_url:
        flaws.append("has no source")
    if today is not None and row.observed_at > today:
        flaws.append(f"was seen on {row.observed_at}, which is to come")
    if row.unit_price == 0:
        flaws.append("has the price 0; leave the row out, so that its usage is reported as unpriced")
    if row.spot and row.meter not in (Meter.NODE_HOUR, Meter.GPU_HOUR):
        flaws.append("only machines are spot")
    if row.meter in (Meter.NODE_HOUR, Meter.GPU_HOUR) and row.stage:
        flaws.append("a machine has no stage")
    return flaws


def _overlaps(layer: tuple[PriceRow, ...]) -> list[str]:
    by_thing: dict[tuple[str, str, str, str, bool], list[PriceRow]] = defaultdict(list)
    for row in layer:
        by_thing[row.key].append(row)
    problems: list[str] = []
    for rows in by_thing.values():
        ordered = sorted(rows, key=lambda row: (row.effective_from, row.id))
        for first, second in pairwise(ordered):
            begins = instant_text(second.effective_from)
            if first.effective_from == second.effective_from:
                problems.append(f"{first.id} and {second.id} price the same thing from the same day, {begins}")
            elif first.effective_to is not None and first.effective_to > second.effective_from:
                ends = instant_text(first.effective_to)
                problems.append(f"{first.id} ends on {ends}, after {second.id} has begun on {begins}")
    return problems


def stale_rows(book: PriceBook, today: date, days: int = STALE_AFTER_DAYS) -> list[str]:
    """One line for each row that still prices today's work and was last looked at over ``days`` ago."""
    at = int((datetime(today.year, today.month, today.day, tzinfo=UTC) - _EPOCH) / timedelta(milliseconds=1))
    return [
        f"{row.id} was seen on {row.observed_at}, {(today - row.observed_at).days} days ago; look at {row.source_url}"
        for row in book.current(at)
        if (today - row.observed_at).days > days
    ]
