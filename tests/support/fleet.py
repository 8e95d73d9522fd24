"""A whole fleet on one machine: broker, coordinator and workers as real processes, each of which may be killed."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from broker_server import BrokerServer
from segue_process import COMMAND, FAKES, Ended, Place, SegueProcess, run_segue

from cache.store import Store
from jobs.submissions import QueueView, read_view
from journals.attempts import read_attempts
from journals.lines import AttemptEndedLine, AttemptStartedLine
from pipeline.report import JobState

ENDED = frozenset({JobState.DONE, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED})
#: For a fleet to finish what it is given, on a machine that is busy with other things too.
PATIENCE_S = 240.0


@dataclass
class Fleet:
    """Starts and ends processes. A context manager that leaves nothing behind."""

    base: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    broker: BrokerServer = field(default_factory=BrokerServer)
    coordinators: list[SegueProcess] = field(default_factory=list)
    workers: list[SegueProcess] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return Place(self.base)

    @property
    def environment(self) -> dict[str, str]:
        """SEGUE_* variables of every process."""
        return {
            **FAKES,
            "SEGUE_BROKER_URL": self.broker.url,
            "SEGUE_PREEMPTION": "none",
            "SEGUE_LEASE_SECONDS": "3",
            "SEGUE_BATCH_SECONDS": "3",
            **self.settings,
        }

    def __enter__(self) -> Fleet:
        self.base.mkdir(parents=True, exist_ok=True)
        self.broker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.workers, *self.coordinators):
            with contextlib.suppress(Exception):
                process.__exit__(None, None, None)
        self.broker.stop()

    # -- processes -------------------------------------------------------------------------------------------

    def start_coordinator(self, **settings: str) -> SegueProcess:
        process = SegueProcess(["coordinator"], self.place, {**self.environment, **settings}, command=COMMAND)
        self.coordinators.append(process)
        return process

    def start_worker(self, *arguments: str, **settings: str) -> SegueProcess:
        process = SegueProcess(["worker", *arguments], self.place, {**self.environment, **settings}, command=COMMAND)
        self.workers.append(process)
        return process

    def start(self, workers: int) -> None:
        """A coordinator and so many workers."""
        self.start_coordinator()
        for _ in range(workers):
            self.start_worker()

    def lose(self, worker: SegueProcess) -> None:
        """The node is gone: SIGKILL for the supervisor and its engine at once, and nobody is told."""
        worker.kill()
        self.workers.remove(worker)

    def segue(self, *arguments: str | Path) -> Ended:
        """Runs a command to its end."""
        return run_segue([str(each) for each in arguments], self.place, self.environment)

    def submit(self, media: Sequence[Path], *arguments: str, targets: str = "es,ja") -> list[str]:
        """Submits media; their jobs' ids."""
        ended = self.segue("submit", "--json", "--to", targets, "--out", str(self.place.out), *arguments, *media)
        assert ended.code == 0, ended.err
        return [job["id"] for job in ended.jobs]

    # -- looking ---------------------------------------------------------------------------------------------

    def store(self) -> Store:
        return Store.open(self.place.home)

    def views(self, jobs: Sequence[str]) -> dict[str, QueueView | None]:
        with self.store() as store:
            return {job: read_view(store, job) for job in jobs}

    def wait(
        self, jobs: Sequence[str], patience_s: float = PATIENCE_S, tick: Callable[[], None] = lambda: None
    ) -> dict[str, QueueView]:
        """Waits until these jobs have ended; ``tick`` is called again and again meanwhile."""
        end = time.monotonic() + patience_s
        with self.store() as store:
            while True:
                views = {job: read_view(store, job) for job in jobs}
                ended = {job: view for job, view in views.items() if view is not None and view.state in ENDED}
                if len(ended) == len(jobs):
                    return ended
                if time.monotonic() > end:
                    raise AssertionError(self.report(f"{len(ended)} of {len(jobs)} jobs ended"))
                tick()
                time.sleep(0.05)

    def until(self, happened: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """Waits for something; returns it."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if found := happened():
                return found
            time.sleep(0.02)
        raise AssertionError(self.report(f"this did not happen: {what}"))

    def report(self, line: str) -> str:
        """The line, with the last words of every process."""
        texts = [line]
        for name, processes in (("coordinator", self.coordinators), ("worker", self.workers)):
            for process in processes:
                texts.append(f"--- {name} {process.pid}, running: {process.running}\n{process.words()[-3000:]}")
        return "\n".join(texts)

    def attempts(self) -> list[FleetAttempt]:
        """Every batch that was given to an engine, by the time of its start."""
        with self.store() as store:
            return read_fleet_attempts(store)


@dataclass(frozen=True)
class FleetAttempt:
    """One call of an engine."""

    id: str
    stage: str
    #: Unit key -> milliseconds of speech.
    units: Mapping[str, int]
    #: Seconds since the epoch.
    at: float
    #: None when its process did not live to note it.
    ended_at: float | None


def read_fleet_attempts(store: Store) -> list[FleetAttempt]:
    """Every attempt in a store's journals, by the time of its start."""
    lines = list(read_attempts(store))
    ends = {line.attempt: _seconds(line.at) for line in lines if isinstance(line, AttemptEndedLine)}
    found = [
        FleetAttempt(
            id=line.attempt,
            stage=line.stage,
            units={unit.key: unit.audio_ms for unit in line.units},
            at=_seconds(line.at),
            ended_at=ends.get(line.attempt),
        )
        for line in lines
        if isinstance(line, AttemptStartedLine)
    ]
    return sorted(found, key=lambda attempt: attempt.at)


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


@dataclass(frozen=True)
class FleetBooks:
    """What a fleet's journals and records say of double work."""

    attempts: tuple[FleetAttempt, ...]
    #: Unit key -> the attempt its record names, and when the record was written (seconds since the epoch).
    made: Mapping[str, tuple[str, float]]

    @classmethod
    def read(cls, store: Store) -> FleetBooks:
        attempts = read_fleet_attempts(store)
        made = {}
        for key in {key for attempt in attempts for key in attempt.units}:
            record = store.get(key)
            if record is not None:
                path = store.home / "objects" / key[:2] / key
                made[key] = (str(record.provenance["attempt"]), path.stat().st_mtime)
        return cls(tuple(attempts), made)

    def computed_again(self) -> list[str]:
        """Units that were given to an engine although their record was there already; one line each."""
        ends = {attempt.id: attempt.ended_at for attempt in self.attempts}
        # One who comes too late with the same result touches the record: then its maker's own end tells more.
        there = {key: min(at, ends.get(maker) or at) for key, (maker, at) in self.made.items()}
        return [
            f"{attempt.stage} {key[:8]} was there since {attempt.at - there[key]:.3f} s and begun by {attempt.id}"
            for attempt in self.attempts
            for key in attempt.units
            if key in there and there[key] < attempt.at - 0.001 and self.made[key][0] != attempt.id
        ]

    def lossy(self) -> list[FleetAttempt]:
        """Attempts some of whose units had to be made by another attempt."""
        return [
            attempt
            for attempt in self.attempts
            if any(self.made.get(key, ("", 0.0))[0] != attempt.id for key in attempt.units)
        ]

    def recomputed_units(self) -> int:
        """Units given to engines beyond once each."""
        given = [key for attempt in self.attempts for key in attempt.units]
        return len(given) - len(set(given))

    def recomputed_ms(self) -> int:
        """The same in milliseconds of speech."""
        seen: set[str] = set()
        total = 0
        for attempt in self.attempts:
            for key, audio_ms in attempt.units.items():
                total += audio_ms if key in seen else 0
                seen.add(key)
        return total


def live_leases(fleet: Fleet) -> dict[str, str]:
    """Leased unit keys and their tokens, straight from the broker."""
    client = fleet.broker.client()
    names = [name.decode() for name in client.scan_iter(match="segue:*:lease:*")]
    return {name.rpartition(":")[2]: value.decode() for name in names if (value := client.get(name)) is not None}


def worker_infos(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Worker infos of those that are alive, straight from the broker."""
    client = fleet.broker.client()
    for name in client.scan_iter(match="segue:*:worker:*"):
        if (value := client.get(name)) is not None:
            yield json.loads(value)
