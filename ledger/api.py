"""What the APIs would have charged for the very same job: one invoice an API and a way of sending the job to it.

The ways are never mixed: the whole file as it is, and the same work with silence skipped, which any caller of an API
could do as well. Nothing here is an estimate of usage; what was not measured is unpriced, not 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from core.errors import UsageError
from core.money import Conversion, Money
from ledger.api_terms import ApiCharge, bill_audio, bill_count, bill_many
from ledger.price_book.prices import Meter, PriceBook, PriceRow, model_remark
from ledger.price_book.sources import verified
from ledger.price_book.tiers import Tier


class Basis(StrEnum):
    """What is sent to the API."""

    #: The media as it is, silence included.
    WHOLE_FILE = "whole_file"
    #: Speech alone, put together into one recording.
    SPEECH_ONLY = "speech_only"
    #: Each window that this job transcribed, as a request of its own.
    PER_WINDOW = "per_window"
    #: Each stretch of speech as a request of its own: where there is a minimum, short ones are dear.
    PER_SEGMENT = "per_segment"


@dataclass(frozen=True)
class Workload:
    """One job's real usage, as measured; None is "not measured"."""

    #: Length of the media.
    file_ms: int = 0
    #: Length of the speech in it.
    speech_ms: int = 0
    #: Length of each stretch of speech.
    segments: tuple[int, ...] = ()
    #: Length of the audio of each window that was transcribed.
    windows: tuple[int, ...] = ()
    #: Tokens that translation read, prompts included, over all target languages.
    input_tokens: int | None = None
    #: Tokens that translation wrote, over all target languages.
    output_tokens: int | None = None
    #: Code points of source text, once for each target language.
    characters: int | None = None
    #: Requests in which the job was translated.
    requests: int = 0
    #: Instead of ``windows`` where there are very many: (length, how many windows have it).
    window_counts: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        counts = (self.file_ms, self.speech_ms, self.input_tokens, self.output_tokens, self.characters, self.requests)
        if any(count is not None and count < 0 for count in (*counts, *self.segments, *self.windows)):
            raise UsageError("a workload has a negative length or count", "give measurements of 0 or more")
        if self.speech_ms > self.file_ms:
            raise UsageError("a workload has more speech than media", "give the media's length and the speech in it")

    @property
    def translates(self) -> bool:
        """Whether anything was translated, measured or not."""
        return bool(self.requests or self.characters or self.input_tokens or self.output_tokens)


@dataclass(frozen=True)
class Counterfactual:
    """What one API would have charged for one stage of the job, sent in one way."""

    stage: str
    provider: str
    #: Model or product as the provider names it.
    model: str
    basis: Basis
    #: What is counted: ``requests``, and ``audio_ms`` and ``billed_ms``, or tokens, or characters.
    usage: Mapping[str, int]
    #: The charge, before taxes; None where usage was not measured or has no price: unpriced, not 0.
    amount: Money | None
    #: Ids of the rows that priced it.
    price_rows: tuple[str, ...]
    #: What a reader should know: requests, minimums, free tiers, conversion.
    note: str = ""
    #: Whether every row was read on a provider's list, not just seen somewhere.
    verified: bool = True
    #: The class of the model; None where the book does not say it.
    tier: Tier | None = None
    #: The day from which the model is no longer sold; empty where no end is announced.
    retired_from: str = ""
    #: Whether that day had come when the work was done: nobody could have bought this.
    retired: bool = False

    @property
    def price_row(self) -> str:
        """The ids as one text."""
        return " + ".join(self.price_rows)

    @property
    def remark(self) -> str:
        """``large-v3 class, ends on 2027-02-26, price not verified``: what stands beside the amount."""
        doubt = "" if self.verified else ", price not verified"
        return f"{model_remark(self.tier, self.retired_from, self.retired)}{doubt}"

    def converted(self, conversion: Conversion) -> Counterfactual:
        """The same charge in another currency, with the rate's day and source in the note. Raises CurrencyError."""
        if self.amount is None:
            return self
        note = _joined([self.note, f"{self.amount} at {conversion.words} ({conversion.source})"])
        return replace(self, amount=conversion.convert(self.amount), note=note)

    def as_json(self) -> dict[str, object]:
        """A JSON object; ``amount`` is in nano-units of ``currency``, both null where the charge is unpriced."""
        return {
            "stage": self.stage,
            "provider": self.provider,
            "model": self.model,
            "basis": self.basis.value,
            "usage": dict(self.usage),
            "amount": None if self.amount is None else self.amount.nano,
            "currency": None if self.amount is None else self.amount.currency,
            "price_row": self.price_row,
            "verified": self.verified,
            "tier": self.tier,
            "retired_from": self.retired_from or None,
            "retired": self.retired,
            "note": self.note,
        }


def counterfactuals(
    workload: Workload,
    book: PriceBook,
    at: int,
    *,
    by_sound: Collection[str],
    by_text: Collection[str],
    conversions: Sequence[Conversion] = (),
) -> list[Counterfactual]:
    """The invoices of every API whose price the book knows at ``at`` (ms since the epoch), sorted by stage and basis.

    ``by_sound`` and ``by_text``: the stages whose work APIs charge by the length of the sound, and by the text.
    A job that translated nothing gets no invoices for translation. Amounts stay in the currency of their row unless
    ``conversions`` has a dated rate from it. Free tiers are named, not applied: who used one up is not known.
    """
    current = book.current(at)
    made = [
        *_invoices_by_sound(workload, [row for row in current if row.stage in by_sound]),
        *_invoices_by_text(workload, [row for row in current if row.stage in by_text]),
    ]
    made = [_of_model(one, book, at) for one in made]
    rates = {conversion.from_currency: conversion for conversion in conversions}
    order = list(Basis)
    return sorted(
        (_in_currency(one, rates) for one in made),
        key=lambda one: (one.stage, order.index(one.basis), one.provider, one.model),
    )


