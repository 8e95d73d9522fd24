"""A store with a month of a fleet's work: journals, records and demand of many machines, as their writers write them.

Nothing is flushed to the disk. A machine lives for a day and a half and computes for a few jobs, each of which is also
computed for by the machine that comes after it; a hundredth of the batches is taken by a death.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cache.envelope import Record, encode_document, encode_record
from cache.journal import encode_line
from cache.store import Store
from core.keys import Key, digest_value
from journals.chain import Chain
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
from journals.node_session import OPENED, Opening

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
DAY_MS = 86_400_000
ENGINE = "faster-whisper large-v3 float16"
WORKERS, BEAT_MS = 2, 10_000
#: Days in which machines begin; the last of them end before the month does.
DAYS = 27
#: Units in a batch.
UNITS = (1, 2)
#: Share of batches that a death takes; the worker then begins another process.
DEATHS = 0.01


@dataclass(frozen=True)
class MonthSize:
    """How much is made."""

    #: Lines of journals.
    lines: int
    machines: int
    jobs: int

    @property
    def jobs_a_machine(self) -> int:
        return max(self.jobs // self.machines, 1)


@dataclass(frozen=True)
class Worked:
    """What one machine did."""

    lines: int
    start: int
    end: int
    #: Keys of the units by job.
    keys: dict[str, list[str]]


def job_id(number: int) -> str:
    """The id of a job by its number."""
    return digest_value(["job", number])[:24]


def _at(ms: int) -> str:
    return (BEGAN + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")


class MachineWriter:
    """Writes one machine's journals and the records of its units."""

    def __init__(self, home: Path, number: int, size: MonthSize, start: int) -> None:
        self._rng, self._home, self._start = random.Random(number), home, start
        self._session = f"vm{number:06d}"
        self._share = size.lines // size.machines // WORKERS
        first = number * size.jobs_a_machine
        self._jobs = [job_id(job) for job in range(first, first + 2 * size.jobs_a_machine)]
        self._keys: dict[str, list[str]] = {job: [] for job in self._jobs}
        self._lines = 0

    def write(self) -> Worked:
        """Everything that the machine leaves."""
        folder = self._home / "nodes" / self._session
        folder.mkdir(parents=True)
        opening = Opening(session=self._session, at=_at(self._start), price="0.149 USD", cloud="azure", size="NC4as")
        (folder / OPENED).write_bytes(encode_document(("nodes", self._session, OPENED), opening.encode()))
        beats = self._share // 2
        end = self._start + beats * BEAT_MS
        for worker in range(WORKERS):
            name = f"w{worker}"
            self._worker(name, end - self._start)
            lines: list[JournalLine] = [
                BeatLine(at=_at(self._start + place * BEAT_MS), worker=name, gpu_util=90, gpu_mem_mib=9000)
                for place in range(beats)
            ]
            lines.append(SessionClosedLine(at=_at(end), reason="nothing to do for 60 s", worker=name))
            self._journal(folder / f"beats-{worker}.jsonl", lines)
        return Worked(self._lines, self._start, end, self._keys)

    def _worker(self, worker: str, life: int) -> None:
        """One process after the other, each until its death."""
        left, number, at = self._share // 2, 0, self._start
        pace = life * 2 // max(left, 1)
        while left > 4:
            number += 1
            process = f"{self._session}-{worker}-{number}"
            lines: list[JournalLine] = [
                ProcessStartedLine(session=process, node=self._session, worker=worker, at=_at(at)),
                EngineLoadedLine(stage="transcribe", engine=ENGINE, at=_at(at + 1500), seconds="1.250"),
            ]
            at, alive, made = at + 1500, True, list[tuple[str, str, int]]()
            while alive and len(lines) < left:
                alive = self._batch(process, at, pace, lines, made)
                at += pace
            hashes = self._journal(self._home / "attempts" / f"{process}.jsonl", lines)
            self._put(made, hashes)
            left -= len(lines)

    def _batch(
        self, process: str, at: int, pace: int, lines: list[JournalLine], made: list[tuple[str, str, int]]
    ) -> bool:
        """One attempt; False when its process died in it."""
        rng = self._rng
        attempt, took = f"{process}/transcribe/{len(lines)}", rng.randint(pace // 2, pace - 100)
        job = self._jobs[rng.randrange(len(self._jobs))]
        units = [UnitLine(f"{rng.getrandbits(256):064x}", rng.randint(500, 30_000)) for _ in range(rng.randint(*UNITS))]
        lines.append(
            AttemptStartedLine(
                attempt=attempt,
                stage="transcribe",
                at=_at(at),
                units=tuple(units),
                engine=ENGINE,
                provider="faster-whisper",
                jobs=(job,) * len(units),
            )
        )
        self._keys[job] += [unit.key for unit in units]
        if rng.random() < DEATHS:
            return False
        made += [(unit.key, attempt, at + took) for unit in units]
        lines.append(
            AttemptEndedLine(
                attempt=attempt,
                at=_at(at + took),
                engine_seconds=f"{took // 1000}.{took % 1000:03d}",
                yielded=len(units),
                usage={"audio_ms": sum(unit.audio_ms for unit in units)},
            )
        )
        return True

    def _put(self, made: Iterable[tuple[str, str, int]], hashes: dict[str, str]) -> None:
        for key, attempt, at in made:
            said = {"attempt": attempt, "line": hashes[attempt], "at": _at(at), "engine": ENGINE}
            data = encode_record(Record(Key(key), "transcribe", b"{}", said))
            (self._home / "objects" / key[:2] / key).write_bytes(data)

    def _journal(self, path: Path, lines: Iterable[JournalLine]) -> dict[str, str]:
        """Hash of the line by attempt, of those that began one."""
        chain, sealed, hashes = Chain(path.name), [], {}
        for line in lines:
            sealed.append(encode_line(chain.seal(line.entry())))
            if isinstance(line, AttemptStartedLine):
                hashes[line.attempt] = chain.head
        path.write_bytes(b"".join(sealed))
        self._lines += len(sealed)
        return hashes


def found_store(home: Path) -> None:
    """An empty store with the folders that the writers need."""
    Store.open(home).close()
    (home / "attempts").mkdir()
    for shard in range(256):
        (home / "objects" / f"{shard:02x}").mkdir(exist_ok=True)


def write_machine(task: tuple[Path, int, MonthSize, int]) -> Worked:
    """One machine, by its number and when it began; for a pool of processes."""
    return MachineWriter(*task).write()


def start_of(number: int, size: MonthSize) -> int:
    """When a machine of the month begins: evenly spread over the days."""
    return number * DAYS * DAY_MS // size.machines


def write_demand(home: Path, worked: Iterable[Worked]) -> None:
    """The demand of every job: from its first machine's beginning to its last one's end."""
    spans: dict[str, tuple[int, int]] = {}
    keys: dict[str, list[str]] = {}
    for each in worked:
        for job, mine in each.keys.items():
            start, end = spans.get(job, (each.start, each.end))
            spans[job] = min(start, each.start), max(end, each.end)
            keys.setdefault(job, []).extend(mine)
    for job, (start, end) in spans.items():
        folder = home / "jobs" / job
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "wants-1-coordinator.jsonl"
        chain = Chain(f"jobs/{job}/{path.name}")
        lines = (JobWantedLine(at=_at(start)), JobEndedLine(at=_at(end), keys=tuple(sorted(keys[job]))))
        path.write_bytes(b"".join(encode_line(chain.seal(line.entry())) for line in lines))
