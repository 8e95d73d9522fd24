"""The dispatcher: finds lost batches and keeps the queues filled, but never far ahead of the workers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection

from coordinator.active import ActiveJob
from coordinator.active_jobs import ActiveJobs
from coordinator.announcements import Announcements
from coordinator.in_flight import Draft, InFlightBatches, SentBatch, draft_batch, left_ms, message_of, queues_wanted
from coordinator.rates import Rates
from coordinator.results import Results
from coordinator.roster import WorkerRoster
from core.errors import DiskFullError
from pipeline.runtime import Runtime
from pipeline.stages import main_stages, shown_as
from tasks.broker import Broker, BrokerAwayError

#: Below this nothing new is handed out: the disk must take what is already being computed.
LOW_DISK_BYTES = 64 * 1024 * 1024
#: Engine time of the shortest batches: below it, an engine's own batches would be half empty.
SHORTEST_MS = 5_000
#: How often the queues and leases are looked at, in seconds.
LOOK_S = 0.5


class Dispatcher:
    """Decides what is lost, and what is sent next."""

    def __init__(
        self,
        runtime: Runtime,
        broker: Broker,
        jobs: ActiveJobs,
        in_flight: InFlightBatches,
        roster: WorkerRoster,
        rates: Rates,
        results: Results,
        announcements: Announcements,
    ) -> None:
        self._store, self._broker, self._jobs, self._in_flight = runtime.store, broker, jobs, in_flight
        self._roster, self._rates, self._results, self._announcements = roster, rates, results, announcements
        self._lease_s = runtime.settings.lease_seconds
        #: Engine time that a batch aims at.
        self._target_ms = runtime.settings.batch_seconds * 1000
        self._epoch = ""
        self._quiet_until = 0.0
        self._looked = 0.0
        self._paused = ""
        #: Queues with work that nobody serves, and since when; monotonic seconds.
        self._unserved: dict[str, float] = {}
        #: Batches that were lost and given out again.
        self.requeued = 0

    def start(self) -> None:
        """Drops what an earlier coordinator had queued: all of it will be handed out again. Raises BrokerAwayError."""
        for name in self._broker.queues():
            self._broker.empty(name)
        self._epoch = self._broker.epoch()

    def reconcile(self) -> None:
        """Finds batches that nobody will finish. Raises BrokerAwayError."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        self._roster.refresh()
        epoch = self._broker.epoch()
        if epoch != self._epoch:
            # The broker has lost its memory. Those who hold units say so again within a lease period; until then,
            # silence means nothing.
            self._epoch = epoch
            self._quiet_until = now + self._lease_s
            self._announcements.announce(
                "the broker has lost its memory; waiting one lease period, then handing out what is missing"
            )
        self._in_flight.look(now)
        if now < self._quiet_until:
            return
        for batch in self._in_flight.lost(now):
            self._results.settle(batch)
            if batch.units and batch.returned:
                self._results.note_fruitless(batch)
            if batch.units:
                self.requeued += 1
                for job_id in {unit.job_id for unit in self._in_flight.give_back(batch)}:
                    self._announcements.log(job_id, "lost", "its holder is gone", batch=batch.id)

    def dispatch(self) -> None:
        """Fills the queues: a batch under way and one waiting for each worker. Raises BrokerAwayError."""
        if time.monotonic() < self._quiet_until or not self._has_room():
            return
        wanted = queues_wanted(self._jobs.values())
        self._note_unserved(wanted)
        for name, stage in wanted.items():
            serving = self._roster.serving(name)
            jobs = self._jobs.in_turn(job for job in self._jobs.values() if name in job.ready())
            while jobs and serving:
                # Towards the end of the work, batches shrink so that the last ones end at about the same time.
                left = left_ms(name, stage, jobs, self._in_flight, self._rates)
                target_ms = min(self._target_ms, max(left // (2 * serving), SHORTEST_MS))
                draft = draft_batch(name, stage, jobs, self._in_flight, self._rates, target_ms)
                if draft is None or self._in_flight.unstarted(name, draft.jobs[0].wanted.priority) >= serving:
                    break
                if self._send(name, stage, draft):
                    self._charge(name, stage, draft)
                    jobs = self._jobs.in_turn(jobs)

    def _send(self, name: str, stage: str, draft: Draft) -> bool:
        """Sends a batch; False when some of it turned out to be done or held already, so that it must be drawn anew."""
        keys = [unit.key for unit in draft.units]
        if self._results.settle_present(keys):
            return False
        message = message_of(draft, self._store.identity.id)
        now = time.monotonic()
        batch = SentBatch(
            message.batch,
            name,
            stage,
            message.priority,
            {unit.key: unit for unit in draft.units},
            draft.predicted_ms,
            now,
            now,
        )
        self._in_flight.add(batch)
        if self._broker.leased(keys):
            # Somebody whom an earlier coordinator sent is at it: this batch is watched as if it were theirs.
            batch.waiting = False
            return True
        try:
            self._broker.send(name, message)
        except BrokerAwayError:
            self._in_flight.give_back(batch)
            raise
        return True

    def _charge(self, name: str, stage: str, draft: Draft) -> None:
        """Notes the predicted time with those who are served."""
        mine: Counter[str] = Counter()
        for unit in draft.units:
            mine[unit.job_id] += unit.audio_ms
        for job in draft.jobs:
            self._jobs.charge(job, self._rates.predict(name, stage, mine[job.job_id]))

    def _note_unserved(self, wanted: Collection[str]) -> None:
        now = time.monotonic()
        self._unserved = {name: self._unserved.get(name, now) for name in wanted if not self._roster.serving(name)}

    def unserved_s(self) -> float:
        """How long there has been work that nobody serves, in seconds."""
        return max((time.monotonic() - since for since in self._unserved.values()), default=0.0)

    def _has_room(self) -> bool:
        try:
            self._store.require_space(LOW_DISK_BYTES)
        except DiskFullError as error:
            self._paused = f"disk full: {error.message}"
            self._announcements.say(f"paused: {error.message}")
            return False
        self._paused = ""
        self._announcements.forget("paused")
        return True

    def waiting_for(self, job: ActiveJob) -> str:
        """Why nothing of a job moves; empty when something does, or when it is simply not its turn."""
        if job.halted or self._paused:
            return job.halted or self._paused
        if not (wanted := self.unserved(job)):
            return ""
        return f"no worker serves {', '.join(sorted(wanted))}"

    def unserved(self, job: ActiveJob) -> set[str]:
        """The engines that a job's ready units ask for when no worker serves any of them."""
        wanted = {units[0].spec.describe(): self._roster.serving(name) for name, units in job.ready().items()}
        return set() if any(wanted.values()) else set(wanted)

    def depth(self, waiting: int) -> dict[str, dict[str, int]]:
        """Batches by stage: queued (not yet begun, or not yet sent) and running. The ``waiting`` jobs that are not open
        count as one each."""
        counts = {stage.name: {"queued": 0, "running": 0} for stage in main_stages()}
        for batch in self._in_flight.sent.values():
            counts[shown_as(batch.stage)]["running" if batch.leased else "queued"] += 1
        for name, stage in queues_wanted(self._jobs.values()).items():
            left = left_ms(name, stage, self._jobs.values(), self._in_flight, self._rates)
            counts[shown_as(stage)]["queued"] += -(-left // self._target_ms)
        counts[main_stages()[0].name]["queued"] += waiting
        return counts
