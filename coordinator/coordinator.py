"""The coordinator: applies orders, opens jobs, hands out batches, settles results, finds what was lost, delivers.

One loop in one thread owns everything in memory; planning and delivering happen in threads that hand their results to
it. All of it can be rebuilt from the disk, so it may be killed at any time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from coordinator.admission import Admission
from coordinator.budgets import Budgets
from coordinator.defects import JobDefectError
from coordinator.dispatcher import LOOK_S, Dispatcher
from coordinator.finalizer import Finalizer
from coordinator.floor import Floor
from coordinator.quarantine import QuarantinedJobs
from coordinator.results import Results
from coordinator.snapshot import Snapshot
from coordinator.views import Views
from coordinator.witnessing import DeathWatch
from core.errors import StoreError
from pipeline.report import JobState
from pipeline.runtime import Runtime
from tasks.broker import Broker, BrokerAwayError


class Coordinator:
    """`start`, then `step` again and again. Not thread-safe."""

    def __init__(self, runtime: Runtime, broker: Broker, announce: Callable[[str], None]) -> None:
        self.floor = Floor.over(runtime, broker, announce)
        self._views = Views(runtime.store)
        self._finalizer = Finalizer(runtime, announce, self.floor.wants)
        self._deaths = DeathWatch(runtime.store, self.floor.witness, self.floor.say)
        self.admission = Admission(self.floor, self._finalizer, self._views)
        self._budgets = Budgets(self.floor, self.admission, self._finalizer)
        self._results = Results(self.floor, self.admission.restore_views, self.admission.withdraw)
        self.dispatcher = Dispatcher(self.floor, self._results)
        self._quarantined = QuarantinedJobs(self.floor, self._finalizer, self.admission.withdraw)
        #: Deliveries that have ended, and whose consequences have not been drawn.
        self._ended: deque[tuple[str, JobState | Exception | None]] = deque()
        self._depth: dict[str, dict[str, int]] = {}
        self._idle = threading.Event()

    def close(self) -> None:
        """Waits for threads; what they leave undone is done by the next coordinator."""
        self.admission.close()
        self._finalizer.close()
        self.floor.rates.keep()
        try:
            self.floor.witness.close()
        except StoreError as error:
            self.floor.announce(f"the end of this coordinator could not be noted: {error}")

    def start(self) -> None:
        """Takes over from whoever led before. Raises BrokerAwayError, StoreError."""
        self.dispatcher.start()
        cancelled = self.floor.register.load(self.floor.defects)
        for job_id, reason in self.floor.register.unreadable.items():
            self.floor.say(f"job {job_id[:12]} waits: {reason}")
        for wanted in cancelled:
            with self.floor.isolating(wanted.job_id):
                self._finalizer.cancel(wanted, None)
                self.floor.register.drop(wanted.job_id)

    def step(self, wait_s: float = LOOK_S) -> None:
        """Waits for news, at most so long, and deals with everything there is. Raises StoreError, never a broker's."""
        hints, isolated = iter(self._listen(wait_s)), self._quarantined.isolated
        isolated(self._quarantined.resume)
        isolated(self.admission.apply_orders)
        isolated(self.admission.collect)
        self.admission.activate()
        isolated(lambda: self._results.take_in(hints))
        try:
            isolated(self._hand_out)
        except BrokerAwayError as error:
            self.floor.say(f"waiting for the broker: {error.message}")
        else:
            self.floor.forget("waiting for the broker")
        isolated(self._finish_jobs)
        isolated(self._settle_deliveries)
        isolated(self._finalizer.note_webhooks)
        isolated(lambda: self._views.write(self.floor, self.dispatcher.waiting_for))
        self.floor.rates.keep()

    def _hand_out(self) -> None:
        """Budgets come first: nothing is handed out of a job before its account was looked at."""
        self.dispatcher.reconcile()
        self._deaths.look(self.floor.workers)
        self._budgets.enforce()
        self.admission.make_room(self.dispatcher.unserved)
        self.dispatcher.dispatch()

    def _listen(self, wait_s: float) -> list[dict[str, Any]]:
        try:
            return self.floor.broker.hints(wait_s)
        except BrokerAwayError:
            self._idle.wait(wait_s)
            return []

    def _finish_jobs(self) -> None:
        for job in list(self.floor.active.values()):
            with self.floor.isolating(job.job_id):
                if not job.work.finished:
                    continue
                # What the disk may refuse comes first: the job is then still open, and this is done again.
                self._finalizer.deliver(job)
                del self.floor.active[job.job_id]
                self.floor.share.leave(job)
                self.floor.register.hold(job.job_id)

    def _settle_deliveries(self) -> None:
        self._ended.extend(self._finalizer.collect())
        while self._ended:
            job_id, end = self._ended[0]
            with self.floor.isolating(job_id):
                self._on_delivered(job_id, end)
            self._ended.popleft()

    def _on_delivered(self, job_id: str, state: JobState | Exception | None) -> None:
        register = self.floor.register
        if isinstance(state, Exception):
            raise JobDefectError(job_id) from state
        wanted = register.wanted(job_id)
        if wanted is None:
            return
        if state is None:
            # The store's disk failed while it was delivered: opened and delivered again later.
            register.postpone(job_id)
        elif wanted.cancelled or not register.asked_again(job_id):
            # Cancelled when there was nothing left to cancel.
            register.drop(job_id)

    def snapshot(self) -> Snapshot:
        """What machines are told."""
        floor, now = self.floor, time.monotonic()
        unstarted = [now - batch.sent_at for batch in floor.in_flight.sent.values() if not batch.leased]
        return Snapshot(
            leading=True,
            batches=self._measure(),
            workers=len(floor.workers),
            jobs={"open": len(floor.active), "waiting": floor.register.waiting(floor.active)},
            queue_age_s=max([*unstarted, self.dispatcher.unserved_s()]),
            requeued=self.dispatcher.requeued,
        )

    def _measure(self) -> dict[str, dict[str, int]]:
        """Batches by stage; while a job of unknown depth is about to be set aside, what was said last."""
        try:
            self._depth = self.dispatcher.depth()
        except JobDefectError as defect:
            self.floor.defects.append(defect)
        return self._depth
