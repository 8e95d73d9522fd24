"""A price of a machine to test with."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from journals.facts import parse_instant
from ledger.price_book.prices import Confidence, Meter, PriceRow


def machine_row(name: str, an_hour: str, since: str, source: str = "https://example.com/prices") -> PriceRow:
    """What an hour of an Azure Standard_X costs in USD, from a day on, on the provider's list."""
    return PriceRow(
        id=name,
        provider="azure",
        meter=Meter.NODE_HOUR,
        sku="Standard_X",
        unit_price=Decimal(an_hour),
        per=1,
        currency="USD",
        effective_from=parse_instant(f"{since}T00:00:00Z"),
        effective_to=None,
        observed_at=date.fromisoformat(since),
        source_url=source,
        confidence=Confidence.LIST,
    )
