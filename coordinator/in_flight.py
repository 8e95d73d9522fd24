"""Batches: which units go into the next one, what has been sent, and when one counts as lost.

The coordinator alone decides that work was lost. A batch is alive while its message waits in the queue or a worker
holds a lease on one of its units; a batch that is neither, for longer than a grace, gives its units back. Being wrong
costs a message: a worker computes no unit that is in the store or that another worker holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from coordinator.active import RANKS, ActiveJob
from coordinator.defects import blaming
from coordinator.rates import Rates
from core.keys import Key
from jobs.submissions import Priority
from pipeline.lookup import UnitRef, ref_of
from pipeline.stages.stage import Unit
from tasks.broker import Broker, BrokerAwayError
from tasks.messages import BatchMessage, make_batch_id
from tasks.queues import engine_digest

#: Units in one message at most; the parser's own limit is far above.
MOST_UNITS = 512
#: Time between taking a message and leasing its units, on a slow disk, before the batch counts as lost.
UNLEASED_S = 4.0
#: The same after leases have run out: their holder has been silent for a whole lease period already.
EXPIRED_S = 0.5


@dataclass
class SentBatch:
    """A batch that was put into a queue and is not settled."""

    id: str
    queue: str
    stage: str
    priority: Priority
    #: Units without a result.
    units: dict[Key, Unit]
    predicted_ms: int
    #: Monotonic seconds.
    sent_at: float
    #: When it was last seen waiting or leased.
    alive_at: float
    #: True while its message waits in the queue.
    waiting: bool = True
    leased: bool = False
    #: True once it has been leased since it last waited.
    begun: bool = False
    #: A worker has said that it is through with it.
    returned: bool = False

    def is_lost(self, now: float) -> bool:
        """True when nobody can be expected to compute what is left of it."""
        if self.waiting or self.leased:
            return False
        grace = EXPIRED_S if self.returned or self.begun else UNLEASED_S
        return now - self.alive_at > grace


@dataclass
class InFlightBatches:
    """Batches that were sent and are not settled, and which units are in them."""

    broker: Broker
    sent: dict[str, SentBatch] = field(default_factory=dict)
    #: Unit key -> batch.
    taken: dict[Key, str] = field(default_factory=dict)

    def add(self, batch: SentBatch) -> None:
        """Notes a batch before it is sent."""
        self.sent[batch.id] = batch
        for key in batch.units:
            self.taken[key] = batch.id

    def settle(self, key: Key) -> Unit | None:
        """A unit has its result; returns it if it was handed out."""
        batch = self.sent.get(self.taken.pop(key, ""))
        unit = batch.units.pop(key, None) if batch else None
        if batch is not None and not batch.units:
            del self.sent[batch.id]
        return unit

    def give_back(self, batch: SentBatch) -> list[Unit]:
        """The units of a lost or returned batch are free again."""
        self.sent.pop(batch.id, None)
        for key in batch.units:
            self.taken.pop(key, None)
        return list(batch.units.values())

    def held(self, job_id: str) -> int:
        """Units of a job that workers hold."""
        return sum(
            1 for batch in self.sent.values() if batch.leased for unit in batch.units.values() if unit.job_id == job_id
        )

    def under_way(self, job_id: str) -> Iterator[tuple[str, Unit]]:
        """Units of a job that are in queues or with workers, each with its queue."""
        for batch in self.sent.values():
            for unit in batch.units.values():
                if unit.job_id == job_id:
                    yield batch.queue, unit

    def hold_back(self, job_id: str) -> None:
        """Takes batches with a job's units that nobody has begun out of their queues."""
        for batch in list(self.sent.values()):
            if batch.waiting and any(unit.job_id == job_id for unit in batch.units.values()):
                self._empty(batch.queue)

    def withdraw(self, job_id: str) -> None:
        """Forgets a job's units; what workers have begun of them is theirs to finish."""
        self.hold_back(job_id)
        for key in [unit.key for _, unit in self.under_way(job_id)]:
            self.settle(key)

    def _empty(self, queue: str) -> None:
        try:
            self.broker.empty(queue)
        except BrokerAwayError:
            return
        for batch in list(self.sent.values()):
            if batch.queue == queue and batch.waiting and not batch.leased:
                self.give_back(batch)

    def look(self, now: float) -> None:
        """Learns which batches wait and which are held. Raises BrokerAwayError."""
        queues = {batch.queue for batch in self.sent.values()}
        waiting = {each for queue in queues for each in self.broker.waiting(queue)}
        keys = [key for batch in self.sent.values() if batch.id not in waiting for key in batch.units]
        held = self.broker.leased(keys) if keys else {}
        for batch in self.sent.values():
            batch.waiting = batch.id in waiting
            batch.leased = any(key in held for key in batch.units)
            if batch.waiting or batch.leased:
                batch.alive_at, batch.returned, batch.begun = now, False, batch.leased

    def note_returned(self, batch: SentBatch) -> None:
        """A worker has said that it is through with a batch."""
        batch.returned, batch.leased = True, False

    def lost(self, now: float) -> list[SentBatch]:
        """Batches whose units must be handed out again."""
        return [batch for batch in self.sent.values() if batch.is_lost(now)]

    def unstarted(self, queue: str, priority: Priority) -> int:
        """Batches of at least this priority that no worker has begun."""
        return sum(
            1
            for batch in self.sent.values()
            if batch.queue == queue and not batch.leased and RANKS[batch.priority] <= RANKS[priority]
        )


