"""The price book's gate: no row without a source and a day, no instant with two prices, no old price and no end of a
model unnoticed."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from ledger.currencies import CURRENCIES
from ledger.price_book.prices import Meter, PriceBook, PriceRow, instant_text
from ledger.price_book.sources import unsourced

#: Days after which a price that still holds should be looked at again.
STALE_AFTER_DAYS = 180
#: Days before its end from which a model's retirement is named: time enough to test another one.
ENDS_SOON_DAYS = 90
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
        problems += _disagreements(layer)
    return problems


def _flaws(row: PriceRow, today: date | None) -> list[str]:
    flaws: list[str] = []
    if row.currency not in CURRENCIES:
        flaws.append(f"is in {row.currency}, which is no currency of ISO 4217")
    if not row.source_url:
        flaws.append("has no source")
    elif unsourced(row):
        flaws.append(unsourced(row))
    if today is not None and row.observed_at > today:
        flaws.append(f"was seen on {row.observed_at}, which is to come")
    if row.unit_price == 0:
        flaws.append("has the price 0; leave the row out, so that its usage is reported as unpriced")
    if row.spot and row.meter not in (Meter.NODE_HOUR, Meter.GPU_HOUR):
        flaws.append("only machines are spot")
    if row.meter in (Meter.NODE_HOUR, Meter.GPU_HOUR) and row.stage:
        flaws.append("a machine has no stage")
    if row.tier is not None and row.tier.stage != row.stage:
        flaws.append(f"is of the {row.tier}, which does the work of the stage {row.tier.stage}")
    if row.retired(row.effective_from):
        flaws.append(f"its model ended on {row.retirement_day}, before the price began; leave the row out")
    return flaws


def _disagreements(layer: tuple[PriceRow, ...]) -> list[str]:
    """A model has one class and, in a region, one end, whatever is counted and whichever price holds."""
    by_model: dict[tuple[str, str, str, str], PriceRow] = {}
    problems: list[str] = []
    for row in layer:
        first = by_model.setdefault((row.provider, row.sku, row.stage, row.region), row)
        if row.tier != first.tier:
            problems.append(f"{first.id} and {row.id} are of one model, and of two tiers")
        if row.retired_from != first.retired_from:
            problems.append(f"{first.id} and {row.id} are of one model, and say two days of its end")
    return problems


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
    return [
        f"{row.id} was seen on {row.observed_at}, {(today - row.observed_at).days} days ago; look at {row.source_url}"
        for row in book.current(_instant_of(today))
        if (today - row.observed_at).days > days
    ]


def ending_models(book: PriceBook, today: date, days: int = ENDS_SOON_DAYS) -> list[str]:
    """One line for each model that has a price today and has ended, or ends within ``days``; the first to end first."""
    ends = {
        (row.retirement_day, f"{row.provider}/{row.sku}")
        for row in book.current(_instant_of(today))
        if row.retired(_instant_of(today + timedelta(days=days)))
    }
    return [_ending(model, date.fromisoformat(day), today) for day, model in sorted(ends)]


def _ending(model: str, day: date, today: date) -> str:
    if day <= today:
        return f"{model} ended on {day}; work from then on is not compared with it"
    left = (day - today).days
    return f"{model} ends on {day}, in {left} day{'' if left == 1 else 's'}; choose another for later work"


def _instant_of(day: date) -> int:
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH) / timedelta(milliseconds=1))
