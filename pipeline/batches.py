"""`run_units`: one batch of ready units of one stage through an engine, each committed as soon as it is yielded."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cache.envelope import Record
from cache.store import Store
from core.errors import EngineError
from core.keys import Key
from engines.transcribe.interface import Clip, ClipFailure, ClipSegment, LanguageGuess, Transcriber, Transcript
from engines.transcribe.words import in_order
from engines.translate.interface import StoppableTranslator, TaskFailure, TaskLeft, Translation, Translator, Usage
from journals.attempts import AttemptJournal
from pipeline import records
from pipeline.analysis import open_audio, window_samples
from pipeline.job import SPEECH, Plan
from pipeline.stages import Stage, Unit, estimated_usage


@dataclass(frozen=True)
class Outcome:
    """What became of one unit: a committed payload, or one line that says why there is none."""

    unit: Unit
    payload: bytes | None
    reason: str = ""


Settle = Callable[[Outcome], None]
Stopping = Callable[[], bool]

#: So long is waited, after a stop, for answers that are paid for anyway: less than the 25 s that a worker usually has
#: after SIGTERM, so that there is time to commit them.
IN_FLIGHT_GRACE_S = 15.0


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
    stopping: Stopping = lambda: False,
) -> Ran:
    """Runs a batch of one stage. ``settle`` is told of each unit once, from this thread or from the commit thread.

    When ``stopping`` says so, what the engine has yielded is committed and the rest of the batch is left for later; of
    requests under way, what is answered within `IN_FLIGHT_GRACE_S` is committed too, and what is not is noted as used.
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
    estimated = estimated_usage(stage, computed) if remote else None
    begun = journal.start(stage, computed, engine.spec, estimated)
    _take_effort(engine)
    started, committer, halt = time.monotonic(), Committer(store, settle), _Halt(stopping)
    fate = _Fate({Key(item.id) for item in calls.inputs}, remote, calls.stoppable)
    try:
        for key, payload, reason, used in calls.results(halt):
            if not fate.note(key, payload, reason, used):
                continue
            if payload is None:
                _fail(wanted[key], reason, settle)
            else:
                provenance = {
                    "attempt": begun.attempt,
                    "line": begun.line,
                    "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "engine": engine.spec.describe(),
                    **used,
                }
                committer.submit(Record(key, str(stage), payload, provenance), wanted[key])
            # A transcriber computes its batch as a whole: what it has already paid for is worth the wait.
            if stage is Stage.TRANSLATE and not calls.stoppable and halt():
                fate.broken_off = True
                break
        else:
            for key in () if calls.stoppable and halt.asked else fate.silent():
                _fail(wanted[key], "the engine gave no result", settle)
    finally:
        engine_ms = _ms_since(started)
        fate.usage.update(_take_effort(engine))
        try:
            committer.finish()
        finally:
            journal.end(begun.attempt, engine_ms / 1000, fate.yielded, dict(fate.usage), fate.unbegun())
    return Ran(begun.attempt, engine_ms, sum(unit.audio_ms for unit in computed), tuple(committer.commits_ms))


def _fail(units: Sequence[Unit], reason: str, settle: Settle) -> None:
    for unit in units:
        settle(Outcome(unit, None, reason))


class _Fate:
    """What became of a batch's units, and what they used."""

    def __init__(self, keys: set[Key], remote: bool, stoppable: bool) -> None:
        self._waiting, self._dropped = keys, set[Key]()
        self._remote, self._stoppable = remote, stoppable
        #: Results that the engine gave.
        self.yielded = 0
        #: By meter. That a remote engine reports no request says something: nothing is charged where nobody answers.
        self.usage = defaultdict[str, int](int, {"requests": 0} if remote else {})
        #: True when an engine was left in the middle of its batch.
        self.broken_off = False

    def note(self, key: Key, payload: bytes | None, reason: str, used: dict[str, int]) -> bool:
        """Takes what the engine said of a unit; False when that is no result."""
        for meter, amount in used.items():
            self.usage[meter] += amount
        if payload is None and not reason:
            self._dropped.add(key)
            return False
        self._waiting.discard(key)
        self.yielded += 1
        return True

    def silent(self) -> set[Key]:
        """Units that the engine has said nothing of."""
        return self._waiting - self._dropped

    def unbegun(self) -> frozenset[Key]:
        """Units that the engine was stopped before, as far as that is known.

        A local translator does one unit after the other; a remote one may have begun the rest as well, unless it says
        what it has.
        """
        return frozenset(self.silent() if self._stoppable or (self.broken_off and not self._remote) else ())


def try_engine(
    unit: Unit, plans: Callable[[str], Plan], engine: Transcriber | Translator, store: Store
) -> tuple[int, int]:
    """Computes a unit and keeps nothing of it: (speech given to the engine, time that it took), in milliseconds.

    For asking whether an engine works at all. Raises EngineError when it does not, StoreError as `run_units` does.
    """
    calls = _prepare({unit.key: [unit]}, plans, engine, store)
    began = time.monotonic()
    for _key, payload, reason, _used in calls.results(lambda: False):
        if payload is None:
            raise EngineError(f"the engine does not compute what it has computed before: {reason}", "")
    return unit.audio_ms, _ms_since(began)


