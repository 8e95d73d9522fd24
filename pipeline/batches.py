"""`run_units`: one batch of ready units of one stage through an engine, each committed as soon as it is yielded."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cache.envelope import BlobRef, Record
from cache.store import PutOutcome, Store
from core.errors import EngineError
from core.keys import Key
from engines.engine import Engine, Result, Stopping, never
from journals.attempts import AttemptJournal
from pipeline.job import Plan
from pipeline.stages import stage_named
from pipeline.stages.stage import Stage, Unit
from pipeline.views import OpenViews


@dataclass(frozen=True)
class Outcome:
    """What became of one unit: the record that the store has of it, or one line that says why there is none."""

    unit: Unit
    record: Record | None
    reason: str = ""


Settle = Callable[[Outcome], None]


@dataclass(frozen=True)
class Ran:
    """What running a batch took."""

    #: The attempt's id; empty when nothing had to be computed.
    attempt: str = ""
    #: Time until the engine had yielded its last result.
    engine_ms: int = 0
    #: Speech given to the engine.
    audio_ms: int = 0
    #: Time that each group of results took to become durable.
    commits_ms: tuple[int, ...] = ()


class Committer:
    """Commits results while the engine goes on; what piles up during one commit shares the next."""

    def __init__(self, store: Store, settle: Settle) -> None:
        self._store, self._settle = store, settle
        self._queue: queue.SimpleQueue[tuple[Record, Sequence[Unit]] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        #: Time that each group took to become durable.
        self.commits_ms: list[int] = []
        self._thread = threading.Thread(target=self._work, name="commit", daemon=True)
        self._thread.start()

    def submit(self, record: Record, units: Sequence[Unit]) -> None:
        """Hands a result over; raises what an earlier commit raised, so that no more work is computed in vain."""
        if self._error is not None:
            raise self._error
        self._queue.put((record, units))

    def finish(self) -> None:
        """Waits until everything submitted is durable. Raises StoreError if something is not."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while (group := self._next_group()) is not None:
                began = time.monotonic()
                ends = self._store.put_many([record for record, _ in group])
                self.commits_ms.append(_ms_since(began))
                for (record, units), end in zip(group, ends, strict=True):
                    # Where somebody else was first, theirs counts: an engine need not say the same twice.
                    kept = record if end is PutOutcome.COMMITTED else self._store.get(record.key) or record
                    for unit in units:
                        self._settle(Outcome(unit, kept))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self._error = error

    def _next_group(self) -> list[tuple[Record, Sequence[Unit]]] | None:
        item = self._queue.get()
        group = []
        while item is not None:
            group.append(item)
            if self._queue.empty():
                return group
            item = self._queue.get()
        if group:
            self._queue.put(None)
        return group or None


def run_units(
    units: Sequence[Unit],
    plans: Callable[[str], Plan],
    engine: Engine,
    store: Store,
    journal: AttemptJournal,
    settle: Settle,
    stopping: Stopping = never,
) -> Ran:
    """Runs a batch of one stage. ``settle`` is told of each unit once, from this thread or from the commit thread.

    When ``stopping`` says so, what the engine has yielded is committed and the rest of the batch is left for later; of
    requests under way elsewhere, what is answered in time is committed too, and what is not is noted as used.
    Units that are in the store already are settled without the engine; units with the same key are computed once.
    Raises EngineError or StoreError when the stage cannot go on; what was settled until then stays.
    """
    stage = stage_named(units[0].stage)
    wanted = _missing(units, store, settle)
    if not wanted:
        return Ran()
    with OpenViews(store) as views:
        requests = _requests(stage, wanted, plans, views)
    store.require_space(len(requests) * 64 * 1024)
    computed = [wanted[key][0] for key in requests]
    estimated = stage.expected_usage(computed) if engine.remote else None
    begun = journal.start(stage.name, computed, engine.spec, estimated)
    engine.usage()
    started, committer, halt = time.monotonic(), Committer(store, settle), _Halt(stopping)
    fate = _Fate(set(requests), engine.remote)
    try:
        for result in engine.run(list(requests.values()), halt):
            key = Key(result.id)
            if not fate.note(key, result):
                continue
            if result.value is None:
                _fail(wanted[key], result.reason, settle)
                continue
            value = stage.check(requests[key], result.value)
            payload, blobs = stage.encode(value), _write_blobs(store, stage, value)
            provenance = {
                "attempt": begun.attempt,
                "line": begun.line,
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "engine": engine.spec.describe(),
                **result.usage,
            }
            committer.submit(Record(key, stage.name, payload, provenance, blobs), wanted[key])
        for key in () if halt.told else fate.silent():
            _fail(wanted[key], "the engine gave no result", settle)
    finally:
        engine_ms = _ms_since(started)
        fate.usage.update(engine.usage())
        try:
            committer.finish()
        finally:
            # One that broke on this machine does not say how far it had come.
            left = fate.silent() if halt.told or engine.remote else ()
            journal.end(begun.attempt, engine_ms / 1000, fate.yielded, dict(fate.usage), left)
    return Ran(begun.attempt, engine_ms, sum(unit.audio_ms for unit in computed), tuple(committer.commits_ms))


