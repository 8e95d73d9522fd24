"""Groups segments into windows, the unit that is transcribed and translated."""

from __future__ import annotations

from collections.abc import Sequence

from core.speech import Segment, Window
from segmenter.params import SegmenterParams


def pack_windows(segments: Sequence[Segment], params: SegmenterParams) -> tuple[Window, ...]:
    """Consecutive segments in windows of at most ``params.max_window_ms`` of joined audio; no segment is split.

    A window ends at the longest pause among the places where it may end, so that two files that share material end
    windows at the same places soon after they begin to agree. Windows are taken from the front: appended material
    changes at most the last one. A very long pause inside a window is not a reason to end it early: silence costs
    nothing, while one more window costs a whole pass of Whisper's encoder.
    """
    windows: list[Window] = []
    first = 0
    while first < len(segments):
        end = _window_end(segments, first, params)
        windows.append(Window(len(windows), tuple(segments[first:end])))
        first = end
    return tuple(windows)


def _window_end(segments: Sequence[Segment], first: int, params: SegmenterParams) -> int:
    """Index after the last segment of the window that begins with ``first``."""
    audio_ms = 0
    best, best_pause = first + 1, -1
    for index in range(first, len(segments)):
        audio_ms += segments[index].duration_ms
        if audio_ms > params.max_window_ms:
            return best if best_pause >= 0 else max(first + 1, index)
        if index + 1 == len(segments):
            return index + 1
        pause = segments[index + 1].start_ms - segments[index].end_ms
        if audio_ms >= params.min_window_ms and pause >= best_pause:
            best, best_pause = index + 1, pause
    return len(segments)
