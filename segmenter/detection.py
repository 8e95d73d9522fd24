"""Speech in a stream of samples: chunk by chunk through the detectors, then one pass over the probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from core.speech import Segmentation
from segmenter.boundaries import Track, find_segments
from segmenter.chunks import Chunk, Chunker
from segmenter.combiner import Combiner
from segmenter.features import FRAME_MS, Analyser
from segmenter.params import WEIGHTS_PATH, SegmenterParams


class Segmenter:
    """Takes 16 kHz mono samples in blocks of any size; the result does not depend on the sizes.

    Keeps about a minute of audio, and one probability each 20 ms and one level each millisecond of the whole.
    Raises EngineMissingError when a detector is not installed.
    """

    def __init__(self, params: SegmenterParams) -> None:
        self._params = params
        self._chunker = Chunker()
        self._analyser = Analyser()
        self._combiner = Combiner.load(WEIGHTS_PATH)
        self._starts: list[npt.NDArray[np.int32]] = []
        self._probabilities: list[npt.NDArray[np.uint16]] = []
        self._levels: list[npt.NDArray[np.uint8]] = []

    def feed(self, samples: npt.NDArray[np.int16]) -> None:
        """Adds samples, shape (n,)."""
        for chunk in self._chunker.feed(samples):
            self._analyse(chunk)

    def finish(self) -> Segmentation:
        """The segmentation of all samples; call once."""
        for chunk in self._chunker.finish():
            self._analyse(chunk)
        track = Track(
            starts=np.concatenate([np.zeros(0, np.int32), *self._starts]),
            probabilities=np.concatenate([np.zeros(0, np.uint16), *self._probabilities]),
            levels=np.concatenate([np.zeros(0, np.uint8), *self._levels]),
        )
        return Segmentation(track.duration_ms, find_segments(track, self._params))

    def _analyse(self, chunk: Chunk) -> None:
        frames = -(-chunk.duration_ms // FRAME_MS)
        probabilities = np.zeros(frames, np.uint16)
        if chunk.levels.any():
            known = self._combiner.probabilities(self._analyser.features(chunk.samples))[chunk.lead_ms // FRAME_MS :]
            known = known[:frames]
            probabilities[: len(known)] = known
            probabilities[len(known) :] = known[-1] if len(known) else 0
        self._starts.append((chunk.start_ms + FRAME_MS * np.arange(frames)).astype(np.int32))
        self._probabilities.append(probabilities)
        self._levels.append(chunk.levels)


def find_speech(blocks: Iterable[npt.NDArray[np.int16]], params: SegmenterParams) -> Segmentation:
    """Segments of the audio whose blocks follow each other; shapes (n,), int16, 16 kHz mono."""
    segmenter = Segmenter(params)
    for block in blocks:
        segmenter.feed(block)
    return segmenter.finish()
