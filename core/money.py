"""Money: integer nano-units of one explicit currency, rates as `Decimal` from text, one rounding at settlement.

No float enters and none leaves. A nano-unit is a thousand-millionth of the currency's main unit (a dollar, a euro), so
that a single token at 0.05 USD a million still has a price.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from core.errors import UsageError

#: Nano-units in one unit of a currency.
NANO = 1_000_000_000
#: Decimal places of a nano-unit.
_NANO_PLACES = 9
#: Digits only: no sign, exponent, space, separator or digit of another script; never "nan" or "inf".
_RATE = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,18})?")
_CURRENCY = re.compile(r"[A-Z]{3}")

#: What can be counted exactly.
Exact = int | Fraction | Decimal


class MoneyError(UsageError):
    """An amount, a rate or a currency is not written as one."""


class CurrencyError(MoneyError):
    """Two currencies met without a dated rate between them."""


def currency_code(text: str) -> str:
    """``text`` if it is an ISO 4217 code in form (``USD``, ``EUR``). Raises MoneyError."""
    if not isinstance(text, str) or not _CURRENCY.fullmatch(text):
        raise MoneyError(f"{text!r} is not a currency", "write its three-letter code, such as USD or EUR")
    return text


def rate(text: str) -> Decimal:
    """The exact number that ``text`` writes: digits and at most one point, not negative. Raises MoneyError.

    Only text is taken: a float has lost the price before it arrives here.
    """
    if not isinstance(text, str):
        raise MoneyError(f"{text!r} is not text", 'write rates and amounts in quotes, such as "0.526"')
    if not _RATE.fullmatch(text):
        raise MoneyError(f"{text!r} is not a rate", "write digits and a point, such as 0.526, without sign or exponent")
    return Decimal(text)


def quote(text: str) -> tuple[Decimal, str]:
    """``"0.149 USD"`` -> the rate and its currency. Raises MoneyError."""
    parts = text.split() if isinstance(text, str) else []
    if len(parts) != 2:
        raise MoneyError(f"{text!r} is not a price", "write a number and a currency, such as 0.149 USD")
    return rate(parts[0]), currency_code(parts[1])


def settle(quantity: Exact, unit_price: Exact) -> int:
    """``quantity x unit_price`` in nano-units, rounded once, half to even. Exact until then, whatever the sizes."""
    count, count_parts = _ratio(quantity)
    price, price_parts = _ratio(unit_price)
    return _half_even(count * price * NANO, count_parts * price_parts)


def _ratio(value: Exact) -> tuple[int, int]:
    if isinstance(value, bool) or not isinstance(value, int | Fraction | Decimal):
        raise MoneyError(f"{value!r} cannot be counted exactly", "give an integer, a Fraction or a Decimal")
    if isinstance(value, Decimal) and not value.is_finite():
        raise MoneyError(f"{value!r} is not a number", "give a finite quantity and price")
    return value.as_integer_ratio()


def _half_even(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + 1 if twice > denominator or (twice == denominator and whole % 2) else whole


def split(total_nano: int, weights: Sequence[int | Fraction]) -> list[int]:
    """``total_nano`` in parts that are proportional to ``weights`` and sum to it exactly, by largest remainder.

    Each part is within one nano-unit of its exact share and has the total's sign; a weight of 0 gets 0. Equal
    remainders are served by position, so callers sort canonically first. Raises MoneyError for a negative weight, and
    for a total other than 0 with nobody to carry it (no weights, or all of them 0); 0 among nobody is all zeros.
    """
    if any(weight < 0 for weight in weights):
        raise MoneyError("a share has a negative weight", "give weights of 0 or more")
    shares = _whole_numbers(weights)
    everything = sum(shares)
    if everything == 0:
        if total_nano:
            raise MoneyError("an amount has nobody to carry it", "give at least one weight above 0")
        return [0] * len(shares)
    sign, total = (-1, -total_nano) if total_nano < 0 else (1, total_nano)
    parts: list[int] = []
    rests: list[int] = []
    for share in shares:
        part, rest = divmod(total * share, everything)
        parts.append(part)
        rests.append(rest)
    # Sorting is stable, so that equal remainders keep their order. Fewer are left than there are remainders above 0.
    for place in sorted(range(len(shares)), key=lambda place: -rests[place])[: total - sum(parts)]:
        parts[place] += 1
    return [sign * part for part in parts]


def _whole_numbers(weights: Sequence[int | Fraction]) -> list[int]:
    """The same proportions as integers."""
    if all(isinstance(weight, int) for weight in weights):
        return [int(weight) for weight in weights]
    ratios = [weight.as_integer_ratio() for weight in weights]
    common = math.lcm(*(parts for _, parts in ratios))
    return [count * (common // parts) for count, parts in ratios]


@dataclass(frozen=True)
class Money:
    """An amount. Adds, subtracts and compares within one currency only; anything else raises CurrencyError."""

    #: The amount in thousand-millionths of the currency's unit; may be negative (a reversal).
    nano: int
    #: ISO 4217 code.
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.nano, bool) or not isinstance(self.nano, int):
            raise MoneyError(f"{self.nano!r} is not a number of nano-units", "settle amounts to integers")
        currency_code(self.currency)

    @classmethod
    def of(cls, quantity: Exact, unit_price: Exact, currency: str) -> Money:
        """``quantity x unit_price``, rounded once, half to even."""
        return cls(settle(quantity, unit_price), currency)

    @classmethod
    def parse(cls, text: str) -> Money:
        """``"2.50 USD"`` -> that amount. Raises MoneyError, also for more than nine decimals."""
        amount, currency = quote(text)
        nano = amount * NANO
        if nano != int(nano):
            raise MoneyError(f"{text!r} has parts of a nano-unit", "write at most nine decimals")
        return cls(int(nano), currency)

    def __add__(self, other: Money) -> Money:
        return Money(self.nano + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.nano - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.nano, self.currency)

    def __bool__(self) -> bool:
        return self.nano != 0

    def __lt__(self, other: Money) -> bool:
        return self.nano < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.nano <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.nano > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.nano >= self._same(other)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyError(
                f"{self.currency} and {other.currency} cannot be put together", "convert one of them with a dated rate"
            )
        return other.nano

    def amount(self, places: int | None = None) -> str:
        """The number as text, exact (``0.149``) or rounded half to even to ``places`` decimals (``0.15``)."""
        kept = _NANO_PLACES if places is None else min(max(places, 0), _NANO_PLACES)
        scale = 10**kept
        value = _half_even(abs(self.nano) * scale, NANO)
        whole, rest = divmod(value, scale)
        decimals = f"{rest:0{kept}d}" if kept else ""
        if places is None:
            decimals = decimals.rstrip("0")
        sign = "-" if self.nano < 0 and value else ""
        return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"

    def __str__(self) -> str:
        return f"{self.amount()} {self.currency}"


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum of ``amounts``, which must all be in ``currency``; nothing sums to 0. Raises CurrencyError."""
    result = Money(0, currency)
    for amount in amounts:
        result += amount
    return result


