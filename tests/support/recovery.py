"""How long it takes until a batch runs elsewhere after its holder was killed, or was told to go.

One batch wanders: whoever holds it is killed or given notice, the idle worker beside takes it over and is the next
victim, and a new worker is started, which is ready before the next round. So no start of a process is in the figures.
"""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from fleet import Fleet, FleetAttempt
from fleet_leases import AttemptWatch, HeldBatch, await_holder, idle_workers, planner
from segue_process import SegueProcess

from jobs.submissions import QueueView
from worker.emulator import MetadataEmulator
from worker.notices.metadata import Cloud


class Blow(StrEnum):
    """How a worker loses its machine."""

    KILL = "SIGKILL"
    SIGTERM = "SIGTERM"
    FILE = "notice by file"
    AZURE = "notice by Azure's metadata"


NOTICES = (Blow.SIGTERM, Blow.FILE, Blow.AZURE)
#: Seconds that a cloud leaves a machine after the notice.
NOTICE_S = 30.0


@dataclass(frozen=True)
class RecoveryPlan:
    """What happens, and to what."""

    kills: int
    notices: int
    seed: int = 1
    #: Engine time of a unit, and units in the batch that wanders.
    unit_ms: int = 60_000
    units: int = 8
    #: The default of SEGUE_LEASE_SECONDS.
    lease_seconds: int = 6
    patience_s: float = 120.0


@dataclass
class RecoveryFleet:
    """Runs rounds and notes, for each kind of blow, the seconds until the batch ran elsewhere. A context manager."""

    plan: RecoveryPlan
    base: Path
    seconds: dict[Blow, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.plan.seed)
        self.fleet = Fleet(
            self.base / "fleet",
            {
                "SEGUE_FAKE_DELAY_MS": str(self.plan.unit_ms),
                "SEGUE_BATCH_SECONDS": "60",
                # Parts of two units, as of an engine that takes two at once.
                "SEGUE_BATCH_SIZE": "2",
                "SEGUE_LEASE_SECONDS": str(self.plan.lease_seconds),
            },
        )
        #: Process id -> the cloud around it, and the file that would be a notice.
        self._machines: dict[int, tuple[MetadataEmulator, Path]] = {}
        self._number = 0
        self.job = ""

    def __enter__(self) -> RecoveryFleet:
        self.fleet.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.fleet.__exit__(kind, value, trace)
        for emulator, _ in self._machines.values():
            emulator.close()

    def run(self) -> None:
        """Plays every blow."""
        plan = self.plan
        blows = [Blow.KILL] * plan.kills + [NOTICES[number % len(NOTICES)] for number in range(plan.notices)]
        self.fleet.start_coordinator()
        for _ in range(2):
            self._start()
        self.fleet.until(lambda: len(idle_workers(self.fleet)) == 2, "two workers are ready")
        self.job = planner(self.fleet).submit("wanderer", plan.units)
        with self.fleet.store() as store:
            watch = AttemptWatch(store)
            for blow in blows:
                held = await_holder(self.fleet, spare=True)
                # At any moment between two renewals of the leases.
                time.sleep(self.chance.uniform(0.0, plan.lease_seconds / 3))
                began = self._strike(held, blow)
                found = self._await_elsewhere(watch, held, began)
                self.seconds.setdefault(blow, []).append(found.at - began)
                self._clear_away(held.worker)
                self._start()

    def finish(self) -> QueueView:
        """Has the job finished by a worker whose engine is quick; returns what it came to."""
        for worker in list(self.fleet.workers):
            self.fleet.lose(worker)
        self.fleet.start_worker(SEGUE_FAKE_DELAY_MS="0")
        return self.fleet.wait([self.job])[self.job]

    def _await_elsewhere(self, watch: AttemptWatch, held: HeldBatch, began: float) -> FleetAttempt:
        """The first attempt of another worker at what was held."""
        found: FleetAttempt = self.fleet.until(
            lambda: watch.next_of(held.keys, began, held.name), "the batch runs elsewhere", self.plan.patience_s
        )
        return found

    def _start(self) -> SegueProcess:
        """A worker that every kind of notice can reach."""
        self._number += 1
        emulator = MetadataEmulator(Cloud.AZURE, vm_name=f"vm{self._number}")
        emulator.start()
        notice = self.base / f"notice-{self._number}"
        worker = self.fleet.start_worker(
            SEGUE_PREEMPTION="azure", SEGUE_METADATA_URL=emulator.url, SEGUE_PREEMPTION_FILE=str(notice)
        )
        self._machines[worker.pid] = (emulator, notice)
        return worker

    def _strike(self, held: HeldBatch, blow: Blow) -> float:
        """Strikes; the moment of it, in seconds since the epoch."""
        emulator, notice = self._machines[held.worker.pid]
        began = time.time()
        if blow is Blow.KILL:
            self.fleet.lose(held.worker)
        elif blow is Blow.SIGTERM:
            held.worker.signal(signal.SIGTERM)
        elif blow is Blow.FILE:
            draft = notice.with_suffix(".draft")
            draft.write_text(f'{{"deadline_seconds": {NOTICE_S:.0f}}}')
            draft.rename(notice)
        else:
            emulator.preempt(NOTICE_S)
        return began

    def _clear_away(self, worker: SegueProcess) -> None:
        """The machine is gone, whatever it still computed."""
        if worker in self.fleet.workers:
            self.fleet.lose(worker)
        emulator, _ = self._machines.pop(worker.pid)
        emulator.close()
