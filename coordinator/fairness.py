"""Who is served next: by priority, then the owner who has had least, then the job that has had least."""

from __future__ import annotations

from collections.abc import Iterable

from coordinator.active import RANKS, ActiveJob


class FairShare:
    """Predicted engine time handed out so far. Whoever comes new starts level with the one who has had least."""

    def __init__(self) -> None:
        self._owners: dict[str, int] = {}
        self._jobs: dict[str, int] = {}

    def enter(self, job: ActiveJob, others: Iterable[ActiveJob]) -> None:
        """A job is opened beside others."""
        present = [other for other in others if other.job_id != job.job_id]
        owners = {other.owner for other in present}
        if job.owner not in owners:
            shares = [self._owners.get(owner, 0) for owner in owners] or [0]
            # At most level with the one who has had most: who had the fleet alone last week owes nobody a week now.
            self._owners[job.owner] = min(max(self._owners.get(job.owner, 0), min(shares)), max(shares))
        same = [self._jobs.get(other.job_id, 0) for other in present if other.owner == job.owner]
        self._jobs[job.job_id] = max(self._jobs.get(job.job_id, 0), min(same, default=0))

    def leave(self, job: ActiveJob) -> None:
        """A job has ended; what its owner had is remembered as long as the coordinator lives."""
        self._jobs.pop(job.job_id, None)

    def charge(self, job: ActiveJob, engine_ms: int) -> None:
        """A job was given engine time."""
        self._owners[job.owner] = self._owners.get(job.owner, 0) + engine_ms
        self._jobs[job.job_id] = self._jobs.get(job.job_id, 0) + engine_ms

    def order(self, jobs: Iterable[ActiveJob]) -> list[ActiveJob]:
        """The jobs, whose turn it is first."""
        return sorted(
            jobs,
            key=lambda job: (
                RANKS[job.wanted.priority],
                self._owners.get(job.owner, 0),
                self._jobs.get(job.job_id, 0),
                job.wanted.submitted_at,
                job.job_id,
            ),
        )
