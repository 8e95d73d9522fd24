"""One message from its arrival to its end: which of its units are still wanted and ours, computed chunk by chunk."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from core.errors import StoreError
from jobs.queue_view import read_view
from pipeline.jobs import JobFolder
from pipeline.lookup import UnitRef
from pipeline.report import JobState
from tasks.broker import BrokerAwayError
from tasks.messages import BatchMessage
from worker.chunks import BatchTally, Flight
from worker.context import UNIT_BYTES, WorkerContext, has_room
from worker.engine_host import HurriedError, SickError
from worker.metrics import TimeUse
from worker.poison import DeathVerdict, failure_reason
from worker.protocol import Broken, ChunkDone, ChunkErrorKind, Event, Gone, Settled, UnitOutcome
from worker.suspicion import SuspectUnits

#: An engine may take so many times as long as was predicted before it counts as hanging.
_STALL_FACTOR = 10
#: Silence counts at most so much a tick: a worker that was frozen must not blame its engine for it.
_LONGEST_TICK_S = 1.0
#: How often a remote engine may fail in a row.
_REMOTE_FAILURES = 5
_LONGEST_PAUSE_S = 30.0


class BatchRun:
    """One message's units. `run` is called once, by the consumer's thread; `hand_back` by any thread at any time."""

    def __init__(self, message: BatchMessage, queue: str, place: WorkerContext) -> None:
        self.message, self.queue = message, queue
        self.tally = BatchTally()
        self._context = place
        self._token = f"{place.worker}:{message.batch[:8]}:{os.urandom(4).hex()}"
        self._lock = threading.Lock()
        #: Chunks that wait; the whole message until it has been looked at.
        self._todo: deque[tuple[UnitRef, ...]] = deque([message.units])
        self._flight: Flight | None = None
        self._handed_back = False
        #: True when others hold some of its units: then nobody is through with it because we are.
        self._elsewhere = False
        self._done_by_job: dict[str, int] = {}
        self._remote_failures = 0
        self._suspicion = SuspectUnits(message.stage, place)

    @property
    def jobs(self) -> list[str]:
        """Ids of the jobs that it is about."""
        return list(dict.fromkeys(ref.job_id for ref in self.message.units))

    def run(self) -> None:
        """Computes what is still wanted and free.

        Raises SickError when this machine cannot compute, HurriedError when there is no time left, StoreError when
        the disk is away; `hand_back` gives the rest to others then.
        """
        try:
            self._begin()
            while (flight := self._next()) is not None:
                self._compute(flight)
        finally:
            self._context.sender.post(self._context.leases.release, self._token)
            self._log_batch()
        if not self._handed_back and not self._elsewhere:
            self._hint("batch_done")

    # -- beginning -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        refs = self._wanted()
        ours = self._lease(refs)
        mine = [ref for ref in refs if ref.key in ours]
        self._elsewhere = len(mine) < len(refs)
        self.tally.skipped = len(self.message.units) - len(mine)
        suspects = self._suspicion.suspects(mine)
        size = self._context.engine.batch_size(self.message.stage)
        sound = [ref for ref in mine if (ref.job_id, ref.key) not in suspects]
        chunks = [tuple(sound[start : start + size]) for start in range(0, len(sound), size)]
        chunks += [(ref,) for ref in mine if (ref.job_id, ref.key) in suspects]
        with self._lock:
            if not self._handed_back:
                self._todo = deque(chunks)

    def _wanted(self) -> list[UnitRef]:
        """The message's units that have neither record nor failure, each once; none of a job that was cancelled."""
        store = self._context.store
        missing = store.missing([ref.key for ref in self.message.units])
        if not missing:
            return []
        views = {job_id: read_view(store, job_id) for job_id in self.jobs}
        failed = {
            job_id: JobFolder(store, job_id).failures()
            for job_id, view in views.items()
            if view is None or view.state is not JobState.CANCELLED
        }
        refs = dict.fromkeys(self.message.units)
        return [
            ref for ref in refs if ref.key in missing and ref.job_id in failed and ref.key not in failed[ref.job_id]
        ]

    def _lease(self, refs: Sequence[UnitRef]) -> set[str]:
        while refs:
            try:
                return self._context.leases.take([ref.key for ref in refs], self._token)
            except BrokerAwayError as error:
                # The message is out of the broker and nobody else has it: wait, and compute nothing unleased.
                self._say(f"{error}; waiting to lease a batch")
                self._pause(1.0)
                if self._handed_back:
                    break
        return set()

    # -- chunks ----------------------------------------------------------------------------------------------

    def _next(self) -> Flight | None:
        """Puts the next chunk in flight; None when there is none, or the rest is others' now."""
        self._context.leases.check()
        lost = self._context.leases.lost()
        self._elsewhere = self._elsewhere or bool(lost)
        with self._lock:
            while self._todo and not self._handed_back:
                refs = tuple(ref for ref in self._todo.popleft() if ref.key not in lost)
                if refs:
                    self._flight = Flight(self._context.next_chunk(), refs)
                    return self._flight
            self._flight = None
            return None

    def _compute(self, flight: Flight) -> None:
        place = self._context
        place.metrics.enter(TimeUse.BUSY)
        place.engine.link.run(flight.number, self.message.stage, flight.refs)
        limit_s = max(float(place.stall_seconds), _STALL_FACTOR * self._predicted_s(flight.refs))
        looked = time.monotonic()
        while True:
            event = place.engine.next_event()
            now = time.monotonic()
            flight.silence_s = 0.0 if event else flight.silence_s + min(now - looked, _LONGEST_TICK_S)
            looked = now
            if event is not None and self._absorb(flight, event):
                return
            self._watch(flight, limit_s)

    def _predicted_s(self, refs: Sequence[UnitRef]) -> float:
        whole = sum(ref.audio_ms for ref in self.message.units) or 1
        return self.message.predicted_ms / 1000 * sum(ref.audio_ms for ref in refs) / whole

    def _watch(self, flight: Flight, limit_s: float) -> None:
        """Stops what nobody needs any more, and ends an engine that hangs."""
        if not flight.told_to_stop and {ref.key for ref in flight.unsettled} <= self._context.leases.lost():
            flight.told_to_stop = True
            if flight.unsettled:
                self._say("its units were leased by others while this worker stood still", level="warning")
                self._context.engine.link.stop(flight.number)
        if flight.silence_s > limit_s:
            flight.silence_s = 0.0
            self._context.engine.link.kill(f"the engine hung: it finished nothing for {limit_s:.0f} s")

    def _absorb(self, flight: Flight, event: Event) -> bool:
        """Takes an event into account; True when it ends the chunk."""
        if isinstance(event, Settled) and event.chunk == flight.number:
            self._settle(flight, event)
        elif isinstance(event, ChunkDone) and event.chunk == flight.number:
            self._finish(flight, event)
            return True
        elif isinstance(event, Broken) and event.chunk == flight.number:
            self._on_trouble(flight, event)
            return True
        elif isinstance(event, Gone):
            self._on_death(flight, event.reason)
            return True
        return False

    def _settle(self, flight: Flight, event: Settled) -> None:
        ref = flight.refs[event.place]
        with self._lock:
            flight.endings[event.place] = event.ending
        self._context.metrics.units.labels(self.message.stage, event.ending).inc()
        if event.ending is UnitOutcome.DONE:
            self.tally.done += 1
            self._done_by_job[ref.job_id] = self._done_by_job.get(ref.job_id, 0) + 1
            self._remote_failures = 0
            self._context.health.note_computed(self.message.stage, ref)
        elif event.ending is UnitOutcome.FAILED:
            self.tally.failed += 1
            self._log(ref.job_id, "unit_failed", f"{ref.describe()}: {event.reason}", level="warning")
        else:
            self.tally.skipped += 1

    def _finish(self, flight: Flight, event: ChunkDone) -> None:
        place, stage = self._context, self.message.stage
        place.engine.note_batch_size(stage, event.batch_size)
        place.metrics.engine_seconds.labels(stage).inc(event.engine_ms / 1000)
        for commit_ms in event.commits_ms:
            place.metrics.commit_seconds.observe(commit_ms / 1000)
        self.tally.engine_ms += event.engine_ms
        self.tally.audio_ms += event.audio_ms
        place.sender.post(place.leases.release, self._token, {ref.key for ref in flight.refs})
        self._hint("units_done", audio_ms=event.audio_ms, engine_ms=event.engine_ms)

    # -- trouble ---------------------------------------------------------------------------------------------

    def _on_trouble(self, flight: Flight, event: Broken) -> None:
        if event.trouble is ChunkErrorKind.STORE:
            raise StoreError(event.text)
        if event.trouble is ChunkErrorKind.DISK_FULL:
            self._say(f"{event.text}; waiting for room", level="warning")
            self._await_room(len(flight.refs))
            self._again(flight.unsettled)
        elif event.trouble is ChunkErrorKind.AUDIO:
            self._drop_audio(flight, event)
        elif (
            event.trouble in (ChunkErrorKind.ENGINE, ChunkErrorKind.AWAY)
            and self._context.engine.served[self.message.stage].remote
        ):
            self._remote_failures += 1
            if self._remote_failures >= _REMOTE_FAILURES:
                raise SickError(event.text)
            self._say(f"{event.text}; trying again", level="warning")
            self._pause(min(_LONGEST_PAUSE_S, 2.0**self._remote_failures))
            self._again(flight.unsettled)
        else:
            self._context.engine.link.kill(event.text)
            self._on_death(flight, event.text, device=event.trouble is ChunkErrorKind.DEVICE)

    def _again(self, refs: Sequence[UnitRef]) -> None:
        if refs:
            with self._lock:
                self._flight = None
                self._todo.appendleft(tuple(refs))

    def _pause(self, seconds: float) -> None:
        self._context.metrics.enter(TimeUse.PAUSED)
        self._context.engine.pause(seconds, lambda: self._handed_back)

    def _await_room(self, units: int) -> None:
        """Waits, leases kept, until the disk takes again what a chunk may need: tried by writing, not by counting."""
        seconds = 1.0
        while not self._handed_back:
            self._pause(seconds)
            seconds = min(_LONGEST_PAUSE_S, seconds * 1.5)
            if has_room(self._context.store, self._context.worker, units * UNIT_BYTES):
                self._say("there is room on the disk again")
                return

    def _drop_audio(self, flight: Flight, event: Broken) -> None:
        """Leaves what needs audio that is damaged on disk; the coordinator has it decoded again."""
        damaged = set(event.jobs)
        self._say(f"{event.text}; its units wait until it is decoded again", level="warning")
        self._hint("audio_damaged", jobs=sorted(damaged))
        with self._lock:
            self._flight = None
            rest = [tuple(ref for ref in refs if ref.job_id not in damaged) for refs in (flight.unsettled, *self._todo)]
            self._todo = deque(refs for refs in rest if refs)
        dropped = {ref.key for ref in flight.refs if ref.job_id in damaged}
        self._context.leases.release(self._token, dropped)

    # -- deaths ----------------------------------------------------------------------------------------------

    def _on_death(self, flight: Flight, reason: str, *, device: bool = False) -> None:
        """The engine's process is gone: remembers over what, starts another, and runs the suspects one by one."""
        tail = self._context.engine.link.tail()
        rest = flight.unsettled
        if self._handed_back:
            # The machine is being taken down, and its processes with it: that says nothing about units.
            raise HurriedError(reason)
        self._context.metrics.deaths.inc()
        self._say(f"{reason}, over {len(rest)} units of batch {self.message.batch[:8]}", level="warning")
        self._suspicion.note(rest, reason, tail, alone=flight.alone, device=device)
        for job_id in dict.fromkeys(ref.job_id for ref in rest):
            refs = [ref for ref in rest if ref.job_id == job_id]
            units = ", ".join(ref.describe() for ref in refs[:3]) + (", ..." if len(refs) > 3 else "")
            self._log(job_id, "engine_died", f"{reason}; it was computing {units}", level="warning")
        self._context.metrics.enter(TimeUse.LOAD)
        self._context.engine.start()
        if flight.alone:
            for ref in rest:
                self._judge(ref, reason, tail)
        else:
            with self._lock:
                self._flight = None
                self._todo.extendleft((ref,) for ref in reversed(rest))

    def _judge(self, ref: UnitRef, reason: str, tail: str) -> None:
        """Fails a unit that killed the engine alone, or puts it in line again. Raises SickError."""
        verdict = self._suspicion.judge(ref)
        if verdict is DeathVerdict.DOUBT:
            row = self._context.health.deaths_in_a_row
            raise SickError(
                f"the engine died {row} times in a row and has computed nothing since: {reason}",
                "run `segue doctor` on this machine",
            )
        if verdict is DeathVerdict.FAIL:
            self._give_up(ref, failure_reason(reason, tail))
            return
        with self._lock:
            # At the end of the line: what is computed meanwhile shows whether this machine can compute.
            self._flight = None
            self._todo.append((ref,))

    def _give_up(self, ref: UnitRef, reason: str) -> None:
        place = self._context
        JobFolder(place.store, ref.job_id).note_failure(ref, reason, ref.round, place.worker)
        with self._lock:
            self._flight = None
        self._log(ref.job_id, "unit_failed", f"{ref.describe()}: {reason}", level="error")
        place.metrics.units.labels(self.message.stage, UnitOutcome.FAILED).inc()
        self.tally.failed += 1
        place.leases.release(self._token, {ref.key})

    # -- leaving ---------------------------------------------------------------------------------------------

    def hand_back(self) -> None:
        """Gives everything that is not settled to others, at once, what the engine computes just now last."""
        with self._lock:
            if self._handed_back:
                return
            self._handed_back = True
            flight = self._flight
            rest = [ref for refs in self._todo for ref in refs] + (flight.unsettled if flight else [])
            self._todo.clear()
        place = self._context
        place.leases.release(self._token)
        if flight is not None:
            place.engine.link.stop(flight.number)
        if not rest:
            return
        self.tally.given_back = len(rest)
        predicted_ms = int(self._predicted_s(rest) * 1000)
        try:
            place.broker.send(self.queue, replace(self.message, units=tuple(rest), predicted_ms=predicted_ms))
        except BrokerAwayError as error:
            self._say(f"{error}; the coordinator will find {len(rest)} units unleased")
        self._send_hint(self._fact("batch_given_back") | {"units": len(rest)})
        self._say(f"gave back {len(rest)} units of batch {self.message.batch[:8]}", event="batch_given_back")

    # -- telling ---------------------------------------------------------------------------------------------

    def _say(self, text: str, event: str = "batch", level: str = "info") -> None:
        message = self.message
        self._context.log.say(text, event, level, batch=message.batch, stage=message.stage, jobs=self.jobs)

    def _log(self, job_id: str, event: str, text: str, level: str) -> None:
        """To this worker's own log; `segue logs` reads failures and deaths where they are written anyway."""
        self._context.log.say(text, event, level, batch=self.message.batch, stage=self.message.stage, job=job_id)

    def _log_batch(self) -> None:
        """To `segue logs`: who computed how much of each job."""
        place, message = self._context, self.message
        for job_id, done in self._done_by_job.items():
            text = f"{done} units of {message.stage} computed by {place.worker}"
            # A disk that takes no log line is found out by those who write what matters.
            with suppress(StoreError):
                JobFolder(place.store, job_id).incidents.log(
                    place.worker, "batch", text, batch=message.batch, stage=message.stage, units=done
                )

    def _hint(self, fact: str, **more: object) -> None:
        """Tells the coordinator, later; it would find out from the disk anyway."""
        self._context.sender.post(self._send_hint, self._fact(fact) | more)

    def _fact(self, fact: str) -> dict[str, object]:
        message, tally = self.message, self.tally
        return {
            "fact": fact,
            "worker": self._context.worker,
            "batch": message.batch,
            "stage": message.stage,
            "queue": self.queue,
            "audio_ms": tally.audio_ms,
            "engine_ms": tally.engine_ms,
            "done": tally.done,
            "failed": tally.failed,
        }

    def _send_hint(self, hint: dict[str, object]) -> None:
        with suppress(BrokerAwayError):
            self._context.broker.hint(hint)
