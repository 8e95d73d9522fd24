"""Facts of a made-up fleet, written into a store as the workers that had them would have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cache.envelope import Record
from cache.store import Store
from core.keys import Key, canonical_json, digest_value
from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    Beat,
    DemandInterval,
    EngineLoaded,
    EngineTried,
    Fact,
    PriceChanged,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    SessionOpened,
    UnitUse,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: int) -> str:
    """As journals write it."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")


def seconds(ms: int) -> str:
    """As journals write it."""
    return f"{ms // 1000}.{ms % 1000:03d}"


def key_of(name: str) -> Key:
    """A unit's key, as a store takes it."""
    return Key(digest_value(["unit", name]))


def job_of(name: str) -> str:
    """A job's id, as a store takes it."""
    return digest_value(name)[:24] if name else ""


class JournalWriter:
    """Writes facts where they belong."""

    def __init__(self, store: Store, homes: dict[str, str], languages: Mapping[str, str]) -> None:
        """``homes``: machine of each process. ``languages``: of units, by their made-up keys."""
        self._store, self.homes, self._languages = store, homes, languages

    def write(self, facts: Iterable[Fact]) -> None:
        """Appends these facts."""
        for fact in facts:
            match fact:
                case SessionOpened():
                    self._store.write_once(("nodes", fact.session, "opened.json"), canonical_json(_opening(fact)))
                case Beat() | SessionClosed() | PriceChanged():
                    self._append("nodes", fact.session, f"beats-{getattr(fact, 'worker', '')}.jsonl", _node_line(fact))
                case ProcessEnded() if self.homes[fact.process] != fact.process:
                    line = {"fact": "process_ended", "at": instant(fact.at), "process": fact.process}
                    self._append("nodes", self.homes[fact.process], "seen.jsonl", line)
                case AttemptEnded():
                    process = fact.attempt.partition("/")[0]
                    self._append("attempts", f"{process}.jsonl", _ended(fact))
                case _:
                    self._append("attempts", f"{fact.process}.jsonl", self._process_line(fact))

    def record(self, key: str, attempt: str, at: int) -> None:
        """The unit's record."""
        self._store.put(Record(key_of(key), "transcribe", b"{}", {"attempt": attempt, "at": instant(at)}))

    def want(self, want: DemandInterval, until: int) -> None:
        """What is known by then of a job's demand; nothing twice."""
        parts = ("jobs", job_of(want.job), "wants-coordinator.jsonl")
        known = {entry["fact"] for entry in self._store.read_journal(parts).entries}
        if want.at <= until and "job_wanted" not in known:
            self._store.append(parts, [{"fact": "job_wanted", "at": instant(want.at)}])
        if want.until is not None and want.until <= until and "job_ended" not in known:
            keys = sorted(key_of(key) for key in want.keys)
            self._store.append(parts, [{"fact": "job_ended", "at": instant(want.until), "keys": keys}])

    def _append(self, *parts: Any) -> None:
        self._store.append(parts[:-1], [parts[-1]], durable=False)

    def _unit(self, unit: UnitUse) -> dict[str, Any]:
        return {"key": key_of(unit.key), "audio_ms": unit.audio_ms, "language": self._languages.get(unit.key, "")}

    def _process_line(self, fact: Fact) -> dict[str, Any]:
        match fact:
            case ProcessStarted():
                node = fact.session or fact.process
                return {"fact": "process_started", "at": instant(fact.at), "node": node, "worker": fact.worker}
            case AttemptStarted():
                return {
                    "fact": "attempt_started",
                    "attempt": fact.attempt,
                    "stage": fact.stage,
                    "at": instant(fact.at),
                    "engine": fact.engine,
                    "provider": fact.provider,
                    "fake": fact.fake,
                    "remote": fact.remote,
                    "estimated": dict(fact.estimated),
                    "units": [
                        {
                            "key": key_of(unit.key),
                            "audio_ms": unit.audio_ms,
                            "language": self._languages.get(unit.key, ""),
                        }
                        for unit in fact.units
                    ],
                    "jobs": [job_of(unit.job) for unit in fact.units],
                }
            case EngineLoaded():
                told = {"stage": fact.stage, "engine": fact.engine, "seconds": seconds(fact.seconds_ms)}
                return {"fact": "engine_loaded", "at": instant(fact.at), **told}
            case EngineTried():
                told = {"stage": fact.stage, "seconds": seconds(fact.tried_ms)}
                return {"fact": "engine_tried", "at": instant(fact.at), **told}
            case _:
                return {"fact": "process_ended", "at": instant(getattr(fact, "at", 0))}


def _opening(fact: SessionOpened) -> dict[str, Any]:
    about = {name: getattr(fact, name) for name in ("session", "cloud", "size", "region", "spot", "price")}
    return {"v": 1, "at": instant(fact.at), "gpu_names": list(fact.gpu), **about}


def _node_line(fact: Beat | SessionClosed | PriceChanged) -> dict[str, Any]:
    match fact:
        case Beat():
            return {"fact": "beat", "at": instant(fact.at), "worker": fact.worker}
        case SessionClosed():
            return {"fact": "session_closed", "at": instant(fact.at), "reason": fact.reason, "worker": fact.worker}
        case PriceChanged():
            return {"fact": "price_changed", "at": instant(fact.at), "price": fact.price}


def _ended(fact: AttemptEnded) -> dict[str, Any]:
    return {
        "fact": "attempt_ended",
        "attempt": fact.attempt,
        "at": instant(fact.at),
        "engine_seconds": seconds(fact.engine_ms),
        "yielded": fact.yielded,
        "usage": dict(fact.usage),
    }
