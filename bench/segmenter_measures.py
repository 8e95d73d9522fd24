"""How a segmentation compares with what is known about a clip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.segmenter_material import Samples
from core.audio import SAMPLES_PER_MS
from core.speech import Segment, Segmentation, Span
from segmenter.params import SegmenterParams
from segmenter.windows import pack_windows

Spans = Sequence[tuple[int, int]]
#: Pauses longer than this are expected to be skipped.
LONG_SILENCE_MS = 500


@dataclass(frozen=True)
class Frames:
    """Counts of 10 ms frames, as the shared figures count them."""

    speech: int = 0
    kept: int = 0
    silence: int = 0
    skipped: int = 0

    def __add__(self, other: Frames) -> Frames:
        return Frames(
            self.speech + other.speech,
            self.kept + other.kept,
            self.silence + other.silence,
            self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        return f"{self.kept / max(self.speech, 1):.3f} kept / {self.skipped / max(self.silence, 1):.3f} skipped"


def frames_of(segments: Sequence[Segment], speech: Spans, duration_ms: int) -> Frames:
    """Speech kept and silence skipped against the union of ``speech``."""
    true = _mask([(round(start / 10), round(end / 10)) for start, end in speech], duration_ms // 10)
    middle = np.arange(duration_ms // 10) * 10 + 5
    found = _mask([(s.start_ms, s.end_ms) for s in segments], duration_ms)[middle]
    return Frames(int(true.sum()), int((found & true).sum()), int((~true).sum()), int((~found & ~true).sum()))


@dataclass(frozen=True)
class Cues:
    """What became of a programme's cues and of the silence between them."""

    cues: int = 0
    #: Cues of which less than nine tenths is inside segments.
    lost: int = 0
    #: The smallest share of a cue that is inside segments, in thousandths.
    worst: int = 1000
    #: Silence longer than 0.5 s, and how much of it is outside all segments.
    silence_ms: int = 0
    skipped_ms: int = 0

    def __add__(self, other: Cues) -> Cues:
        return Cues(
            self.cues + other.cues,
            self.lost + other.lost,
            min(self.worst, other.worst),
            self.silence_ms + other.silence_ms,
            self.skipped_ms + other.skipped_ms,
        )

    def __str__(self) -> str:
        share = self.skipped_ms / max(self.silence_ms, 1)
        return (
            f"{self.lost} of {self.cues} cues lost (least covered {self.worst / 10:.1f} %), "
            f"{share:.3f} of {self.silence_ms / 1000:.0f} s of long silence skipped"
        )


def cues_of(segments: Sequence[Segment], speech: Spans, duration_ms: int) -> Cues:
    """Cues lost, and silence longer than 0.5 s that is skipped."""
    found = _mask([(s.start_ms, s.end_ms) for s in segments], duration_ms)
    silent = ~_mask(speech, duration_ms)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.astype(np.int8), [0]]))).reshape(-1, 2)
    long = [(int(start), int(end)) for start, end in edges if end - start > LONG_SILENCE_MS]
    covered = [int(1000 * found[start:end].mean()) for start, end in speech]
    return Cues(
        cues=len(covered),
        lost=sum(share < 900 for share in covered),
        worst=min(covered, default=1000),
        silence_ms=sum(end - start for start, end in long),
        skipped_ms=sum(int((~found[start:end]).sum()) for start, end in long),
    )


def _mask(spans: Spans, length: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(length, bool)
    for start, end in spans:
        mask[max(0, start) : end] = True
    return mask


def audio_digests(samples: Samples, segments: Sequence[Segment]) -> list[str]:
    """One name for the audio of each segment."""
    return [hashlib.sha256(audio_of(samples, [segment])).hexdigest() for segment in segments]


def window_digests(samples: Samples, found: Segmentation, params: SegmenterParams) -> list[str]:
    """One name for the joined audio of each window."""
    windows = pack_windows(found, params)
    return [hashlib.sha256(audio_of(samples, window.spans)).hexdigest() for window in windows]


def audio_of(samples: Samples, segments: Sequence[Segment | Span]) -> bytes:
    return b"".join(samples[s.start_ms * SAMPLES_PER_MS : s.end_ms * SAMPLES_PER_MS].tobytes() for s in segments)
