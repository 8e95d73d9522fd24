"""Groups segments into windows, the unit that is transcribed and translated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from core.speech import Segment, Segmentation, Span, Window
from segmenter.params import SegmenterParams


def with_pauses(found: Segmentation, params: SegmenterParams) -> Segmentation:
    """The whole media in segments end to end: speech with its score, pauses with 0, cut every ``params.max_window_ms``.

    For hearing media without skipping anything, which shows what skipping saves.
    """
    end = found.duration_ms
    marks = {*range(0, end, params.max_window_ms), end}
    marks |= {mark for segment in found.segments for mark in (segment.start_ms, segment.end_ms) if 0 < mark < end}
    pieces: list[Segment] = []
    spoken = iter(found.segments)
    current = next(spoken, None)
    for start, stop in pairwise(sorted(marks)):
        while current is not None and current.end_ms <= start:
            current = next(spoken, None)
        score = current.score if current is not None and current.start_ms <= start else 0
        pieces.append(Segment(len(pieces), start, stop, score))
    return Segmentation(end, tuple(pieces))


def windows_end_to_end(whole: Segmentation, params: SegmenterParams) -> tuple[Window, ...]:
    """The segments of `with_pauses` in windows of ``params.max_window_ms``; the last one is what is left."""
    windows = []
    for index, (_, inside) in enumerate(groupby(whole.segments, lambda each: each.start_ms // params.max_window_ms)):
        segments = tuple(inside)
        windows.append(Window(index, segments, tuple(Span(each.start_ms, each.end_ms) for each in segments)))
    return tuple(windows)


def pack_windows(found: Segmentation, params: SegmenterParams) -> tuple[Window, ...]:
    """Consecutive segments in windows of at most ``params.max_window_ms`` of joined audio; no segment is split.

    A window ends at the longest pause among the places where it may end, so that two files that share material end
    windows at the same places soon after they begin to agree. Windows are taken from the front: appended material
    changes at most the last one. A very long pause inside a window is not a reason to end it early: silence costs
    nothing, while one more window costs a whole pass of Whisper's encoder.
    """
    segments = found.segments
    spans = audio_spans(found, params.context_ms)
    windows: list[Window] = []
    first = 0
    while first < len(segments):
        end = _window_end(segments, first, params)
        windows.append(Window(len(windows), tuple(segments[first:end]), spans[first:end]))
        first = end
    return tuple(windows)


def audio_spans(found: Segmentation, context_ms: int) -> tuple[Span, ...]:
    """For each segment, the stretch that an engine hears: up to ``context_ms`` more on both sides.

    Words at the edge of a segment are heard better with it (`bench/transcribe_bench.py --context-ms` measures that).
    Between neighbours that are nearer than twice that, the pause is shared out at its middle.
    """
    segments = found.segments
    middles = [(before.end_ms + after.start_ms) // 2 for before, after in pairwise(segments)]
    firsts, lasts = [0, *middles], [*middles, found.duration_ms]
    return tuple(
        Span(max(segment.start_ms - context_ms, first), min(segment.end_ms + context_ms, last))
        for segment, first, last in zip(segments, firsts, lasts, strict=False)
    )


def _window_end(segments: Sequence[Segment], first: int, params: SegmenterParams) -> int:
    """Index after the last segment of the window that begins with ``first``.

    Each segment counts with all the context it may have, whatever it gets: a rule that looked at the silence after the
    last segment would see another file once something is appended.
    """
    audio_ms = 0
    best, best_pause = first + 1, -1
    for index in range(first, len(segments)):
        audio_ms += segments[index].duration_ms + 2 * params.context_ms
        if audio_ms > params.max_window_ms:
            return best if best_pause >= 0 else max(first + 1, index)
        if index + 1 == len(segments):
            return index + 1
        pause = segments[index + 1].start_ms - segments[index].end_ms
        if audio_ms >= params.min_window_ms and pause >= best_pause:
            best, best_pause = index + 1, pause
    return len(segments)
