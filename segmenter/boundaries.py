"""From speech probabilities to segments: hysteresis, padding, gaps, quiet edges, and cuts in long speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.speech import Segment
from segmenter.combiner import FULL
from segmenter.levels import Levels, smoothed
from segmenter.params import SegmenterParams

Run = tuple[int, int]

#: A pause between words lasts about this long.
_PAUSE_MS = 140
#: How many level steps quieter than speech a clear pause is (15 dB).
_CLEAR_STEPS = 35
#: What full speech probability costs a pause, in level steps (8.6 dB).
_PROBABILITY_STEPS = 20


@dataclass(frozen=True)
class Track:
    """What is kept of the whole media: frames in order without holes, and the level of every millisecond."""

    #: shape (frames,), int32: first millisecond of each frame.
    starts: npt.NDArray[np.int32]
    #: shape (frames,), uint16: speech probability in thousandths.
    probabilities: npt.NDArray[np.uint16]
    #: shape (frames,), uint16: how far both the combiner and Silero alone believe it, in thousandths.
    certainties: npt.NDArray[np.uint16]
    #: shape (duration_ms,), uint8.
    levels: Levels

    @classmethod
    def joined(cls, parts: Sequence[Track]) -> Track:
        """Tracks that follow each other, as one."""
        return cls(
            starts=np.concatenate([np.zeros(0, np.int32), *(part.starts for part in parts)]),
            probabilities=np.concatenate([np.zeros(0, np.uint16), *(part.probabilities for part in parts)]),
            certainties=np.concatenate([np.zeros(0, np.uint16), *(part.certainties for part in parts)]),
            levels=np.concatenate([np.zeros(0, np.uint8), *(part.levels for part in parts)]),
        )

    @property
    def duration_ms(self) -> int:
        return len(self.levels)

    def end_of(self, frame: int) -> int:
        """First millisecond after a frame."""
        return int(self.starts[frame + 1]) if frame + 1 < len(self.starts) else self.duration_ms

    def frame_at(self, ms: int) -> int:
        return int(np.searchsorted(self.starts, ms, side="right")) - 1


def find_segments(track: Track, params: SegmenterParams) -> tuple[Segment, ...]:
    """The segments of a track, in order, none longer than ``params.max_segment_ms``, none touching by chance."""
    runs = _hysteresis(track, params)
    runs = [(max(0, start - params.pad_ms), min(track.duration_ms, end + params.pad_ms)) for start, end in runs]
    runs = _bridge(runs, params.min_gap_ms)
    runs = [run for run in runs if run[1] - run[0] >= params.min_speech_ms + 2 * params.pad_ms]
    runs = _settle_edges(runs, track, params)
    pieces = [piece for run in runs for piece in _split(run, track, params)]
    return tuple(Segment(index, start, end, _score(track, start, end)) for index, (start, end) in enumerate(pieces))


def _runs_of(mask: npt.NDArray[np.bool_]) -> list[Run]:
    """(first, last + 1) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _hysteresis(track: Track, params: SegmenterParams) -> list[Run]:
    """Stretches (ms) that stay over one threshold and somewhere reach the other."""
    sure = np.concatenate([[0], np.cumsum(track.probabilities >= params.enter_threshold)])
    return [
        (int(track.starts[first]), track.end_of(last - 1))
        for first, last in _runs_of(track.probabilities >= params.stay_threshold)
        if sure[last] > sure[first]
    ]


def _bridge(runs: list[Run], min_gap_ms: int) -> list[Run]:
    joined: list[Run] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < min_gap_ms:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _settle_edges(runs: list[Run], track: Track, params: SegmenterParams) -> list[Run]:
    """Moves each edge outwards to the quietest millisecond in reach, at most half way to the neighbour."""
    settled: list[Run] = []
    for index, (start, end) in enumerate(runs):
        before = runs[index - 1][1] if index else 0
        after = runs[index + 1][0] if index + 1 < len(runs) else track.duration_ms
        earliest = max(start - params.edge_reach_ms, start - (start - before) // 2 if index else 0)
        latest = min(end + params.edge_reach_ms, end + (after - end) // 2 if index + 1 < len(runs) else after)
        head = smoothed(track.levels[earliest : start + 1])
        tail = smoothed(track.levels[end:latest])
        # Of equally quiet moments the nearest to the speech: in digital silence nothing is gained by going further.
        new_start = start - int(np.argmin(head[::-1])) if len(head) else start
        new_end = end + int(np.argmin(tail)) if len(tail) else end
        settled.append((max(new_start, 0), new_end))
    return settled


def _split(run: Run, track: Track, params: SegmenterParams) -> list[Run]:
    """Cuts a long run at its pauses, from the front.

    Over ``max_segment_ms`` it must be cut; over ``split_after_ms`` it is cut where it has a clear pause, because short
    pieces fill windows better and come back sooner after an edit.
    """
    start, end = run
    pieces: list[Run] = []
    while end - start > params.split_after_ms:
        clear = start + params.split_after_ms
        cut = _best_pause(track, start + params.min_split_ms, min(clear, end - params.min_split_ms // 2), run)
        if cut is None or not cut.clear:
            if end - start <= params.max_segment_ms:
                break
            latest = min(start + params.max_segment_ms, end - params.min_split_ms // 2)
            cut = _best_pause(track, start + params.min_split_ms, latest, run)
        if cut is None:
            break
        pieces.append((start, cut.ms))
        start = cut.ms
    pieces.append((start, end))
    return pieces


@dataclass(frozen=True)
class _Pause:
    ms: int
    #: Quiet enough, beside the rest of the run, to be a pause between words.
    clear: bool


def _best_pause(track: Track, earliest: int, latest: int, run: Run) -> _Pause | None:
    """The quietest and least probable `_PAUSE_MS` between two times, and its quietest millisecond."""
    if latest - earliest < 2 * _PAUSE_MS:
        return None
    levels = track.levels[earliest:latest].astype(np.int64)
    total = np.concatenate([[0], np.cumsum(levels)])
    loudness = (total[_PAUSE_MS:] - total[:-_PAUSE_MS]) // _PAUSE_MS
    frames = np.searchsorted(track.starts, earliest + np.arange(len(loudness)) + _PAUSE_MS // 2, side="right") - 1
    cost = loudness + track.probabilities[frames].astype(np.int64) * _PROBABILITY_STEPS // FULL
    at = int(np.argmin(cost))
    speaking = int(np.percentile(track.levels[run[0] : run[1]], 75))
    quiet = smoothed(track.levels[earliest + at : earliest + at + _PAUSE_MS])
    return _Pause(earliest + at + int(np.argmin(quiet)), bool(loudness[at] + _CLEAR_STEPS <= speaking))


def _score(track: Track, start: int, end: int) -> int:
    first = track.frame_at(start)
    last = max(first + 1, track.frame_at(end - 1) + 1)
    return int(np.rint(track.certainties[first:last].mean()))
