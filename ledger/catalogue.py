"""Work that is not there yet, as people plan it: hours of media into so many languages, some of them dubbed. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from core.errors import UsageError
from core.money import Money
from ledger.exchange import Exchange
from ledger.price_book.prices import Meter, PriceBook, PriceRow
from ledger.price_book.sources import verified
from ledger.speed import Spread

#: Stage of the price book's rows for a whole dub; no stage of ours does it yet.
DUB = "dub"
_HOUR_MS = 3_600_000
#: Hours of an average month, as everywhere in Segue: 8,760 a year by twelve.
MONTH_HOURS = 730


@dataclass(frozen=True)
class CatalogueWork:
    """What is planned. Shares are from 0 to 1."""

    #: Hours of media.
    hours: Decimal
    #: Languages that all of it goes into.
    languages: int
    #: Share of the media that is speech.
    speech: Fraction = Fraction(1)
    #: Share of the media that is dubbed, in each language.
    dubbed: Fraction = Fraction(0)
    #: Months that the work is given.
    months: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        limits = (
            ("hours", self.hours, Decimal("0.01"), Decimal(10**9)),
            ("months", self.months, Decimal("0.01"), Decimal(1200)),
        )
        for name, value, least, most in limits:
            if not value.is_finite() or not least <= value <= most:
                raise UsageError(f"{value} {name} are no work", f"give {name} from {least} to {most}")
        if not 0 <= self.languages <= 10_000:
            raise UsageError(f"{self.languages} languages are no work", "give 0 or more")
        if not Fraction(1, 10_000) <= self.speech <= 1:
            raise UsageError(f"{float(self.speech):.0%} speech is no work", "give percents from 0.01 to 100")
        if not 0 <= self.dubbed <= 1:
            raise UsageError(f"{float(self.dubbed):.0%} dubbed is no share", "give percents from 0 to 100")

    @property
    def media_ms(self) -> int:
        """Length of the media."""
        return round(Fraction(self.hours) * _HOUR_MS)

    @property
    def speech_ms(self) -> int:
        """Length of the speech in it."""
        return round(self.media_ms * self.speech)

    @property
    def translated_ms(self) -> int:
        """Speech to translate, once for each language."""
        return self.speech_ms * self.languages

    @property
    def dubbed_ms(self) -> int:
        """Media to dub, once for each language."""
        return round(self.media_ms * self.dubbed) * self.languages


def machine_time(engine_ms: Spread, useful: Fraction) -> Spread:
    """Paid machine time for so much engine time, where so much of paid time is useful. Raises UsageError."""
    if not 0 < useful <= 1:
        raise UsageError(f"{float(useful):.0%} of paid time is no utilization", "give percents above 0, up to 100")
    ends = (math.floor(engine_ms.low / useful), round(engine_ms.point / useful), math.ceil(engine_ms.high / useful))
    return Spread(*ends)


def machines_needed(machine_ms: int, months: Decimal) -> int:
    """How many machines do this within so many months, each all the time."""
    return math.ceil(machine_ms / (Fraction(months) * MONTH_HOURS * _HOUR_MS))


@dataclass(frozen=True)
class DubOffer:
    """What one API would charge for the dubs."""

    #: Its row of the price book.
    row: PriceRow
    #: The charge.
    amount: Money

    @property
    def name(self) -> str:
        """``provider/model``."""
        return f"{self.row.provider}/{self.row.sku}"

    @property
    def remark(self) -> str:
        """``machine dub, price not verified``."""
        said = (self.row.tier or "class unknown", "" if verified(self.row) else "price not verified")
        return ", ".join(word for word in said if word)


def dub_offers(book: PriceBook, at: int, dubbed_ms: int, exchange: Exchange) -> list[DubOffer]:
    """The charge of each API that dubs, cheapest first, those that are no longer sold left out."""
    rows = [row for row in book.current(at) if row.stage == DUB and row.meter is Meter.DUBBED_SECOND]
    seconds = Fraction(dubbed_ms, 1000)
    found = [DubOffer(row, exchange.money(row.price(row.billed(seconds)), at)) for row in rows if not row.retired(at)]
    return sorted(found, key=lambda offer: (offer.amount.currency, offer.amount.nano, offer.row.id))


def chosen_dub(offers: Sequence[DubOffer], currency: str, against: Collection[str] = ()) -> DubOffer | None:
    """The one that is named, else the cheapest whose price was read at its source, else the cheapest."""
    known = [offer for offer in offers if offer.amount.currency == currency]
    named = [offer for offer in known if offer.name in against]
    checked = [offer for offer in known if verified(offer.row)]
    return min(named or checked or known, key=lambda offer: (offer.amount.nano, offer.row.id), default=None)
