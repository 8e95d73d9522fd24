"""What this month will have cost at its end, from what has run: by bucket, without people and with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

from accounting.fleet_ledger import FleetLedger, PricingRules
from accounting.months import read_period
from accounting.periods import month_of, month_text
from accounting.sharing.month_use import NODE_TIME
from accounting.sharing.people import PeopleRules
from cache.store import Store
from core.money import Money, split
from ledger.entries import DAY_MS, Bucket, LedgerEntry, Period
from ledger.exchange import Exchanged
from ledger.forecast import LEAST_DAYS, MOST_DAYS, rest_by_part
from ledger.price_book.prices import PriceBook
from ledger.speed import Spread
from ledger.totals import Dimension


@dataclass(frozen=True)
class CurrencyForecast:
    """One currency's amounts, people not among them; nano-units."""

    #: What was paid in the month so far, by bucket.
    so_far: Mapping[str, int]
    #: The same at the month's end; empty where there is no forecast.
    at_end: Mapping[str, Spread]
    #: All buckets at the month's end; None where there is no forecast.
    whole: Spread | None

    @property
    def paid(self) -> int:
        """All that was paid so far."""
        return sum(self.so_far.values())


@dataclass(frozen=True)
class MonthForecast:
    """What a month will have cost."""

    #: The month.
    month: Period
    #: The instant of asking.
    now: int
    #: Whole days that it rests on.
    days: int
    #: By currency.
    amounts: Mapping[str, CurrencyForecast] = field(default_factory=dict)
    #: A month's people, at least and at most; None where ``people_unknown`` says why.
    people: tuple[Money, Money] | None = None
    people_unknown: str = ""
    #: Node time without a price in the month so far and in the days that it rests on, in ms: in no amount.
    unpriced_ms: int = 0
    #: The exchange rates that it rests on, and what lacks one.
    exchanged: Exchanged = field(default_factory=Exchanged)
    #: Whether other usage (requests at an API) has no price either.
    unpriced_fees: bool = False

    @property
    def left(self) -> Fraction:
        """Days of the month that are left."""
        return Fraction(self.month.end - self.now, DAY_MS)

    @property
    def why_none(self) -> str:
        """Why there is no forecast, in words; empty where there is one."""
        if self.days >= LEAST_DAYS:
            return ""
        return f"{self.days} whole days of history are too few for a forecast, which takes {LEAST_DAYS}"

    def with_people(self, currency: str) -> Spread | None:
        """The month's end with the people; None where either is not known in this currency."""
        whole = self.amounts[currency].whole
        if whole is None or self.people is None or self.people[0].currency != currency:
            return None
        low, high = (end.nano for end in self.people)
        return whole + Spread(low, (low + high) // 2, high)

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units; null where there is no forecast."""
        people = self.people
        return {
            "month": month_text(self.month.start),
            "now": self.now,
            "days_of_history": self.days,
            "days_left": round(float(self.left), 3),
            "why_none": self.why_none,
            "amounts": {
                currency: {
                    "so_far": {"total": each.paid, "by_bucket": dict(each.so_far)},
                    "at_end": None if each.whole is None else each.whole.as_json(),
                    "at_end_by_bucket": {bucket: spread.as_json() for bucket, spread in each.at_end.items()},
                    "at_end_with_people": None if (all_of := self.with_people(currency)) is None else all_of.as_json(),
                }
                for currency, each in self.amounts.items()
            },
            "people": None
            if people is None
            else {"low": people[0].nano, "high": people[1].nano, "currency": people[0].currency},
            "people_unknown": self.people_unknown,
            "exchange": self.exchanged.as_json(),
            "unpriced_ms": self.unpriced_ms,
            "unpriced_fees": self.unpriced_fees,
        }


def forecast_month(store: Store, book: PriceBook, rules: PricingRules, now: int) -> MonthForecast:
    """This month's end without people. ``rules`` say ``now`` as well. Raises StoreError."""
    month, today = month_of(now), now - now % DAY_MS
    books = read_period(store, book, rules, month)
    past = read_period(store, book, rules, Period(today - MOST_DAYS * DAY_MS, today))
    first = min((bill.start for bill in past.folded.bills), default=today)
    begins = max(past.period.start if past.period else today, -(-first // DAY_MS) * DAY_MS)
    days = max(today - begins, 0) // DAY_MS
    history = days_of(past.entries, Period(today - days * DAY_MS, today))
    left = Fraction(month.end - now, DAY_MS)
    amounts = {}
    so_far = _by_currency(books)
    for currency in sorted(so_far.keys() | history.keys()):
        amounts[currency] = _currency(so_far.get(currency, {}), history.get(currency, {}), left, days)
    # The month's own days are in both.
    unpriced = [*books.unpriced, *(usage for usage in past.unpriced if usage.end <= month.start)]
    return MonthForecast(
        month,
        now,
        days,
        amounts,
        exchanged=rules.exchange.told([*books.entries, *past.entries], now) if rules.exchange.currency else Exchanged(),
        unpriced_ms=sum(usage.quantity for usage in unpriced if usage.meter == NODE_TIME),
        unpriced_fees=any(usage.meter != NODE_TIME for usage in unpriced),
    )


def people_of_month(rules: PeopleRules, month: Period, currency: str) -> tuple[tuple[Money, Money] | None, str]:
    """What the people of a month cost, all of them, or why that is unknown. Raises MoneyError, UsageError."""
    ruled = rules.of(month.start)
    return ruled.monthly(currency), ruled.why_none(currency)


def _currency(
    so_far: Mapping[str, int], history: Mapping[str, list[int]], left: Fraction, days: int
) -> CurrencyForecast:
    parts = {bucket: history.get(bucket, [0] * days) for bucket in sorted(so_far.keys() | history.keys())}
    found = rest_by_part(parts, left)
    paid = {bucket: so_far.get(bucket, 0) for bucket in parts}
    if found is None:
        return CurrencyForecast(paid, {}, None)
    whole, rest = found
    at_end = {bucket: _more(spread, paid[bucket]) for bucket, spread in rest.items()}
    return CurrencyForecast(paid, at_end, _more(whole, sum(paid.values())))


def _more(spread: Spread, nano: int) -> Spread:
    return spread + Spread(nano, nano, nano)


def days_of(entries: Iterable[LedgerEntry], period: Period) -> dict[str, dict[str, list[int]]]:
    """Nano-units of each whole day by currency and bucket; what goes over midnight is divided by its time."""
    count = (period.end - period.start) // DAY_MS
    found: dict[str, dict[str, list[int]]] = {}
    for entry in entries:
        if entry.start == entry.end == month_of(entry.start).start:
            # A correction of a closed month was spent before, and not on this day.
            continue
        for day, nano in _by_day(entry, period.start):
            if 0 <= day < count:
                days = found.setdefault(entry.currency, {}).setdefault(entry.bucket.value, [0] * count)
                days[day] += nano
    return found


def _by_day(entry: LedgerEntry, start: int) -> Iterable[tuple[int, int]]:
    first, last = (entry.start - start) // DAY_MS, (max(entry.end - 1, entry.start) - start) // DAY_MS
    if first == last:
        return [(first, entry.nano)]
    edges = [entry.start, *(start + day * DAY_MS for day in range(first + 1, last + 1)), entry.end]
    weights = [after - before for before, after in pairwise(edges)]
    return zip(range(first, last + 1), split(entry.nano, weights), strict=True)


def _by_currency(books: FleetLedger) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for bucket, sums in books.by(Dimension.BUCKET).items():
        for currency, each in sums.items():
            if bucket != Bucket.PEOPLE.value:
                found.setdefault(currency, {})[bucket] = each.nano
    return found