def _of_model(one: Counterfactual, book: PriceBook, at: int) -> Counterfactual:
    """The invoice with what its rows say of the model: the gate holds the rows of one model to one tier and one end."""
    row = book.row(one.price_rows[0])
    assert row is not None
    return replace(one, tier=row.tier, retired_from=row.retirement_day, retired=row.retired(at))


def _in_currency(one: Counterfactual, rates: Mapping[str, Conversion]) -> Counterfactual:
    if one.amount is None or (conversion := rates.get(one.amount.currency)) is None:
        return one
    return one.converted(conversion)


def _invoices_by_sound(workload: Workload, rows: Iterable[PriceRow]) -> list[Counterfactual]:
    ways = {
        Basis.WHOLE_FILE: (workload.file_ms,),
        Basis.SPEECH_ONLY: (workload.speech_ms,),
        Basis.PER_WINDOW: workload.windows,
        Basis.PER_SEGMENT: workload.segments,
    }
    made: list[Counterfactual] = []
    for row in rows:
        if row.meter is not Meter.AUDIO_SECOND:
            continue
        for basis, lengths in ways.items():
            if lengths:
                made.append(_audio_invoice(bill_audio(row, lengths), basis))
        if workload.window_counts:
            made.append(_audio_invoice(bill_many(row, workload.window_counts), Basis.PER_WINDOW))
    return made


def _audio_invoice(bill: ApiCharge, basis: Basis) -> Counterfactual:
    row = bill.row
    notes: list[str] = []
    if bill.cut:
        notes.append(f"sent in {bill.requests} requests, since one takes {row.request_limit.normalize():f} s at most")
    if row.minimum_quantity:
        notes.append(f"at least {row.minimum_quantity.normalize():f} s a request are billed")
    return Counterfactual(
        stage=row.stage,
        provider=row.provider,
        model=row.sku,
        basis=basis,
        usage={
            "requests": bill.requests,
            "audio_ms": round(bill.used * 1000),
            "billed_ms": round(bill.billed * 1000),
        },
        amount=Money(bill.nano, row.currency),
        price_rows=(row.id,),
        note=_joined([*notes, *_terms(row)]),
        verified=verified(row),
    )


def _invoices_by_text(workload: Workload, rows: Sequence[PriceRow]) -> list[Counterfactual]:
    if not workload.translates:
        return []
    by_model: dict[tuple[str, str, str], dict[Meter, PriceRow]] = {}
    for row in rows:
        by_model.setdefault((row.provider, row.sku, row.region), {})[row.meter] = row
    made: list[Counterfactual] = []
    for prices in by_model.values():
        if Meter.CHARACTER in prices:
            made.append(_counted(prices, {Meter.CHARACTER: workload.characters}, workload.requests))
        elif prices.keys() & {Meter.INPUT_TOKEN, Meter.OUTPUT_TOKEN}:
            tokens = {Meter.INPUT_TOKEN: workload.input_tokens, Meter.OUTPUT_TOKEN: workload.output_tokens}
            made.append(_counted(prices, tokens, workload.requests))
    # Silence has no text, so both ways of sending the job cost the same; each way has its whole bill.
    return [replace(one, basis=basis) for one in made for basis in (Basis.WHOLE_FILE, Basis.SPEECH_ONLY)]


def _counted(prices: Mapping[Meter, PriceRow], counts: Mapping[Meter, int | None], requests: int) -> Counterfactual:
    """The invoice for tokens or characters; unpriced where one of them was not measured or has no price."""
    rows = [prices[meter] for meter in counts if meter in prices]
    first = rows[0]
    usage = {"requests": requests} | {f"{meter}s": count for meter, count in counts.items() if count is not None}
    unmeasured = [meter for meter, count in counts.items() if count is None]
    unknown = [meter for meter in counts if meter not in prices]
    amount: Money | None = None
    notes = [f"unpriced: no price of {meter.replace('_', ' ')}s is known" for meter in unknown]
    notes += [f"unpriced: {meter.replace('_', ' ')}s were not measured" for meter in unmeasured]
    if not notes:
        if len({row.currency for row in rows}) > 1:
            notes = ["unpriced: its prices are in two currencies"]
        else:
            nano = sum(bill_count(prices[meter], count or 0).nano for meter, count in counts.items())
            amount = Money(nano, first.currency)
            if Meter.INPUT_TOKEN in counts:
                notes = ["tokens as this job's own engine counted them"]
    return Counterfactual(
        stage=first.stage,
        provider=first.provider,
        model=first.sku,
        basis=Basis.WHOLE_FILE,
        usage=usage,
        amount=amount,
        price_rows=tuple(row.id for row in rows),
        note=_joined([*notes, *_terms(first)]),
        verified=all(verified(row) for row in rows),
    )


def _terms(row: PriceRow) -> list[str]:
    terms: list[str] = []
    if row.free_tier:
        terms.append(f"the first {row.free_tier.normalize():f} {row.meter.replace('_', ' ')}s of a month are free")
    if not verified(row):
        terms.append("price not verified at its source")
    return terms


def _joined(notes: Iterable[str]) -> str:
    return "; ".join(note for note in notes if note)