@dataclass(frozen=True)
class Draft:
    """A batch that could be sent."""

    units: tuple[Unit, ...]
    refs: tuple[UnitRef, ...]
    jobs: tuple[ActiveJob, ...]
    predicted_ms: int


def draft_batch(
    queue: str, stage: str, jobs: Sequence[ActiveJob], in_flight: InFlightBatches, rates: Rates, target_ms: int
) -> Draft | None:
    """The next batch of a queue: from the job whose turn it is, filled up from those that come after it."""
    chosen: dict[Key, tuple[ActiveJob, Unit]] = {}
    spent_ms = 0
    first: ActiveJob | None = None
    for job in jobs:
        if first is not None and RANKS[job.wanted.priority] != RANKS[first.wanted.priority]:
            break
        for unit in job.free(queue, in_flight.taken):
            cost_ms = rates.predict(queue, stage, unit.audio_ms)
            if chosen and (spent_ms + cost_ms > target_ms or len(chosen) >= MOST_UNITS):
                return _draft(chosen, spent_ms)
            if unit.key not in chosen:
                first = first or job
                chosen[unit.key] = (job, unit)
                spent_ms += cost_ms
    return _draft(chosen, spent_ms) if chosen else None


def left_ms(queue: str, stage: str, jobs: Iterable[ActiveJob], in_flight: InFlightBatches, rates: Rates) -> int:
    """Predicted engine time of what is ready for a queue and has not been handed out."""
    ready_ms = rates.predict(queue, stage, sum(job.ready_ms(queue) for job in jobs))
    return max(ready_ms - sum(batch.predicted_ms for batch in in_flight.sent.values() if batch.queue == queue), 0)


def _draft(chosen: dict[Key, tuple[ActiveJob, Unit]], predicted_ms: int) -> Draft:
    pairs = list(chosen.values())
    jobs = {job.job_id: job for job, _ in pairs}
    refs = []
    for job, unit in pairs:
        with blaming(job.job_id):
            refs.append(ref_of(unit, job.round))
    return Draft(tuple(unit for _, unit in pairs), tuple(refs), tuple(jobs.values()), predicted_ms)


def message_of(draft: Draft, store_id: str) -> BatchMessage:
    """The message for a batch."""
    job, unit = draft.jobs[0], draft.units[0]
    return BatchMessage(
        store=store_id,
        batch=make_batch_id(),
        stage=unit.stage,
        engine=engine_digest(unit.spec),
        priority=job.wanted.priority,
        units=draft.refs,
        predicted_ms=draft.predicted_ms,
    )


def queues_wanted(jobs: Iterable[ActiveJob]) -> dict[str, str]:
    """Queues that some open job has ready units for."""
    found: dict[str, str] = {}
    for job in jobs:
        with blaming(job.job_id):
            for name, units in job.ready().items():
                found.setdefault(name, units[0].stage)
    return found
