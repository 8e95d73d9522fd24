"""What happened, as the journals say it: typed, with times as integer milliseconds since the epoch, UTC.

No verdict is here. `ledger.fold` derives what was useful, lost or double from these facts and from the records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct, field

from core.errors import SegueError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
#: The most that one attempt can have used of anything: 31 years in milliseconds, a thousand million tokens a second.
MOST_USED = 10**12
_SECONDS = re.compile(r"(\d{1,9})(?:\.(\d{1,3})\d*)?")


class FactError(SegueError):
    """A line is whole and yet not the fact it says it is."""


class SessionOpened(Struct, frozen=True, gc=False):
    """One VM's billed life begins."""

    #: Node session.
    session: str
    #: When the machine began to cost money.
    at: int
    #: azure, aws, gcp; empty outside of them.
    cloud: str = ""
    #: Machine size as the cloud writes it.
    size: str = ""
    #: Region as the cloud writes it.
    region: str = ""
    #: Zone as the cloud writes it.
    zone: str = ""
    #: Whether it is a spot machine; None when nobody says.
    spot: bool | None = None
    #: A name for each GPU.
    gpu: tuple[str, ...] = ()
    #: Price an hour, ``0.149 USD``; empty where the book is to be asked.
    price: str = ""


class Beat(Struct, frozen=True, gc=False):
    """The machine was alive."""

    #: Node session.
    session: str
    #: When.
    at: int
    #: Worker that beat; several may live on one machine.
    worker: str = ""


class SessionClosed(Struct, frozen=True, gc=False):
    """A worker left the machine in order."""

    #: Node session.
    session: str
    #: When.
    at: int
    #: Why, in words: ``aws: ...`` where AWS said that it takes the machine.
    reason: str = ""
    #: Worker that left.
    worker: str = ""


class PriceChanged(Struct, frozen=True, gc=False):
    """A spot price step: from here on the machine costs another price."""

    #: Node session.
    session: str
    #: First instant of the new price.
    at: int
    #: Price an hour, as in `SessionOpened`; empty: the book is to be asked again.
    price: str


class ProcessStarted(Struct, frozen=True, gc=False):
    """A process that computes, and the machine it is on."""

    #: Process session: the name of its journal.
    process: str
    #: Node session; empty for an embedded run.
    session: str
    #: Worker it belongs to; empty for an embedded run.
    worker: str
    #: When it began.
    at: int


class ProcessEnded(Struct, frozen=True, gc=False):
    """Somebody who survived it saw the process end."""

    #: Process session.
    process: str
    #: When.
    at: int


class UnitUse(Struct, frozen=True, gc=False):
    """One unit of a batch."""

    #: Key of the unit's record.
    key: str
    #: Speech in it.
    audio_ms: int
    #: Job that it was taken up for; empty when nobody says.
    job: str = ""


class AttemptStarted(Struct, frozen=True, gc=False):
    """A batch was about to be given to an engine; durable before the call."""

    #: Attempt.
    attempt: str
    #: Process session.
    process: str
    #: Stage.
    stage: str
    #: When.
    at: int
    #: The engine in one line: provider, model, arithmetic.
    engine: str = ""
    #: Who would charge for it.
    provider: str = ""
    #: Whether the engine only pretends.
    fake: bool = False
    #: Whether the engine is called over the network.
    remote: bool = False
    #: The batch, in order.
    units: tuple[UnitUse, ...] = ()
    #: What a remote engine was expected to use, by meter.
    estimated: Mapping[str, int] = field(default_factory=dict)


class AttemptEnded(Struct, frozen=True, gc=False):
    """The engine returned."""

    #: Attempt.
    attempt: str
    #: When the last result was durable.
    at: int
    #: Time inside the engine, by a monotonic clock.
    engine_ms: int
    #: Results it gave.
    yielded: int = 0
    #: What it used, by meter.
    usage: Mapping[str, int] = field(default_factory=dict)
    #: Keys of units that the engine was stopped before: none of its time was theirs.
    left: frozenset[str] = frozenset()


class EngineLoaded(Struct, frozen=True, gc=False):
    """An engine was loaded; ``at`` is the end of loading."""

    #: Process session.
    process: str
    #: Stage.
    stage: str
    #: The engine in one line.
    engine: str
    #: When it was ready.
    at: int
    #: How long it took.
    seconds_ms: int
    #: Whether the engine only pretends; None in facts from before it was said: its line tells.
    fake: bool | None = None


class EngineTried(Struct, frozen=True, gc=False):
    """A finished unit was computed again only to see whether the engine works; ``at`` is the end."""

    #: Process session.
    process: str
    #: Stage.
    stage: str
    #: When it was through.
    at: int
    #: How long it took.
    tried_ms: int


class DemandInterval(Struct, frozen=True, gc=False):
    """A job wanted these units from ``at`` until ``until``."""

    #: Job.
    job: str
    #: Whose job it is.
    owner: str
    #: Free labels.
    labels: Mapping[str, str]
    #: When it was asked for.
    at: int
    #: When it was over; None while it runs.
    until: int | None
    #: Keys of the units it wants.
    keys: frozenset[str]
    #: Language of a unit by its key, where it has one.
    languages: Mapping[str, str] = field(default_factory=dict)


NodeFact = SessionOpened | Beat | SessionClosed | PriceChanged
ProcessFact = ProcessStarted | ProcessEnded | AttemptStarted | AttemptEnded | EngineLoaded | EngineTried
Fact = NodeFact | ProcessFact


def parse_instant(text: str) -> int:
    """``2026-11-21T23:16:42.123+00:00`` in milliseconds since the epoch. Raises FactError without a zone."""
    try:
        since = datetime.fromisoformat(text) - _EPOCH
        return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
    except (ValueError, TypeError) as error:
        raise FactError(f"{text!r} is not an instant with a time zone") from error


def parse_seconds(text: str) -> int:
    """``12.345`` seconds as 12345 ms; what is below a millisecond is cut off. Raises FactError."""
    if 4 < len(text) < 14 and text[-4] == "." and (digits := text[:-4] + text[-3:]).isdecimal():
        # As journals write them.
        return int(digits)
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise FactError(f"{text!r} is not a number of seconds that an attempt can take")
    whole, part = match.groups()
    return int(whole) * 1000 + (int(part.ljust(3, "0")) if part else 0)


def believable_counts(raw: object) -> dict[str, int]:
    """What a journal or a record says was used, by meter, as far as it can be true.

    Endpoints report their own usage. What was written down without a doubt (-7 tokens, 10**30 of them) is as if it had
    not been reported: a store that holds it says what it can.
    """
    if not isinstance(raw, Mapping):
        return {}
    return {name: count for name, count in raw.items() if type(count) is int and 0 <= count <= MOST_USED}
