"""Amounts in the currency of a report, by the rate of the day on which they were spent. Pure.

Every entry is converted by itself, rounded once, half to even; sums are sums of converted entries. An entry is the same
whatever was asked for (the fold cuts entries at midnight, UTC: `FoldRules.by_day`), so that a job, its months and every
cut of them agree to the nano-unit. Converting sums and dividing them would give one entry another amount in each sum
that it is in. A sum can be off by half a nano-unit an entry from the conversion of the sum.

Idle and people are shared after that, in the report's currency, so that their parts sum to what was shared.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cache, cached_property

from msgspec.structs import replace

from core.keys import digest_value
from core.money import Conversion, Money, MoneyError
from ledger.entries import DAY_MS, LedgerEntry

#: Rates of so many days before what they are used for are old: banks are closed for four days at most at Easter.
STALE_DAYS = 7
#: Rates of one currency that are said one by one.
_MOST_LINES = 4
#: Between an entry's price row and the words of the rate that it was converted by.
_AT = " at "
_WORDS = re.compile(r"\S+ [A-Z]{3} per (?P<currency>[A-Z]{3}) of (?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})")
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def day_of(at: int) -> date:
    """The UTC day of an instant in ms since the epoch."""
    return date.fromordinal(_EPOCH_DAY + at // DAY_MS)


def last_instant(entry: LedgerEntry) -> int:
    """The instant whose rate an entry has: its last one, also for an entry of several days (an old closing's)."""
    return max(entry.start, entry.end - 1)


@dataclass(frozen=True)
class UsedRate:
    """A rate that a report rests on."""

    #: The rate.
    conversion: Conversion
    #: First day that it was used for.
    first: date
    #: Last day that it was used for.
    last: date
    #: What the entries that it converted come to, in nano-units of its `to_currency`.
    nano: int = 0

    @property
    def age(self) -> int:
        """Days from the rate to the last day that it was used for."""
        return (self.last - self.conversion.date).days

    @property
    def line(self) -> str:
        """``0.92 EUR per USD of 2026-11-20 (ECB), for 2026-11-21 to 2026-11-24``."""
        days = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.conversion.words} ({self.conversion.source}), for {days}"

    def as_json(self) -> dict[str, object]:
        """Days as ISO 8601, the rate as text, the amount in nano-units."""
        return {
            "from": self.conversion.from_currency,
            "to": self.conversion.to_currency,
            "rate": self.conversion.rate_text,
            "date": self.conversion.date.isoformat(),
            "source": self.conversion.source,
            "used_from": self.first.isoformat(),
            "used_until": self.last.isoformat(),
            "amount": self.nano,
        }

    def and_also(self, other: UsedRate) -> UsedRate:
        """Both uses of one rate."""
        return UsedRate(
            self.conversion, min(self.first, other.first), max(self.last, other.last), self.nano + other.nano
        )


def used_together(uses: Iterable[UsedRate]) -> tuple[UsedRate, ...]:
    """Each rate once, by currency and day."""
    found: dict[Conversion, UsedRate] = {}
    for use in uses:
        held = found.get(use.conversion)
        found[use.conversion] = held.and_also(use) if held else use
    return tuple(sorted(found.values(), key=lambda use: (use.conversion.from_currency, use.conversion.date)))


@dataclass
class ExchangeUse:
    """Which rates entries have, and what of them has none: sums, so that machines can be put together."""

    #: First and last instant of the use, and what it came to, by the rate's words.
    rates: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    #: First instant and amount in another currency, by currency.
    foreign: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add_rate(self, words: str, first: int, last: int, nano: int) -> None:
        """Counts a use of a rate."""
        held = self.rates.get(words, (first, last, 0))
        self.rates[words] = min(held[0], first), max(held[1], last), held[2] + nano

    def add_foreign(self, currency: str, first: int, nano: int) -> None:
        """Counts an amount without a rate."""
        held = self.foreign.get(currency, (first, 0))
        self.foreign[currency] = min(held[0], first), held[1] + nano

    def merge(self, other: ExchangeUse) -> None:
        """Counts everything that another has counted."""
        for words, rate in other.rates.items():
            self.add_rate(words, *rate)
        for currency, foreign in other.foreign.items():
            self.add_foreign(currency, *foreign)


