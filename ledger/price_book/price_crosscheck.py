"""The price book beside ``genai-prices``, a public catalogue, where it is installed and prices the same meter.

The catalogue answers 0 for usage that it cannot price, so a 0 is no answer here either.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ledger.price_book.prices import Meter, PriceBook, PriceRow

#: A larger difference needs a written waiver in the row.
TOLERANCE = Fraction(5, 100)
#: Our meters, and the catalogue's names for the usage they count.
_USAGE = {
    # It wants the sum and its part.
    Meter.AUDIO_SECOND: ("audio_seconds", "input_audio_seconds"),
    Meter.INPUT_TOKEN: ("input_tokens",),
    Meter.OUTPUT_TOKEN: ("output_tokens",),
}
#: Usage that is priced: small enough for no tier, large enough for the catalogue to keep its digits.
_COUNT = {Meter.AUDIO_SECOND: 3600, Meter.INPUT_TOKEN: 10_000, Meter.OUTPUT_TOKEN: 10_000}


def catalogue_price(row: PriceRow, at: int) -> Decimal | None:
    """What the catalogue charges at ``at`` (ms since the epoch) for one unit of the row's meter; None: it does not say.

    Raises ModuleNotFoundError where ``genai-prices`` is not installed.
    """
    import genai_prices

    if row.meter not in _USAGE or row.currency != "USD":
        return None
    usage: Any = genai_prices.Usage(**dict.fromkeys(_USAGE[row.meter], _COUNT[row.meter]))
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    try:
        found = genai_prices.calc_price(usage, row.sku, provider_id=row.provider, genai_request_timestamp=moment)
    except LookupError:
        return None
    if found.model.id != row.sku or not found.total_price:
        # The catalogue matches names loosely, and says 0 for what it does not price.
        return None
    return found.total_price / _COUNT[row.meter]


def crosscheck(book: PriceBook, at: int) -> tuple[list[str], list[str]]:
    """The rows that were compared, by id, and a line for each that is over 5 % apart and has no waiver."""
    compared: list[str] = []
    apart: list[str] = []
    for row in book.current(at):
        theirs = catalogue_price(row, at)
        if theirs is None:
            continue
        compared.append(row.id)
        ours = Fraction(row.unit_price) / row.per
        if abs(ours - Fraction(theirs)) > TOLERANCE * Fraction(theirs) and not row.waiver:
            per = f"{theirs * row.per:f}"
            apart.append(
                f"{row.id} says {row.unit_price} a {row.per}, genai-prices says {per}: correct it or add a waiver"
            )
    return compared, apart
