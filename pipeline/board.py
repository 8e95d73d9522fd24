"""The jobs that are open in this process and who is computing what: the state that an executor's threads share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.specs import EngineSpec
from pipeline.batches import Outcome
from pipeline.delivery import Delivery
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.planning import PlanRequest
from pipeline.stages import Stage, Unit
from pipeline.work import JobWork

_Slot = tuple[str, Stage, int, str]


@dataclass
class OpenJob:
    """A job that is open in this run, and everyone who wants its outputs."""

    folder: JobFolder
    request: PlanRequest
    work: JobWork
    #: (number of the input in the run, where its outputs go).
    wishes: list[tuple[int, Delivery]]


@dataclass(frozen=True)
class EngineNeed:
    """An engine for which work is ready."""

    stage: Stage
    spec: EngineSpec


def engine_spec(plan: Plan, stage: Stage) -> EngineSpec:
    """The engine that a job's stage was frozen with."""
    spec = plan.settings.translator if stage is Stage.TRANSLATE else plan.settings.transcriber
    if spec is None:
        raise ValueError(f"job {plan.job_id} has no engine for {stage}")
    return spec


@dataclass
class Board:
    """Everything under one lock. Whoever calls `changed.wait` must hold it; the other methods take it themselves."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    #: Open jobs in the order of the inputs.
    jobs: dict[str, OpenJob] = field(default_factory=dict)
    #: True until the last input has been planned.
    planning: bool = True
    #: Stages that cannot go on in this run, and why.
    dead: dict[Stage, str] = field(default_factory=dict)
    _in_flight: set[_Slot] = field(default_factory=set)

    def add(self, job: OpenJob) -> None:
        """Opens a job to the lanes."""
        with self.changed:
            self.jobs[job.work.plan.job_id] = job
            self.changed.notify_all()

    def join(self, job_id: str, wish: tuple[int, Delivery]) -> bool:
        """Adds one more wish to a job that is open already; False when it is not."""
        with self.changed:
            if job_id in self.jobs:
                self.jobs[job_id].wishes.append(wish)
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

    def need(self, stages: frozenset[Stage]) -> EngineNeed | None:
        """The engine that the first free unit of these stages asks for. The lock must be held."""
        for _, unit, plan in self._free(stages):
            return EngineNeed(unit.stage, engine_spec(plan, unit.stage))
        return None

    def take(self, need: EngineNeed, limit: int) -> list[Unit]:
        """Up to ``limit`` free units for one engine, jobs in order; they are in flight until `release`."""
        with self.changed:
            batch: list[Unit] = []
            for _, unit, plan in self._free(frozenset({need.stage})):
                if engine_spec(plan, unit.stage) == need.spec:
                    batch.append(unit)
                    if len(batch) == limit:
                        break
            self._in_flight.update(_slot(unit) for unit in batch)
            return batch

    def release(self, batch: list[Unit]) -> None:
        """The units of a batch are nobody's any more."""
        with self.changed:
            self._in_flight.difference_update(_slot(unit) for unit in batch)
            self.changed.notify_all()

    def settle(self, outcome: Outcome) -> OpenJob | None:
        """Enters a result; returns the job if that finished it, and closes it."""
        with self.changed:
            job = self.jobs.get(outcome.unit.job_id)
            if job is None:
                return None
            if outcome.payload is None:
                job.folder.note_failure(outcome.unit, outcome.reason)
                job.work.fail(outcome.unit, outcome.reason)
            else:
                job.work.settle(outcome.unit, outcome.payload)
            self.changed.notify_all()
            return self.close(job) if job.work.finished else None

    def close(self, job: OpenJob) -> OpenJob | None:
        """Takes a job off the board; None when somebody else has done so."""
        with self.changed:
            return self.jobs.pop(job.work.plan.job_id, None)

    def kill(self, stage: Stage, reason: str) -> None:
        """Nothing more can be done for a stage in this run."""
        with self.changed:
            self.dead.setdefault(stage, reason)
            self.changed.notify_all()

    def take_stuck(self) -> list[OpenJob]:
        """Takes jobs off the board that wait for nothing but dead stages. The lock must be held.

        They would fill the look-ahead for ever, and planning would wait for room that nobody makes.
        """
        if not self.dead:
            return []
        busy = {slot[0] for slot in self._in_flight}
        stuck = [
            job
            for job_id, job in self.jobs.items()
            if job_id not in busy and all(unit.stage in self.dead for unit in job.work.ready())
        ]
        for job in stuck:
            del self.jobs[job.folder.job_id]
        return stuck

    def exhausted(self) -> bool:
        """True when nothing is being computed and nothing can become ready any more. The lock must be held."""
        return not self.planning and not self._in_flight and next(self._free(frozenset(Stage)), None) is None

    def _free(self, stages: frozenset[Stage]) -> Iterator[tuple[OpenJob, Unit, Plan]]:
        for job in self.jobs.values():
            for unit in job.work.ready():
                if unit.stage in stages and unit.stage not in self.dead and _slot(unit) not in self._in_flight:
                    yield job, unit, job.work.plan


def _slot(unit: Unit) -> _Slot:
    return unit.job_id, unit.stage, unit.window, unit.language
