"""Speech in a stream of samples: chunk by chunk through the detectors, then one pass over the probabilities."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from core.speech import Segmentation
from segmenter.boundaries import Track, find_segments
from segmenter.chunks import Chunk, Chunker
from segmenter.combiner import FULL, Combiner
from segmenter.features import FRAME_MS, Analyser, silero_probabilities
from segmenter.params import WEIGHTS_PATH, SegmenterParams


class Segmenter:
    """Takes 16 kHz mono samples in blocks of any size; the result does not depend on the sizes.

    Keeps some minutes of audio, and one probability each 20 ms and one level each millisecond of the whole. With more
    than one of ``threads``, chunks are analysed side by side; each is analysed by itself, so the result is the same.
    Raises EngineMissingError when a detector is not installed.
    """

    def __init__(self, params: SegmenterParams, threads: int = 1) -> None:
        self._params = params
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="segment")
        self._most_pending = 2 * threads
        self._pending: deque[Future[Track]] = deque()
        self._chunker = Chunker()
        self._analyser = Analyser()
        self._combiner = Combiner.load(WEIGHTS_PATH)
        self._parts: list[Track] = []

    def feed(self, samples: npt.NDArray[np.int16]) -> None:
        """Adds samples, shape (n,)."""
        for chunk in self._chunker.feed(samples):
            self._begin(chunk)

    def finish(self) -> Segmentation:
        """The segmentation of all samples; call once."""
        for chunk in self._chunker.finish():
            self._begin(chunk)
        self._collect(0)
        self.close()
        track = Track.joined(self._parts)
        return Segmentation(track.duration_ms, find_segments(track, self._params))

    def close(self) -> None:
        """Ends the threads; `finish` does it too."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, chunk: Chunk) -> None:
        self._pending.append(self._pool.submit(self._analyse, chunk))
        self._collect(self._most_pending)

    def _collect(self, leave: int) -> None:
        """Takes finished chunks in order until at most ``leave`` are pending: audio must not pile up."""
        while len(self._pending) > leave:
            self._parts.append(self._pending.popleft().result())

    def _analyse(self, chunk: Chunk) -> Track:
        # Nothing at all is heard in digital silence, so nothing is computed there.
        features = self._analyser.features(chunk.samples) if chunk.levels.any() else None
        return analysed(chunk, features, self._combiner)


def analysed(chunk: Chunk, features: npt.NDArray[np.float32] | None, combiner: Combiner) -> Track:
    """The track of one chunk, from its feature matrix (lead and tail included) or None for digital silence."""
    frames = -(-chunk.duration_ms // FRAME_MS)
    probabilities, certainties = np.zeros((2, frames), np.uint16)
    if features is not None:
        lead = chunk.lead_ms // FRAME_MS
        believed = combiner.probabilities(features)
        probabilities = _fitted(believed[lead:], frames)
        certainties = _fitted(_agreement(believed, silero_probabilities(features))[lead:], frames)
    starts = (chunk.start_ms + FRAME_MS * np.arange(frames)).astype(np.int32)
    return Track(starts, probabilities, certainties, chunk.levels)


def _fitted(values: npt.NDArray[np.uint16], frames: int) -> npt.NDArray[np.uint16]:
    """Exactly ``frames`` values: the rest is dropped, and a last part of a frame repeats the frame before it."""
    if not len(values):
        return np.zeros(frames, np.uint16)
    return np.pad(values[:frames], (0, max(0, frames - len(values))), mode="edge")


def _agreement(believed: npt.NDArray[np.uint16], silero: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Geometric mean in thousandths. Laughter and music that pass the combiner seldom please Silero as well."""
    return np.rint(np.sqrt(believed * (silero.astype(np.float64) * FULL))).astype(np.uint16)


def find_speech(blocks: Iterable[npt.NDArray[np.int16]], params: SegmenterParams) -> Segmentation:
    """Segments of the audio whose blocks follow each other; shapes (n,), int16, 16 kHz mono."""
    segmenter = Segmenter(params)
    for block in blocks:
        segmenter.feed(block)
    return segmenter.finish()
