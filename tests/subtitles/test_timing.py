"""Times before and after polishing, side by side, and what lint says of times and texts."""

from __future__ import annotations

import pytest

from core.text import Word
from subtitles.cues import Cue
from subtitles.lint import Rule, lint
from subtitles.rules import rules_for
from subtitles.timing import polish_times

EN = rules_for("en")


def cue(start: int, end: int, text: str = "Yes.", cue_id: str = "1", words: bool = True) -> Cue:
    return Cue(cue_id, start, end, text, (Word(start, end, text, 900),) if words else ())


TABLE = [
    ("a short cue stays for the minimum", [(1000, 1300)], 60_000, [(1000, 1834)]),
    ("a short cue waits for the next", [(1000, 1300), (1700, 3000)], 60_000, [(786, 1620), (1700, 3000)]),
    ("a cue ends two frames before the next", [(1000, 2000), (2000, 3000)], 60_000, [(1000, 1920), (2000, 3000)]),
    ("a flicker is closed", [(1000, 2000), (2300, 3300)], 60_000, [(1000, 2220), (2300, 3300)]),
    ("a pause stays a pause", [(1000, 2000), (3500, 4500)], 60_000, [(1000, 2000), (3500, 4500)]),
    ("nothing outlives the media", [(1000, 1300)], 1_500, [(1000, 1500)]),
    ("a stretched word is cut at seven seconds", [(1000, 12_000)], 60_000, [(1000, 8000)]),
    ("two cues that start together are parted", [(1000, 2500), (1000, 2500)], 60_000, [(750, 1200), (1280, 2500)]),
    ("an overlap is trimmed", [(1000, 3000), (2500, 4000)], 60_000, [(1000, 2420), (2500, 4000)]),
]


@pytest.mark.parametrize(("_what", "before", "duration", "after"), TABLE, ids=[row[0] for row in TABLE])
def test_times(_what: str, before: list[tuple[int, int]], duration: int, after: list[tuple[int, int]]) -> None:
    cues = [cue(start, end, cue_id=str(index)) for index, (start, end) in enumerate(before)]
    assert [(done.start_ms, done.end_ms) for done in polish_times(cues, EN, duration)] == after


def test_reading_time_is_given_where_there_is_room() -> None:
    text = "x" * 40
    (alone,) = polish_times([cue(0, 1_200, text)], EN, 60_000)
    assert alone.end_ms == 2_000
    (fast,) = polish_times([cue(0, 500, text)], EN, 60_000)
    assert fast.end_ms == 1_500, "never more than a second beyond the speech"


def test_given_captions_keep_their_times() -> None:
    given = [cue(0, 400, words=False), cue(600, 2_000, cue_id="2", words=False)]
    assert polish_times(given, EN, 60_000) == tuple(given)


FINDINGS = [
    ("clean", [cue(0, 1_000)], []),
    ("a word too long", [cue(0, 5_000, "x" * 50)], [("1", Rule.LINE_TOO_LONG, 50, 42)]),
    ("three lines", [cue(0, 6_500, "word " * 20)], [("1", Rule.TOO_MANY_LINES, 3, 2)]),
    ("too short", [cue(0, 500)], [("1", Rule.TOO_SHORT, 500, 834)]),
    ("too long", [cue(0, 7_001)], [("1", Rule.TOO_LONG, 7_001, 7_000)]),
    ("too fast", [cue(0, 1_000, "a" * 21)], [("1", Rule.TOO_FAST, 21, 20)]),
    ("empty", [cue(0, 1_000, " ")], [("1", Rule.EMPTY, 0, 1)]),
    ("overlap", [cue(0, 1_000), cue(900, 2_000, cue_id="2")], [("2", Rule.OVERLAP, 100, 0)]),
    ("gap", [cue(0, 1_000), cue(1_040, 2_000, cue_id="2")], [("2", Rule.GAP_TOO_SMALL, 40, 80)]),
    ("order", [cue(5_000, 6_000), cue(100, 1_000, cue_id="2")], [("2", Rule.BAD_ORDER, -4_900, 0)]),
    ("backwards", [cue(2_000, 1_000)], [("1", Rule.BAD_ORDER, -1_000, 0)]),
]


@pytest.mark.parametrize(("_what", "cues", "expected"), FINDINGS, ids=[row[0] for row in FINDINGS])
def test_findings(_what: str, cues: list[Cue], expected: list[tuple[str, Rule, int, int]]) -> None:
    found = [(finding.cue_id, finding.rule, finding.measured, finding.limit) for finding in lint(cues, EN)]
    assert found == expected


def test_translations_are_measured_by_their_own_language() -> None:
    source = cue(0, 2_000, "A perfectly ordinary sentence.")
    assert lint([source], EN) == ()
    translated = cue(0, 2_000, "これはごく普通の文であり、特に変わったところは何もありません。", words=False)
    (finding,) = lint([translated], rules_for("ja"))
    assert finding.describe() == "1: too_fast, 16 characters/s (limit 4)"
