"""What APIs charged, from the usage of each attempt and the rows of the price book.

A call that was begun and never came back may have been served and charged: its estimated usage counts as spent until a
bill says otherwise. So does a request without an answer in a batch that came back: one that timed out, or one that was
under way when the job was stopped; each counts as the mean request of its batch was estimated. Usage whose price is not
known is listed, and has no amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from core.money import Exact, split
from journals.facts import AttemptEnded, AttemptStarted
from ledger.activity import Share
from ledger.allocation import entry_id
from ledger.demand import Demand
from ledger.entries import Bucket, LedgerEntry, Period, Quality, Unpriced
from ledger.price_book.prices import Meter, PriceBook, PriceRow

#: How usage is named in the journals, what prices count it by, and how many of the journal's units one of them is.
_METERS: tuple[tuple[str, Meter, int], ...] = (
    ("input_tokens", Meter.INPUT_TOKEN, 1),
    ("cached_input_tokens", Meter.CACHED_INPUT_TOKEN, 1),
    ("output_tokens", Meter.OUTPUT_TOKEN, 1),
    ("characters", Meter.CHARACTER, 1),
    ("audio_ms", Meter.AUDIO_SECOND, 1000),
    ("requests", Meter.REQUEST, 1),
)
#: How the journals name requests that were sent and that no answer came to.
UNANSWERED = "unanswered"
#: Meters that are charged together: a price for one of them without the other is half a price.
_TOKENS = frozenset({"input_tokens", "cached_input_tokens", "output_tokens"})


@dataclass(frozen=True, slots=True)
class _FeeLine:
    """One line of an API's bill for one attempt."""

    meter: str
    quantity: int
    row: PriceRow | None
    billed: Fraction


class Fees:
    """Makes the fee entries of one machine's attempts."""

    def __init__(self, session: str, book: PriceBook, demand: Demand, period: Period | None) -> None:
        self._session, self._book, self._demand, self._period = session, book, demand, period

    def of(
        self, attempt: AttemptStarted, end: AttemptEnded | None, shares: Sequence[Share]
    ) -> Iterator[LedgerEntry | Unpriced]:
        """The fees of a remote attempt, at the instant it was begun: an API charges a call by the price of its time."""
        if self._period is not None and not self._period.start <= attempt.at < self._period.end:
            return
        payers = _payers(shares)
        if end is None:
            yield from self._charge(attempt, attempt.estimated, payers, Quality.ESTIMATED)
            return
        answered = {meter: quantity for meter, quantity in end.usage.items() if meter != UNANSWERED}
        missing = _unanswered(attempt, end)
        if answered or not missing:
            yield from self._charge(attempt, answered, payers, Quality.MEASURED)
            if silent := _unreported(attempt, answered):
                yield from self._charge(attempt, silent, payers, Quality.ESTIMATED, "unreported")
        if missing:
            yield from self._charge(attempt, missing, payers, Quality.ESTIMATED, UNANSWERED)

    def _charge(
        self,
        attempt: AttemptStarted,
        usage: Mapping[str, int],
        payers: Mapping[tuple[str, str], int],
        quality: Quality,
        part_of: str = "",
    ) -> Iterator[LedgerEntry | Unpriced]:
        """``part_of`` tells two charges of one attempt and meter apart."""
        at = attempt.at
        for line in self._lines(attempt, usage):
            whole = line.quantity if line.row is None else line.row.nano(line.billed)
            for (job, language), part in zip(payers, split(whole, list(payers.values())), strict=True):
                name = f"{line.meter} {part_of}" if part_of else line.meter
                same = (
                    entry_id(self._session, attempt.attempt, Bucket.API_FEE, name, job, language),
                    self._session,
                    attempt.attempt,
                    Bucket.API_FEE,
                    attempt.stage,
                    attempt.engine,
                    job,
                    self._demand.owner(job),
                )
                if line.row is not None:
                    price = part, line.row.currency, line.row.id
                    yield LedgerEntry(*same, language, 0, at, at, *price, quality, attempt.fake)
                elif part:
                    why = f"no row prices {line.meter} of {attempt.engine or attempt.provider or 'this engine'}"
                    yield Unpriced(*same, line.meter, part, at, at, why, attempt.fake)

    def _lines(self, attempt: AttemptStarted, usage: Mapping[str, int]) -> list[_FeeLine]:
        """What of the usage is charged. APIs charge by some meters and report others; those that no row of this model
        prices are left out only when another one prices the call."""
        lines, model = [], attempt.engine.removeprefix(f"{attempt.provider} ")
        for name, meter, unit in _METERS:
            quantity = usage.get(name, 0)
            if quantity > 0:
                row = self._book.find(attempt.provider, model, meter, attempt.at)
                billed = Fraction(0) if row is None else _billed(row, Fraction(quantity, unit), meter, attempt, usage)
                lines.append(_FeeLine(name, quantity, row, billed))
        if not usage and not any(line.row for line in lines):
            # Nobody even estimated: the call is in the books as a call.
            return [_FeeLine("requests", max(len(attempt.units), 1), None, Fraction(0))]
        priced = {line.meter for line in lines if line.row is not None}
        if not priced:
            return lines
        together = _TOKENS if priced & _TOKENS else frozenset()
        return [line for line in lines if line.meter in priced | together]


def _unanswered(attempt: AttemptStarted, end: AttemptEnded) -> dict[str, int]:
    """What the requests without an answer may have used: each as much as the mean request was expected to."""
    count = end.usage.get(UNANSWERED, 0)
    if count <= 0:
        return {}
    expected = max(attempt.estimated.get("requests", 0), 1)
    scaled = {meter: -(-quantity * count // expected) for meter, quantity in attempt.estimated.items()}
    return scaled | {"requests": count}


def _unreported(attempt: AttemptStarted, answered: Mapping[str, int]) -> dict[str, int]:
    """Tokens that were answered with and not reported, or not believably: as many as were expected."""
    if not answered.get("requests"):
        return {}
    return {meter: count for meter, count in attempt.estimated.items() if meter in _TOKENS and not answered.get(meter)}


def _payers(shares: Sequence[Share]) -> dict[tuple[str, str], int]:
    """Who pays a fee: as the shares say, whatever became of the work."""
    found: dict[tuple[str, str], int] = {}
    for share in shares:
        place = (share.job, share.language)
        found[place] = found.get(place, 0) + share.weight
    return dict(sorted(found.items()))


def _billed(
    row: PriceRow, quantity: Exact, meter: Meter, attempt: AttemptStarted, usage: Mapping[str, int]
) -> Fraction:
    """Increments and minimums are of a request, so a call for each unit is billed unit by unit; where there were more
    requests than units, as so many requests of the mean length."""
    if meter is not Meter.AUDIO_SECOND:
        return row.billed(quantity)
    requests = usage.get("requests", 0) or len(attempt.units) or 1
    units = [Fraction(unit.audio_ms, 1000) for unit in attempt.units]
    if requests == len(units) and sum(units) == quantity:
        return sum((row.billed(unit) for unit in units), Fraction(0))
    return requests * row.billed(Fraction(quantity) / requests)
