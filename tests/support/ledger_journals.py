"""A store whose journals are written by hand: machines, processes, attempts and wants at instants of one's choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cache.envelope import Record
from cache.store import Store
from core.keys import Key, canonical_json, digest_value

WHISPER = "faster-whisper base int8"
#: 2026-10-31 23:00 UTC, an hour before a month ends.
LATE_OCTOBER = datetime(2026, 10, 31, 23, tzinfo=UTC)


def job(name: str) -> str:
    """A job's id."""
    return digest_value(name)[:24]


def key(name: str) -> Key:
    """A unit's key."""
    return Key(digest_value(["unit", name]))


class Journals:
    """Writes what workers would have written. Times are seconds after `start`."""

    def __init__(self, folder: Path, start: datetime = LATE_OCTOBER) -> None:
        self.store = Store.open(folder)
        self._start = start
        self._numbers: dict[str, int] = {}

    def at(self, seconds: float) -> str:
        return (self._start + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")

    def ms(self, seconds: float) -> int:
        since = self._start + timedelta(seconds=seconds) - datetime(1970, 1, 1, tzinfo=UTC)
        return since // timedelta(milliseconds=1)

    def node(self, session: str, began: float, ended: float | None, price: str = "", **facts: Any) -> None:
        """A machine; without an end it died after its last beat."""
        opening = {"v": 1, "session": session, "at": self.at(began), "price": price, "worker": f"w-{session}", **facts}
        self.store.write_once(("nodes", session, "opened.json"), canonical_json(opening))
        beats = [{"fact": "beat", "at": self.at(began), "worker": f"w-{session}"}]
        if ended is not None:
            beats.append({"fact": "session_closed", "at": self.at(ended), "reason": "done", "worker": f"w-{session}"})
        self.store.append(("nodes", session, "beats-1.jsonl"), beats)

    def process(self, name: str, began: float, node: str = "") -> None:
        """A process; without a node it is an embedded run."""
        worker = f"w-{node}" if node else ""
        fact = {
            "fact": "process_started",
            "session": name,
            "node": node or name,
            "worker": worker,
            "at": self.at(began),
        }
        self._append(name, fact)

    def loaded(self, process: str, at: float, seconds: str, stage: str = "transcribe") -> None:
        self._append(
            process,
            {"fact": "engine_loaded", "stage": stage, "engine": WHISPER, "at": self.at(at), "seconds": seconds},
        )

    def attempt(
        self,
        process: str,
        at: float,
        seconds: float | None,
        units: Sequence[tuple[str, int, str]],
        stage: str = "transcribe",
        **facts: Any,
    ) -> str:
        """An attempt at (unit, audio_ms, job); without ``seconds`` it never ended. Its id."""
        number = self._numbers[process] = self._numbers.get(process, 0) + 1
        name = f"{process}/{stage}/{number}"
        usage: Mapping[str, int] = facts.pop("usage", {})
        languages = facts.pop("languages", {})
        begun = {
            "fact": "attempt_started",
            "attempt": name,
            "stage": stage,
            "at": self.at(at),
            "engine": WHISPER,
            "provider": "faster-whisper",
            "fake": False,
            "remote": False,
            "estimated": {},
            "units": [
                {"key": key(unit), "audio_ms": audio_ms, "language": languages.get(unit, "")}
                for unit, audio_ms, _ in units
            ],
            "jobs": [whose for _, _, whose in units],
            **facts,
        }
        self._append(process, begun)
        if seconds is not None:
            ended = {
                "fact": "attempt_ended",
                "attempt": name,
                "at": self.at(at + seconds),
                "engine_seconds": f"{seconds:.3f}",
                "yielded": len(units),
                "usage": usage,
            }
            self._append(process, ended)
        return name

    def record(self, unit: str, attempt: str, **used: int) -> None:
        """The unit's record, made by this attempt."""
        self.store.put(Record(key(unit), "transcribe", b"{}", {"attempt": attempt, **used}))

    def wanted(self, whose: str, at: float, until: float | None, units: Sequence[str], writer: str = "c") -> None:
        """The job wanted these units."""
        facts: list[dict[str, Any]] = [{"fact": "job_wanted", "job": whose, "at": self.at(at)}]
        if until is not None:
            keys = sorted(key(unit) for unit in units)
            facts.append({"fact": "job_ended", "job": whose, "at": self.at(until), "keys": keys})
        self.store.append(("jobs", whose, f"wants-{writer}.jsonl"), facts)

    def _append(self, process: str, fact: dict[str, Any]) -> None:
        self.store.append(("attempts", f"{process}.jsonl"), [fact])
