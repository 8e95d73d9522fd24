"""The coordinator: applies orders, opens jobs, hands out batches, settles results, finds what was lost, delivers.

One loop in one thread owns everything in memory; planning and delivering happen in threads that hand their results to
it. All of it can be rebuilt from the disk, so it may be killed at any time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from coordinator.ending import Ending
from coordinator.floor import Floor
from coordinator.handout import LOOK_S, Handout
from coordinator.intake import Intake
from coordinator.results import Results
from coordinator.snapshot import Snapshot
from coordinator.views import Views
from pipeline.runtime import Runtime
from tasks.broker import Broker, BrokerAwayError


class Coordinator:
    """`start`, then `step` again and again. Not thread-safe."""

    def __init__(self, runtime: Runtime, broker: Broker, announce: Callable[[str], None]) -> None:
        self.floor = Floor.over(runtime, broker, announce)
        self._views = Views(runtime.store)
        self._ending = Ending(runtime, announce)
        self.intake = Intake(self.floor, self._ending, self._views)
        self._results = Results(self.floor, self.intake.mend_audio)
        self.handout = Handout(self.floor, self._results)
        self._idle = threading.Event()

    def close(self) -> None:
        """Waits for threads; what they leave undone is done by the next coordinator."""
        self.intake.close()
        self._ending.close()
        self.floor.rates.keep()

    def start(self) -> None:
        """Takes over from whoever led before. Raises BrokerAwayError, StoreError."""
        self.handout.start()
        for wanted in self.floor.register.load():
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
            del self.floor.active[job.job_id]
            self.floor.share.leave(job)
            self.floor.register.hold(job.job_id)
            self._ending.deliver(job)
        for job_id, state in self._ending.collect():
            wanted = self.floor.register.wanted(job_id)
            if state is None:
                # The state's own disk failed while it was delivered: opened and delivered again later.
                self.floor.register.postpone(job_id)
            elif wanted is not None and not self.floor.register.asked_again(job_id):
                self.floor.register.drop(job_id)

    def snapshot(self) -> Snapshot:
        """What machines are told."""
        floor, now = self.floor, time.monotonic()
        unstarted = [now - batch.sent_at for batch in floor.desk.sent.values() if not batch.claimed]
        return Snapshot(
            leading=True,
            batches=self.handout.depth(),
            workers=len(floor.cards),
            jobs={"open": len(floor.active), "waiting": floor.register.waiting(floor.active)},
            queue_age_s=max(unstarted, default=0.0),
            requeued=self.handout.requeued,
        )