def _write_blobs(store: Store, stage: Stage, value: Any) -> tuple[BlobRef, ...]:
    """What of a value lies beside its record, durable before the record names it."""
    refs = []
    for blob in stage.blobs(value):
        with store.blob_writer(stage.name) as writer:
            writer.write(blob.data)
        refs.append(writer.ref(blob.name, blob.retention))
    return tuple(refs)


def _requests(
    stage: Stage, wanted: Mapping[Key, Sequence[Unit]], plans: Callable[[str], Plan], views: OpenViews
) -> dict[Key, Any]:
    return {key: stage.request(plans(same[0].job_id), same[0], views) for key, same in wanted.items()}


def _fail(units: Sequence[Unit], reason: str, settle: Settle) -> None:
    for unit in units:
        settle(Outcome(unit, None, reason))


class _Fate:
    """What became of a batch's units, and what they used."""

    def __init__(self, keys: set[Key], remote: bool) -> None:
        self._waiting = keys
        #: Results that the engine gave.
        self.yielded = 0
        #: By meter. That a remote engine reports no request says something: nothing is charged where nobody answers.
        self.usage = defaultdict[str, int](int, {"requests": 0} if remote else {})

    def note(self, key: Key, result: Result) -> bool:
        """Takes what the engine said of a unit; False when that is no result of one that waits for it."""
        if key not in self._waiting:
            return False  # A second answer, or one to what nobody asked.
        for meter, amount in result.usage.items():
            self.usage[meter] += amount
        self._waiting.discard(key)
        if result.value is None and not result.reason:
            return False
        self.yielded += 1
        return True

    def silent(self) -> frozenset[Key]:
        """Units that the engine has said nothing of."""
        return frozenset(self._waiting)


def try_engine(unit: Unit, plans: Callable[[str], Plan], engine: Engine, store: Store) -> tuple[int, int]:
    """Computes a unit and keeps nothing of it: (speech given to the engine, time that it took), in milliseconds.

    For asking whether an engine works at all. Raises EngineError when it does not, StoreError as `run_units` does.
    """
    with OpenViews(store) as views:
        requests = _requests(stage_named(unit.stage), {unit.key: [unit]}, plans, views)
    began = time.monotonic()
    for result in engine.run(list(requests.values())):
        if result.value is None:
            raise EngineError(f"the engine does not compute what it has computed before: {result.reason}", "")
    return unit.audio_ms, _ms_since(began)


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _missing(units: Sequence[Unit], store: Store, settle: Settle) -> dict[Key, list[Unit]]:
    """The units by key, without those that somebody else has computed meanwhile; these are settled."""
    wanted: defaultdict[Key, list[Unit]] = defaultdict(list)
    for unit in units:
        wanted[unit.key].append(unit)
    for key, same in list(wanted.items()):
        record = store.get(key)
        if record is not None:
            del wanted[key]
            for unit in same:
                settle(Outcome(unit, record))
    return wanted


class _Halt:
    """Remembers that the engine was told to stop: a stop is final, and asking may cost something."""

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        self.told = False

    def __call__(self) -> bool:
        self.told = self.told or self._stopping()
        return self.told
