"""A store whose journals are written by hand: machines, processes, attempts and wants at instants of one's choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cache.envelope import Record
from cache.store import Store
from core.keys import Key, digest_value
from journals.lines import (
    AttemptEndedLine,
    AttemptStartedLine,
    BeatLine,
    EngineLoadedLine,
    JobEndedLine,
    JobWantedLine,
    JournalLine,
    ProcessStartedLine,
    SessionClosedLine,
    UnitLine,
)
from journals.node_session import Opening

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

    def node(
        self, session: str, began: float, ended: float | None, price: str = "", reason: str = "done", **facts: Any
    ) -> None:
        """A machine; without an end it died after its last beat."""
        opening = Opening(session=session, at=self.at(began), price=price, worker=f"w-{session}", **facts)
        self.store.write_once(("nodes", session, "opened.json"), opening.encode())
        lines: list[JournalLine] = [BeatLine(at=self.at(began), worker=f"w-{session}")]
        if ended is not None:
            lines.append(SessionClosedLine(at=self.at(ended), reason=reason, worker=f"w-{session}"))
        self.store.append(("nodes", session, "beats-1.jsonl"), [line.entry() for line in lines])

    def process(self, name: str, began: float, node: str = "") -> None:
        """A process; without a node it is an embedded run."""
        worker = f"w-{node}" if node else ""
        self._append(name, ProcessStartedLine(session=name, node=node or name, worker=worker, at=self.at(began)))

    def loaded(self, process: str, at: float, seconds: str, stage: str = "transcribe") -> None:
        self._append(process, EngineLoadedLine(stage=stage, engine=WHISPER, at=self.at(at), seconds=seconds))

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
        engine = {"engine": WHISPER, "provider": "faster-whisper", **facts}
        given = tuple(UnitLine(key(unit), audio_ms, languages.get(unit, "")) for unit, audio_ms, _ in units)
        jobs = tuple(whose for _, _, whose in units)
        self._append(
            process, AttemptStartedLine(attempt=name, stage=stage, at=self.at(at), units=given, jobs=jobs, **engine)
        )
        if seconds is not None:
            ended = AttemptEndedLine(
                attempt=name,
                at=self.at(at + seconds),
                engine_seconds=f"{seconds:.3f}",
                yielded=len(units),
                usage=usage,
            )
            self._append(process, ended)
        return name

    def record(self, unit: str, attempt: str, **used: int) -> None:
        """The unit's record, made by this attempt."""
        self.store.put(Record(key(unit), "transcribe", b"{}", {"attempt": attempt, **used}))

    def made(self, unit: str, attempt: str, at: float) -> Record:
        """As `record`, with the instant at which it was made; for the caller to put."""
        return Record(key(unit), "transcribe", b"{}", {"attempt": attempt, "at": self.at(at)})

    def wanted(self, whose: str, at: float, until: float | None, units: Sequence[str], writer: str = "c") -> None:
        """The job wanted these units."""
        lines: list[JournalLine] = [JobWantedLine(job=whose, at=self.at(at))]
        if until is not None:
            keys = tuple(sorted(key(unit) for unit in units))
            lines.append(JobEndedLine(job=whose, at=self.at(until), keys=keys))
        self.store.append(("jobs", whose, f"wants-{writer}.jsonl"), [line.entry() for line in lines])

    def _append(self, process: str, line: JournalLine) -> None:
        self.store.append(("attempts", f"{process}.jsonl"), [line.entry()])
