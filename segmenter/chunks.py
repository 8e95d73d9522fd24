"""Cuts audio into chunks whose borders the content itself decides, so that analysis starts afresh at each.

A border is a millisecond that is the quietest within `REACH_MS` on both sides. Nothing before or after that reach has a
say, so the same audio behind another intro has the same borders, and everything derived chunk by chunk is equal again
from the first border on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.audio import SAMPLES_PER_MS
from segmenter.levels import Levels, millisecond_levels, quietest_moments, smoothed

#: A border is the quietest moment this far to both sides.
REACH_MS = 7_000
#: Without a border for so long, one is set at the quietest moment of the second half.
LONGEST_MS = 30_000
#: Audio given with a chunk: before it, so that detectors have settled, and after it, so that frames see what follows.
LEAD_MS = 800
TAIL_MS = 1_000
_SETTLED_MS = 100
#: Samples that are gathered before borders are looked for again.
_STEP = 10_000 * SAMPLES_PER_MS
#: Leads are whole frames, so that a chunk begins with one.
FRAME_MS = 20


@dataclass(frozen=True)
class Chunk:
    """A stretch of audio to analyse by itself."""

    #: First millisecond of the chunk.
    start_ms: int
    #: Its length.
    duration_ms: int
    #: Milliseconds of `samples` that come before the chunk.
    lead_ms: int
    #: The chunk with its lead and tail.
    samples: npt.NDArray[np.int16]
    #: Level of each millisecond of the chunk itself.
    levels: Levels


class Chunker:
    """Takes samples in any portions and gives chunks as soon as their borders are certain.

    Holds at most about a minute of audio, whatever the length of the media.
    """

    def __init__(self) -> None:
        self._pending: list[npt.NDArray[np.int16]] = []
        self._pending_samples = 0
        self._audio = np.zeros(0, np.int16)
        self._levels = np.zeros(0, np.uint8)
        #: Millisecond of the media at which `_audio` begins.
        self._origin_ms = 0
        #: Where the next chunk starts.
        self._start_ms = 0

    def feed(self, samples: npt.NDArray[np.int16]) -> Iterator[Chunk]:
        """Adds samples; yields chunks that are now certain."""
        for first in range(0, len(samples), _STEP):
            part = samples[first : first + _STEP]
            self._pending.append(part.copy())
            self._pending_samples += len(part)
            if self._pending_samples >= _STEP:
                self._absorb()
                yield from self._cut(final=False)

    def finish(self) -> Iterator[Chunk]:
        """Yields the remaining chunks; what is left of the last millisecond is dropped."""
        self._absorb()
        yield from self._cut(final=True)

    @property
    def duration_ms(self) -> int:
        """Whole milliseconds taken in so far (after `finish`: of the media)."""
        return self._origin_ms + len(self._levels)

    def _absorb(self) -> None:
        self._audio = np.concatenate([self._audio, *self._pending])
        self._pending = []
        self._pending_samples = 0
        known = len(self._levels) * SAMPLES_PER_MS
        fresh = self._audio[known:]
        if len(fresh) < SAMPLES_PER_MS:
            return
        before = int(self._audio[known - 1]) if known else int(fresh[0])
        self._levels = np.concatenate([self._levels, millisecond_levels(fresh, before)])

    def _cut(self, *, final: bool) -> Iterator[Chunk]:
        end_ms = self.duration_ms
        quiet = smoothed(self._levels)
        settled = end_ms if final else end_ms - REACH_MS - _SETTLED_MS
        borders = quietest_moments(quiet, REACH_MS) + self._origin_ms
        while self._start_ms < end_ms:
            ahead = borders[(borders > self._start_ms) & (borders < settled)]
            nearest = int(ahead[0]) if len(ahead) else None
            if nearest is None or nearest > self._start_ms + LONGEST_MS:
                nearest = self._forced_border(quiet, settled)
            if nearest is None and final:
                nearest = end_ms
            if nearest is None or (not final and nearest + TAIL_MS > end_ms):
                break
            yield self._take(nearest)
            self._start_ms = nearest
        self._forget()

    def _forced_border(self, quiet: npt.NDArray[np.int32], settled: int) -> int | None:
        if settled <= self._start_ms + LONGEST_MS:
            return None
        first = self._start_ms + LONGEST_MS // 2 - self._origin_ms
        return self._start_ms + LONGEST_MS // 2 + int(np.argmin(quiet[first : first + LONGEST_MS // 2]))

    def _take(self, end_ms: int) -> Chunk:
        lead_ms = min(LEAD_MS, (self._start_ms - self._origin_ms) // FRAME_MS * FRAME_MS)
        first = self._start_ms - self._origin_ms
        last = end_ms - self._origin_ms
        stop = min(last + TAIL_MS, len(self._levels)) * SAMPLES_PER_MS
        return Chunk(
            start_ms=self._start_ms,
            duration_ms=end_ms - self._start_ms,
            lead_ms=lead_ms,
            samples=self._audio[(first - lead_ms) * SAMPLES_PER_MS : stop],
            levels=self._levels[first:last],
        )

    def _forget(self) -> None:
        """Drops audio that no border and no lead can need any more."""
        keep_from = max(self._origin_ms, self._start_ms - REACH_MS - _SETTLED_MS)
        drop = keep_from - self._origin_ms
        if drop > 0:
            self._audio = self._audio[drop * SAMPLES_PER_MS :].copy()
            self._levels = self._levels[drop:].copy()
            self._origin_ms = keep_from
