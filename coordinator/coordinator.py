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

from coordinator.active_jobs import ActiveJobs
from coordinator.admission import Admission
from coordinator.announcements import Announcements
from coordinator.budgets import Budgets
from coordinator.death_watch import DeathWatch
from coordinator.defects import Defects, JobDefectError
from coordinator.dispatcher import LOOK_S, Dispatcher
from coordinator.finalizer import Finalizer
from coordinator.in_flight import InFlightBatches
from coordinator.orders import OrderProcessor
from coordinator.quarantine import QuarantinedJobs
from coordinator.rates import Rates
from coordinator.register import JobRegister
from coordinator.results import Results
from coordinator.roster import WorkerRoster
from coordinator.snapshot import Snapshot
from coordinator.views import ViewWriter
from core.errors import StoreError
from journals.demand import DemandLog
from journals.log_ends import COORDINATOR, EndOfLogRecorder, process_name
from pipeline.report import JobState
from pipeline.runtime import Runtime
from tasks.broker import Broker, BrokerAwayError


class Coordinator:
    """`start`, then `step` again and again. Not thread-safe."""

    def __init__(self, runtime: Runtime, broker: Broker, announce: Callable[[str], None]) -> None:
        store = runtime.store
        self._broker = broker
        self._announcements = Announcements(store, announce)
        self._defects = Defects()
        self._register = JobRegister(store)
        self._roster = WorkerRoster(broker)
        self.rates = Rates(store)
        self.in_flight = InFlightBatches(broker)
        self.jobs = ActiveJobs(self.in_flight)
        self._log_ends = EndOfLogRecorder(store, f"{process_name()}-{COORDINATOR}")
        demand = DemandLog(self._log_ends)
        self._views = ViewWriter(store, self.jobs, self.in_flight, self._defects)
        self._finalizer = Finalizer(runtime, announce, demand)
        self._deaths = DeathWatch(store, self._log_ends, self._announcements.say)
        self.orders = OrderProcessor(
            store, self._views, self._announcements, self.jobs, self._register, self._defects, self._finalizer
        )
        self.admission = Admission(
            runtime,
            self.jobs,
            self._register,
            self._defects,
            demand,
            self._finalizer,
            self._views,
            self._announcements,
        )
        self._budgets = Budgets(
            runtime,
            self.jobs,
            self.in_flight,
            self._roster,
            self.rates,
            self._register,
            self._finalizer,
            self._announcements,
        )
        self._results = Results(
            store,
            self.jobs,
            self.in_flight,
            self.rates,
            self._defects,
            self.admission.restore_views,
            self._announcements,
        )
        self.dispatcher = Dispatcher(
            runtime,
            broker,
            self.jobs,
            self.in_flight,
            self._roster,
            self.rates,
            self._results,
            self._announcements,
        )
        self._quarantined = QuarantinedJobs(
            store, self.jobs, self._register, self._defects, self._finalizer, self._announcements
        )
        #: Deliveries that have ended, and whose consequences have not been drawn.
        self._ended: deque[tuple[str, JobState | Exception | None]] = deque()
        self._depth: dict[str, dict[str, int]] = {}
        self._idle = threading.Event()

    def close(self) -> None:
        """Waits for threads; what they leave undone is done by the next coordinator."""
        self.admission.close()
        self._finalizer.close()
        self.rates.keep()
        try:
            self._log_ends.close()
        except StoreError as error:
            self._announcements.announce(f"the end of this coordinator could not be noted: {error}")

    def start(self) -> None:
        """Takes over from whoever led before. Raises BrokerAwayError, StoreError."""
        self.dispatcher.start()
        cancelled = self._register.load(self._defects)
        for job_id, reason in self._register.unreadable.items():
            self._announcements.say(f"job {job_id[:12]} waits: {reason}")
        for wanted in cancelled:
            with self._defects.isolating(wanted.job_id):
                self._finalizer.cancel(wanted, None)
                self._register.drop(wanted.job_id)

    def step(self, wait_s: float = LOOK_S) -> None:
        """Waits for news, at most so long, and deals with everything there is. Raises StoreError, never a broker's."""
        hints, isolated = iter(self._listen(wait_s)), self._quarantined.isolated
        isolated(self._quarantined.resume)
        isolated(self.orders.apply)
        isolated(self.admission.collect)
        self.admission.activate()
        isolated(lambda: self._results.take_in(hints))
        try:
            isolated(self._hand_out)
        except BrokerAwayError as error:
            self._announcements.say(f"waiting for the broker: {error.message}")
        else:
            self._announcements.forget("waiting for the broker")
        isolated(self._finish_jobs)
        isolated(self._settle_deliveries)
        isolated(self._finalizer.note_webhooks)
        isolated(lambda: self._views.write(self.dispatcher.waiting_for))
        self.rates.keep()

    def _hand_out(self) -> None:
        """Budgets come first: nothing is handed out of a job before its account was looked at."""
        self.dispatcher.reconcile()
        self._deaths.look([worker.beats for worker in self._roster])
        self._budgets.enforce()
        self.admission.make_room(self.dispatcher.unserved)
        self.dispatcher.dispatch()

    def _listen(self, wait_s: float) -> list[dict[str, Any]]:
        try:
            return self._broker.hints(wait_s)
        except BrokerAwayError:
            self._idle.wait(wait_s)
            return []

    def _finish_jobs(self) -> None:
        for job in list(self.jobs.values()):
            with self._defects.isolating(job.job_id):
                if not job.work.finished:
                    continue
                # What the disk may refuse comes first: the job is then still open, and this is done again.
                self._finalizer.deliver(job)
                self.jobs.leave(job)
                self._register.hold(job.job_id)

    def _settle_deliveries(self) -> None:
        self._ended.extend(self._finalizer.collect())
        while self._ended:
            job_id, end = self._ended[0]
            with self._defects.isolating(job_id):
                self._on_delivered(job_id, end)
            self._ended.popleft()

    def _on_delivered(self, job_id: str, state: JobState | Exception | None) -> None:
        register = self._register
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
        now = time.monotonic()
        unstarted = [now - batch.sent_at for batch in self.in_flight.sent.values() if not batch.leased]
        return Snapshot(
            leading=True,
            batches=self._measure(),
            workers=len(self._roster),
            jobs={"open": len(self.jobs), "waiting": self._register.waiting(self.jobs)},
            queue_age_s=max([*unstarted, self.dispatcher.unserved_s()]),
            requeued=self.dispatcher.requeued,
        )

    def _measure(self) -> dict[str, dict[str, int]]:
        """Batches by stage; while a job of unknown depth is about to be set aside, what was said last."""
        try:
            self._depth = self.dispatcher.depth(self._register.waiting(self.jobs))
        except JobDefectError as defect:
            self._defects.add(defect)
        return self._depth
