"""Who holds what at this moment, and what became of it: read from the broker and from the journals of attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil
from fleet import Fleet, FleetAttempt, live_leases, read_fleet_attempts, worker_infos
from planned_jobs import JobMaker, fake_runtime
from segue_process import SegueProcess

from cache.store import Store
from journals.attempts import read_attempts
from journals.lines import ProcessStartedLine


@dataclass(frozen=True)
class HeldBatch:
    """The leases of one worker on one batch."""

    worker: SegueProcess
    #: The worker's id.
    name: str
    token: str
    keys: tuple[str, ...]


def held_batches(fleet: Fleet) -> Iterator[HeldBatch]:
    """What the workers that run hold."""
    tokens: defaultdict[str, list[str]] = defaultdict(list)
    for key, token in live_leases(fleet).items():
        tokens[token].append(key)
    for token, keys in tokens.items():
        name = token.split(":", 1)[0]
        worker = worker_called(fleet, name)
        if worker is not None:
            yield HeldBatch(worker, name, token, tuple(sorted(keys)))


def worker_called(fleet: Fleet, name: str) -> SegueProcess | None:
    """The process of a worker's id (host, process id, chance)."""
    pid = int(name.rsplit("-", 2)[-2])
    return next((worker for worker in fleet.workers if worker.pid == pid), None)


def idle_workers(fleet: Fleet) -> list[str]:
    """Ids of the workers that are ready and have nothing to do."""
    return [info["id"] for info in worker_infos(fleet) if info["state"] == "idle" and info["serves"]]


def await_holder(
    fleet: Fleet, units: int = 1, spare: bool = True, worker: SegueProcess | None = None, patience_s: float = 120.0
) -> HeldBatch:
    """A batch of at least so many units that a worker computes, while another worker is idle if ``spare``."""

    def found() -> HeldBatch | None:
        held = [each for each in held_batches(fleet) if len(each.keys) >= units and worker in (None, each.worker)]
        if not held or (spare and not set(idle_workers(fleet)) - {each.name for each in held}):
            return None
        begun = {key for attempt in fleet.attempts() for key in attempt.units}
        return next((each for each in held if begun & set(each.keys)), None)

    held: HeldBatch = fleet.until(found, f"a batch of {units} units is under way", patience_s)
    return held


class AttemptWatch:
    """Looks again and again for attempts that begin."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def next_of(self, keys: Sequence[str], since: float, not_by: str) -> FleetAttempt | None:
        """The first attempt at any of the keys that began after ``since`` (epoch) in another worker than ``not_by``."""
        wanted, owners = set(keys), attempt_owners(self._store)
        for attempt in read_fleet_attempts(self._store):
            if attempt.at >= since and wanted & set(attempt.units) and owners.get(session_of(attempt.id)) != not_by:
                return attempt
        return None


def session_of(attempt: str) -> str:
    """The journal that an attempt's id names."""
    return attempt.split("/", 1)[0]


def attempt_owners(store: Store) -> Mapping[str, str]:
    """Journal -> the worker that wrote it."""
    return {line.session: line.worker for line in read_attempts(store) if isinstance(line, ProcessStartedLine)}


def process_tree(worker: SegueProcess) -> list[psutil.Process]:
    """A worker's processes: the supervisor first, then its engine."""
    supervisor = psutil.Process(worker.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def freeze(worker: SegueProcess) -> Callable[[], None]:
    """SIGSTOP for all of a worker's processes; returns what wakes them again."""
    tree = process_tree(worker)
    for process in tree:
        process.suspend()

    def wake() -> None:
        for process in tree:
            process.resume()

    return wake


@dataclass
class RecordWatch:
    """Remembers every record when it is first seen, so that one that is ever replaced gives itself away."""

    store: Store
    _seen: dict[str, tuple[int, str, bytes]]

    @classmethod
    def over(cls, store: Store) -> RecordWatch:
        return cls(store, {})

    def look(self, keys: Sequence[str]) -> list[str]:
        """Keys whose record is another one than when it was first seen."""
        changed = []
        for key in keys:
            record = self.store.get(key)
            if record is None:
                continue
            # Not its time of change: one who comes too late says by it that the record is still of use.
            inode = (self.store.home / "objects" / key[:2] / key).stat().st_ino
            now = (inode, str(record.provenance["attempt"]), record.payload)
            if self._seen.setdefault(key, now) != now:
                changed.append(key)
        return changed


def planner(fleet: Fleet) -> JobMaker:
    """Submits jobs to the fleet's store that need no decoding: as many units as wanted."""
    fleet.place.home.parent.mkdir(parents=True, exist_ok=True)
    return JobMaker(fake_runtime(fleet.place.home), fleet.base)
