"""Cutting a clip into smaller ones at the seams of its segments or, inside one, where it is quietest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from core.audio import SAMPLES_PER_MS, ms_to_samples, samples_to_ms
from engines.transcribe.interface import Clip, ClipSegment

#: A part of a clip shorter than this is not worth decoding by itself.
_SHORTEST_PART_MS = 2_000
#: The quietest stretch of this length is where one segment is cut.
_QUIET_MS = 200
#: Speech that is not written down is decoded again in pieces of about this length.
_FINE_MS = 5_000
#: A sample that a 16-bit recording can tell from silence, twice over.
_SILENCE_PEAK = 2.0 / 32768


def audio_ms(clip: Clip) -> int:
    """Length of the clip's audio in whole milliseconds."""
    return samples_to_ms(len(clip.samples))


def is_digital_silence(clip: Clip) -> bool:
    """True when there is nothing to hear: no samples, or none louder than the last bits of a 16-bit recording."""
    return len(clip.samples) == 0 or float(np.max(np.abs(clip.samples))) <= _SILENCE_PEAK


def whole_segments(clip: Clip) -> tuple[ClipSegment, ...]:
    """The clip's segments, or one that covers it and claims nothing when it has none."""
    return clip.segments or (ClipSegment(0, audio_ms(clip), 500),)


def cut_clip(clip: Clip, cuts_ms: Sequence[int]) -> list[tuple[int, Clip]]:
    """(offset in ms, part) for each stretch between the cuts; segments are cut with the audio."""
    length = audio_ms(clip)
    marks = [0, *sorted({cut for cut in cuts_ms if 0 < cut < length}), length]
    parts = []
    for low, high in pairwise(marks):
        last = len(clip.samples) if high == length else ms_to_samples(high)
        segments = tuple(
            ClipSegment(max(segment.start_ms, low) - low, min(segment.end_ms, high) - low, segment.score)
            for segment in whole_segments(clip)
            if segment.start_ms < high and segment.end_ms > low
        )
        parts.append((low, replace(clip, samples=clip.samples[ms_to_samples(low) : last], segments=segments)))
    return parts


def cuts_around(segments: Sequence[ClipSegment], chosen: Sequence[int]) -> list[int]:
    """The seams on both sides of every run of chosen segments: each run is then decoded by itself."""
    inside = set(chosen)
    return [segments[index].start_ms for index in range(1, len(segments)) if (index in inside) != (index - 1 in inside)]


def halving_cut(clip: Clip) -> int | None:
    """Where to cut a clip in two: the seam nearest its middle, else its quietest place there; None if too short."""
    length = audio_ms(clip)
    if length < 2 * _SHORTEST_PART_MS:
        return None
    seams = [segment.start_ms for segment in clip.segments[1:]]
    inner = [seam for seam in seams if length / 4 <= seam <= length * 3 / 4]
    if inner:
        return min(inner, key=lambda seam: (abs(seam - length // 2), seam))
    return _quietest_ms(clip, length // 3, length * 2 // 3)


def fine_cuts(clip: Clip) -> list[int]:
    """Cuts at every seam, and where it is quiet inside long segments: the finest parts that are worth decoding.

    Whisper writes what is repeated once or twice and stops; it cannot where there is no more than that.
    """
    cuts: list[int] = []
    for segment in whole_segments(clip):
        length = segment.end_ms - segment.start_ms
        piece = length // -(-length // _FINE_MS) if length else 0
        for middle in range(segment.start_ms + piece, segment.end_ms - piece // 2, piece or 1):
            cuts.append(_quietest_ms(clip, middle - piece // 4, middle + piece // 4))
        cuts.append(segment.end_ms)
    return cuts[:-1]


def _quietest_ms(clip: Clip, low_ms: int, high_ms: int) -> int:
    """The middle of the quietest 200 ms between two times."""
    step = 20 * SAMPLES_PER_MS
    stretch = clip.samples[ms_to_samples(low_ms) : ms_to_samples(high_ms)].astype(np.float64)
    energy = np.add.reduceat(stretch**2, np.arange(0, len(stretch), step))
    width = min(len(energy), _QUIET_MS // 20)
    smooth = np.convolve(energy, np.ones(width), mode="valid")
    return low_ms + (int(np.argmin(smooth)) + width // 2) * 20
