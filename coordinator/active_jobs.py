"""The jobs that are open, and whose turn it is among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from coordinator.active import ActiveJob
from coordinator.fairness import FairShare
from coordinator.in_flight import InFlightBatches


class ActiveJobs(Mapping[str, ActiveJob]):
    """Open jobs by id. Touched by the coordinator's own thread only."""

    def __init__(self, in_flight: InFlightBatches) -> None:
        self._in_flight = in_flight
        self._jobs: dict[str, ActiveJob] = {}
        self._share = FairShare()

    def __getitem__(self, job_id: str) -> ActiveJob:
        return self._jobs[job_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    def enter(self, job: ActiveJob) -> None:
        """A job is open from now on."""
        self._share.enter(job, self._jobs.values())
        self._jobs[job.job_id] = job

    def leave(self, job: ActiveJob) -> None:
        """A job has nothing left to hand out."""
        self._jobs.pop(job.job_id, None)
        self._share.leave(job)

    def withdraw(self, job: ActiveJob) -> None:
        """A job is open no more; batches that nobody has begun are taken out of the queue with it."""
        self.leave(job)
        self._in_flight.withdraw(job.job_id)

    def in_turn(self, jobs: Iterable[ActiveJob]) -> list[ActiveJob]:
        """Some of them, whose turn it is first."""
        return self._share.order(jobs)

    def charge(self, job: ActiveJob, engine_ms: int) -> None:
        """A job was given engine time."""
        self._share.charge(job, engine_ms)
