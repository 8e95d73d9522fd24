"""The price book: dated rows with a source each, and the row that held at an instant.

Rows are appended, never overwritten: a new price is a new row, which closes the open end of the one before it. What the
book does not know is `None`, which callers report as unpriced; it is never 0.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

from core.errors import UsageError
from core.money import Exact, Money, settle
from ledger.price_book.tiers import Tier

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PriceBookError(UsageError):
    """Rows cannot be used; ``problems`` has one line for each thing that is wrong."""

    problems: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, origin: str, problems: Iterable[str], hint: str = "correct the rows, then 'segue prices check'"
    ) -> PriceBookError:
        """An error whose message is the only problem, or the first of them and how many there are."""
        found = tuple(problems)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        error = cls(f"{origin}: {found[0]}{more}", hint)
        error.problems = found
        return error


class Meter(StrEnum):
    """What a price counts."""

    AUDIO_SECOND = "audio_second"
    INPUT_TOKEN = "input_token"
    CACHED_INPUT_TOKEN = "cached_input_token"
    OUTPUT_TOKEN = "output_token"
    CHARACTER = "character"
    #: A second of media in one more language, heard, translated, spoken and mixed by a dubbing service.
    DUBBED_SECOND = "dubbed_second"
    #: A second of picture that is made or changed.
    VIDEO_SECOND = "video_second"
    REQUEST = "request"
    GPU_HOUR = "gpu_hour"
    NODE_HOUR = "node_hour"
    STORAGE_GB_MONTH = "storage_gb_month"
    NETWORK_GB = "network_gb"

    @property
    def timed(self) -> bool:
        """Whether increments and minimums of this meter are written in seconds."""
        return self.value.endswith(("_second", "_hour"))


class Rounding(StrEnum):
    """How a provider rounds usage to its billing increment."""

    #: To the next step: the common case.
    UP = "up"
    #: To the nearest step, halves up.
    NEAREST = "nearest"


class Confidence(StrEnum):
    """How far a price can be trusted."""

    #: Taken from a bill or a price API for an account of ours.
    MEASURED = "measured"
    #: Read on the provider's own price list, or in a public copy of it: a stored page, or a catalogue made from it.
    LIST = "list"
    #: Quoted by somebody else, derived, or told differently by two; verify before you rest a decision on it.
    SEEN = "seen"


@dataclass(frozen=True)
class PriceRow:
    """One price of one thing in one place for one stretch of time. Times are milliseconds since the epoch, UTC."""

    #: Unique in the whole book and never used again: ``openai/whisper-1/2023``.
    id: str
    #: Who charges: ``openai``, ``aws``, ``azure``.
    provider: str
    #: What is counted.
    meter: Meter
    #: Model or machine size as the provider names it: ``whisper-1``, ``Standard_NC4as_T4_v3``.
    sku: str
    #: Price of ``per`` units, in the currency's main unit; above 0 or, where a thing is given away, 0.
    unit_price: Decimal
    #: How many units of the meter that price buys (60 for a price a minute of a meter of seconds).
    per: int
    #: ISO 4217 code.
    currency: str
    #: First instant from which the price is known to have held.
    effective_from: int
    #: First instant at which it no longer held; None until a later row of the same thing begins.
    effective_to: int | None
    #: The day somebody looked at the source.
    observed_at: date
    #: Where the price can be read.
    source_url: str
    #: How far it can be trusted.
    confidence: Confidence
    #: What the thing is used for here: ``transcribe``, ``translate``; empty for machines.
    stage: str = ""
    #: The class of the model; None for machines, and where nobody said it.
    tier: Tier | None = None
    #: First instant from which the model is no longer sold; None where no end is announced. It is not the price's end:
    #: what was used before is still priced by this row, and so is what a contract still allows after it.
    retired_from: int | None = None
    #: Region as the provider names it; empty where the price holds everywhere.
    region: str = ""
    #: Whether the machine may be taken away.
    spot: bool = False
    #: Usage is billed in steps of this many units (seconds, for meters of time); 0 for no steps.
    billing_increment: Decimal = Decimal(0)
    #: How usage becomes whole steps.
    rounding: Rounding = Rounding.UP
    #: Least that is billed: a request for usage, a session for machines; same units as the increment.
    minimum_quantity: Decimal = Decimal(0)
    #: Units a month that an account does not pay for. Shown, never applied to a single job: who used it up is unknown.
    free_tier: Decimal = Decimal(0)
    #: Longest audio one request may carry, in seconds; 0 for no limit that matters.
    request_limit: Decimal = Decimal(0)
    #: The copy in which the price was read, with its day where it has one; empty where it was read at its source.
    read_in: str = ""
    #: What a reader should know: terms, what the source says differently.
    note: str = ""
    #: Why a difference of over 5 % from another public catalogue is accepted; empty where there is none.
    waiver: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, bool]:
        """What only one row may price at any instant."""
        return self.provider, self.sku, self.meter.value, self.region, self.spot

    def holds(self, at: int) -> bool:
        """Whether the price held at this instant."""
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)

    def retired(self, at: int) -> bool:
        """Whether the model can no longer be had at this instant."""
        return self.retired_from is not None and self.retired_from <= at

    @property
    def retirement_day(self) -> str:
        """``2027-01-14``; empty where no end is announced."""
        return "" if self.retired_from is None else instant_text(self.retired_from)[:10]

    def model_remark(self, at: int) -> str:
        """`model_remark` of an API's row at an instant; empty for a machine's."""
        return model_remark(self.tier, self.retirement_day, self.retired(at)) if self.stage else ""

    def billed(self, quantity: Exact) -> Fraction:
        """What one request, or one machine session, of ``quantity`` is billed as: increments and the minimum applied.

        ``quantity`` and the result are in the increment's units (seconds for every meter of time). Nothing used is
        nothing billed.
        """
        used = Fraction(quantity)
        if used <= 0:
            return Fraction(0)
        step = Fraction(self.billing_increment)
        if step and self.rounding is Rounding.UP:
            used = math.ceil(used / step) * step
        elif step:
            used = math.floor(used / step + Fraction(1, 2)) * step
        return max(used, Fraction(self.minimum_quantity))

    def nano(self, billed: Exact) -> int:
        """The price of an already billed quantity, in nano-units, rounded once. Hours are given in seconds."""
        seconds = 3600 if self.meter in (Meter.GPU_HOUR, Meter.NODE_HOUR) else 1
        return settle(Fraction(billed) / (self.per * seconds), self.unit_price)

    def price(self, billed: Exact) -> Money:
        """As `nano`, with its currency."""
        return Money(self.nano(billed), self.currency)

    def as_json(self) -> dict[str, object]:
        """A JSON object with the names and the text forms of a price file."""
        return {
            "id": self.id,
            "provider": self.provider,
            "meter": self.meter.value,
            "sku": self.sku,
            "stage": self.stage,
            "tier": self.tier or "",
            "retired_from": "" if self.retired_from is None else instant_text(self.retired_from),
            "region": self.region,
            "spot": self.spot,
            "unit_price": str(self.unit_price),
            "per": str(self.per),
            "currency": self.currency,
            "billing_increment": str(self.billing_increment),
            "rounding": self.rounding.value,
            "minimum_quantity": str(self.minimum_quantity),
            "free_tier": str(self.free_tier),
            "request_limit": str(self.request_limit),
            "effective_from": instant_text(self.effective_from),
            "effective_to": "" if self.effective_to is None else instant_text(self.effective_to),
            "observed_at": self.observed_at.isoformat(),
            "source_url": self.source_url,
            "confidence": self.confidence.value,
            "read_in": self.read_in,
            "note": self.note,
            "waiver": self.waiver,
        }


def model_remark(tier: Tier | None, retirement_day: str, retired: bool) -> str:
    """``large-v3 class, ends on 2027-02-26``: what has to be said beside a model's price."""
    ends = f"{'ended' if retired else 'ends'} on {retirement_day}" if retirement_day else ""
    return ", ".join(word for word in (tier or "class unknown", ends) if word)