@dataclass(frozen=True)
class Conversion:
    """One day's rate from one currency to another, and who said so. There is no conversion without one."""

    #: Currency that is given.
    from_currency: str
    #: Currency that is got.
    to_currency: str
    #: How much of ``to_currency`` one unit of ``from_currency`` buys; above 0.
    rate: Decimal
    #: The day of the rate.
    date: date
    #: Who published it: an address or a document's name; never empty.
    source: str
    #: Whether the rate was published the other way round (how much of ``from_currency`` one unit of ``to_currency``
    #: buys, as the ECB does for the euro): amounts are then divided by it, so that it is not rounded first.
    inverse: bool = False

    def __post_init__(self) -> None:
        currency_code(self.from_currency)
        currency_code(self.to_currency)
        if self.from_currency == self.to_currency:
            raise MoneyError(f"a rate from {self.from_currency} to itself says nothing", "name two currencies")
        if not isinstance(self.rate, Decimal) or not self.rate.is_finite() or self.rate <= 0:
            raise MoneyError(f"{self.rate} is not an exchange rate", "give a number above 0")
        if not isinstance(self.date, date):
            raise MoneyError(f"{self.date!r} is not the date of a rate", "give the day the rate was published for")
        if not self.source:
            raise MoneyError("an exchange rate has no source", "say who published it")

    def convert(self, money: Money) -> Money:
        """``money`` in ``to_currency``, rounded once, half to even. Raises CurrencyError for another currency."""
        if money.currency != self.from_currency:
            raise CurrencyError(
                f"a rate from {self.from_currency} cannot convert {money.currency}",
                "give a rate for that pair",
            )
        count, parts = self.multiplier.as_integer_ratio()
        return Money(_half_even(money.nano * count, parts), self.to_currency)

    @property
    def multiplier(self) -> Fraction:
        """How much of ``to_currency`` one unit of ``from_currency`` buys, exactly."""
        return 1 / Fraction(self.rate) if self.inverse else Fraction(self.rate)

    @property
    def rate_text(self) -> str:
        """``0.92``, or ``1/1.08`` for a rate of the other way round."""
        return f"1/{self.rate}" if self.inverse else str(self.rate)

    @property
    def words(self) -> str:
        """``0.92 EUR per USD of 2026-11-20``."""
        return f"{self.rate_text} {self.to_currency} per {self.from_currency} of {self.date.isoformat()}"
