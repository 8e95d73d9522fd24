"""Every job that has not ended, and which one is opened next. Light: 10,000 of them are a few megabytes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from cache.store import Store
from coordinator.active import RANKS
from coordinator.defects import Defects, JobDefectError, blaming
from jobs.submissions import OrderVersionError, Priority, Wanted, close_job, filed_orders, open_jobs, wanted_of

#: A job that could not be opened because of the disk is tried again after so long, in seconds.
POSTPONED_S = 5.0
#: One that nobody serves makes room for others for so long.
SET_ASIDE_S = 60.0


@dataclass
class _Entry:
    owner: str
    priority: Priority
    submitted_at: str
    #: Orders about it, to notice that it was asked for again.
    orders: int
    #: Not opened before this; monotonic seconds.
    not_before: float = 0.0
    #: Being delivered: opened only when it is asked for again.
    held_at: int = -1
    #: A defect was met in it: until it is tried again there is nothing to do for anybody.
    aside: bool = False
    #: Its media give far more sound than their bytes let expect: planned one at a time, beside the others.
    thin: bool = False


class JobRegister:
    """The open jobs. The disk has the same list; this one knows the order."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: dict[str, _Entry] = {}
        #: Jobs that another version of Segue wrote, and why they wait.
        self.unreadable: dict[str, str] = {}
        #: Jobs whose orders nobody can make sense of.
        self.defective: set[str] = set()

    def load(self, defects: Defects) -> list[Wanted]:
        """Reads which jobs are open; returns those that somebody has cancelled, which are still to be ended.

        ``defects`` is given the jobs whose orders cannot be made sense of.
        """
        cancelled = []
        for job_id in open_jobs(self._store):
            try:
                with blaming(job_id):
                    wanted = self.update(job_id)
            except JobDefectError as defect:
                if isinstance(defect.__cause__, OrderVersionError):
                    # A newer Segue's job waits for a newer coordinator; the others do not.
                    self.unreadable[job_id] = defect.text
                else:
                    self.defective.add(job_id)
                    defects.add(defect)
                continue
            if wanted is None:
                close_job(self._store, job_id)
            elif wanted.cancelled:
                cancelled.append(wanted)
        return cancelled

    def update(self, job_id: str) -> Wanted | None:
        """Takes a job's newest orders into account; None when it was never submitted."""
        orders = filed_orders(self._store, job_id)
        wanted = wanted_of(orders)
        if wanted is None:
            return None
        known = self._entries.get(job_id)
        entry = _Entry(wanted.submissions[0].owner, wanted.priority, wanted.submitted_at, len(orders))
        if known is not None:
            entry.held_at, entry.thin = known.held_at, known.thin
        self._entries[job_id] = entry
        return wanted

    def readmit(self, job_id: str) -> None:
        """Reads the orders again of a job that `load` could not make sense of."""
        try:
            self.update(job_id)
        except Exception:
            self.defective.add(job_id)
            raise

    def wanted(self, job_id: str) -> Wanted | None:
        """All that is asked about an open job; None for one that is not open."""
        if job_id not in self._entries:
            return None
        return wanted_of(filed_orders(self._store, job_id))

    def drop(self, job_id: str) -> None:
        """A job has ended."""
        self._entries.pop(job_id, None)
        close_job(self._store, job_id)

    def postpone(self, job_id: str, seconds: float = POSTPONED_S, *, aside: bool = False) -> None:
        """A job is opened again, but not at once; one that is set ``aside`` is no work for workers meanwhile."""
        entry = self._entries.get(job_id)
        if entry is not None:
            entry.not_before, entry.held_at, entry.aside = time.monotonic() + seconds, -1, aside

    def note_thin(self, job_id: str) -> None:
        """From now on only `next_thin` gives this job."""
        entry = self._entries.get(job_id)
        if entry is not None:
            entry.thin = True

    def is_thin(self, job_id: str) -> bool:
        """True for a job that is planned beside the others."""
        entry = self._entries.get(job_id)
        return entry is not None and entry.thin

    def is_held(self, job_id: str) -> bool:
        """True while a job is being delivered."""
        entry = self._entries.get(job_id)
        return entry is not None and entry.held_at >= 0

    def hold(self, job_id: str) -> None:
        """A job is being delivered."""
        entry = self._entries.get(job_id)
        if entry is not None:
            entry.held_at = entry.orders

    def asked_again(self, job_id: str) -> bool:
        """True when orders came while it was being delivered; it is then no longer held."""
        entry = self._entries.get(job_id)
        if entry is None or entry.held_at == entry.orders:
            return False
        entry.held_at = -1
        return True

    def next(self, busy: Collection[str], room: int, most: int) -> list[str]:
        """Jobs to open now: by priority, then the owner with the fewest open ones, then the oldest.

        Jobs in a rush, and the first one of an owner, are opened even when there is no room: nobody waits for days
        because somebody else has many long jobs.
        """
        if most <= 0 or len(self._entries) <= len(busy):
            return []
        owners = Counter(self._entries[job_id].owner for job_id in busy if job_id in self._entries)
        waiting = {job_id: entry for job_id, entry in self._due(busy).items() if not entry.thin}
        chosen: list[str] = []
        while waiting and len(chosen) < most:
            job_id = min(waiting, key=lambda each: self._turn(each, owners))
            entry = waiting.pop(job_id)
            if len(chosen) >= room and entry.priority is not Priority.RUSH and owners[entry.owner]:
                break
            owners[entry.owner] += 1
            chosen.append(job_id)
        return chosen

    def next_rush(self, busy: Collection[str]) -> str:
        """The job in a rush to open now; empty when there is none."""
        due = self._due(busy).items()
        waiting = [job_id for job_id, entry in due if entry.priority is Priority.RUSH and not entry.thin]
        return min(waiting, key=lambda each: self._turn(each, Counter()), default="")

    def next_thin(self, busy: Collection[str]) -> str:
        """The job to plan beside the others now; empty when there is none."""
        waiting = [job_id for job_id, entry in self._due(busy).items() if entry.thin]
        return min(waiting, key=lambda each: self._turn(each, Counter()), default="")

    def is_due(self, busy: Collection[str]) -> bool:
        """True when a job waits for a place."""
        return bool(self._due(busy))

    def _due(self, busy: Collection[str]) -> dict[str, _Entry]:
        """Jobs that may be opened now."""
        now = time.monotonic()
        return {
            job_id: entry
            for job_id, entry in self._entries.items()
            if job_id not in busy and entry.held_at < 0 and entry.not_before <= now
        }

    def _turn(self, job_id: str, owners: Counter[str]) -> tuple[int, int, str, str]:
        entry = self._entries[job_id]
        return RANKS[entry.priority], owners[entry.owner], entry.submitted_at, job_id

    def waiting(self, busy: Collection[str]) -> int:
        """Jobs that are neither open nor being delivered nor set aside."""
        entries = list(self._entries.items())
        return sum(1 for job_id, entry in entries if job_id not in busy and entry.held_at < 0 and not entry.aside)

    def __len__(self) -> int:
        return len(self._entries)