def instant_text(at: int) -> str:
    """``2026-05-01`` for a midnight, else ``2026-05-01T14:30:00Z`` (with milliseconds where there are any)."""
    moment = _EPOCH + timedelta(milliseconds=at)
    if at % 86_400_000 == 0:
        return moment.date().isoformat()
    spec = "milliseconds" if at % 1000 else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


#: What an amount rests on: under one id it never changes. The ledger notes its digest when rows are imported.
TERMS = (
    *("provider", "meter", "sku", "stage", "region", "spot", "unit_price", "per", "currency"),
    *("billing_increment", "rounding", "minimum_quantity", "effective_from"),
)
#: What to do about a price that changed.
NEW_ID = "give the new price an id of its own, with effective_from the day on which it began"


def changed_terms(before: PriceRow, now: PriceRow, but: Collection[str] = ()) -> str:
    """``unit_price is 0.30 where it was 0.36``; empty where both charge the same, whatever is said about it.

    ``but``: terms that may be others.
    """
    was, told = before.as_json(), now.as_json()
    terms = [name for name in (*TERMS, "request_limit", "effective_to") if name not in but]
    changed = [name for name in terms if getattr(before, name) != getattr(now, name)]
    return ", ".join(f"{name} is {_shown(told[name])} where it was {_shown(was[name])}" for name in changed)


