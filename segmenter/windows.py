"""Groups segments into windows, the unit that is transcribed and translated."""

from __future__ import annotations

from collections.abc import Sequence

from core.speech import Segment, Span, Window
from segmenter.params import SegmenterParams


def pack_windows(segments: Sequence[Segment], duration_ms: int, params: SegmenterParams) -> tuple[Window, ...]:
    """Consecutive segments in windows of at most ``params.max_window_ms`` of joined audio; no segment is split.

    A segment that is longer than that with what is around it has a window of its own.
    A window ends at the longest pause among the places where it may end, so that two files that share material end
    windows at the same places soon after they begin to agree. Windows are taken from the front: appended material
    changes at most the last one. A very long pause inside a window is not a reason to end it early: silence costs
    nothing, while one more window costs a whole pass of Whisper's encoder.
    """
    spans = audio_spans(segments, duration_ms, params.context_ms)
    windows: list[Window] = []
    first = 0
    while first < len(segments):
        end = _window_end(spans, first, params)
        windows.append(Window(len(windows), tuple(segments[first:end]), spans[first:end]))
        first = end
    return tuple(windows)


def audio_spans(segments: Sequence[Segment], duration_ms: int, context_ms: int) -> tuple[Span, ...]:
    """For each segment, the stretch that an engine hears: up to ``context_ms`` more on both sides.

    Measured: Whisper base makes 10 % fewer word errors with 200 ms around speech than with 20 ms. Between neighbours
    that are nearer than twice that, the pause is shared out at its middle.
    """
    spans = []
    for index, segment in enumerate(segments):
        before = segments[index - 1].end_ms if index else 0
        after = segments[index + 1].start_ms if index + 1 < len(segments) else duration_ms
        start = max(segment.start_ms - context_ms, (before + segment.start_ms) // 2 if index else 0)
        middle = (segment.end_ms + after) // 2 if index + 1 < len(segments) else max(duration_ms, segment.end_ms)
        spans.append(Span(start, min(segment.end_ms + context_ms, middle)))
    return tuple(spans)


def _window_end(segments: Sequence[Span], first: int, params: SegmenterParams) -> int:
    """Index after the last segment of the window that begins with ``first``, by the stretches that are heard."""
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