def _take_effort(engine: Any) -> Mapping[str, int]:
    """What the engine's parts did since they were last asked; nothing of an engine that does not say."""
    take = getattr(engine, "take_effort", None)
    return {} if take is None else take()


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


class _Halt:
    """Remembers that it was asked to stop: a stop is final, and asking may cost something."""

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        self.asked = False

    def __call__(self) -> bool:
        self.asked = self.asked or self._stopping()
        return self.asked


#: A unit's key, its payload, why there is none, and what it used. Neither payload nor reason: it was begun and left.
Result = tuple[Key, bytes | None, str, dict[str, int]]


@dataclass(frozen=True)
class _Calls:
    """Inputs of an engine, and how to get results of them; the id of an input is its unit's key."""

    inputs: Sequence[Any]
    results: Callable[[Stopping], Iterator[Result]]
    #: Whether the engine itself asks if it is to stop, and says what was under way then.
    stoppable: bool = False


def _prepare(
    wanted: dict[Key, list[Unit]],
    plans: Callable[[str], Plan],
    engine: Any,
    store: Store,
) -> _Calls:
    stages = {same[0].stage for same in wanted.values()}
    if Stage.TRANSLATE in stages:
        tasks = [replace(same[0].task, id=key) for key, same in wanted.items() if same[0].task is not None]
        stoppable = isinstance(engine, StoppableTranslator)
        return _Calls(tasks, lambda stopping: _translations(engine, tasks, stopping), stoppable)
    clips = _load_clips(wanted, plans, store)
    if Stage.DETECT in stages:
        return _Calls(clips, lambda _stopping: _guesses(engine, clips))
    return _Calls(clips, lambda _stopping: _transcripts(engine, clips))


def _load_clips(wanted: dict[Key, list[Unit]], plans: Callable[[str], Plan], store: Store) -> list[Clip]:
    clips: list[Clip] = []
    for key, same in wanted.items():
        unit = same[0]
        plan = plans(unit.job_id)
        planned = plan.windows[unit.window]
        with open_audio(store, plan.view(SPEECH)) as audio:
            samples = window_samples(audio, planned.window)
        segments = tuple(ClipSegment(*span) for span in planned.layout())
        clips.append(Clip(key, samples, segments, unit.source.split("-", 1)[0]))
    return clips


def _guesses(engine: Transcriber, clips: Sequence[Clip]) -> Iterator[Result]:
    guesses: Iterable[LanguageGuess] = engine.detect_languages(clips)
    asked = {clip.id for clip in clips}
    for guess in guesses:
        if guess.clip_id not in asked:
            continue
        asked.discard(guess.clip_id)
        yield Key(guess.clip_id), records.dump_guess(guess), "", {}


def _transcripts(engine: Transcriber, clips: Sequence[Clip]) -> Iterator[Result]:
    lengths = {clip.id: len(clip.samples) // 16 for clip in clips}
    for result in engine.transcribe(clips):
        audio_ms = lengths.pop(result.clip_id, None)
        if audio_ms is None:
            continue  # A second answer, or one to what nobody asked: the clip that lacks its own has failed.
        key = Key(result.clip_id)
        if isinstance(result, ClipFailure):
            reason = result.reason or "the transcriber failed and did not say why"
            yield key, None, reason, {"audio_ms": audio_ms}
        else:
            yield key, records.dump_transcript(_promised(result, audio_ms)), "", {"audio_ms": audio_ms}


def _promised(transcript: Transcript, audio_ms: int) -> Transcript:
    """The transcript with words as promised; a person is told where the engine had placed them otherwise."""
    words = in_order(transcript.words, audio_ms)
    if words == transcript.words:
        return transcript
    return replace(transcript, words=words, flags=(*transcript.flags, "times-mended"))


def _translations(engine: Translator, tasks: Sequence[Any], stopping: Stopping) -> Iterator[Result]:
    results: Iterable[Translation | TaskFailure | TaskLeft] = (
        engine.translate_until(tasks, stopping, IN_FLIGHT_GRACE_S)
        if isinstance(engine, StoppableTranslator)
        else engine.translate(tasks)
    )
    for result in results:
        key, meters = Key(result.task_id), _meters(result.usage)
        if isinstance(result, TaskFailure):
            yield key, None, result.reason or "the translator failed and did not say why", meters
        elif isinstance(result, TaskLeft):
            yield key, None, "", meters
        else:
            yield key, records.dump_translation(result), "", meters


def _meters(used: Usage) -> dict[str, int]:
    """How usage is named in journals and provenances."""
    found = {"requests": used.requests, "input_tokens": used.input_tokens, "output_tokens": used.output_tokens}
    return found | ({"unanswered": used.unanswered} if used.unanswered else {})
