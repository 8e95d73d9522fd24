"""The supervisor: takes messages, has them computed, and leaves in good order when it is told to. No model is in it."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from core.conditions import condition_of, reason_of
from core.errors import StoreError
from tasks.broker import BrokerAwayError
from tasks.messages import BatchMessage
from tasks.queues import engine_digest, queue_name
from worker.batch_run import BatchRun
from worker.context import WorkerContext
from worker.departure import Departure, WorkerEnd
from worker.engine_host import HurriedError, SickError
from worker.metrics import TimeUse
from worker.notices.notice import Notice, NoticeKind

#: How often the register of workers hears from us; a worker info lives three times as long.
BEAT_SECONDS = 2.0
#: Seconds before a deadline at which what is still computed is abandoned: the session has to be closed in them.
_MARGIN_S = 0.7
_STORE_PAUSE_S = 2.0
_LONGEST_STORE_PAUSE_S = 30.0


class WorkerState(StrEnum):
    """What a worker does, as `segue workers` shows it."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"
    PAUSED = "paused"


_STATES = {
    TimeUse.LOAD: WorkerState.STARTING,
    TimeUse.IDLE: WorkerState.IDLE,
    TimeUse.BUSY: WorkerState.BUSY,
    TimeUse.PAUSED: WorkerState.PAUSED,
    TimeUse.DRAIN: WorkerState.DRAINING,
}


@dataclass
class _Standing:
    """What the worker info says that changes."""

    batch: str = ""
    stage: str = ""
    jobs: list[str] = field(default_factory=list)
    done_units: int = 0
    reason: str = ""
    idle_since: float = field(default_factory=time.monotonic)


