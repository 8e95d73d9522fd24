"""What the supervisor and its engine process say to each other: one JSON object a line, over pipes.

Both ends are the same version of Segue on the same machine, so nothing here is negotiated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.keys import Key
from core.specs import EngineSpec
from pipeline.lookup import UnitRef
from pipeline.stages.stage import Slot


class Command(StrEnum):
    """What the supervisor asks for."""

    #: Open the engines of these stages.
    LOAD = "load"
    #: Compute these units: a chunk.
    RUN = "run"
    #: Compute a unit that was computed before and keep nothing: does the engine still work?
    TRY = "try"
    #: Commit what the engine yields of this chunk and leave the rest.
    STOP = "stop"
    #: Close the engines and end.
    LEAVE = "leave"


class UnitOutcome(StrEnum):
    """What became of a unit."""

    #: Its record is durable.
    DONE = "done"
    #: The engine cannot compute it; the failure is durable.
    FAILED = "failed"
    #: The disk has no such unit (any more).
    STALE = "stale"


class ChunkErrorKind(StrEnum):
    """Why a chunk or a loading ended early."""

    DISK_FULL = "disk_full"
    STORE = "store"
    #: Decoded audio is damaged or gone; it has to be decoded again.
    AUDIO = "audio"
    ENGINE = "engine"
    #: The compute device failed or has no memory left.
    DEVICE = "device"
    #: A remote engine does not answer.
    AWAY = "away"
    #: A defect in Segue, or in an engine's library.
    DEFECT = "defect"


@dataclass(frozen=True)
class ServedEngine:
    """An engine that is open."""

    stage: str
    spec: EngineSpec
    #: Units that it takes at once.
    batch_size: int
    #: True when it computes elsewhere: what ends it says nothing about a unit.
    remote: bool


@dataclass(frozen=True)
class Ready:
    """Every engine that was asked for is open."""

    served: tuple[ServedEngine, ...]


@dataclass(frozen=True)
class Settled:
    """One unit of the chunk in flight is through."""

    chunk: int
    #: Place of the unit in the chunk.
    place: int
    ending: UnitOutcome
    reason: str


@dataclass(frozen=True)
class ChunkDone:
    """The chunk in flight is through, or was left when `STOP` came."""

    chunk: int
    attempt: str
    engine_ms: int
    #: Speech that the engine was given.
    audio_ms: int
    commits_ms: tuple[int, ...]
    #: What the engine takes at once now; less than before when memory ran out.
    batch_size: int


@dataclass(frozen=True)
class Broken:
    """The chunk in flight (or the loading, chunk 0) ended early; what was settled stays."""

    chunk: int
    trouble: ChunkErrorKind
    text: str
    #: Jobs whose audio has to be decoded again, for `ChunkErrorKind.AUDIO`.
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """A line for people: a download begins, something surprising was chosen."""

    text: str


@dataclass(frozen=True)
class Gone:
    """The process has ended; nothing comes after this."""

    #: One line: the signal or the exit code.
    reason: str


Event = Ready | Settled | ChunkDone | Broken | Said | Gone


def dump_ref(ref: UnitRef) -> list[Any]:
    """A unit's name as JSON."""
    return [ref.job_id, list(ref.slot), ref.key, ref.round, ref.audio_ms]


def load_ref(value: Sequence[Any]) -> UnitRef:
    """The name that `dump_ref` wrote."""
    job_id, slot, key, round_, audio_ms = value
    return UnitRef(job_id, Slot(*slot), Key(key), round_, audio_ms)


def dump_line(value: Mapping[str, Any]) -> bytes:
    """One command or event as it is written."""
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def dump_event(event: Event) -> bytes:
    """The line of an event."""
    value: dict[str, Any] = {"event": type(event).__name__.lower()}
    for name in event.__dataclass_fields__:
        value[name] = getattr(event, name)
    if isinstance(event, Ready):
        value["served"] = [
            {"stage": each.stage, "spec": each.spec.as_json(), "batch_size": each.batch_size, "remote": each.remote}
            for each in event.served
        ]
    return dump_line(value)


def load_event(line: bytes) -> Event:
    """The event of a line. Raises ValueError for a line that `dump_event` did not write."""
    try:
        return _event(json.loads(line))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an event: {error}") from error


def _event(value: Any) -> Event:
    name = value.pop("event")
    if name == "ready":
        return Ready(
            tuple(
                ServedEngine(each["stage"], EngineSpec.from_json(each["spec"]), each["batch_size"], each["remote"])
                for each in value["served"]
            )
        )
    if name == "settled":
        return Settled(value["chunk"], value["place"], UnitOutcome(value["ending"]), value["reason"])
    if name == "chunkdone":
        return ChunkDone(**value | {"commits_ms": tuple(value["commits_ms"])})
    if name == "broken":
        return Broken(value["chunk"], ChunkErrorKind(value["trouble"]), value["text"], tuple(value["jobs"]))
    if name == "said":
        return Said(value["text"])
    raise ValueError(f"not an event: {name!r}")
