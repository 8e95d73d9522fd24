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

from coordinator.budgets import Budgets
from coordinator.ending import Ending
from coordinator.floor import Floor
from coordinator.handout import LOOK_S, Handout
from coordinator.intake import Intake
from coordinator.results import Results
from coordinator.snapshot import Snapshot
from coordinator.views import Views
from pipeline.report import JobState
from pipeline.runtime import Runtime
from tasks.broker import Broker, BrokerAwayError


class Coordinator:
    """`start`, then `step` again and again. Not thread-safe."""

    def __init__(self, runtime: Runtime, broker: Broker, announce: Callable[[str], None]) -> None:
        self.floor = Floor.over(runtime, broker, announce)
        self._views = Views(runtime.store)
        self._ending = Ending(runtime, announce)
        self.intake = Intake(self.floor, self._ending, self._views)
        self._budgets = Budgets(self.floor, self.intake, self._ending)
        self._results = Results(self.floor, self.intake.mend_audio)
        self.handout = Handout(self.floor, self._results)
        #: Deliveries that have ended, and whose consequences have not been drawn.
        self._ended: deque[tuple[str, JobState | None]] = deque()
        self._idle = threading.Event()

    def close(self) -> None:
        """Waits for threads; what they leave undone is done by the next coordinator."""
        self.intake.close()
        self._ending.close()
        self.floor.rates.keep()

    def start(self) -> None:
        """Takes over from whoever led before. Raises BrokerAwayError, StoreError."""
        self.handout.start()
        cancelled = self.floor.register.load()
        for job_id, reason in self.floor.register.unreadable.items():
            self.floor.say(f"job {job_id[:12]} waits: {reason}")
        for wanted in cancelled:
            self._ending.cancel(wanted, None)
            self.floor.register.drop(wanted.job_id)

    def step(self, wait_s: float = LOOK_S) -> None:
        """Waits for news, at most so long, and deals with everything there is. Raises StoreError, never a broker's."""
        hints = self._listen(wait_s)
        self.intake.apply_orders()
        self.intake.collect()
        self.intake.activate()
        self._results.take_in(hints)
        try:
            self.handout.reconcile()
            self._budgets.enforce()
            self.intake.make_room(self.handout.unserved)
            self.handout.dispatch()
        except BrokerAwayError as error:
            self.floor.say(f"waiting for the broker: {error.message}")
        else:
            self.floor.forget("waiting for the broker")
        self._finish_jobs()
        self._ending.note_webhooks()
        self._views.write(self.floor.active.values(), self.floor.desk, self.handout.waiting_for)
        self.floor.rates.keep()

    def _listen(self, wait_s: float) -> list[dict[str, Any]]:
        try:
            return self.floor.broker.hints(wait_s)
        except BrokerAwayError:
            self._idle.wait(wait_s)
            return []

    def _finish_jobs(self) -> None:
        for job in [job for job in self.floor.active.values() if job.work.finished]:
            # What the disk may refuse comes first: the job is then still open, and this is done again.
            self._ending.deliver(job)
            del self.floor.active[job.job_id]
            self.floor.share.leave(job)
            self.floor.register.hold(job.job_id)
        self._ended.extend(self._ending.collect())
        while self._ended:
            self._on_delivered(*self._ended[0])
            self._ended.popleft()

    def _on_delivered(self, job_id: str, state: JobState | None) -> None:
        register = self.floor.register
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
        unstarted = [now - batch.sent_at for batch in floor.desk.sent.values() if not batch.claimed]
        return Snapshot(
            leading=True,
            batches=self.handout.depth(),
            workers=len(floor.cards),
            jobs={"open": len(floor.active), "waiting": floor.register.waiting(floor.active)},
            queue_age_s=max([*unstarted, self.handout.unserved_s()]),
            requeued=self.handout.requeued,
        )