@dataclass(frozen=True)
class Exchanged:
    """What a report says of the rates that it rests on."""

    #: Its currency; empty where none was said.
    currency: str = ""
    #: Each rate once, by currency and day.
    rates: tuple[UsedRate, ...] = ()
    #: Amounts that no rate leads from, one line a currency.
    missing: tuple[str, ...] = ()
    #: Rates that were old when they were used, one line a currency.
    old: tuple[str, ...] = ()

    @property
    def lines(self) -> Iterator[str]:
        """The rates for people: each, or where a currency has many of them, the range."""
        by_currency: dict[str, list[UsedRate]] = {}
        for use in self.rates:
            by_currency.setdefault(use.conversion.from_currency, []).append(use)
        for currency, uses in by_currency.items():
            if len(uses) <= _MOST_LINES:
                yield from (use.line for use in uses)
                continue
            ordered = sorted(uses, key=lambda use: use.conversion.multiplier)
            low, high = ordered[0].conversion.rate_text, ordered[-1].conversion.rate_text
            sources = ", ".join(sorted({use.conversion.source for use in uses}))
            days = f"{uses[0].conversion.date} to {uses[-1].conversion.date}"
            said = f"{len(uses)} rates of {days} ({sources}), each for its days"
            yield f"{low} to {high} {self.currency} per {currency}: {said}"

    def as_json(self) -> dict[str, object]:
        """The rates, and what is to be said of them."""
        return {
            "currency": self.currency or None,
            "rates": [each.as_json() for each in self.rates],
            "missing": [*self.missing],
            "old": [*self.old],
        }


