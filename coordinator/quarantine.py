"""Quarantined jobs: a job in which a defect was met is set aside, tried again after growing pauses, then failed.

What the coordinator's machine lacks (memory, files it may open) is no defect of a job: that is tried again for ever.

Nothing of it is kept on disk but the job's view and its log: a coordinator that is restarted meets the defect again,
sets the job aside again, and goes on with the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cache.store import Store
from coordinator.active_jobs import ActiveJobs
from coordinator.announcements import Announcements
from coordinator.defects import Defects, JobDefectError, blaming
from coordinator.finalizer import Finalizer
from coordinator.register import JobRegister
from jobs.queue_listing import view_of
from jobs.queue_view import QueueView, read_view, write_view
from pipeline.report import JobState

#: Pauses before a job is tried again, in seconds; after the last one it fails.
PAUSES_S = (10.0, 60.0, 300.0)
#: One that cannot even be ended as failed is left alone for so long; so are counts that are older.
LEFT_ALONE_S = 3600.0
_log = logging.getLogger("segue.coordinator")


@dataclass(frozen=True)
class _Met:
    #: Times in a row.
    count: int
    #: The last time, and when it is tried again; monotonic seconds.
    at: float
    again: float


class QuarantinedJobs:
    """Sets jobs aside. In the loop's thread only."""

    def __init__(
        self,
        store: Store,
        jobs: ActiveJobs,
        register: JobRegister,
        defects: Defects,
        finalizer: Finalizer,
        announcements: Announcements,
    ) -> None:
        self._store, self._jobs, self._register = store, jobs, register
        self._defects, self._finalizer, self._announcements = defects, finalizer, announcements
        self._met: dict[str, _Met] = {}
        self._logged: set[tuple[str, str]] = set()

    def isolated(self, part: Callable[[], None]) -> None:
        """Does a part of a pass; the jobs in which it met a defect are set aside, and the rest is done.

        Raises StoreError, and what else ``part`` raises that is no job's.
        """
        for _ in range(1 + len(self._jobs)):
            broken_off = False
            try:
                part()
            except JobDefectError as defect:
                self._defects.add(defect)
                broken_off = True
            self._draw()
            if not broken_off:
                return

    def resume(self) -> None:
        """Reads jobs again whose orders could not be read, when their pause is over."""
        for job_id, met in list(self._met.items()):
            if met.again <= time.monotonic() and job_id in self._register.defective:
                self._register.defective.discard(job_id)
                with self._defects.isolating(job_id):
                    self._register.readmit(job_id)

    def _draw(self) -> None:
        """Sets aside whoever was blamed."""
        while (defect := self._defects.take()) is not None:
            self._set_aside(defect)

    def _set_aside(self, defect: JobDefectError) -> None:
        job_id, now = defect.job_id, time.monotonic()
        job = self._jobs.get(job_id)
        before = self._met.get(job_id)
        if before is not None and job is None and now < before.again:
            return  # Blamed twice in one pass.
        count = 1 if before is None or now - before.at > LEFT_ALONE_S else before.count + 1
        last = count > len(PAUSES_S) and not defect.passes
        pause_s = LEFT_ALONE_S if last else PAUSES_S[min(count, len(PAUSES_S)) - 1]
        self._met[job_id] = _Met(count, now, now + pause_s)
        if job is not None:
            self._jobs.withdraw(job)
        self._register.postpone(job_id, pause_s, aside=True)
        self._log_once(defect)
        what = f"a defect in Segue ({defect.text})" if defect.is_ours else defect.text
        if last:
            self._give_up(job_id, f"{what}, met {count} times; please report it with the coordinator's log, then retry")
        else:
            at = datetime.now(UTC) + timedelta(seconds=pause_s)
            self._tell(job_id, f"set aside: {what}; tried again at {at:%H:%M:%S} UTC")

    def _log_once(self, defect: JobDefectError) -> None:
        told = (defect.job_id, defect.text)
        if told not in self._logged:
            self._logged.add(told)
            where = defect.__cause__ if defect.is_ours else None
            _log.error("job %s is set aside: %s", defect.job_id, defect.text, exc_info=where)

    def _give_up(self, job_id: str, reason: str) -> None:
        """Ends the job as failed; what is finished of it stays, and `retry` begins anew."""
        try:
            with blaming(job_id):
                wanted = self._register.wanted(job_id)
                if wanted is not None:
                    self._finalizer.impossible(wanted, reason)
                    self._register.drop(job_id)
                    del self._met[job_id]
                    self._announcements.announce(f"job {job_id[:12]} has failed: {reason}")
                    return
        except JobDefectError as defect:
            self._log_once(defect)
        at = datetime.now(UTC) + timedelta(seconds=LEFT_ALONE_S)
        self._tell(job_id, f"set aside: {reason}; it cannot be ended either; tried again at {at:%H:%M:%S} UTC")

    def _tell(self, job_id: str, line: str) -> None:
        """Says it to everybody: the coordinator's output, the job's log, its view. Raises StoreError."""
        self._announcements.announce(f"job {job_id[:12]} is {line}; the other jobs go on")
        self._announcements.log(job_id, "defect", line, level="error")
        view = self._view(job_id)
        if view is not None and not view.ended:
            write_view(self._store, replace(view, running=0, waiting_for=line))

    def _view(self, job_id: str) -> QueueView | None:
        """What there is of the job's view; a view that cannot be read is made anew from its orders."""
        try:
            with blaming(job_id):
                wanted = self._register.wanted(job_id)
        except JobDefectError as defect:
            self._log_once(defect)
            wanted = None
        try:
            view = read_view(self._store, job_id)
        except (KeyError, TypeError, ValueError):
            view = None
        if wanted is None:
            return view
        fresh = view_of(wanted, JobState.QUEUED)
        return fresh if view is None or view.ended else replace(fresh, units=view.units, duration_ms=view.duration_ms)
