"""The engine process: the only one that loads models. It computes chunks of units, commits them, and tells each one.

It is started by a supervisor and lives no longer than that. Standard input and output carry the protocol; whatever
libraries print goes to standard error, where the supervisor keeps the last lines for the day the process dies.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from cache.faults import BlobDamagedError
from core.conditions import condition_of
from core.errors import DeviceError, DiskFullError, EndpointAwayError, EngineError, MachineError, SegueError, StoreError
from journals.attempts import AttemptJournal, ProcessOrigin
from pipeline.batches import Outcome, Ran, run_units, try_engine
from pipeline.engines_pool import EnginePool
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.lookup import UnitLookup, UnitRef
from pipeline.runtime import Runtime, load_settings
from pipeline.stages import stage_named
from worker.protocol import (
    Broken,
    ChunkDone,
    ChunkErrorKind,
    Command,
    Event,
    Ready,
    Said,
    ServedEngine,
    Settled,
    UnitOutcome,
    dump_event,
    load_ref,
)

if TYPE_CHECKING:
    from engines.engine import Engine

#: prctl's number for "send me this signal when my parent has died".
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class EngineArguments:
    """What the supervisor gives the process on its command line."""

    #: Process id of the supervisor.
    parent: int
    #: Settings that the command line said; the environment is inherited.
    flags: Mapping[str, Any]
    worker: str
    #: Node session.
    node: str
    #: Name of the process's journal: its supervisor notes the end of it.
    session: str = ""

    def dump(self) -> str:
        """The argument."""
        return json.dumps(
            {
                "parent": self.parent,
                "flags": dict(self.flags),
                "worker": self.worker,
                "node": self.node,
                "session": self.session,
            },
            default=str,
        )

    @classmethod
    def load(cls, text: str) -> EngineArguments:
        """The orders that `dump` wrote."""
        return cls(**json.loads(text))


class _Wire:
    """The two pipes, out of reach of anything that prints or reads by habit."""

    def __init__(self) -> None:
        self._in: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=0)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.close(nowhere)
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self.commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        #: The last chunk that is to be left.
        self.stopped = 0

    def tell(self, event: Event) -> None:
        """Writes one event; from any thread."""
        line = dump_event(event)
        with self._lock:
            self._out.write(line)

    def listen(self) -> None:
        """Reads commands until the supervisor is gone, and with it the reason to live."""
        for line in self._in:
            command = json.loads(line)
            if command["do"] == Command.STOP:
                self.stopped = max(self.stopped, int(command["chunk"]))
            else:
                self.commands.put(command)
        # Nothing half-written can be left behind: records become visible whole or not at all.
        os._exit(0)


class EngineProcess:
    """Loads and computes what it is told to, one command after the other."""

    def __init__(self, runtime: Runtime, orders: EngineArguments, wire: _Wire) -> None:
        self._runtime, self._orders, self._wire = runtime, orders, wire
        self._store = runtime.store
        self._lookup = UnitLookup(self._store)
        self._journal = AttemptJournal(self._store, ProcessOrigin(orders.node, orders.worker), session=orders.session)
        self._pool = EnginePool(runtime.resources, self._journal.engine_loaded)

    def load(self, stages: Sequence[str]) -> None:
        """Opens the engines of these stages and says which they are."""
        for role in dict.fromkeys(stage_named(stage).role for stage in stages):
            self._pool.prefetch(role, self._runtime.engine_spec(role))
        served = []
        for stage in stages:
            engine = self._open(stage)
            served.append(ServedEngine(stage, engine.spec, engine.batch_size, engine.remote))
        self._wire.tell(Ready(tuple(served)))

    def run(self, chunk: int, stage: str, refs: Sequence[UnitRef]) -> None:
        """Computes a chunk; each unit is told as soon as it is through."""
        units, places = [], {}
        for place, unit in enumerate(self._lookup.find(refs)):
            if unit is None:
                self._wire.tell(Settled(chunk, place, UnitOutcome.STALE, "the disk has no such unit"))
                continue
            units.append(unit)
            places[unit.job_id, unit.slot] = place
        engine = self._open(stage)

        def settle(outcome: Outcome) -> None:
            place = places[outcome.unit.job_id, outcome.unit.slot]
            if outcome.record is None:
                folder = JobFolder(self._store, outcome.unit.job_id)
                folder.note_failure(outcome.unit, outcome.reason, refs[place].round, self._orders.worker)
            ending = UnitOutcome.FAILED if outcome.record is None else UnitOutcome.DONE
            self._wire.tell(Settled(chunk, place, ending, outcome.reason))

        ran = Ran()
        if units:
            ran = run_units(
                units,
                self._plan,
                engine,
                self._store,
                self._journal,
                settle,
                lambda: self._wire.stopped >= chunk,
            )
        done = ChunkDone(chunk, ran.attempt, ran.engine_ms, ran.audio_ms, ran.commits_ms, engine.batch_size)
        self._wire.tell(done)

    def try_out(self, chunk: int, stage: str, ref: UnitRef) -> None:
        """Computes a unit that was computed before, and keeps nothing of it."""
        (unit,), engine = self._lookup.find([ref]), self._open(stage)
        if unit is None:
            raise StoreError("the unit to try the engine with has gone from the disk", "")
        audio_ms, engine_ms = try_engine(unit, self._plan, engine, self._store)
        self._journal.engine_tried(stage, audio_ms, engine_ms / 1000)
        self._wire.tell(ChunkDone(chunk, "", engine_ms, audio_ms, (), engine.batch_size))

    def close(self) -> None:
        """Gives engines and threads back."""
        self._pool.close()
        with suppress(StoreError):  # Without an end the journal counts as a killed one's.
            self._journal.close()
        self._store.close()

    def damaged_jobs(self, refs: Sequence[UnitRef]) -> tuple[str, ...]:
        """Jobs of a chunk whose views are not in the store any more: what was damaged is in quarantine by now."""
        jobs = dict.fromkeys(ref.job_id for ref in refs)
        plans = [(job_id, self._lookup.plan(job_id)) for job_id in jobs]
        gone = [
            job_id
            for job_id, plan in plans
            if plan is not None and not all(map(self._store.has_blob, plan.views.values()))
        ]
        return tuple(gone or jobs)

    def _open(self, stage: str) -> Engine:
        role = stage_named(stage).role
        return self._pool.open(role, self._runtime.engine_spec(role))

    def _plan(self, job_id: str) -> Plan:
        plan = self._lookup.plan(job_id)
        if plan is None:
            raise StoreError(f"the plan of job {job_id} has gone", "")
        return plan


def _trouble_of(error: BaseException) -> ChunkErrorKind:
    if isinstance(error, BlobDamagedError):
        return ChunkErrorKind.AUDIO
    if isinstance(error, DiskFullError):
        return ChunkErrorKind.DISK_FULL
    if isinstance(error, StoreError):
        return ChunkErrorKind.STORE
    if isinstance(error, (DeviceError, MachineError)):
        return ChunkErrorKind.DEVICE
    if isinstance(error, EndpointAwayError):
        return ChunkErrorKind.AWAY
    return ChunkErrorKind.ENGINE if isinstance(error, SegueError) else ChunkErrorKind.DEFECT


def _obey(process: EngineProcess, wire: _Wire, command: Mapping[str, Any]) -> None:
    chunk, refs = int(command.get("chunk", 0)), [load_ref(value) for value in command.get("units", ())]
    try:
        if command["do"] == Command.LOAD:
            process.load(command["stages"])
        elif command["do"] == Command.TRY:
            process.try_out(chunk, command["stage"], refs[0])
        else:
            process.run(chunk, command["stage"], refs)
    except Exception as caught:  # noqa: BLE001 - the supervisor decides what each of them means
        error = condition_of(caught) or caught
        trouble = _trouble_of(error)
        text = str(error) if isinstance(error, SegueError) else f"{type(error).__name__}: {error}"
        if trouble is ChunkErrorKind.DEFECT:
            traceback.print_exc()
        jobs: tuple[str, ...] = ()
        if trouble is ChunkErrorKind.AUDIO:
            with suppress(StoreError):
                jobs = process.damaged_jobs(refs)
        wire.tell(Broken(chunk, trouble, text, jobs))


def _outlive_nobody(parent: int) -> None:
    """Whatever kills the supervisor kills this process: its leases run out, so it must not go on computing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def main(arguments: Sequence[str]) -> int:
    """Serves the supervisor that started it until that is gone or says leave."""
    orders = EngineArguments.load(arguments[0])
    _outlive_nobody(orders.parent)
    # A Ctrl-C or a platform's SIGTERM to the whole group is for the supervisor to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wire = _Wire()
    threading.Thread(target=wire.listen, name="listen", daemon=True).start()
    try:
        runtime = Runtime(load_settings(orders.flags), lambda line: wire.tell(Said(line)))
        process = EngineProcess(runtime, orders, wire)
    except (SegueError, EngineError) as error:
        wire.tell(Broken(0, _trouble_of(error), str(error)))
        return 1
    while (command := wire.commands.get())["do"] != Command.LEAVE:
        _obey(process, wire, command)
    process.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
