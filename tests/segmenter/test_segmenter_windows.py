from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from core.speech import Segment, Segmentation, Window
from segmenter.params import SegmenterParams
from segmenter.windows import pack_windows, windows_end_to_end, with_pauses

PARAMS = SegmenterParams()


def laid_out(lengths_and_pauses: list[tuple[int, int]]) -> list[Segment]:
    segments, at = [], 0
    for index, (length, pause) in enumerate(lengths_and_pauses):
        segments.append(Segment(index, at, at + length, 900))
        at += length + pause
    return segments


def dense(count: int, seed: int) -> list[Segment]:
    dice = random.Random(seed)
    return laid_out([(dice.randint(800, 11_000), dice.randint(300, 2_500)) for _ in range(count)])


def packed(segments: list[Segment]) -> tuple[Window, ...]:
    return pack_windows(Segmentation(segments[-1].end_ms + 50 if segments else 0, tuple(segments)), PARAMS)


shapes = st.lists(st.tuples(st.integers(100, 28_000), st.integers(0, 60_000)), max_size=40)


@given(shapes)
def test_windows_hold_every_segment_once_in_order_and_fit(shape: list[tuple[int, int]]) -> None:
    segments = laid_out(shape)
    windows = packed(segments)
    assert [s for window in windows for s in window.segments] == segments
    assert all(window.segments and window.audio_ms <= PARAMS.max_window_ms for window in windows)
    assert [window.index for window in windows] == list(range(len(windows)))


@given(shapes)
def test_an_engine_hears_each_segment_with_some_context_and_nothing_twice(shape: list[tuple[int, int]]) -> None:
    windows = packed(laid_out(shape))
    pairs = [pair for window in windows for pair in zip(window.segments, window.spans, strict=True)]
    end = 0
    for segment, span in pairs:
        assert end <= span.start_ms <= segment.start_ms < segment.end_ms <= span.end_ms
        assert segment.start_ms - span.start_ms <= PARAMS.context_ms >= span.end_ms - segment.end_ms
        end = span.end_ms


@given(shapes, shapes)
def test_appended_material_changes_at_most_the_last_window(
    shape: list[tuple[int, int]], more: list[tuple[int, int]]
) -> None:
    before = packed(laid_out(shape))
    after = packed(laid_out(shape + more))
    assert after[: max(0, len(before) - 1)] == before[:-1]


def test_windows_of_dense_speech_are_well_filled() -> None:
    for seed in range(5):
        windows = packed(dense(200, seed))[:-1]
        assert sum(window.audio_ms for window in windows) / len(windows) >= 22_000


def test_windows_meet_again_after_a_different_start() -> None:
    for seed in range(5):
        segments = dense(120, seed)
        ends = {window.end_ms for window in packed(segments)}
        later = [window.end_ms for window in packed(segments[3:])]
        met = next(index for index, end in enumerate(later) if end in ends)
        assert met < len(later) // 2
        assert set(later[met:]) <= ends


def test_a_window_ends_at_the_longest_pause_in_reach() -> None:
    segments = laid_out([(5_000, 400)] * 3 + [(5_000, 900), (5_000, 400), (5_000, 400), (5_000, 0)])
    windows = packed(segments)
    assert [len(window.segments) for window in windows] == [4, 3]


def test_one_window_spans_a_very_long_pause_rather_than_pay_for_two() -> None:
    assert len(packed(laid_out([(3_000, 600_000), (3_000, 0)]))) == 1


def test_no_segments_no_windows() -> None:
    assert packed([]) == ()


@given(shapes, st.integers(0, 60_000))
def test_without_skipping_windows_cover_the_media_end_to_end(shape: list[tuple[int, int]], tail_ms: int) -> None:
    segments = laid_out(shape)
    end = (segments[-1].end_ms if segments else 0) + tail_ms
    whole = with_pauses(Segmentation(end, tuple(segments)), PARAMS)
    windows = windows_end_to_end(whole, PARAMS)
    spans = [span for window in windows for span in window.spans]
    assert [span.start_ms for span in spans] == [0, *(span.end_ms for span in spans)][: len(spans)]
    assert (spans[-1].end_ms if spans else 0) == end
    assert len(windows) == -(-end // PARAMS.max_window_ms)
    assert all(0 < window.audio_ms <= PARAMS.max_window_ms for window in windows)
    assert [window.index for window in windows] == list(range(len(windows)))


@given(shapes)
def test_without_skipping_speech_keeps_its_score_and_pauses_have_none(shape: list[tuple[int, int]]) -> None:
    segments = laid_out(shape)
    end = segments[-1].end_ms if segments else 0
    whole = with_pauses(Segmentation(end, tuple(segments)), PARAMS)
    spoken = [one for one in whole.segments if one.score]
    assert sum(one.duration_ms for one in spoken) == sum(one.duration_ms for one in segments)
    assert all(any(one.start_ms >= each.start_ms and one.end_ms <= each.end_ms for each in segments) for one in spoken)
