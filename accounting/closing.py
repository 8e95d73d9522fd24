"""Closings as they lie on the disk: documents that are written once and read back whole.

A closing holds the month's entries, the digest over them, the price book they were made with, and how far each journal
had been written. The rows of each book are kept beside it, so that the month can be priced again by the same prices.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from msgspec import convert

from accounting.fleet_ledger import PricingRules
from accounting.periods import month_text
from accounting.sharing.people import PeopleRules
from cache.store import Store
from core.errors import StoreError
from core.keys import canonical_json
from ledger.closing import Closing, close_period
from ledger.entries import LedgerEntry, Period, Unpriced
from ledger.price_book.price_files import parse_toml, toml_of
from ledger.price_book.prices import PriceBook

LEDGER = "ledger"
#: With which the names of closings begin.
CLOSED, _BOOK = "closed-", "book-"
_VERSION = 1


@dataclass(frozen=True)
class ClosedMonth:
    """One closing as it lies on the disk."""

    #: ``2026-10``.
    month: str
    #: When it was closed, UTC, ISO 8601.
    at: str
    #: The entries and the digest over them.
    closing: Closing
    #: The digest that was written.
    digest: str
    #: How facts were priced.
    rules: PricingRules
    #: Usage without a price.
    unpriced: tuple[Unpriced, ...]
    #: Differences of months that were closed before, which were entered here.
    late: tuple[LedgerEntry, ...]
    #: What months closed before then stood for: month -> entries that are other or new, and ids that are gone.
    corrections: Mapping[str, tuple[tuple[LedgerEntry, ...], tuple[str, ...]]]
    #: How many facts each journal had, by its path below home.
    heads: Mapping[str, int]
    #: Number of sealed lines and hash of the last, by journal.
    anchors: Mapping[str, tuple[int, str]]
    #: People's hours and rate; None where they were not said, or nobody asked for them yet.
    people: PeopleRules | None = None

    @property
    def period(self) -> Period:
        """Its stretch of time."""
        return self.closing.period


def closed_months(store: Store) -> frozenset[int]:
    """First instants of the months that are closed."""
    return frozenset(Period.month(month).start for month in _closed_names(store))


def _closed_names(store: Store) -> list[str]:
    names = [name for name in store.children((LEDGER,)) if name.startswith(CLOSED) and name.endswith(".json")]
    return sorted(name.removeprefix(CLOSED).removesuffix(".json") for name in names)


def read_closed(store: Store, month: str) -> ClosedMonth | None:
    """A closing; None when the month is open. Raises StoreError for one of another version or a damaged one."""
    data = store.read_document((LEDGER, f"{CLOSED}{month}.json"))
    if data is None:
        return None
    value = json.loads(data)
    if value.get("v") != _VERSION:
        raise StoreError(f"the closing of {month} is of version {value.get('v')}", "use the version that wrote it")
    entries = convert(value["entries"], tuple[LedgerEntry, ...])
    return ClosedMonth(
        month=month,
        at=str(value["at"]),
        closing=close_period(Period.month(month), entries, str(value["book"])),
        digest=str(value["digest"]),
        rules=read_pricing(value["rules"]),
        unpriced=convert(value["unpriced"], tuple[Unpriced, ...]),
        late=convert(value["late"], tuple[LedgerEntry, ...]),
        corrections={
            name: (convert(found["now"], tuple[LedgerEntry, ...]), tuple(found["gone"]))
            for name, found in value["corrections"].items()
        },
        heads=dict(value["heads"]),
        anchors={name: (int(lines), str(head)) for name, (lines, head) in value["anchors"].items()},
        people=_people(value),
    )


def read_pricing(value: Mapping[str, Any], now: int | None = None) -> PricingRules:
    """How facts were priced, as `pricing_json` wrote it."""
    # The first closings were not cut by day.
    own, by_day = frozenset(value["own_engines"]), bool(value.get("by_day", False))
    return PricingRules(
        str(value["node_rate"]), own, book_first=bool(value.get("book_first", False)), now=now, by_day=by_day
    )


def pricing_json(rules: PricingRules) -> dict[str, Any]:
    """How facts are priced, as a closing keeps it."""
    return {
        "node_rate": rules.node_rate,
        "book_first": rules.book_first,
        "own_engines": sorted(rules.own_engines),
        "by_day": rules.by_day,
    }


def _people(value: Mapping[str, Any]) -> PeopleRules | None:
    found = value.get("people")
    return (
        None if found is None else PeopleRules(str(found["hours"]), str(found["rate"]), str(found.get("expected", "")))
    )


def _people_json(rules: PeopleRules) -> dict[str, str]:
    return {"hours": rules.hours, "rate": rules.rate, "expected": rules.expected}


def closed_people(store: Store) -> Callable[[int], PeopleRules | None]:
    """`PeopleRules.closed` of a store: each closing is read when its month is asked for, once. Raises StoreError."""

    @cache
    def frozen(start: int) -> PeopleRules | None:
        data = store.read_document((LEDGER, f"{CLOSED}{month_text(start)}.json"))
        return None if data is None else _people(json.loads(data)) or PeopleRules()

    return frozen


def all_closed(store: Store) -> list[ClosedMonth]:
    """Every closing, by month."""
    found = [read_closed(store, month) for month in _closed_names(store)]
    return [each for each in found if each is not None]


def stands_for(month: ClosedMonth, closed: Iterable[ClosedMonth]) -> Closing:
    """What a closed month and everything that was entered of it later sum to."""
    entries = dict(month.closing.entries)
    for other in sorted(closed, key=lambda each: each.at):
        now, gone = other.corrections.get(month.month, ((), ()))
        entries.update({entry.id: entry for entry in now})
        for name in gone:
            entries.pop(name, None)
    return Closing(month.period, entries, month.closing.book)


def write_closed(store: Store, month: ClosedMonth, book: PriceBook) -> None:
    """Makes a closing and its price book durable. The first closing of a month stays. Raises StoreError."""
    text = {"layers": ["\n".join(toml_of(row) for row in layer) for layer in book.layers]}
    store.write_once((LEDGER, book_name(book.digest)), canonical_json(text))
    value = {
        "v": _VERSION,
        "month": month.month,
        "at": month.at,
        "book": month.closing.book,
        "digest": month.digest,
        "rules": pricing_json(month.rules),
        "entries": [entry.as_json() for entry in month.closing.entries.values()],
        "unpriced": [usage.as_json() for usage in month.unpriced],
        "late": [entry.as_json() for entry in month.late],
        "corrections": {
            name: {"now": [entry.as_json() for entry in now], "gone": list(gone)}
            for name, (now, gone) in month.corrections.items()
        },
        "heads": dict(month.heads),
        "anchors": {name: [lines, head] for name, (lines, head) in month.anchors.items()},
        "people": None if month.people is None else _people_json(month.people),
    }
    store.write_once((LEDGER, f"{CLOSED}{month.month}.json"), canonical_json(value))


def read_book(store: Store, digest: str) -> PriceBook:
    """The price book of a closing. Raises StoreError when it is gone or is another one."""
    data = store.read_document((LEDGER, book_name(digest)))
    if data is not None:
        book = parse_book(data)
        if book.digest == digest:
            return book
    raise StoreError(f"the price book {digest[:16]} of a closed month is gone", "give one with --price-file")


def book_name(digest: str) -> str:
    """The name of a kept price book's document."""
    return f"{_BOOK}{digest}.json"


def parse_book(data: bytes) -> PriceBook:
    """A kept price book. Raises PriceBookError, ValueError, KeyError for what is none."""
    layers = json.loads(data)["layers"]
    return PriceBook(tuple(parse_toml(text, f"layer {place}") for place, text in enumerate(layers)))
