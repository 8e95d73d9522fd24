"""`run_units`: one batch of ready units of one stage through an engine, each committed as soon as it is yielded."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cache.envelope import Record
from cache.store import Store
from core.errors import EngineError
from core.keys import Key
from engines.transcribe.interface import Clip, ClipFailure, ClipSegment, LanguageGuess, Transcriber, Transcript
from engines.translate.interface import TaskFailure, Translation, Translator
from pipeline import records
from pipeline.analysis import open_audio, window_samples
from pipeline.attempts import AttemptJournal
from pipeline.job import Plan
from pipeline.stages import Stage, Unit


@dataclass(frozen=True)
class Outcome:
    """What became of one unit: a committed payload, or one line that says why there is none."""

    unit: Unit
    payload: bytes | None
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
                self._store.put_many([record for record, _ in group])
                self.commits_ms.append(_ms_since(began))
                for record, units in group:
                    for unit in units:
                        self._settle(Outcome(unit, record.payload))
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
    engine: Transcriber | Translator,
    store: Store,
    journal: AttemptJournal,
    settle: Settle,
    stopping: Callable[[], bool] = lambda: False,
) -> Ran:
    """Runs a batch of one stage. ``settle`` is told of each unit once, from this thread or from the commit thread.

    When ``stopping`` says so, what the engine has yielded is committed and the rest of the batch is left for later.
    Units that are in the store already are settled without the engine; units with the same key are computed once.
    Raises EngineError or StoreError when the stage cannot go on; what was settled until then stays.
    """
    stage = units[0].stage
    wanted = _missing(units, store, settle)
    if not wanted:
        return Ran()
    calls = _prepare(wanted, plans, engine, store)
    store.require_space(len(calls.inputs) * 64 * 1024)
    computed = [wanted[Key(item.id)][0] for item in calls.inputs]
    remote = bool(getattr(engine, "remote", False))
    begun = journal.start(stage, computed, engine.spec, remote=remote)
    waiting, left = {Key(item.id) for item in calls.inputs}, frozenset[Key]()
    started, usage = time.monotonic(), defaultdict[str, int](int)
    committer = Committer(store, settle)
    try:
        for key, payload, reason, used in calls.results():
            waiting.discard(key)
            for meter, amount in used.items():
                usage[meter] += amount
            if payload is None:
                for unit in wanted[key]:
                    settle(Outcome(unit, None, reason))
            else:
                provenance = {
                    "attempt": begun.attempt,
                    "line": begun.line,
                    "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "engine": engine.spec.describe(),
                    **used,
                }
                committer.submit(Record(key, str(stage), payload, provenance), wanted[key])
            if stage is Stage.TRANSLATE and stopping():
                # A transcriber computes its batch as a whole: what it has already paid for is worth the wait. A local
                # translator does one unit after the other; a remote one may have begun the rest as well.
                left = frozenset() if remote else frozenset(waiting)
                break
        else:
            for unit in (unit for key in waiting for unit in wanted[key]):
                settle(Outcome(unit, None, "the engine gave no result"))
    finally:
        engine_ms = _ms_since(started)
        try:
            committer.finish()
        finally:
            journal.end(begun.attempt, engine_ms / 1000, len(calls.inputs) - len(waiting), dict(usage), left)
    return Ran(begun.attempt, engine_ms, sum(unit.audio_ms for unit in computed), tuple(committer.commits_ms))


def try_engine(
    unit: Unit, plans: Callable[[str], Plan], engine: Transcriber | Translator, store: Store
) -> tuple[int, int]:
    """Computes a unit and keeps nothing of it: (speech given to the engine, time that it took), in milliseconds.

    For asking whether an engine works at all. Raises EngineError when it does not, StoreError as `run_units` does.
    """
    calls = _prepare({unit.key: [unit]}, plans, engine, store)
    began = time.monotonic()
    for _key, payload, reason, _used in calls.results():
        if payload is None:
            raise EngineError(f"the engine does not compute what it has computed before: {reason}", "")
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
                settle(Outcome(unit, record.payload))
    return wanted


Result = tuple[Key, bytes | None, str, dict[str, int]]


@dataclass(frozen=True)
class _Calls:
    """Inputs of an engine, and how to get results of them; the id of an input is its unit's key."""

    inputs: Sequence[Any]
    results: Callable[[], Iterator[Result]]


def _prepare(
    wanted: dict[Key, list[Unit]],
    plans: Callable[[str], Plan],
    engine: Any,
    store: Store,
) -> _Calls:
    stages = {same[0].stage for same in wanted.values()}
    if Stage.TRANSLATE in stages:
        tasks = [replace(same[0].task, id=key) for key, same in wanted.items() if same[0].task is not None]
        return _Calls(tasks, lambda: _translations(engine, tasks))
    clips = _load_clips(wanted, plans, store)
    if Stage.DETECT in stages:
        return _Calls(clips, lambda: _guesses(engine, clips))
    return _Calls(clips, lambda: _transcripts(engine, clips))


def _load_clips(wanted: dict[Key, list[Unit]], plans: Callable[[str], Plan], store: Store) -> list[Clip]:
    clips: list[Clip] = []
    for key, same in wanted.items():
        unit = same[0]
        plan = plans(unit.job_id)
        planned = plan.windows[unit.window]
        with open_audio(store, plan.audio) as audio:
            samples = window_samples(audio, planned.window)
        segments = tuple(ClipSegment(*span) for span in planned.layout())
        clips.append(Clip(key, samples, segments, unit.source.split("-", 1)[0]))
    return clips


def _guesses(engine: Transcriber, clips: Sequence[Clip]) -> Iterator[Result]:
    guesses: Iterable[LanguageGuess] = engine.detect_languages(clips)
    for guess in guesses:
        yield Key(guess.clip_id), records.dump_guess(guess), "", {}


def _transcripts(engine: Transcriber, clips: Sequence[Clip]) -> Iterator[Result]:
    lengths = {clip.id: len(clip.samples) // 16 for clip in clips}
    for result in engine.transcribe(clips):
        key, audio_ms = Key(result.clip_id), lengths[result.clip_id]
        if isinstance(result, ClipFailure):
            yield key, None, result.reason, {"audio_ms": audio_ms}
        elif isinstance(result, Transcript):
            yield key, records.dump_transcript(result), "", {"audio_ms": audio_ms}


def _translations(engine: Translator, tasks: Sequence[Any]) -> Iterator[Result]:
    for result in engine.translate(tasks):
        key = Key(result.task_id)
        if isinstance(result, TaskFailure):
            yield key, None, result.reason, {}
        elif isinstance(result, Translation):
            used = result.usage
            meters = {
                "requests": used.requests,
                "input_tokens": used.input_tokens,
                "output_tokens": used.output_tokens,
            }
            yield key, records.dump_translation(result), "", meters
