"""What the ledger says: entries with an amount, and usage that nobody could price."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct, to_builtins

from core.errors import UsageError

#: Milliseconds of a day, UTC: instants have no leap seconds.
DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


#: Price row of an entry that carries a share of the fleet's idle.
SHARED_IDLE = "shared-idle"


class Bucket(StrEnum):
    """What money was spent on."""

    #: Work that a record names.
    BUSY = "busy"
    #: Loading engines.
    LOAD = "load"
    #: The machine ran and nobody used it.
    IDLE = "idle"
    #: Work that a death took away.
    LOST = "lost"
    #: Work that was finished and that no record names: somebody else's result was there first, or none came.
    DUPLICATE = "duplicate"
    #: From switching the machine on to the first process.
    BOOT = "boot"
    #: What an API charged.
    API_FEE = "api_fee"
    #: The people who run it all.
    PEOPLE = "people"
    #: Billed, and no fact says for what: the provider's increment and minimum.
    UNATTRIBUTED = "unattributed"


#: What machines' time goes to while an attempt or a loading is active on them.
WORK_BUCKETS = frozenset({Bucket.BUSY, Bucket.LOAD, Bucket.LOST, Bucket.DUPLICATE})


class Quality(StrEnum):
    """How far a number can be trusted."""

    #: From clocks and counters.
    MEASURED = "measured"
    #: From a rule, such as the half beat after the last sign of life.
    ESTIMATED = "estimated"
    #: Checked against the provider's bill.
    RECONCILED = "reconciled"


@dataclass(frozen=True, order=True)
class Period:
    """A half-open stretch of time."""

    #: First instant, milliseconds since the epoch.
    start: int
    #: First instant after it.
    end: int

    @classmethod
    def month(cls, text: str) -> Period:
        """``2026-11`` in UTC. Raises UsageError."""
        match = _MONTH.fullmatch(text)
        if match is None or match.group(1) == "0000":
            raise UsageError(f"{text!r} is not a month", "write it as 2026-11")
        year, month = int(match.group(1)), int(match.group(2))
        first = datetime(year, month, 1, tzinfo=UTC)
        # December of year 9999 has no month after it in any calendar of ours.
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) if (year, month) != (9999, 12) else first
        ms = timedelta(milliseconds=1)
        return cls((first - _EPOCH) // ms, (after - _EPOCH) // ms)


class Attributed(Struct, frozen=True):
    """What every line of the ledger says: what it is about, and for whom."""

    #: Derived from what the line is about, so that the same facts give the same id; 32 hexadecimal digits.
    id: str
    #: Node session, or the process of an embedded run.
    session: str
    #: Attempt, or the process for a loading; empty for what nobody caused.
    attempt: str
    #: What it was spent on.
    bucket: Bucket
    #: Stage; empty for what nobody caused.
    stage: str
    #: The engine in one line.
    engine: str
    #: Job that it is charged to; empty for the fleet's own.
    job: str
    #: Owner of the job.
    owner: str

    def as_json(self) -> dict[str, Any]:
        """The line as `segue ledger --json` prints it and closings keep it; amounts are nano-units."""
        found: dict[str, Any] = to_builtins(self)
        return found


class LedgerEntry(Attributed, frozen=True, rename={"unit_ms": "node_ms", "nano": "amount"}):
    """An amount that was spent, on what and for whom."""

    #: Language of the units.
    language: str
    #: Node time, already divided among those who shared it; 0 for fees.
    unit_ms: int
    #: First instant.
    start: int
    #: First instant after it.
    end: int
    #: Amount in thousand-millionths of the currency; negative for a reversal.
    nano: int
    #: ISO 4217 code.
    currency: str
    #: Row of the price book, ``session`` for the session's own price, with ``#rule`` where a rule set it aside.
    price_row: str
    #: How far the amount can be trusted.
    quality: Quality
    #: Whether a fake engine did it.
    fake: bool


class Unpriced(Attributed, frozen=True):
    """Usage without a price: it has no amount, which is not the same as 0."""

    #: What was used: ``node_ms``, or a meter of an API's usage (``audio_ms``, ``input_tokens``).
    meter: str
    #: How much of it, of that meter's unit.
    quantity: int
    #: First instant.
    start: int
    #: First instant after it.
    end: int
    #: Which price is missing, in words.
    why: str
    #: Whether a fake engine did it.
    fake: bool


class Residual(Struct, frozen=True, rename={"nano": "amount"}):
    """What a session was billed beyond what its facts account for. It is shown, never spread."""

    #: Node session.
    session: str
    #: Billed time beyond the machine's life.
    ms: int
    #: Its amount.
    nano: int
    #: ISO 4217 code; empty where the time has no price.
    currency: str
    #: Where it comes from.
    why: str
