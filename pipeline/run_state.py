"""The jobs that are open in this process and who is computing what: the state that an executor's threads share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.specs import EngineSpec
from engines.roles import is_remote
from pipeline.batches import Outcome
from pipeline.jobs import JobFolder
from pipeline.lifecycle import settle
from pipeline.outputs.delivery import Delivery
from pipeline.planning import PlanRequest
from pipeline.stages import stage_named
from pipeline.stages.stage import Slot, Unit
from pipeline.work import JobWork

#: A job and a slot of it.
_Place = tuple[str, Slot]


@dataclass
class OpenJob:
    """A job that is open in this run, and everyone who wants its outputs."""

    folder: JobFolder
    request: PlanRequest
    work: JobWork
    #: (number of the input in the run, where its outputs go).
    deliveries: list[tuple[int, Delivery]]


@dataclass(frozen=True)
class EngineNeed:
    """An engine for which work is ready."""

    stage: str
    spec: EngineSpec

    @property
    def role(self) -> str:
        return stage_named(self.stage).role

    @property
    def remote(self) -> bool:
        """True when the work happens elsewhere, so that it can overlap with what this machine computes."""
        return is_remote(self.role, self.spec.provider)

    @classmethod
    def of(cls, unit: Unit) -> EngineNeed:
        """What a unit asks for."""
        return cls(unit.stage, unit.spec)


@dataclass
class RunState:
    """Everything under one lock. Whoever calls `changed.wait` must hold it; the other methods take it themselves."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    #: Open jobs in the order of the inputs.
    jobs: dict[str, OpenJob] = field(default_factory=dict)
    #: True until the last input has been planned.
    planning: bool = True
    #: Engines that cannot go on in this run, and why.
    dead: dict[EngineSpec, str] = field(default_factory=dict)
    _in_flight: set[_Place] = field(default_factory=set)

    def add(self, job: OpenJob) -> None:
        """Opens a job to those who take batches."""
        with self.changed:
            self.jobs[job.work.plan.job_id] = job
            self.changed.notify_all()

    def join(self, job_id: str, delivery: tuple[int, Delivery]) -> bool:
        """Adds one more wish to a job that is open already; False when it is not."""
        with self.changed:
            if job_id in self.jobs:
                self.jobs[job_id].deliveries.append(delivery)
                return True
            return False

    def no_more_plans(self) -> None:
        """The last input has been planned."""
        with self.changed:
            self.planning = False
            self.changed.notify_all()

    def waiting_ms(self) -> int:
        """Speech that is planned and not yet computed."""
        with self.changed:
            return sum(unit.audio_ms for job in self.jobs.values() for unit in job.work.ready())

    def need(self, *, remote: bool) -> EngineNeed | None:
        """The engine, elsewhere or on this machine, that the first free unit asks for. The lock must be held."""
        return next((need for unit in self._free() if (need := EngineNeed.of(unit)).remote is remote), None)

    def take(self, need: EngineNeed, limit: int) -> list[Unit]:
        """Up to ``limit`` free units for one engine, jobs in order; they are in flight until `release`."""
        with self.changed:
            batch: list[Unit] = []
            for unit in self._free():
                if EngineNeed.of(unit) == need:
                    batch.append(unit)
                    if len(batch) == limit:
                        break
            self._in_flight.update(_place(unit) for unit in batch)
            return batch

    def release(self, batch: list[Unit]) -> None:
        """The units of a batch are nobody's any more."""
        with self.changed:
            self._in_flight.difference_update(_place(unit) for unit in batch)
            self.changed.notify_all()

    def settle(self, outcome: Outcome) -> OpenJob | None:
        """Enters a result; returns the job if that finished it, and closes it."""
        with self.changed:
            job = self.jobs.get(outcome.unit.job_id)
            if job is None:
                return None
            if outcome.record is None:
                job.folder.note_failure(outcome.unit, outcome.reason)
            settle(job.work, outcome.unit, outcome.record, outcome.reason)
            self.changed.notify_all()
            return self.close(job) if job.work.finished else None

    def replace(self, job: OpenJob, work: JobWork) -> None:
        """The job's work was read anew from the disk."""
        with self.changed:
            job.work = work
            self.changed.notify_all()

    def close(self, job: OpenJob) -> OpenJob | None:
        """Takes a job off the board; None when somebody else has done so."""
        with self.changed:
            return self.jobs.pop(job.work.plan.job_id, None)

    def kill(self, engine: EngineSpec, reason: str) -> None:
        """Nothing more can be done by an engine in this run."""
        with self.changed:
            self.dead.setdefault(engine, reason)
            self.changed.notify_all()

    def take_stuck(self) -> list[OpenJob]:
        """Takes jobs off the board that wait for nothing but dead engines. The lock must be held.

        They would fill the look-ahead for ever, and planning would wait for room that nobody makes.
        """
        if not self.dead:
            return []
        busy = {job_id for job_id, _ in self._in_flight}
        stuck = [
            job
            for job_id, job in self.jobs.items()
            if job_id not in busy and all(unit.spec in self.dead for unit in job.work.ready())
        ]
        for job in stuck:
            del self.jobs[job.folder.job_id]
        return stuck

    def exhausted(self) -> bool:
        """True when nothing is being computed and nothing can become ready any more. The lock must be held."""
        return not self.planning and not self._in_flight and next(self._free(), None) is None

    def _free(self) -> Iterator[Unit]:
        for job in self.jobs.values():
            for unit in job.work.ready():
                if unit.spec not in self.dead and _place(unit) not in self._in_flight:
                    yield unit


def _place(unit: Unit) -> _Place:
    return unit.job_id, unit.slot
