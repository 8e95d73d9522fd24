"""Batches that fit: a batch that runs out of memory is halved, a batch that fails is tried clip by clip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

from core.errors import EngineError
from engines.transcribe.interface import Clip, ClipFailure, Transcript

Result = Transcript | ClipFailure
#: Computes one batch and yields one result a clip, in any order, each as soon as it is final.
Compute = Callable[[Sequence[Clip]], Iterable[Result]]

#: What CTranslate2, CUDA and numpy say when memory runs out.
_OUT_OF_MEMORY = (
    "out of memory",
    "cublas_status_alloc_failed",
    "failed to allocate",
    "unable to allocate",
    "bad_alloc",
)

#: How CTranslate2 begins when the GPU or its libraries do not work any more.
_DEVICE_FAILED = ("cuda failed", "cublas failed", "cudnn failed", "cuda error", "is not found or cannot be loaded")


class BatchLimit:
    """The largest batch that is believed to fit; it only ever falls."""

    def __init__(self, clips: int) -> None:
        self._clips = max(1, clips)
        self._lock = threading.Lock()

    @property
    def clips(self) -> int:
        """Clips in one batch, at least 1."""
        return self._clips

    def lower_below(self, failed: int) -> None:
        """Remembers that a batch of ``failed`` clips did not fit: half of it is the new limit."""
        with self._lock:
            self._clips = max(1, min(self._clips, failed // 2))


def is_out_of_memory(error: BaseException) -> bool:
    """True when an engine's exception means that memory ran out."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


def _is_fatal(error: BaseException) -> bool:
    """True when the device or its libraries are gone: every other clip would fail in the same way."""
    text = str(error).lower()
    return any(sign in text for sign in _DEVICE_FAILED) and not is_out_of_memory(error)


def settle(clips: Sequence[Clip], compute: Compute, limit: BatchLimit) -> Iterator[Result]:
    """Exactly one result for each clip of ``clips``, whatever ``compute`` raises, except EngineError, which passes."""
    pending = [clips[start : start + limit.clips] for start in range(0, len(clips), limit.clips)]
    while pending:
        batch = pending.pop(0)
        if len(batch) > limit.clips:
            pending[:0] = [batch[: limit.clips], batch[limit.clips :]]
            continue
        done: set[int] = set()
        try:
            for position, result in _positioned(batch, compute):
                done.add(position)
                yield result
        except EngineError:
            raise
        except Exception as error:
            # One clip's trouble must not cost the others.
            rest = [clip for position, clip in enumerate(batch) if position not in done]
            if _is_fatal(error):
                raise EngineError(f"the device failed: {_reason(error)}", "run `segue doctor`") from error
            if len(batch) == 1:
                yield ClipFailure(rest[0].id, _reason(error))
            elif is_out_of_memory(error):
                limit.lower_below(len(batch))
                pending.insert(0, rest)
            else:
                pending[:0] = [[clip] for clip in rest]


def _positioned(batch: Sequence[Clip], compute: Compute) -> Iterator[tuple[int, Result]]:
    """Each result with the place of its clip in the batch; identifiers need not be unique."""
    places: dict[str, list[int]] = {}
    for position, clip in enumerate(batch):
        places.setdefault(clip.id, []).append(position)
    for result in compute(batch):
        yield places[result.clip_id].pop(0), result
    missing = sum(len(left) for left in places.values())
    if missing:
        raise RuntimeError(f"the engine gave no result for {missing} of {len(batch)} clips")


def _reason(error: BaseException) -> str:
    if is_out_of_memory(error):
        return "out of memory even with one clip alone: use a smaller model or a smaller compute type"
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
