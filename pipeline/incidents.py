"""What went wrong in a job, and what people are told of it: append-only journals in the job's folder, one a writer.

Failures and deaths belong to a round: `retry` opens the next one, and what happened in earlier rounds counts no more.
A journal has one writing machine, because a network disk promises nothing to two that append to one file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from cache.store import Store
from core.keys import Key

_JOBS = "jobs"
#: The embedded run's name as a writer.
RUN = "run"


class NamedUnit(Protocol):
    """What is noted of a unit that has failed."""

    @property
    def key(self) -> Key: ...

    def describe(self) -> str:
        """A name for messages."""


@dataclass(frozen=True)
class Death:
    """An engine's process died, and a supervisor that survived it saw which units it was computing."""

    key: Key
    #: True when this unit was the only one in flight.
    alone: bool
    #: One line: the signal, the exit code, or that it stood still.
    reason: str
    #: The last lines the process wrote; empty when there were none.
    tail: str
    round: int
    #: The worker process that saw it: an id that no other worker ever had.
    worker: str
    #: UTC, ISO 8601.
    at: str = ""
    #: The machine's session; workers that follow each other on one machine are one witness.
    node: str = ""
    #: True when the device itself failed: that says nothing of the unit unless this machine can compute others.
    device: bool = False


class Incidents:
    """One job's failures, deaths and log on disk. Holds nothing in memory."""

    def __init__(self, store: Store, job_id: str, listed: Sequence[str] | None = None) -> None:
        """``listed``: the names in the job's folder, where a reader has listed it already."""
        self._store, self._job_id, self._listed = store, job_id, listed

    # -- rounds and failures ---------------------------------------------------------------------------------

    def round(self) -> int:
        """How many times the job was told to try again."""
        return len(_retries(self._failure_lines()))

    def open_round(self, order: str, writer: str) -> None:
        """Lets everything that failed be tried again; the same order opens one round however often it is given."""
        if order not in _retries(self._failure_lines()):
            self._append("failures", writer, [{"fact": "retry", "order": order, "at": _now()}], durable=True)

    def note_failure(self, unit: NamedUnit, reason: str, round_: int, writer: str) -> None:
        """Appends a failure; durable when it returns."""
        entry = {
            "fact": "failed",
            "key": unit.key,
            "unit": unit.describe(),
            "reason": reason,
            "round": round_,
            "at": _now(),
        }
        self._append("failures", writer, [entry], durable=True)

    def failures(self) -> dict[Key, str]:
        """Failures of the current round: unit key -> reason."""
        lines = self._failure_lines()
        current = len(_retries(lines))
        return {
            Key(entry["key"]): str(entry["reason"])
            for _, round_, entry in lines
            if entry["fact"] == "failed" and round_ == current
        }

    def _failure_lines(self) -> list[tuple[str, int, dict[str, Any]]]:
        """(name of the line, its round, the line) of every journal."""
        lines = []
        for name in self._names("failures"):
            retries = 0
            for number, entry in enumerate(self._store.read_journal((_JOBS, self._job_id, name)).entries):
                # Journals from before there were several writers say neither order nor round: their sequence does.
                lines.append((str(entry.get("order") or f"{name}:{number}"), int(entry.get("round", retries)), entry))
                retries += entry["fact"] == "retry"
        return lines

    # -- deaths ----------------------------------------------------------------------------------------------

    def note_deaths(self, deaths: Sequence[Death], writer: str) -> None:
        """Appends deaths; durable when it returns, so before anybody computes these units again."""
        entries = [
            {
                "fact": "death",
                "key": death.key,
                "alone": death.alone,
                "reason": death.reason,
                "tail": death.tail,
                "round": death.round,
                "worker": death.worker,
                "at": death.at or _now(),
                "node": death.node,
                "device": death.device,
            }
            for death in deaths
        ]
        self._append("deaths", writer, entries, durable=True)

    def deaths(self, round_: int | None = None) -> dict[Key, list[Death]]:
        """Deaths of a round (default: the current one), by unit key, in no promised order."""
        names = self._names("deaths")
        found: dict[Key, list[Death]] = {}
        wanted = self.round() if names and round_ is None else round_
        for name in names:
            for entry in self._store.read_journal((_JOBS, self._job_id, name)).entries:
                if entry["fact"] == "death" and entry["round"] == wanted:
                    fields = {field: entry[field] for field in Death.__dataclass_fields__ if field in entry}
                    found.setdefault(Key(entry["key"]), []).append(Death(**fields))
        return found

    # -- log -------------------------------------------------------------------------------------------------

    def log(self, writer: str, event: str, text: str, level: str = "info", **ids: Any) -> None:
        """Appends a line for people; it is not worth waiting for a disk."""
        entry = {"at": _now(), "level": level, "event": event, "job": self._job_id, "text": text, "by": writer, **ids}
        self._append("log", writer, [entry], durable=False)

    def read_log(self) -> list[dict[str, Any]]:
        """The lines of all writers, oldest first."""
        lines: list[dict[str, Any]] = []
        for name in self._names("log"):
            lines.extend(self._store.read_journal((_JOBS, self._job_id, name)).entries)
        return sorted(lines, key=lambda line: str(line["at"]))

    # -- files -----------------------------------------------------------------------------------------------

    def _append(self, kind: str, writer: str, entries: Sequence[dict[str, Any]], *, durable: bool) -> None:
        self._store.append((_JOBS, self._job_id, f"{kind}-{writer}.jsonl"), entries, durable=durable)

    def _names(self, kind: str) -> list[str]:
        names = self._store.children((_JOBS, self._job_id)) if self._listed is None else self._listed
        return [name for name in names if name == f"{kind}.jsonl" or _is_journal(name, kind)]


def _is_journal(name: str, kind: str) -> bool:
    return name.startswith(f"{kind}-") and name.endswith(".jsonl")


def _retries(lines: Iterable[tuple[str, int, dict[str, Any]]]) -> set[str]:
    return {name for name, _, entry in lines if entry["fact"] == "retry"}


def make_order() -> str:
    """A name for a retry that nobody ordered by name."""
    return f"{RUN}-{os.urandom(8).hex()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