def _shown(value: object) -> str:
    return "empty" if value == "" else str(value).lower() if isinstance(value, bool) else str(value)


#: Columns that came after the first books were kept: left out where they are empty, so that those keep their digests.
_LATER = ("tier", "retired_from", "read_in")


def _hashed(row: PriceRow) -> dict[str, object]:
    return {name: value for name, value in row.as_json().items() if value or name not in _LATER}


@dataclass(frozen=True)
class _History:
    """One layer's rows for one thing, in order of time; an open end is closed by the row that follows."""

    #: When each row began to hold.
    starts: tuple[int, ...]
    rows: tuple[PriceRow, ...]

    @classmethod
    def of(cls, rows: Iterable[PriceRow]) -> _History:
        ordered = tuple(sorted(rows, key=lambda row: (row.effective_from, row.id)))
        return cls(tuple(row.effective_from for row in ordered), ordered)

    def at(self, at: int) -> PriceRow | None:
        place = bisect_right(self.starts, at) - 1
        return self.rows[place] if place >= 0 and self.rows[place].holds(at) else None

    @property
    def edges(self) -> set[int]:
        return {*self.starts, *(row.effective_to for row in self.rows if row.effective_to is not None)}


@dataclass(frozen=True)
class PriceBook:
    """Layers of rows; a later layer (a project's file, then the command line) is asked before an earlier one."""

    #: Shipped rows first. Within a layer no two rows price the same thing at the same instant; ids are unique in all.
    layers: tuple[tuple[PriceRow, ...], ...]

    @cached_property
    def rows(self) -> tuple[PriceRow, ...]:
        """All rows, by layer and then as written."""
        return tuple(row for layer in self.layers for row in layer)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex over every row and its layer, whatever the order within a layer."""
        layers = [sorted((_hashed(row) for row in layer), key=lambda row: str(row["id"])) for layer in self.layers]
        text = json.dumps(layers, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, str, bool], tuple[_History, ...]]:
        """For each thing, what its price was: the topmost layer first."""
        index: dict[tuple[str, str, str, str, bool], list[_History]] = defaultdict(list)
        for layer in reversed(self.layers):
            rows: dict[tuple[str, str, str, str, bool], list[PriceRow]] = defaultdict(list)
            for row in layer:
                rows[row.key].append(row)
            for key, found in rows.items():
                index[key].append(_History.of(found))
        return {key: tuple(histories) for key, histories in index.items()}

    @cached_property
    def _by_id(self) -> dict[str, PriceRow]:
        return {row.id: row for row in self.rows}

    def row(self, row_id: str) -> PriceRow | None:
        """The row of this id."""
        return self._by_id.get(row_id)

    def find(
        self, provider: str, sku: str, meter: Meter | str, at: int, *, region: str = "", spot: bool = False
    ) -> PriceRow | None:
        """The row that held at ``at`` (ms since the epoch): of this region, else of no region; None is unpriced.

        Spot machines are found by spot rows only: an on-demand price is never a stand-in for one.
        """
        for place in dict.fromkeys((region, "")):
            for history in self._index.get((provider, sku, str(meter), place, spot), ()):
                if (row := history.at(at)) is not None:
                    return row
        return None

    def current(self, at: int) -> tuple[PriceRow, ...]:
        """Every row that `find` would answer with at this instant, sorted by id."""
        held = (self.find(*key[:3], at, region=key[3], spot=key[4]) for key in self._index)
        return tuple(sorted({row.id: row for row in held if row is not None}.values(), key=lambda row: row.id))

    def steps(
        self, provider: str, sku: str, meter: Meter | str, start: int, end: int, *, region: str = "", spot: bool = False
    ) -> Iterator[tuple[int, int, PriceRow | None]]:
        """The half-open stretches of ``start`` to ``end`` and the row that held in each; None where none did."""
        borders = {start, end}
        for place in dict.fromkeys((region, "")):
            for history in self._index.get((provider, sku, str(meter), place, spot), ()):
                borders |= history.edges
        inside = sorted(edge for edge in borders if start <= edge <= end)
        for first, last in pairwise(inside):
            yield first, last, self.find(provider, sku, meter, first, region=region, spot=spot)

    def with_rows(self, rows: Iterable[PriceRow]) -> PriceBook:
        """This book with one more layer on top. Raises PriceBookError for an id that is taken by another price."""
        added = tuple(rows)
        if not added:
            return self
        taken = {row.id: changed_terms(self._by_id.get(row.id, row), row) for row in added}
        problems = [f"the id {name} is taken by another row: {change}" for name, change in taken.items() if change]
        if problems:
            raise PriceBookError.of("price book", problems, NEW_ID)
        return PriceBook((*self.layers, added))
