"""Speech without a cue is found: one table."""

from __future__ import annotations

import pytest

from core.speech import Segment, Span
from core.text import Dropped, Word
from pipeline.outputs.coverage import NOTHING_WRITTEN, find_gaps

SURE = Segment(0, 10_000, 16_000, 800)
FAINT = Segment(1, 20_000, 23_000, 280)
BRIEF = Segment(2, 30_000, 30_400, 900)
PAUSE = Segment(3, 40_000, 69_000, 0)


def words(*times: tuple[int, int]) -> list[Word]:
    return [Word(start, end, " word", 900) for start, end in times]


@pytest.mark.parametrize(
    ("segment", "said", "gaps"),
    [
        pytest.param(SURE, words((10_000, 13_000), (13_100, 16_000)), [], id="covered"),
        pytest.param(SURE, [], [(10_000, 16_000, 6_000)], id="nothing at all"),
        pytest.param(FAINT, [], [(20_000, 23_000, 0)], id="faint: told of, not counted"),
        pytest.param(BRIEF, [], [(30_000, 30_400, 400)], id="a lost word"),
        pytest.param(PAUSE, [], [], id="a pause of media heard as a whole"),
        pytest.param(SURE, words((10_000, 12_000)), [(12_200, 16_000, 3_800)], id="the end"),
        pytest.param(SURE, words((14_000, 16_000)), [(10_000, 13_800, 3_800)], id="the beginning"),
        pytest.param(SURE, words((10_000, 11_800), (14_500, 16_000)), [(12_000, 14_300, 2_300)], id="the middle"),
        pytest.param(SURE, words((10_300, 11_900), (13_200, 15_600)), [], id="edges and a breath"),
        pytest.param(SURE, words((10_000, 15_900)), [(12_700, 16_000, 3_300)], id="a word stretched over the rest"),
        pytest.param(SURE, words((2_000, 3_000), (30_000, 31_000)), [(10_000, 16_000, 6_000)], id="words elsewhere"),
        pytest.param(
            SURE, words((15_000, 15_000), (14_000, 14_000)), [(10_000, 13_800, 3_800)], id="words of no length"
        ),
    ],
)
def test_what_no_word_covers_is_a_gap(segment: Segment, said: list[Word], gaps: list[tuple[int, int, int]]) -> None:
    found = find_gaps([segment], said)
    assert [(gap.span.start_ms, gap.span.end_ms, gap.missed_ms) for gap in found] == gaps
    assert {gap.reason for gap in found} <= {NOTHING_WRITTEN}


def test_a_gap_says_why() -> None:
    dropped = [Dropped(19_000, 23_000, "thank you", "no-speech"), Dropped(30_100, 30_200, "go go", "repetition")]
    found = find_gaps([SURE, FAINT, BRIEF], words((10_000, 12_400), (12_500, 15_900)), dropped, "out of memory")
    assert [gap.span for gap in found] == [Span(20_000, 23_000), Span(30_000, 30_400)]
    assert "not believed" in found[0].reason
    assert "repeated itself" in found[1].reason
    assert [gap.reason for gap in find_gaps([SURE], [], dropped, "out of memory")] == ["out of memory"]
