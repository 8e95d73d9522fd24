"""How an API turns what it is sent into a bill: requests, increments and minimums, each as that API states it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from core.errors import UsageError
from ledger.price_book.prices import Meter, PriceRow, Rounding


@dataclass(frozen=True)
class ApiCharge:
    """What one row of the price book charges for some requests."""

    #: The row that prices it.
    row: PriceRow
    #: Requests that are sent; those of no length are not.
    requests: int
    #: Whether something was too long for one request.
    cut: bool
    #: Usage as it is, in the row's units (seconds for audio).
    used: Fraction
    #: Usage as it is billed: increments and minimums applied to each request.
    billed: Fraction
    #: The price of ``billed``, rounded once.
    nano: int


def chunks(row: PriceRow, audio_ms: int) -> list[int]:
    """The requests in which this much audio is sent, in ms each: one, or full ones and a rest if there is a limit."""
    if audio_ms <= 0:
        return []
    limit_ms = int(row.request_limit * 1000)
    if not limit_ms:
        return [audio_ms]
    full, rest = divmod(audio_ms, limit_ms)
    return [limit_ms] * full + ([rest] if rest else [])


def bill_audio(row: PriceRow, sent_ms: Iterable[int]) -> ApiCharge:
    """The bill for audio of these lengths, each sent by itself (and in several requests where it is too long).

    Raises UsageError for a row of another meter, or a negative length.
    """
    if row.meter is not Meter.AUDIO_SECOND:
        raise UsageError(f"the price {row.id} is not one of audio", "give a row of the meter audio_second")
    lengths = list(sent_ms)
    if any(length < 0 for length in lengths):
        raise UsageError("audio has a negative length", "give milliseconds of 0 or more")
    requests = [chunk for length in lengths for chunk in chunks(row, length)]
    used = Fraction(sum(requests), 1000)
    billed = _billed(row, requests)
    cut = len(requests) > sum(length > 0 for length in lengths)
    return ApiCharge(row, len(requests), cut, used, billed, row.nano(billed))


def bill_many(row: PriceRow, counts: Iterable[tuple[int, int]]) -> ApiCharge:
    """As `bill_audio`, for (length in ms, how many are so long)."""
    parts = [(bill_audio(row, [length]), count) for length, count in counts]
    billed = sum((part.billed * count for part, count in parts), Fraction(0))
    return ApiCharge(
        row,
        sum(part.requests * count for part, count in parts),
        any(part.cut for part, _ in parts),
        sum((part.used * count for part, count in parts), Fraction(0)),
        billed,
        row.nano(billed),
    )


def _billed(row: PriceRow, requests: list[int]) -> Fraction:
    """Seconds that requests of these lengths in ms are billed as: the sum of `PriceRow.billed`, in integers if so."""
    step, least = Fraction(row.billing_increment) * 1000, Fraction(row.minimum_quantity) * 1000
    if row.rounding is not Rounding.UP or step.denominator != 1 or least.denominator != 1:
        return sum((row.billed(Fraction(request, 1000)) for request in requests), Fraction(0))
    step_ms, least_ms = int(step) or 1, int(least)
    return Fraction(sum(max(-(-request // step_ms) * step_ms, least_ms) for request in requests), 1000)


def bill_count(row: PriceRow, count: int, requests: int = 1) -> ApiCharge:
    """The bill for so many tokens or characters. Increments and minimums, where a row has any, are applied to the sum.

    Raises UsageError for a negative count.
    """
    if count < 0:
        raise UsageError("usage is negative", "give a count of 0 or more")
    billed = row.billed(count)
    return ApiCharge(row, requests if count else 0, False, Fraction(count), billed, row.nano(billed))