class Supervisor:
    """One worker process's main part. `handle` runs in the consumer's thread; `depart` may come from any other."""

    def __init__(self, place: WorkerContext, info: Mapping[str, Any], stop_consuming: Callable[[], None]) -> None:
        self._context = place
        self._fixed_info = dict(info)
        self._stop_consuming = stop_consuming
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._standing = _Standing()
        self._run: BatchRun | None = None
        self._lock = threading.Lock()
        #: Batches in a row that the disk refused.
        self._refused_by_disk = 0
        self.departure: Departure | None = None
        self.leaving = threading.Event()
        #: Set when the worker info says something new: the coordinator plans by it.
        self.stirred = threading.Event()

    # -- messages --------------------------------------------------------------------------------------------

    def handle(self, message: BatchMessage) -> None:
        """Has a batch computed. Never raises: what goes wrong is answered here."""
        engine = self._context.engine.served.get(message.stage)
        if engine is None or engine_digest(engine.spec) != message.engine:
            self.refuse("it is for an engine that this worker does not serve")
            return
        run = BatchRun(message, queue_name(message.store, message.stage, engine.spec), self._context)
        with self._lock:
            self._run = run
            departing = self.departure is not None
        if departing:
            run.hand_back()
        else:
            self._standing.batch, self._standing.stage = message.batch, message.stage
            self._standing.jobs = run.jobs
            self.stirred.set()
            self._work(run)
        with self._lock:
            self._run = None
        self._standing.batch, self._standing.stage, self._standing.jobs = "", "", []
        self._standing.idle_since = time.monotonic()
        self.stirred.set()

    def refuse(self, line: str) -> None:
        """Counts a message that is not acted on, and says why."""
        self._context.metrics.refused.labels(_refusal(line)).inc()
        self._context.log.say(line if "refused" in line else f"message refused: {line}", "message_refused", "warning")

    def _work(self, run: BatchRun) -> None:
        place = self._context
        place.metrics.enter(TimeUse.BUSY)
        began = time.monotonic()
        try:
            if not place.engine.link.alive:
                place.metrics.enter(TimeUse.LOAD)
                place.engine.start()
            run.run()
            self._refused_by_disk = 0
        except SickError as error:
            run.hand_back()
            self.depart(Departure(WorkerEnd.SICK, str(error)))
        except HurriedError:
            run.hand_back()
        except StoreError as error:
            run.hand_back()
            self._await_store(str(error))
        except BrokerAwayError as error:
            place.log.say(f"{error}; the coordinator will send the batch again", "batch", "warning")
        except Exception as error:  # noqa: BLE001 - one message must not end a worker
            run.hand_back()
            if condition_of(error) is None:
                place.log.say(traceback.format_exc(), "defect", "error", batch=run.message.batch)
            self.depart(Departure(WorkerEnd.SICK, reason_of(error)))
        finally:
            self._standing.done_units += run.tally.done
            self._tell(run, time.monotonic() - began)
            place.metrics.enter(TimeUse.DRAIN if self.departure else TimeUse.IDLE)

    def _tell(self, run: BatchRun, seconds: float) -> None:
        tally, message = run.tally, run.message
        parts = [f"{tally.done} of {len(message.units)} units of {message.stage} done"]
        parts += [f"{count} {name}" for name, count in _counts(run).items() if count]
        self._context.log.say(
            f"batch {message.batch[:8]}: {', '.join(parts)} in {seconds:.1f} s",
            "batch_done",
            batch=message.batch,
            stage=message.stage,
            jobs=run.jobs,
            units=len(message.units),
            engine_ms=tally.engine_ms,
        )

    def _await_store(self, reason: str) -> None:
        """The disk is away or is another one: computes nothing, and takes nothing, until it is ours again.

        A disk may look well and still refuse a job, one that a newer Segue planned for instance. Its batch comes back
        as long as it is offered, so each refusal in a row is followed by a longer pause, in which others may take it.
        """
        place = self._context
        place.log.say(f"{reason}; pausing", "paused", "warning")
        place.metrics.enter(TimeUse.PAUSED)
        self._standing.reason = reason
        self.stirred.set()
        pause_s = min(_STORE_PAUSE_S * 2.0**self._refused_by_disk, _LONGEST_STORE_PAUSE_S)
        self._refused_by_disk += 1
        place.engine.pause(pause_s, self.leaving.is_set)
        while self.departure is None:
            try:
                place.store.free_bytes()
            except StoreError:
                place.engine.pause(_STORE_PAUSE_S, self.leaving.is_set)
                continue
            place.log.say("the disk answers; taking work again", "resumed")
            break
        self._standing.reason = ""

    # -- life ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Called by whoever waits. Raises HurriedError when the deadline has come."""
        self._context.leases.pulse()
        departure = self.departure
        if departure is not None and time.monotonic() > departure.deadline - _MARGIN_S:
            raise HurriedError("the deadline has come")

    def on_notice(self, notice: Notice) -> None:
        """A notice came, from a cloud, a file or a signal."""
        if notice.kind is NoticeKind.REBALANCE:
            self._context.log.say(f"{notice.source}: {notice.detail}; working on", "rebalance", "warning")
            return
        self.depart(Departure(WorkerEnd.TOLD, f"{notice.source}: {notice.detail}", notice.deadline, notice))

    def depart(self, departure: Departure) -> None:
        """Takes no more messages and gives the rest of this one back at once; the chunk in flight may finish."""
        with self._lock:
            if self.departure is not None:
                self.departure.deadline = min(self.departure.deadline, departure.deadline)
                return
            self.departure = departure
            run = self._run
        self._standing.reason = departure.reason
        self._context.log.say(f"leaving: {departure.reason}", "leaving")
        self._stop_consuming()
        if run is not None:
            self._context.metrics.enter(TimeUse.DRAIN)
            run.hand_back()
        self.leaving.set()
        self.stirred.set()

    def advertise(self, serves: list[dict[str, str]]) -> None:
        """From now on the worker info says what is served."""
        self._standing.idle_since = time.monotonic()
        self._fixed_info["serves"] = serves
        self._context.metrics.enter(TimeUse.IDLE)
        self.stirred.set()

    def idle_seconds(self) -> float:
        """Seconds without a message."""
        return 0.0 if self._run is not None else time.monotonic() - self._standing.idle_since

    def info(self) -> dict[str, Any]:
        """What the register of workers shows."""
        standing = self._standing
        state = _STATES[self._context.metrics.bucket] if self.departure is None else WorkerState.DRAINING
        return self._fixed_info | {
            "state": str(state),
            "batch": standing.batch,
            "stage": standing.stage,
            "jobs": standing.jobs,
            "since": self._since,
            "done_units": standing.done_units,
            "reason": standing.reason,
        }

    def beat(self) -> None:
        """Shows the worker info once."""
        try:
            self._context.broker.beat(self._context.worker, self.info(), int(BEAT_SECONDS * 3000))
        except BrokerAwayError:
            # The leases or the consumer says it; the register forgets us, and the next beat enters us again.
            return


def _refusal(line: str) -> str:
    """A label with few values for the reasons of `tasks.messages`."""
    for sign, label in (
        ("store", "store"),
        ("version", "version"),
        ("engine", "engine"),
        ("bytes", "size"),
    ):
        if sign in line:
            return label
    return "malformed"


def _counts(run: BatchRun) -> dict[str, int]:
    tally = run.tally
    return {"failed": tally.failed, "not wanted here": tally.skipped, "given back": tally.given_back}


def served_info(place: WorkerContext, stages: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the worker info says of the engines that are served."""
    return [
        {
            "stage": stage,
            "engine": engine.spec.describe(),
            "queue": queue_name(place.store.identity.id, stage, engine.spec),
        }
        for stage, engine in stages.items()
    ]
