"""What a provider bills for one node session: stretches of one price each, in whole nano-units.

Providers bill a machine's life rounded up to an increment, and at least a minimum; both are of the session, not of its
parts. Each stretch of one price is settled once, as a bill has one line for it. Whatever is made of the amount later
is divided from these integers, so that nothing can be gained or lost by dividing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from core.money import Exact, quote, settle
from journals.facts import PriceChanged, SessionOpened
from ledger.price_book.prices import Meter, PriceBook, PriceRow

HOUR_MS = 3_600_000

#: AWS does not charge a spot instance that it interrupts itself within its first hour.
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-for-interrupted-spot-instances.html
FIRST_HOUR_RULE = "aws-first-hour"
#: A worker that was told leaves at once, the machine up to two minutes later: an end so close to the hour may be one
#: after it, and is charged until a bill says otherwise.
_AWS_NOTICE_MS = 120_000
_AWS_REASON = "aws:"

#: Price row of a session whose own price is known.
OWN_PRICE = "session"
#: Price row of stretches that were priced by what a person said of machines of no known price.
SAID_PRICE = "node-price"


@dataclass(frozen=True)
class NodeTerms:
    """How a machine's life is rounded before it is billed."""

    #: Billed in steps of so much, rounded up.
    increment_ms: int = 1_000
    #: Least that is billed.
    minimum_ms: int = 0
    #: Whether a spot machine that the provider takes within its first hour is free.
    first_hour_free: bool = False

    def billed_ms(self, lived_ms: int) -> int:
        """What a life of this length is billed as; a machine that never lived is not billed."""
        if lived_ms <= 0:
            return 0
        step = max(self.increment_ms, 1)
        return max(-(-lived_ms // step) * step, self.minimum_ms)


@dataclass(frozen=True)
class Rate:
    """What a machine costs from ``start`` until ``end``; ``price`` is None where nobody knows."""

    #: First instant.
    start: int
    #: First instant after it.
    end: int
    #: Currency's main units an hour.
    price: Fraction | None
    #: ISO 4217 code; empty without a price.
    currency: str
    #: Where the price is from.
    price_row: str
    #: Whether the price is a guess (nobody said whether the machine is a spot machine).
    guessed: bool = False


@dataclass(frozen=True)
class SessionEnd:
    """When a session ended, and how we know."""

    #: First instant after it.
    at: int
    #: Whether the end was derived from the last sign of life.
    estimated: bool
    #: Reason of the close; empty for a death.
    reason: str = ""


@dataclass(frozen=True)
class BilledSegment:
    """One line of the bill: a stretch of one price."""

    #: First instant.
    start: int
    #: First instant after it.
    end: int
    #: Amount in nano-units; None is unpriced, which is never 0.
    nano: int | None
    #: ISO 4217 code; empty without a price.
    currency: str
    #: Where the price is from.
    price_row: str
    #: Rule that set the price aside; empty for none.
    rule: str = ""
    #: Whether the price is a guess.
    guessed: bool = False


@dataclass(frozen=True)
class BilledSession:
    """What one machine's life is billed as."""

    #: Node session.
    session: str
    #: When it began to cost money.
    start: int
    #: When its life ended.
    end: SessionEnd
    #: The bill's lines, in order and without gaps; the last may go beyond the end of the machine's life.
    segments: tuple[BilledSegment, ...]

    @property
    def billed_until(self) -> int:
        """First instant that is not billed."""
        return self.segments[-1].end if self.segments else self.start

    def totals(self) -> dict[str, int]:
        """Nano-units by currency; time without a price is in none of them."""
        found: dict[str, int] = {}
        for segment in self.segments:
            if segment.nano is not None:
                found[segment.currency] = found.get(segment.currency, 0) + segment.nano
        return found


def machine_cost(ms: Exact, price: Exact) -> int:
    """What so much of a machine's time costs at a price an hour, in nano-units, rounded once."""
    return settle(Fraction(ms) / HOUR_MS, price)


def bill_session(opened: SessionOpened, end: SessionEnd, rates: Sequence[Rate], terms: NodeTerms) -> BilledSession:
    """The bill of one session. ``rates`` cover it without gaps from its opening to beyond its billed end."""
    until = opened.at + terms.billed_ms(end.at - opened.at)
    free = terms.first_hour_free and _taken_in_first_hour(opened, end)
    segments: list[BilledSegment] = []
    for rate in rates:
        start, stop = max(rate.start, opened.at), min(rate.end, until)
        if start >= stop:
            continue
        nano = None if rate.price is None else machine_cost(stop - start, rate.price)
        rule = FIRST_HOUR_RULE if free and nano is not None else ""
        amount = 0 if rule else nano
        segments.append(BilledSegment(start, stop, amount, rate.currency, rate.price_row, rule, rate.guessed))
    return BilledSession(opened.session, opened.at, end, tuple(segments))


def _taken_in_first_hour(opened: SessionOpened, end: SessionEnd) -> bool:
    """Only where AWS itself said that it takes the machine; a death without a word is charged until a bill says not."""
    if opened.cloud != "aws" or not opened.spot or end.estimated or not end.reason.startswith(_AWS_REASON):
        return False
    return end.at - opened.at + _AWS_NOTICE_MS < HOUR_MS


def find_terms(opened: SessionOpened, book: PriceBook) -> NodeTerms:
    """The terms of the book's row for this machine at its opening; by the second without a minimum where it has none.

    A session whose own price is known still lives by its provider's increments. A machine of no provider is nobody's
    to round.
    """
    if not opened.cloud:
        return NodeTerms(increment_ms=1)
    row = _find_row(opened, book, opened.at)
    first_hour = opened.cloud == "aws" and bool(opened.spot)
    if row is None:
        return NodeTerms(first_hour_free=first_hour)
    increment, minimum = _to_ms(row.billing_increment), _to_ms(row.minimum_quantity)
    return NodeTerms(increment or NodeTerms.increment_ms, minimum, first_hour)


def _to_ms(seconds: Decimal) -> int:
    """Rounded up: an increment below a millisecond is one."""
    count, parts = (seconds * 1000).as_integer_ratio()
    return -(-count // parts)


def find_rates(
    opened: SessionOpened,
    changes: Sequence[PriceChanged],
    until: int,
    book: PriceBook,
    node_price: str = "",
    *,
    book_first: bool = False,
) -> list[Rate]:
    """What the machine costs from its opening to ``until``: what the session itself says, else ``node_price``, else
    the book's row (``book_first``: else the book's row, else ``node_price``); cut at every change.

    Raises MoneyError for a price that cannot be read.
    """
    own = sorted((change.at, change.price) for change in changes if opened.at < change.at < until)
    # A change at or before the opening is the opening's price: the last of them holds.
    before = sorted((change.at, change.price) for change in changes if change.at <= opened.at)
    first = before[-1][1] if before else opened.price
    borders = [(opened.at, first), *own, (until, "")]
    rates: list[Rate] = []
    for (start, price), (end, _) in pairwise(borders):
        if price:
            rates.append(_said_rate(start, end, price, OWN_PRICE))
        elif node_price and not book_first:
            rates.append(_said_rate(start, end, node_price, SAID_PRICE))
        elif start < end:
            found = _book_rates(opened, start, end, book)
            if node_price:
                found = [
                    rate if rate.price is not None else _said_rate(rate.start, rate.end, node_price, SAID_PRICE)
                    for rate in found
                ]
            rates.extend(found)
    return rates


def _said_rate(start: int, end: int, text: str, row: str) -> Rate:
    amount, currency = quote(text)
    return Rate(start, end, Fraction(amount), currency, row)


def _book_rates(opened: SessionOpened, start: int, end: int, book: PriceBook) -> list[Rate]:
    if not opened.cloud or not opened.size:
        return [Rate(start, end, None, "", "")]
    # Nobody said whether it is a spot machine: the price on demand is the most it can have cost, and says so.
    spot, guessed = bool(opened.spot), opened.spot is None
    rates = []
    for meter in (Meter.NODE_HOUR, Meter.GPU_HOUR):
        steps = list(book.steps(opened.cloud, opened.size, meter, start, end, region=opened.region, spot=spot))
        if meter is Meter.GPU_HOUR or any(row is not None for _, _, row in steps):
            rates = [_row_rate(opened, first, last, row, guessed) for first, last, row in steps]
            break
    return rates


def _row_rate(opened: SessionOpened, start: int, end: int, row: PriceRow | None, guessed: bool) -> Rate:
    count = 1 if row is None or row.meter is Meter.NODE_HOUR else len(opened.gpu)
    if row is None or not count:
        return Rate(start, end, None, "", "")
    price = Fraction(row.unit_price) * count / row.per
    return Rate(start, end, price, row.currency, row.id, guessed)


def _find_row(opened: SessionOpened, book: PriceBook, at: int) -> PriceRow | None:
    for meter in (Meter.NODE_HOUR, Meter.GPU_HOUR):
        for spot in dict.fromkeys((bool(opened.spot), False, True)):
            row = book.find(opened.cloud, opened.size, meter, at, region=opened.region, spot=spot)
            if row is not None:
                return row
    return None
