"""What happened, as the journals say it: typed, with times as integer milliseconds since the epoch, UTC.

No verdict is here. `ledger.fold` derives what was useful, lost or double from these facts and from the records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from core.errors import SegueError
from journals.value_types import value_type

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_NOTHING = frozenset[str]()
#: The most that one attempt can have used of anything: 31 years in milliseconds, a thousand million tokens a second.
_MOST_USED = 10**12
_SECONDS = re.compile(r"(\d{1,15})(?:\.(\d{1,3})\d*)?")


class FactError(SegueError):
    """A line is whole and yet not the fact it says it is."""


@value_type
class SessionOpened:
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


@value_type
class Beat:
    """The machine was alive."""

    #: Node session.
    session: str
    #: When.
    at: int
    #: Worker that beat; several may live on one machine.
    worker: str = ""


@value_type
class SessionClosed:
    """A worker left the machine in order."""

    #: Node session.
    session: str
    #: When.
    at: int
    #: Why, in words: ``aws: ...`` where AWS said that it takes the machine.
    reason: str = ""
    #: Worker that left.
    worker: str = ""


@value_type
class PriceChanged:
    """A spot price step: from here on the machine costs another price."""

    #: Node session.
    session: str
    #: First instant of the new price.
    at: int
    #: Price an hour, as in `SessionOpened`; empty: the book is to be asked again.
    price: str


@value_type
class ProcessStarted:
    """A process that computes, and the machine it is on."""

    #: Process session: the name of its journal.
    process: str
    #: Node session; empty for an embedded run.
    session: str
    #: Worker it belongs to; empty for an embedded run.
    worker: str
    #: When it began.
    at: int


@value_type
class ProcessEnded:
    """Somebody who survived it saw the process end."""

    #: Process session.
    process: str
    #: When.
    at: int


@value_type
class UnitUse:
    """One unit of a batch."""

    #: Key of the unit's record.
    key: str
    #: Speech in it.
    audio_ms: int
    #: Job that it was taken up for; empty when nobody says.
    job: str = ""


@value_type
class AttemptStarted:
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


@value_type
class AttemptEnded:
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


@value_type
class EngineLoaded:
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


@value_type
class EngineTried:
    """A finished unit was computed again only to see whether the engine works; ``at`` is the end."""

    #: Process session.
    process: str
    #: Stage.
    stage: str
    #: When it was through.
    at: int
    #: How long it took.
    tried_ms: int


@value_type
class DemandInterval:
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
    if (
        isinstance(text, str)
        and 4 < len(text) < 20
        and text[-4] == "."
        and (digits := text[:-4] + text[-3:]).isdecimal()
    ):
        # As journals write them.
        return int(digits)
    match = _SECONDS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise FactError(f"{text!r} is not a number of seconds")
    whole, part = match.groups()
    return int(whole) * 1000 + (int(part.ljust(3, "0")) if part else 0)


def believable_counts(raw: object) -> dict[str, int]:
    """What a journal or a record says was used, by meter, as far as it can be true.

    Endpoints report their own usage. What was written down without a doubt (-7 tokens, 10**30 of them) is as if it had
    not been reported: a store that holds it says what it can.
    """
    if not isinstance(raw, Mapping):
        return {}
    return {name: count for name, count in raw.items() if type(count) is int and 0 <= count <= _MOST_USED}


def parse_opening(raw: Mapping[str, Any]) -> SessionOpened:
    """The opening document of a node session. Raises FactError.

    ``booted`` (when the machine was switched on) comes before ``at`` (when the first worker wrote): a cloud bills from
    the former.
    """
    try:
        return SessionOpened(
            session=raw["session"],
            at=parse_instant(raw.get("booted") or raw["at"]),
            cloud=raw.get("cloud", ""),
            size=raw.get("size", ""),
            region=raw.get("region", ""),
            zone=raw.get("zone", ""),
            spot=raw.get("spot"),
            gpu=tuple(raw.get("gpu_names", ())),
            price=raw.get("price", ""),
        )
    except (KeyError, TypeError) as error:
        raise FactError(f"an opening of a node session is incomplete: {error}") from error


def parse_node_fact(session: str, raw: Mapping[str, Any]) -> NodeFact | ProcessEnded | None:
    """A line of a journal in a session's folder; None for a kind that costs nothing. Raises FactError.

    A supervisor says there when it saw one of its processes end.
    """
    try:
        match raw["fact"]:
            case "beat":
                return Beat(session, parse_instant(raw["at"]), raw.get("worker", ""))
            case "session_closed":
                return SessionClosed(session, parse_instant(raw["at"]), raw["reason"], raw.get("worker", ""))
            case "price_changed":
                return PriceChanged(session, parse_instant(raw["at"]), raw["price"])
            case "process_ended":
                return ProcessEnded(raw["process"], parse_instant(raw["at"]))
    except (KeyError, TypeError) as error:
        raise FactError(f"a fact of node session {session} is incomplete: {error}") from error
    return None


def parse_attempt_fact(process: str, raw: Mapping[str, Any]) -> ProcessFact | None:
    """A line of the journal of ``process``; None for a kind that costs nothing. Raises FactError."""
    try:
        match raw["fact"]:
            case "attempt_started":
                return _parse_started(process, raw)
            case "attempt_ended":
                seconds = parse_seconds(raw["engine_seconds"])
                at, left = parse_instant(raw["at"]), frozenset(raw["left"]) if "left" in raw else _NOTHING
                used = believable_counts(raw["usage"])
                return AttemptEnded(raw["attempt"], at, seconds, raw["yielded"], used, left)
            case "process_started":
                return ProcessStarted(process, raw["node"], raw["worker"], parse_instant(raw["at"]))
            case "process_ended":
                return ProcessEnded(process, parse_instant(raw["at"]))
            case "engine_loaded":
                ended, took = parse_instant(raw["at"]), parse_seconds(raw["seconds"])
                return EngineLoaded(process, raw["stage"], raw["engine"], ended, took)
            case "engine_tried":
                return EngineTried(process, raw["stage"], parse_instant(raw["at"]), parse_seconds(raw["seconds"]))
    except (KeyError, TypeError) as error:
        raise FactError(f"a fact of process {process} is incomplete: {error}") from error
    return None


def _parse_started(process: str, raw: Mapping[str, Any]) -> AttemptStarted:
    units, jobs = raw["units"], raw.get("jobs")
    if not jobs:
        jobs = [""] * len(units)
    elif len(jobs) != len(units):
        raise FactError(f"attempt {raw['attempt']!r} names {len(jobs)} jobs for {len(units)} units")
    return AttemptStarted(
        raw["attempt"],
        process,
        raw["stage"],
        parse_instant(raw["at"]),
        raw.get("engine", ""),
        raw.get("provider", ""),
        raw.get("fake", False),
        raw.get("remote", False),
        tuple([UnitUse(unit["key"], unit["audio_ms"], job) for unit, job in zip(units, jobs, strict=False)]),
        believable_counts(raw.get("estimated")),
    )
