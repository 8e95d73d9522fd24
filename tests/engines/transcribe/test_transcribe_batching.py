"""Out of memory, failing clips and early ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.errors import DeviceError, EngineError
from engines.engine import Result
from engines.transcribe.batching import BatchLimit, heard, run_batches, settle
from engines.transcribe.interface import Clip, Transcript


def clips(count: int) -> list[Clip]:
    return [Clip(str(number), np.zeros(160, np.float32), (), "en") for number in range(count)]


def test_out_of_memory_halves_the_batch_and_remembers_it():
    sizes: list[int] = []

    def compute(batch: Sequence[Clip]) -> Iterator[Result]:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError("CUDA failed with error out of memory")
        yield from (heard(clip, Transcript(())) for clip in batch)

    limit = BatchLimit(8)
    results = list(settle(clips(8), compute, limit))
    assert sorted(result.id for result in results) == [str(number) for number in range(8)]
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert limit.clips == 2
    list(settle(clips(4), compute, limit))
    assert sizes[6:] == [2, 2]


def test_a_single_clip_that_does_not_fit_fails_alone():
    def compute(batch: Sequence[Clip]) -> Iterator[Result]:
        if any(clip.id == "2" for clip in batch):
            raise MemoryError
        yield from (heard(clip, Transcript(())) for clip in batch)

    results = {result.id: result for result in settle(clips(4), compute, BatchLimit(4))}
    assert len(results) == 4
    failure = results.pop("2")
    assert failure.value is None
    assert "out of memory" in failure.reason
    assert all(isinstance(result.value, Transcript) for result in results.values())


def test_where_not_one_clip_fits_the_device_is_to_blame_and_no_clip_fails():
    def compute(batch: Sequence[Clip]) -> Iterator[Result]:
        raise RuntimeError("parallel_for failed: cudaErrorInvalidDevice: invalid device ordinal")
        yield

    limit = BatchLimit(4)
    with pytest.raises(DeviceError) as caught:
        list(settle(clips(4), compute, limit))
    assert "out of memory even with one clip alone" in caught.value.message
    assert limit.clips == 1


def test_a_clip_that_did_not_fit_alone_is_tried_again_after_the_others():
    refused: list[str] = []

    def compute(batch: Sequence[Clip]) -> Iterator[Result]:
        if batch[0].id == "0" and not refused:
            refused.append("0")
            raise RuntimeError("CUDA failed with error out of memory")
        yield from (heard(clip, Transcript(())) for clip in batch)

    results = list(settle(clips(3), compute, BatchLimit(1)))
    assert [result.id for result in results] == ["1", "2", "0"]
    assert all(isinstance(result.value, Transcript) for result in results)


def test_the_limit_follows_free_memory_both_ways_and_never_reaches_zero():
    limit = BatchLimit(32)
    limit.follow(20)
    assert limit.clips == 20
    limit.follow(0)  # Others took it all.
    assert limit.clips == 1
    limit.follow(100)
    assert limit.clips == 32


def test_memory_that_the_engine_holds_for_its_last_batch_counts_as_free():
    limit = BatchLimit(32)
    limit.follow(20)
    limit.note_fitted(20)
    limit.follow(0)
    assert limit.clips == 20
    limit.lower_below(20)
    limit.follow(0)
    assert limit.clips == 10


def test_what_did_not_fit_is_tried_again_only_once_more_memory_is_free():
    limit = BatchLimit(32)
    limit.follow(20)
    limit.lower_below(20)
    limit.follow(20)
    assert limit.clips == 10
    limit.follow(26)
    assert limit.clips == 26


def test_a_failing_clip_costs_only_itself_and_what_was_yielded_is_not_computed_again():
    computed: list[str] = []

    def compute(batch: Sequence[Clip]) -> Iterator[Result]:
        for clip in batch:
            if clip.id == "1":
                raise ValueError("broken\nclip")
            computed.append(clip.id)
            yield heard(clip, Transcript(()))

    results = {result.id: result for result in settle(clips(4), compute, BatchLimit(4))}
    assert results["1"] == Result("1", None, "ValueError: broken clip", {"audio_ms": 10})
    assert computed == ["0", "2", "3"]


def test_clips_with_the_same_name_each_get_a_result():
    same = [clips(1)[0]] * 3
    assert len(list(settle(same, lambda batch: [heard(clip, Transcript(())) for clip in batch], BatchLimit(2)))) == 3


@pytest.mark.parametrize(
    "error",
    [
        EngineError("gone"),
        RuntimeError("CUDA failed with error unspecified launch failure"),
        RuntimeError("parallel_for failed: cudaErrorIllegalAddress: an illegal memory access was encountered"),
        RuntimeError("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED"),
    ],
)
def test_a_dead_device_ends_everything(error: Exception):
    def compute(batch: Sequence[Clip]) -> Iterator[Result]:
        raise error
        yield

    with pytest.raises(EngineError):
        list(settle(clips(2), compute, BatchLimit(2)))


def test_parallel_batches_yield_every_result_and_raise_the_first_error():
    def good(batch: Sequence[Clip]) -> Iterator[Result]:
        yield from (heard(clip, Transcript(())) for clip in batch)

    def bad(batch: Sequence[Clip]) -> Iterator[Result]:
        if batch[0].id == "4":
            raise EngineError("gone")
        yield from good(batch)

    batches = [clips(6)[start : start + 2] for start in (0, 2, 4)]
    with ThreadPoolExecutor(2) as pool:
        assert len(list(run_batches(batches, good, pool))) == 6
        with pytest.raises(EngineError):
            list(run_batches(batches, bad, pool))


def test_closing_early_drops_batches_that_have_not_begun():
    begun: list[str] = []

    def work(batch: Sequence[Clip]) -> Iterator[Result]:
        begun.append(batch[0].id)
        yield heard(batch[0], Transcript(()))

    with ThreadPoolExecutor(1) as pool:
        running = run_batches([[clip] for clip in clips(200)], work, pool)
        next(running)
        running.close()
        assert len(begun) < 200
