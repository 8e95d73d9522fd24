"""How jobs stand, written for people: `segue jobs`, `status` and `watch` read these files and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from cache.store import Store
from coordinator.active import ActiveJob
from coordinator.active_jobs import ActiveJobs
from coordinator.defects import Defects
from coordinator.in_flight import InFlightBatches
from jobs.queue_listing import view_of
from jobs.submissions import QueueView, Wanted, read_view, write_view
from pipeline.report import FileResult, JobState, count_units

#: A job's view is written at most so often, in seconds.
PERIOD_S = 2.0


class ViewWriter:
    """Writes views that have changed."""

    def __init__(self, store: Store, jobs: ActiveJobs, in_flight: InFlightBatches, defects: Defects) -> None:
        self._store, self._jobs, self._in_flight, self._defects = store, jobs, in_flight, defects
        self._written: dict[str, QueueView] = {}
        self._next = 0.0

    def queued(self, wanted: Wanted) -> None:
        """A job was asked for, again or for the first time."""
        self._written.pop(wanted.job_id, None)
        write_view(self._store, view_of(wanted, JobState.QUEUED))

    def waits(self, wanted: Wanted, why: str) -> None:
        """A job cannot be opened for the time being."""
        view = read_view(self._store, wanted.job_id)
        if view is not None and not view.ended and view.waiting_for != why:
            write_view(self._store, replace(view, waiting_for=why))

    def write(self, waiting_for: Callable[[ActiveJob], str]) -> None:
        """Brings the views of open jobs up to date."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + PERIOD_S
        present: dict[str, QueueView] = {}
        for job in self._jobs.values():
            with self._defects.isolating(job.job_id):
                view = _open_view(job, self._in_flight.held(job.job_id), waiting_for(job))
                old = self._written.get(job.job_id)
                if view != old:
                    write_view(self._store, view)
                present[job.job_id] = view
        self._written = present


def _open_view(job: ActiveJob, running: int, waiting_for: str) -> QueueView:
    begun = running or any(count.done > count.cached for count in job.work.counts.values())
    return replace(
        view_of(job.wanted, JobState.RUNNING if begun else JobState.QUEUED),
        units=count_units(job.work),
        running=running,
        waiting_for=waiting_for,
        duration_ms=job.work.plan.media.duration_ms,
        speech_ms=job.work.plan.segmentation.speech_ms,
    )


def ended_view(wanted: Wanted, results: tuple[FileResult, ...], store: Store) -> QueueView:
    """The view of a job that has ended with these results."""
    first = results[0]
    before = read_view(store, wanted.job_id)
    return replace(
        view_of(wanted, joint_state(results)),
        units=first.tally.units,
        reason=next((result.reason for result in results if result.reason), ""),
        duration_ms=first.tally.duration_ms,
        speech_ms=first.tally.speech_ms,
        notified=before.notified if before else "",
    )


def joint_state(results: Iterable[FileResult]) -> JobState:
    """How a job ended that was delivered to several places: as badly as the worst of them."""
    states = {result.state for result in results}
    for state in (JobState.CANCELLED, JobState.BUDGET_STOPPED, JobState.FAILED, JobState.PARTIAL):
        if state in states:
            return state
    return JobState.DONE