@dataclass(frozen=True)
class Exchange:
    """The currency of a report and the dated rates that were given."""

    #: ISO 4217 code; empty: amounts stay in the currency of their price.
    currency: str = ""
    #: Every rate that was given, also of other pairs.
    conversions: tuple[Conversion, ...] = ()
    #: Age in days from which a rate is old.
    stale_days: int = STALE_DAYS

    def __post_init__(self) -> None:
        seen: dict[tuple[str, str, date], Conversion] = {}
        for each in self.conversions:
            held = seen.setdefault((each.from_currency, each.to_currency, each.date), each)
            if held is not each and held.multiplier != each.multiplier:
                raise MoneyError(
                    f"there are two rates from {each.from_currency} to {each.to_currency} of {each.date}: "
                    f"{held.rate_text} ({held.source}) and {each.rate_text} ({each.source})",
                    "leave one of them out",
                )

    def __bool__(self) -> bool:
        """Whether there is any rate into the currency."""
        return bool(self._by_currency)

    def digest(self, first: int, last: int) -> str:
        """Over the rates that hold at any instant between two, both included: later days' rates change nothing."""
        told = []
        for days, rates in self._by_currency.values():
            before, until = (bisect_right(days, _EPOCH_DAY + at // DAY_MS) for at in (first, last))
            told += [each.words for each in rates[max(before - 1, 0) : until]]
        return digest_value(told)

    def into(self, currency: str) -> Exchange:
        """The same rates, for a report in this currency."""
        if currency == self.currency:
            return self
        if currency not in self._others:
            self._others[currency] = Exchange(currency, self.conversions, self.stale_days)
        return self._others[currency]

    @cached_property
    def _others(self) -> dict[str, Exchange]:
        """Made before, by currency: a history of rates is long."""
        return {}

    @cached_property
    def _by_currency(self) -> Mapping[str, tuple[Sequence[int], Sequence[Conversion]]]:
        """Currency -> (days as ordinals, rates of these days)."""
        found: dict[str, dict[int, Conversion]] = {}
        for each in self.conversions:
            if each.to_currency == self.currency:
                found.setdefault(each.from_currency, {}).setdefault(each.date.toordinal(), each)
        return {
            name: (tuple(sorted(days)), tuple(days[day] for day in sorted(days)))
            for name, days in sorted(found.items())
        }

    def find(self, currency: str, at: int) -> Conversion | None:
        """The latest rate on or before the day of an instant; None where there is none."""
        days, rates = self._by_currency.get(currency, ((), ()))
        place = bisect_right(days, _EPOCH_DAY + at // DAY_MS)
        return rates[place - 1] if place else None

    def valid(self, at: int) -> list[Conversion]:
        """The rates of an instant's day, one a currency."""
        found = (self.find(currency, at) for currency in self._by_currency)
        return [each for each in found if each is not None]

    def price(self, price: Fraction, currency: str, at: int) -> Fraction | None:
        """A price in the report's currency by an instant's rate, exactly; None where no rate leads to it."""
        if currency == self.currency:
            return price
        conversion = self.find(currency, at)
        return None if conversion is None else price * conversion.multiplier

    def money(self, amount: Money, at: int) -> Money:
        """An amount by an instant's rate; as it is where no rate leads to the report's currency."""
        conversion = None if amount.currency == self.currency else self.find(amount.currency, at)
        return amount if conversion is None else conversion.convert(amount)

    def entries(self, entries: Iterable[LedgerEntry]) -> Iterator[LedgerEntry]:
        """The entries, each by the rate of its day; those that no rate leads from as they are."""
        return (self._converted(entry) for entry in entries) if self else iter(entries)

    def _converted(self, entry: LedgerEntry) -> LedgerEntry:
        if entry.currency == self.currency:
            return entry
        conversion = self.find(entry.currency, last_instant(entry))
        if conversion is None:
            return entry
        nano = conversion.convert(Money(entry.nano, entry.currency)).nano
        return replace(entry, nano=nano, currency=self.currency, price_row=at_rate(entry.price_row, conversion))

    # -- what a reader must know -----------------------------------------------------------------------------

    def told(self, entries: Iterable[LedgerEntry], now: int, more: Iterable[UsedRate] = ()) -> Exchanged:
        """What a report must say of converted entries; ``more``: rates that were used for other amounts in it."""
        return self.told_of(self.use_of(entries), now, more)

    def told_of(self, use: ExchangeUse, now: int, more: Iterable[UsedRate] = ()) -> Exchanged:
        """As `told`, of entries whose use is known."""
        uses = used_together([*self._used(use, now), *more])
        return Exchanged(self.currency, uses, tuple(self._missing(use)), tuple(self._old(uses)))

    def use_of(self, entries: Iterable[LedgerEntry]) -> ExchangeUse:
        """The rates that these entries have, and what of them has none."""
        found, named = ExchangeUse(), cache(self._named)
        for entry in entries if self.currency else ():
            (_, converted, words), at = entry.price_row.rpartition(_AT), last_instant(entry)
            if converted and named(words) is not None:
                found.add_rate(words, at, at, entry.nano)
            if entry.currency != self.currency:
                found.add_foreign(entry.currency, at, entry.nano)
        return found

    def _used(self, use: ExchangeUse, now: int) -> Iterator[UsedRate]:
        """Of what ends after ``now``, the use is today's."""
        for words, (first, last, nano) in use.rates.items():
            conversion = self._named(words)
            if conversion is not None:
                yield UsedRate(conversion, day_of(min(first, now)), day_of(min(last, now)), nano)

    def _named(self, words: str) -> Conversion | None:
        """The rate whose `Conversion.words` these are; None for the end of any other price row."""
        match = _WORDS.fullmatch(words)
        if match is None:
            return None
        days, rates = self._by_currency.get(match["currency"], ((), ()))
        place = bisect_left(days, date.fromisoformat(match["day"]).toordinal())
        return rates[place] if place < len(rates) and rates[place].words == words else None

    def _old(self, uses: Iterable[UsedRate]) -> Iterator[str]:
        """One line for each currency whose rates were old when they were used."""
        worst: dict[str, UsedRate] = {}
        for use in uses:
            held = worst.get(use.conversion.from_currency)
            if use.age > self.stale_days and (held is None or use.age > held.age):
                worst[use.conversion.from_currency] = use
        for use in worst.values():
            said = f"{use.conversion.words} is used for {use.last}, {use.age} days later"
            yield f"old exchange rate: {said}; give newer ones (SEGUE_EXCHANGE_RATE, SEGUE_EXCHANGE_RATES_FILE)"

    def _missing(self, use: ExchangeUse) -> Iterator[str]:
        """One line for each other currency that entries are still in: how much, and why."""
        for currency, (first, nano) in sorted(use.foreign.items()):
            yield f"{Money(nano, currency)} are in no {self.currency} amount: {self.why_none(currency, first)}"

    def why_none(self, currency: str, at: int) -> str:
        """Why an amount cannot be converted, and what to do."""
        day, (days, _) = day_of(at), self._by_currency.get(currency, ((), ()))
        pair = f"{currency} {self.currency}"
        said = f"no exchange rate from {currency} to {self.currency} of {day} or before is known"
        if days:
            return f"{said}, the first is of {date.fromordinal(days[0])}: add one to SEGUE_EXCHANGE_RATE"
        back = [
            each for each in self.conversions if (each.from_currency, each.to_currency) == (self.currency, currency)
        ]
        if back:
            turned = f"{pair} 1/{back[-1].rate}"
            return f"{said}: rates are not turned round unless you say so, as '{turned} DAY SOURCE'"
        return f"{said}: set SEGUE_EXCHANGE_RATE='{pair} RATE DAY SOURCE' or SEGUE_EXCHANGE_RATES_FILE"


def at_rate(price_row: str, conversion: Conversion) -> str:
    """A price row with the rate that its amount was converted by; `Exchange.used` reads it."""
    return f"{price_row}{_AT}{conversion.words}"


#: No report's currency is said, and no rate.
NATIVE = Exchange()
