from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmenter.boundaries import Track, find_segments
from segmenter.params import SegmenterParams

#: No padding and no search for a quiet edge: what is found is where the probabilities say.
BARE = SegmenterParams(pad_ms=0, edge_reach_ms=0)
LOUD, QUIET = 140, 40


def track(*parts: tuple[int, int, int]) -> Track:
    """From (milliseconds, probability, level); whole frames of 20 ms."""
    probabilities = np.concatenate([np.full(ms // 20, p) for ms, p, _ in parts]).astype(np.uint16)
    levels = np.concatenate([np.full(ms, level) for ms, _, level in parts]).astype(np.uint8)
    starts = (20 * np.arange(len(probabilities))).astype(np.int32)
    return Track(starts, probabilities, probabilities, levels)


def spans(found: Track, params: SegmenterParams = BARE) -> list[tuple[int, int]]:
    return [(segment.start_ms, segment.end_ms) for segment in find_segments(found, params)]


def test_speech_between_silences_is_one_segment_with_its_score() -> None:
    (segment,) = find_segments(track((1000, 0, QUIET), (2000, 900, LOUD), (1000, 0, QUIET)), BARE)
    assert (segment.index, segment.start_ms, segment.end_ms, segment.score) == (0, 1000, 3000, 900)


def test_a_run_that_is_never_sure_is_not_speech() -> None:
    assert spans(track((1000, 0, QUIET), (2000, 450, LOUD), (1000, 0, QUIET))) == []


def test_doubtful_frames_beside_sure_ones_are_kept() -> None:
    assert spans(track((1000, 0, QUIET), (400, 300, LOUD), (600, 900, LOUD), (1000, 0, QUIET))) == [(1000, 2000)]


def test_short_gaps_are_kept_and_longer_ones_are_not() -> None:
    gaps = track((1000, 900, LOUD), (280, 0, QUIET), (1000, 900, LOUD), (320, 0, QUIET), (1000, 900, LOUD))
    assert spans(gaps) == [(0, 2280), (2600, 3600)]


def test_a_click_is_too_short_to_be_speech() -> None:
    assert spans(track((1000, 0, QUIET), (100, 950, LOUD), (1000, 0, QUIET))) == []


def test_padding_never_leaves_the_media() -> None:
    assert spans(track((500, 900, LOUD)), SegmenterParams()) == [(0, 500)]


def test_an_edge_moves_to_the_quietest_millisecond_in_reach() -> None:
    found = track((1000, 0, 60), (2000, 900, LOUD), (1000, 0, 60))
    found.levels[955:990] = 10
    (span,) = spans(found, SegmenterParams(pad_ms=0, edge_reach_ms=60))
    assert 955 <= span[0] < 990
    assert span[1] == 3000


def test_neighbours_do_not_grow_into_each_other() -> None:
    near = track((1000, 900, LOUD), (320, 0, QUIET), (1000, 900, LOUD))
    first, second = spans(near, SegmenterParams(pad_ms=10, edge_reach_ms=900))
    assert first[1] <= second[0]


def test_long_speech_is_cut_in_its_pauses() -> None:
    words = [(900, 950, LOUD), (160, 700, QUIET)]
    found = track(*(words * 50))
    pieces = spans(found)
    assert len(pieces) > 1
    assert pieces[0][0] == 0
    assert pieces[-1][1] == found.duration_ms - found.duration_ms % 20
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    assert all(900 <= end % 1060 < 1060 for _, end in pieces[:-1])


def test_speech_under_28_s_without_a_clear_pause_stays_whole() -> None:
    assert spans(track((26_000, 950, LOUD))) == [(0, 26_000)]


def test_the_same_speech_is_cut_at_the_same_places_behind_an_intro() -> None:
    words = [(900, 950, LOUD), (160, 700, QUIET), (500, 950, LOUD), (140, 500, QUIET)]
    plain = spans(track((2000, 0, 30), *(words * 30)))
    moved = spans(track((9000, 0, 30), *(words * 30)))
    assert [(start + 7000, end + 7000) for start, end in plain] == moved


@pytest.mark.parametrize("total", [28_020, 29_000, 60_000, 200_000])
def test_no_segment_is_longer_than_28_s_even_without_pauses(total: int) -> None:
    pieces = spans(track((total, 950, LOUD)))
    assert max(end - start for start, end in pieces) <= 28_000
    assert sum(end - start for start, end in pieces) == total


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 900), st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=20))
def test_segments_are_in_order_apart_and_inside_the_media(parts: list[tuple[int, int, int]]) -> None:
    found = track(*((frames * 20, probability, level) for frames, probability, level in parts))
    segments = find_segments(found, SegmenterParams())
    assert all(0 <= s.start_ms < s.end_ms <= found.duration_ms and s.duration_ms <= 28_000 for s in segments)
    assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(segments))
    assert [s.index for s in segments] == list(range(len(segments)))
    assert all(0 <= s.score <= 1000 for s in segments)


def test_nothing_in_nothing() -> None:
    assert find_segments(Track.joined([]), SegmenterParams()) == ()
