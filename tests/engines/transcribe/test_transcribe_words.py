"""Word units and word times."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engines.transcribe.interface import ClipSegment
from engines.transcribe.words import TimedWord, as_words, by_segment, join_units, place_words


def units(*texts: str) -> list[TimedWord]:
    return [TimedWord(text, place * 100, place * 100 + 100, 0.5) for place, text in enumerate(texts)]


def texts(words: list[TimedWord]) -> list[str]:
    return [word.text for word in words]


def test_japanese_units_keep_small_kana_katakana_and_latin_runs_together():
    joined = join_units(units("今日", "は", "ち", "ょ", "っと", "ニ", "ュー", "ス", "を", "N", "HK", "で"))
    assert texts(joined) == ["今日", "は", "ちょっと", "ニュース", "を", "NHK", "で"]


def test_thai_marks_stay_with_their_consonant():
    assert texts(join_units(units("ส", "ว", "ั", "ส", "เ", "ด"))) == ["ส", "วั", "ส", "เด"]


def test_joined_units_span_the_time_of_their_parts():
    joined = join_units(units("ニ", "ュー"))
    assert (joined[0].start_ms, joined[0].end_ms) == (0, 200)


def test_a_word_over_a_seam_stays_in_the_segment_that_holds_most_of_it():
    segments = [ClipSegment(0, 1000, 900), ClipSegment(1000, 2000, 900)]
    placed = place_words([TimedWord(" a", 700, 1100, 1), TimedWord(" b", 1100, 1500, 1)], segments, 2000)
    assert [(word.start_ms, word.end_ms) for word in placed] == [(700, 1000), (1100, 1500)]


@st.composite
def _clip(draw: st.DrawFn) -> tuple[list[TimedWord], list[ClipSegment], int]:
    marks = [0, *sorted(draw(st.sets(st.integers(1, 9_999), max_size=5))), 10_000]
    segments = [ClipSegment(low, high, 500) for low, high in pairwise(marks)]
    times = st.tuples(st.integers(-200, 10_500), st.integers(-200, 10_500))
    words = [TimedWord(" w", low, high, 0.5) for low, high in draw(st.lists(times, max_size=12))]
    return words, segments, 10_000


@given(_clip())
def test_placed_words_are_in_order_inside_one_segment_and_never_overlap(case):
    words, segments, audio_ms = case
    placed = place_words(words, segments, audio_ms)
    assert texts(placed) == texts(words)
    floor = 0
    for word in placed:
        assert floor <= word.start_ms <= word.end_ms <= audio_ms
        assert any(segment.start_ms <= word.start_ms and word.end_ms <= segment.end_ms for segment in segments)
        floor = word.end_ms
    assert sum(len(group) for group in by_segment(placed, segments)) == len(words)


def test_probabilities_become_thousandths():
    assert as_words([TimedWord(" a", 0, 10, 0.1234), TimedWord(" b", 10, 20, 1.2)])[1].probability == 1000
