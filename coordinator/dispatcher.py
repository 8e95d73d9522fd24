"""The dispatcher: finds lost batches and keeps the queues filled, but never far ahead of the workers."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from coordinator.active import ActiveJob
from coordinator.floor import Floor
from coordinator.in_flight import Draft, SentBatch, charge, draft_batch, left_ms, message_of, queues_wanted
from coordinator.results import Results
from core.errors import DiskFullError
from pipeline.stages import main_stages, shown_as
from tasks.broker import BrokerAwayError

#: Below this nothing new is handed out: the disk must take what is already being computed.
LOW_DISK_BYTES = 64 * 1024 * 1024
#: Engine time of the shortest batches: below it, an engine's own batches would be half empty.
SHORTEST_MS = 5_000
#: How often the queues and leases are looked at, in seconds.
LOOK_S = 0.5


class Dispatcher:
    """Decides what is lost, and what is sent next."""

    def __init__(self, floor: Floor, results: Results) -> None:
        self._floor, self._results = floor, results
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
        broker = self._floor.broker
        for name in broker.queues():
            broker.empty(name)
        self._epoch = broker.epoch()

    def reconcile(self) -> None:
        """Finds batches that nobody will finish. Raises BrokerAwayError."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        self._floor.workers = [info for info in self._floor.broker.workers() if _is_info(info)]
        epoch = self._floor.broker.epoch()
        if epoch != self._epoch:
            # The broker has lost its memory. Those who hold units say so again within a lease period; until then,
            # silence means nothing.
            self._epoch = epoch
            self._quiet_until = now + self._floor.runtime.settings.lease_seconds
            self._floor.announce(
                "the broker has lost its memory; waiting one lease period, then handing out what is missing"
            )
        self._floor.in_flight.look(self._floor.broker, now)
        if now < self._quiet_until:
            return
        for batch in self._floor.in_flight.lost(now):
            self._results.settle(batch)
            if batch.units and batch.returned:
                self._results.note_fruitless(batch)
            if batch.units:
                self.requeued += 1
                for job_id in {unit.job_id for unit in self._floor.in_flight.give_back(batch)}:
                    self._floor.log(job_id, "lost", "its holder is gone", batch=batch.id)

    def dispatch(self) -> None:
        """Fills the queues: a batch under way and one waiting for each worker. Raises BrokerAwayError."""
        if time.monotonic() < self._quiet_until or not self._has_room():
            return
        floor = self._floor
        wanted = queues_wanted(floor.active.values())
        self._note_unserved(wanted)
        for name, stage in wanted.items():
            serving = self.serving(name)
            jobs = floor.share.order(job for job in floor.active.values() if name in job.ready())
            while jobs and serving:
                # Towards the end of the work, batches shrink so that the last ones end at about the same time.
                left = left_ms(name, stage, jobs, floor.in_flight, floor.rates)
                target_ms = min(floor.target_ms, max(left // (2 * serving), SHORTEST_MS))
                draft = draft_batch(name, stage, jobs, floor.in_flight, floor.rates, target_ms)
                if draft is None or floor.in_flight.unstarted(name, draft.jobs[0].wanted.priority) >= serving:
                    break
                if self._send(name, stage, draft):
                    charge(draft, floor.share, floor.rates, name)
                    jobs = floor.share.order(jobs)

    def _send(self, name: str, stage: str, draft: Draft) -> bool:
        """Sends a batch; False when some of it turned out to be done or held already, so that it must be drawn anew."""
        keys = [unit.key for unit in draft.units]
        if self._results.settle_present(keys):
            return False
        message = message_of(draft, self._floor.store_id)
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
        self._floor.in_flight.add(batch)
        if self._floor.broker.leased(keys):
            # Somebody whom an earlier coordinator sent is at it: this batch is watched as if it were theirs.
            batch.waiting = False
            return True
        try:
            self._floor.broker.send(name, message)
        except BrokerAwayError:
            self._floor.in_flight.give_back(batch)
            raise
        for job in draft.jobs:
            job.started = job.started or now
        return True

    def _note_unserved(self, wanted: Collection[str]) -> None:
        now = time.monotonic()
        self._unserved = {name: self._unserved.get(name, now) for name in wanted if not self.serving(name)}

    def unserved_s(self) -> float:
        """How long there has been work that nobody serves, in seconds."""
        return max((time.monotonic() - since for since in self._unserved.values()), default=0.0)

    def _has_room(self) -> bool:
        try:
            self._floor.store.require_space(LOW_DISK_BYTES)
        except DiskFullError as error:
            self._paused = f"disk full: {error.message}"
            self._floor.say(f"paused: {error.message}")
            return False
        self._paused = ""
        self._floor.forget("paused")
        return True

    def serving(self, name: str) -> int:
        """Workers that take batches from a queue."""
        return sum(
            1
            for info in self._floor.workers
            if info.get("state") != "draining" and any(each.get("queue") == name for each in info.get("serves", ()))
        )

    def waiting_for(self, job: ActiveJob) -> str:
        """Why nothing of a job moves; empty when something does, or when it is simply not its turn."""
        if job.halted or self._paused:
            return job.halted or self._paused
        if not (wanted := self.unserved(job)):
            return ""
        return f"no worker serves {', '.join(sorted(wanted))}"

    def unserved(self, job: ActiveJob) -> set[str]:
        """The engines that a job's ready units ask for when no worker serves any of them."""
        wanted = {units[0].spec.describe(): self.serving(name) for name, units in job.ready().items()}
        return set() if any(wanted.values()) else set(wanted)

    def depth(self) -> dict[str, dict[str, int]]:
        """Batches by stage: queued (waiting or not yet sent) and running. Jobs that are not open count as one each."""
        counts = {stage.name: {"queued": 0, "running": 0} for stage in main_stages()}
        for batch in self._floor.in_flight.sent.values():
            counts[shown_as(batch.stage)]["running" if batch.leased else "queued"] += 1
        for name, stage in queues_wanted(self._floor.active.values()).items():
            left = left_ms(name, stage, self._floor.active.values(), self._floor.in_flight, self._floor.rates)
            counts[shown_as(stage)]["queued"] += -(-left // self._floor.target_ms)
        counts[main_stages()[0].name]["queued"] += self._floor.register.waiting(self._floor.active.keys())
        return counts


def _is_info(info: Mapping[str, Any]) -> bool:
    """True for what a worker may have written: whoever reaches the broker can write anything there."""
    serves = info.get("serves")
    return isinstance(serves, list) and all(isinstance(each, dict) for each in serves)
