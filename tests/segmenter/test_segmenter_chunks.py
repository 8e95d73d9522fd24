from __future__ import annotations

import itertools

import numpy as np
import pytest

from segmenter.chunks import LEAD_MS, LONGEST_MS, REACH_MS, TAIL_MS, Chunk, Chunker


def murmur(seconds: int, seed: int = 3) -> np.ndarray:
    """Noise whose loudness wanders, as in speech."""
    generator = np.random.default_rng(seed)
    shape = np.repeat(generator.uniform(5, 800, seconds * 10), 1600)
    return (generator.normal(size=seconds * 16_000) * shape).clip(-32768, 32767).astype(np.int16)


def chunks_of(samples: np.ndarray, block: int = 16_000) -> list[Chunk]:
    chunker = Chunker()
    fed = [list(chunker.feed(samples[at : at + block])) for at in range(0, len(samples), block)]
    return [*itertools.chain(*fed), *chunker.finish()]


def outline(chunks: list[Chunk]) -> list[tuple[int, int, int, bytes]]:
    return [(c.start_ms, c.duration_ms, c.lead_ms, c.samples.tobytes()) for c in chunks]


def test_chunks_cover_the_media_without_holes() -> None:
    samples = murmur(95)
    chunks = chunks_of(samples)
    assert chunks[0].start_ms == 0
    assert all(a.start_ms + a.duration_ms == b.start_ms for a, b in itertools.pairwise(chunks))
    assert chunks[-1].start_ms + chunks[-1].duration_ms == 95_000
    assert len(chunks) > 4


@pytest.mark.parametrize("block", [1, 777, 160_001, 10_000_000])
def test_chunks_do_not_depend_on_the_blocks(block: int) -> None:
    samples = murmur(40 if block > 1 else 2)
    assert outline(chunks_of(samples, block)) == outline(chunks_of(samples))


def test_each_chunk_carries_its_lead_and_tail() -> None:
    samples = murmur(60)
    for chunk in chunks_of(samples)[1:-1]:
        first = (chunk.start_ms - chunk.lead_ms) * 16
        last = (chunk.start_ms + chunk.duration_ms + TAIL_MS) * 16
        assert np.array_equal(chunk.samples, samples[first:last][: len(chunk.samples)])
        assert chunk.lead_ms == LEAD_MS
        assert len(chunk.levels) == chunk.duration_ms


@pytest.mark.parametrize("intro_ms", [37, 10_000, 10_037])
def test_borders_are_the_same_again_soon_after_another_intro(intro_ms: int) -> None:
    samples = murmur(120)
    intro = murmur(20, seed=8)[: intro_ms * 16]
    moved = {chunk.start_ms - intro_ms for chunk in chunks_of(np.concatenate([intro, samples]))}
    borders = [chunk.start_ms for chunk in chunks_of(samples)]
    settled = [border for border in borders if border > REACH_MS + 100]
    assert len(settled) > 3
    assert set(settled) <= moved


def test_steady_sound_is_cut_anyway() -> None:
    steady = np.tile(np.array([300, -300], np.int16), 16_000 * 60)
    chunks = chunks_of(steady)
    assert max(chunk.duration_ms for chunk in chunks) <= LONGEST_MS
    assert sum(chunk.duration_ms for chunk in chunks) == 120_000


def test_hours_of_audio_are_not_kept() -> None:
    chunker = Chunker()
    minute = murmur(60)
    held = 0
    for _ in range(20):
        for _chunk in chunker.feed(minute):
            held = max(held, len(chunker._audio) + chunker._pending_samples)
    assert held < 90 * 16_000


def test_no_audio_gives_no_chunk() -> None:
    assert chunks_of(np.zeros(0, np.int16)) == []
    assert chunks_of(np.zeros(15, np.int16)) == []
