"""A job that the coordinator has open: its ready set, and which of its units have been handed out."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from coordinator.reservation import BudgetReservation
from core.keys import Key
from core.specs import EngineSpec
from jobs.submissions import Priority, Wanted
from pipeline.jobs import JobFolder
from pipeline.planning import PlanRequest
from pipeline.stages.stage import Unit
from pipeline.work import JobWork
from tasks.queues import queue_name

RANKS = {Priority.RUSH: 0, Priority.NORMAL: 1, Priority.LOW: 2}


@dataclass
class ActiveJob:
    """One open job. Touched by the coordinator's own thread only."""

    wanted: Wanted
    folder: JobFolder
    request: PlanRequest
    work: JobWork
    #: Round of retries that its units are asked for in.
    round: int
    store_id: str
    #: Results that came without a record or a failure, by unit: more than a few, and the unit fails.
    #: How often, and since when (monotonic seconds).
    fruitless: dict[Key, tuple[int, float]] = field(default_factory=dict)
    #: When it was opened; monotonic seconds.
    opened: float = field(default_factory=time.monotonic)
    #: Why nothing of it is handed out any more (its budget); empty while something may be.
    halted: str = ""
    #: What its budget still allows; None for a job without one.
    reservation: BudgetReservation | None = None
    #: Ready units by queue, and their speech; made again when the ready set has changed.
    _queues: dict[tuple[str, EngineSpec], str] = field(default_factory=dict)
    _ready: dict[str, list[Unit]] | None = None
    _ready_ms: dict[str, int] = field(default_factory=dict)

    @property
    def job_id(self) -> str:
        return self.folder.job_id

    @property
    def owner(self) -> str:
        return self.work.plan.owner

    def note_fruitless(self, key: Key, now: float) -> tuple[int, float]:
        """A unit came back without a result; returns how often, and since when."""
        count, first = self.fruitless.get(key, (0, now))
        self.fruitless[key] = count + 1, first
        return self.fruitless[key]

    def touch(self) -> None:
        """The ready set has changed."""
        self._ready = None

    def ready(self) -> dict[str, list[Unit]]:
        """Units whose inputs are there and whose outputs are not, handed out or not, by queue."""
        if self._ready is None:
            self._ready = {}
            for unit in self.work.ready():
                self._ready.setdefault(self._queue_of(unit), []).append(unit)
            self._ready_ms = {queue: sum(unit.audio_ms for unit in units) for queue, units in self._ready.items()}
        return self._ready

    def ready_ms(self, queue: str) -> int:
        """Speech of the ready units of a queue that may be handed out."""
        self.ready()
        return 0 if self.halted else self._ready_ms.get(queue, 0)

    def free(self, queue: str, taken: Collection[Key]) -> Iterator[Unit]:
        """Ready units for a queue that nobody has been given, as far as its budget goes."""
        if self.halted:
            return iter(())
        units = (unit for unit in self.ready().get(queue, ()) if unit.key not in taken)
        return units if self.reservation is None else self.reservation.affordable(queue, units)

    def _queue_of(self, unit: Unit) -> str:
        engine = unit.stage, unit.spec
        if engine not in self._queues:
            self._queues[engine] = queue_name(self.store_id, *engine)
        return self._queues[engine]
