"""Batches that fit: a batch that runs out of memory is halved, a batch that fails is tried clip by clip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

from core.errors import DeviceError, EngineError
from engines.engine import Result
from engines.faults import Fault, classify
from engines.transcribe.clips import audio_ms
from engines.transcribe.interface import Clip, Transcript

#: Computes one batch and yields one result a clip, in any order, each as soon as it is final.
Compute = Callable[[Sequence[Clip]], Iterable[Result]]

#: So many clips more than at the last failure must fit before larger batches are tried again.
_ROOM_FREED = 4


class BatchLimit:
    """The largest batch that is believed to fit, at least 1. It falls when memory runs out, and follows free memory
    where somebody measures that.
    """

    def __init__(self, clips: int) -> None:
        self._most = max(1, clips)
        self._clips = self._most
        #: What is not tried any more since memory ran out, and the room that had been measured before it did.
        self._ceiling, self._room_then = self._most, 0
        #: The largest batch that was computed since: the library may still hold the memory for it.
        self._fitted, self._room = 0, 0
        self._lock = threading.Lock()

    @property
    def clips(self) -> int:
        """Clips in one batch."""
        return self._clips

    def lower_below(self, failed: int) -> None:
        """Remembers that a batch of ``failed`` clips did not fit: half of it is the new limit."""
        with self._lock:
            self._clips = self._ceiling = max(1, min(self._clips, failed // 2))
            self._fitted, self._room_then = min(self._fitted, self._clips), self._room

    def note_fitted(self, clips: int) -> None:
        """Remembers that a batch of so many clips was computed."""
        with self._lock:
            self._fitted = max(self._fitted, clips)

    def follow(self, room: int) -> None:
        """Sets the limit by the clips that free memory has room for now; others on the device take it and give it."""
        with self._lock:
            self._room = room
            if room >= self._room_then + _ROOM_FREED:
                self._ceiling = self._most
            self._clips = max(1, min(self._ceiling, max(room, self._fitted)))


def heard(clip: Clip, transcript: Transcript) -> Result:
    """The result of a clip that was transcribed."""
    return Result(clip.id, transcript, usage={"audio_ms": audio_ms(clip)})


def failed(clip: Clip, reason: str) -> Result:
    """The result of a clip that could not be transcribed; the others of the batch are not concerned."""
    return Result(clip.id, None, reason, {"audio_ms": audio_ms(clip)})


def settle(clips: Sequence[Clip], compute: Compute, limit: BatchLimit) -> Iterator[Result]:
    """Exactly one result for each clip of ``clips``, whatever ``compute`` raises, except EngineError, which passes.

    Raises DeviceError when the device does not work any more, or has no memory for a clip alone and computed no other
    one since: a clip is blamed only where another shows that the device can compute.
    """
    pending = [clips[start : start + limit.clips] for start in range(0, len(clips), limit.clips)]
    computed = 0
    #: Clips that did not fit alone, and how many had been computed then. They get a second try after all others.
    refused: dict[int, int] = {}
    while pending:
        batch = pending.pop(0)
        if len(batch) > limit.clips:
            pending[:0] = [batch[: limit.clips], batch[limit.clips :]]
            continue
        done: set[int] = set()
        try:
            for position, result in _positioned(batch, compute):
                done.add(position)
                computed += 1
                yield result
            limit.note_fitted(len(batch))
        except EngineError:
            raise
        except Exception as error:
            # One clip's trouble must not cost the others.
            rest = [clip for position, clip in enumerate(batch) if position not in done]
            fault = classify(error)
            if fault is Fault.DEVICE:
                raise DeviceError(f"the device failed: {_reason(error)}", "run `segue doctor`") from error
            if fault is Fault.MEMORY and len(batch) > 1:
                limit.lower_below(len(batch))
                pending.insert(0, rest)
            elif fault is Fault.MEMORY and pending and id(batch[0]) not in refused:
                refused[id(batch[0])] = computed
                pending.append(batch)
            elif fault is Fault.MEMORY:
                if computed == refused.get(id(batch[0]), computed):
                    raise DeviceError(f"the device has {_NO_ROOM}: {_reason(error)}", _NO_ROOM_HINT) from error
                yield failed(batch[0], f"{_NO_ROOM}, though others fit ({_reason(error)}): {_NO_ROOM_HINT}")
            elif len(batch) == 1:
                yield failed(rest[0], _reason(error))
            else:
                pending[:0] = [[clip] for clip in rest]


_NO_ROOM = "out of memory even with one clip alone"
_NO_ROOM_HINT = "free memory on it, or use a smaller model or compute type"


def _positioned(batch: Sequence[Clip], compute: Compute) -> Iterator[tuple[int, Result]]:
    """Each result with the place of its clip in the batch; identifiers need not be unique."""
    places: dict[str, list[int]] = {}
    for position, clip in enumerate(batch):
        places.setdefault(clip.id, []).append(position)
    for result in compute(batch):
        yield places[result.id].pop(0), result
    missing = sum(len(left) for left in places.values())
    if missing:
        raise RuntimeError(f"the engine gave no result for {missing} of {len(batch)} clips")


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"


@dataclass(frozen=True)
class _End:
    """A batch's last word: it has finished, or it met an error that ends everything."""

    error: BaseException | None = None


def run_batches(
    batches: Sequence[Sequence[Clip]], work: Callable[[Sequence[Clip]], Iterator[Result]], pool: ThreadPoolExecutor
) -> Iterator[Result]:
    """The results of all batches, each yielded as soon as a thread of ``pool`` has it.

    The first exception of ``work`` is raised here once nothing runs any more. Closing the iterator early drops the
    batches that have not begun and waits for those that have.
    """
    results: SimpleQueue[Result | _End] = SimpleQueue()
    stop = threading.Event()

    def drain(batch: Sequence[Clip]) -> None:
        error: BaseException | None = None
        try:
            for result in work(batch) if not stop.is_set() else ():
                results.put(result)
                if stop.is_set():
                    break
        except BaseException as caught:  # noqa: BLE001 - handed to the caller's thread, which raises it
            error = caught
            stop.set()
        results.put(_End(error))

    futures = [pool.submit(drain, batch) for batch in batches]
    failure: BaseException | None = None
    try:
        ended = 0
        while ended < len(futures):
            item = results.get()
            if isinstance(item, _End):
                ended += 1
                failure = failure or item.error
            else:
                yield item
    finally:
        stop.set()
        for future in futures:
            future.cancel()
        wait(futures)
    if failure is not None:
        raise failure
