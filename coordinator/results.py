"""Results: what workers have committed, found on disk. Hints from workers only say where to look first."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from cache.envelope import Record
from cache.store import Store
from coordinator.active_jobs import ActiveJobs
from coordinator.announcements import WRITER, Announcements
from coordinator.defects import Defects
from coordinator.in_flight import InFlightBatches, SentBatch
from coordinator.rates import Rates
from core.keys import Key
from pipeline.work import Resolver
from tasks.queues import is_queue_of

#: How often units that nobody has reported are looked for on disk, in seconds.
SWEEP_S = 2.0
#: How often a batch may come back without a result for a unit before that unit fails.
MOST_FRUITLESS = 5
#: And over how long at least, in seconds: a network disk may say for a minute that a record is missing which another
#: machine has committed, and a unit that was computed must not fail of that.
FRUITLESS_S = 90.0


class Results:
    """Settles units whose record or failure is on disk."""

    def __init__(
        self,
        store: Store,
        jobs: ActiveJobs,
        in_flight: InFlightBatches,
        rates: Rates,
        defects: Defects,
        restore_views: Callable[[object], None],
        announcements: Announcements,
    ) -> None:
        self._store, self._jobs, self._in_flight = store, jobs, in_flight
        self._rates, self._defects, self._restore_views = rates, defects, restore_views
        self._announcements = announcements
        self._swept = 0.0
        #: Units because of which a job was opened anew: once for each, so that no disagreement goes on for ever.
        self._reopened: set[Key] = set()

    def take_in(self, hints: Iterable[dict[str, Any]]) -> None:
        """Settles what is on disk. Hints only say where to look first."""
        now = time.monotonic()
        look: dict[str, SentBatch] = {}
        for hint in hints:
            self._measure(hint)
            batch = self._in_flight.sent.get(str(hint.get("batch", "")))
            if hint.get("fact") == "audio_damaged":
                self._restore_views(hint.get("jobs"))
            elif batch is not None:
                look[batch.id] = batch
                if hint.get("fact") == "batch_done":
                    self._in_flight.note_returned(batch)
        if now - self._swept >= SWEEP_S:
            self._swept = now
            look = dict(self._in_flight.sent)
        for batch in look.values():
            self.settle(batch)

    def _measure(self, hint: dict[str, Any]) -> None:
        if hint.get("fact") == "batch_done":
            audio_ms, engine_ms = hint.get("audio_ms"), hint.get("engine_ms")
            queue = hint.get("queue")
            if not (isinstance(audio_ms, int) and isinstance(engine_ms, int) and isinstance(queue, str)):
                return
            if is_queue_of(self._store.identity.id, queue):
                self._rates.note(queue, audio_ms, engine_ms)

    def settle(self, batch: SentBatch) -> None:
        """Looks for what is left of a batch."""
        self.settle_present(batch.units)
        for job_id in {unit.job_id for unit in batch.units.values()}:
            job = self._jobs.get(job_id)
            if job is None:
                continue
            with self._defects.isolating(job_id):
                failures = job.folder.failures()
                for key, unit in list(batch.units.items()):
                    if unit.job_id == job_id and key in failures:
                        self._in_flight.settle(key)
                        job.work.fail(unit, failures[key])
                        job.touch()

    def settle_present(self, keys: Collection[Key]) -> bool:
        """Settles those units that have a record, in every job that waits for them; True when there was one."""
        missing = self._store.missing(keys)
        records: dict[Key, Record] = {}
        for key in keys:
            record = None if key in missing else self._store.get(key)
            if record is not None:  # Else it was damaged on disk: it is in quarantine now, and missing again.
                records[key] = record
        for key in records:
            self._in_flight.settle(key)
        for job in self._jobs.values():
            if job.work.keys.isdisjoint(records):
                continue
            with self._defects.isolating(job.job_id):
                for unit in [unit for unit in job.work.ready() if unit.key in records]:
                    job.work.settle(unit, records[unit.key])
                job.touch()
        return len(missing) < len(keys)

    def note_fruitless(self, batch: SentBatch) -> None:
        """A worker was through with a batch and left units without a word: a few times over a while is a failure.

        A job whose units are not what its records on disk make of them is opened anew instead: a record that was there
        when it was opened has been damaged or removed since, and is computed again.
        """
        for job_id in {unit.job_id for unit in batch.units.values()}:
            with self._defects.isolating(job_id):
                self._reopen_outdated(job_id, batch)
        now = time.monotonic()
        for key, unit in list(batch.units.items()):
            job = self._jobs.get(unit.job_id)
            if job is None:
                self._in_flight.settle(key)
                continue
            count, first = job.note_fruitless(key, now)
            if count >= MOST_FRUITLESS and now - first >= FRUITLESS_S:
                reason = "workers were given it again and again and returned nothing: are their versions the same?"
                job.folder.note_failure(unit, reason, job.round, WRITER)
                self._in_flight.settle(key)
                job.work.fail(unit, reason)
                job.touch()

    def _reopen_outdated(self, job_id: str, batch: SentBatch) -> None:
        job = self._jobs.get(job_id)
        if job is None:
            return
        disk = Resolver(job.work.plan, self._store, job.folder.failures())
        for unit in batch.units.values():
            if unit.job_id != job_id or unit.key in self._reopened:
                continue
            found = disk.unit(unit.slot)
            if found is None or found.key != unit.key:
                self._reopened.add(unit.key)
                self._announcements.log(job_id, "reopened", f"what {unit.describe()} reads is not on the disk any more")
                self._jobs.withdraw(job)
                return
