"""The limits of each language, and how characters are counted."""

from __future__ import annotations

import pytest

from subtitles.graphemes import clusters, count_clusters
from subtitles.rules import gap_for, rules_for


@pytest.mark.parametrize(
    ("tag", "line_chars", "chars_per_second"),
    [
        ("en", 42, 20),
        ("es-419", 42, 17),
        ("pt-BR", 42, 17),
        ("ja", 16, 4),
        ("zh-Hans", 16, 9),
        ("zh_TW", 16, 9),
        ("yue", 16, 9),
        ("ko-KR", 16, 12),
        ("ar", 42, 20),
        ("tlh", 42, 17),
    ],
)
def test_limits_follow_the_language(tag: str, line_chars: int, chars_per_second: int) -> None:
    rules = rules_for(tag)
    assert (rules.max_line_chars, rules.chars_per_second) == (line_chars, chars_per_second)
    assert (rules.max_lines, rules.max_ms) == (2, 7_000)
    assert rules.min_ms - 1 < 5 / 6 * 1000 <= rules.min_ms


@pytest.mark.parametrize(
    ("fps", "gap_ms"), [(None, 80), (25.0, 80), (24000 / 1001, 84), (30000 / 1001, 67), (50.0, 40), (0.0, 80)]
)
def test_the_gap_is_two_frames(fps: float | None, gap_ms: int) -> None:
    assert gap_for(fps) == gap_ms
    assert rules_for("en", fps).gap_ms == gap_ms


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("plain", 5),
        ("e\u0301te\u0301", 3),
        ("สวัสดี", 4),
        ("น้ำ", 1),
        ("नमस्ते", 3),
        ("क्षत्रिय", 3),
        ("👨‍👩‍👧", 1),
        ("👍🏽", 1),
        ("🇪🇸🇯🇵", 2),
        ("שָׁלוֹם", 4),
        ("مُحَمَّد", 4),
        ("\u1112\u1161\u11ab", 1),
        ("\u202bשלום.\u202c", 5),
    ],
)
def test_marks_do_not_count(text: str, count: int) -> None:
    assert count_clusters(text) == count
    assert "".join(clusters(text)) == text


@pytest.mark.parametrize(
    ("language", "text", "length"),
    [
        ("ja", "日本語", 3.0),
        ("ja", "NHKの", 2.5),
        ("ja", "ｱｲｳ", 1.5),
        ("zh-Hans", "“好”", 3.0),
        ("ko", "안녕 하세요", 5.5),
        ("en", "NHK", 3.0),
        ("en", "“good”", 6.0),
        ("en", "日本", 4.0),
        ("hi", "नमस्ते", 3.0),
    ],
)
def test_half_width_counts_half_in_wide_languages(language: str, text: str, length: float) -> None:
    rules = rules_for(language)
    assert rules.cells(text) / (2 if rules.wide else 1) == length


def test_reading_time_follows_the_speed() -> None:
    assert rules_for("en").reading_ms("x" * 40) == 2_000
    assert rules_for("ja").reading_ms("日本語です") == 1_250
    assert rules_for("ko").reading_ms("안녕하세요") == 417
