"""What holds for every input, however odd: no word lost, two lines, no overlap, polishing twice changes nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from core.text import Word
from subtitles.cues import Cue, build_cues
from subtitles.events import has_text
from subtitles.lines import break_lines, fits, stretches_of
from subtitles.lint import Rule, lint
from subtitles.rules import rules_for
from subtitles.timing import polish_times

LANGUAGES = ("en", "es", "de", "fr", "ru", "ja", "zh-Hans", "ko", "ar", "he", "hi", "th", "xx")

_ALPHABETS = (
    "abcdeW",
    "éñüß",
    "привет",
    "日本語東京",
    "はがをんーっ",
    "カタッー",
    "한국어는",
    "مرحبا",
    "שלום",
    "नमस्ते",
    "สวัสดีเราำ",
    "0123.,",
    ".,?!…:;。、！？؟।«»「」（）()\"'“”-–",
    "👍🏽👨‍👩‍👧🇪🇸",
)
_CORES = st.one_of(*(st.text(alphabet, min_size=1, max_size=9) for alphabet in _ALPHABETS))
_WORDS = st.tuples(
    st.sampled_from(("", " ", " ", " ", "  ")), _CORES, st.sampled_from(("", "", "", ".", ",", "?", "。", "、"))
).map("".join)
_TIMED = st.lists(
    st.tuples(_WORDS, st.integers(0, 900), st.sampled_from((0, 0, 0, 0, 50, 250, 450, 900, 1001, 4000))), max_size=60
)


def words_of(timed: list[tuple[str, int, int]]) -> tuple[Word, ...]:
    now, words = 0, []
    for text, duration, pause in timed:
        words.append(Word(now, now + duration, text, 500))
        now += duration + pause
    return tuple(words)


def squeezed(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=120)
@given(_TIMED, st.sampled_from(LANGUAGES), st.lists(st.integers(0, 30_000), max_size=4))
def test_no_word_is_lost_or_moved(timed: list[tuple[str, int, int]], language: str, breaks: list[int]) -> None:
    words = words_of(timed)
    cues = build_cues(words, language, breaks)
    if not any(has_text(word.text) for word in words):
        assert cues == ()
        return
    assert squeezed("".join(cue.text for cue in cues)) == squeezed("".join(word.text for word in words))
    assert [(w.start_ms, w.end_ms, w.text.strip()) for cue in cues for w in cue.words] == [
        (w.start_ms, w.end_ms, w.text.strip()) for w in words
    ]
    assert all(cue.text == cue.text.strip() and "  " not in cue.text and cue.text for cue in cues)


@settings(max_examples=120)
@given(_TIMED, st.sampled_from(LANGUAGES))
def test_a_cue_fits_into_two_lines_unless_it_is_one_word(timed: list[tuple[str, int, int]], language: str) -> None:
    rules = rules_for(language)
    for cue in build_cues(words_of(timed), language):
        if all(stretch.cells <= rules.line_cells for stretch in stretches_of(cue.text, rules)):
            lines = break_lines(cue.text, rules)
            assert len(lines) <= rules.max_lines
            assert all(rules.cells(line) <= rules.line_cells for line in lines)
            assert fits(cue.text, rules)


@settings(max_examples=100)
@given(_TIMED, st.sampled_from(LANGUAGES), st.integers(0, 10**7))
def test_the_same_words_later_give_the_same_cues(timed: list[tuple[str, int, int]], language: str, shift: int) -> None:
    words = words_of(timed)
    later = tuple(replace(word, start_ms=word.start_ms + shift, end_ms=word.end_ms + shift) for word in words)
    breaks = [3_000, 9_000]
    here = build_cues(words, language, breaks)
    there = build_cues(later, language, [at + shift for at in breaks])
    assert [(cue.text, cue.start_ms + shift, cue.end_ms + shift) for cue in here] == [
        (cue.text, cue.start_ms, cue.end_ms) for cue in there
    ]


@settings(max_examples=100)
@given(_TIMED, st.sampled_from(LANGUAGES))
def test_cue_texts_do_not_depend_on_the_frame_rate(timed: list[tuple[str, int, int]], language: str) -> None:
    words = words_of(timed)
    film = build_cues(words, language, (), rules_for(language, 23.976))
    assert film == build_cues(words, language, (), rules_for(language, 60.0))


@settings(max_examples=200)
@given(st.text(st.sampled_from("".join(_ALPHABETS) + "    "), max_size=200), st.sampled_from(LANGUAGES))
def test_breaking_lines_keeps_every_character(text: str, language: str) -> None:
    rules = rules_for(language)
    lines = break_lines(text, rules)
    assert squeezed("".join(lines)) == squeezed(text)
    assert all(line == line.strip() and line for line in lines)
    if fits(text, rules):
        assert len(lines) <= rules.max_lines
        assert all(rules.cells(line) <= rules.line_cells for line in lines)
    else:
        assert len(lines) > rules.max_lines or any(rules.cells(line) > rules.line_cells for line in lines)


_CUES = st.lists(
    st.tuples(
        st.integers(0, 20_000), st.integers(0, 9_000), st.booleans(), st.sampled_from(("Hi.", "A longer text " * 5))
    ),
    max_size=25,
)


def cues_of(raw: list[tuple[int, int, bool, str]]) -> tuple[Cue, ...]:
    cues = []
    for index, (start, length, has_words, text) in enumerate(sorted(raw, key=lambda entry: entry[0])):
        words = (Word(start, start + length, text, 900),) if has_words else ()
        cues.append(Cue(str(index), start, start + length, text, words))
    return tuple(cues)


@settings(max_examples=300)
@given(_CUES, st.integers(0, 40_000), st.sampled_from((None, 23.976, 60.0)))
def test_polished_cues_never_overlap_and_stay_inside_the_media(
    raw: list[tuple[int, int, bool, str]], duration: int, fps: float | None
) -> None:
    rules = rules_for("en", fps)
    cues = cues_of(raw)
    polished = polish_times(cues, rules, duration)
    assert [(cue.id, cue.text, cue.words) for cue in polished] == [(cue.id, cue.text, cue.words) for cue in cues]
    for cue in polished:
        assert 0 <= cue.start_ms <= cue.end_ms <= duration
        assert cue.end_ms - cue.start_ms <= rules.max_ms
    for before, after in itertools.pairwise(polished):
        assert before.end_ms <= after.start_ms
        if duration >= len(cues) * (rules.gap_ms + 200):
            assert after.start_ms - before.end_ms >= rules.gap_ms
    if duration >= len(cues) * (rules.gap_ms + 200):
        broken = {finding.rule for finding in lint(polished, rules)}
        assert not broken & {Rule.OVERLAP, Rule.GAP_TOO_SMALL, Rule.BAD_ORDER, Rule.TOO_LONG}


@settings(max_examples=300)
@given(_CUES, st.integers(0, 40_000))
def test_polishing_twice_changes_nothing(raw: list[tuple[int, int, bool, str]], duration: int) -> None:
    rules = rules_for("en")
    once = polish_times(cues_of(raw), rules, duration)
    assert polish_times(once, rules, duration) == once


@settings(max_examples=100)
@given(_TIMED, st.sampled_from(LANGUAGES))
def test_polishing_moves_a_cue_little_from_its_speech(timed: list[tuple[str, int, int]], language: str) -> None:
    rules = rules_for(language)
    words = words_of(timed)
    drafts = build_cues(words, language, (), rules)
    cues = tuple(Cue.from_draft(str(index), draft) for index, draft in enumerate(drafts))
    media_ms = (words[-1].end_ms if words else 0) + 20_000
    for draft, cue in zip(drafts, polish_times(cues, rules, media_ms), strict=True):
        assert draft.start_ms - 250 <= cue.start_ms
        assert cue.end_ms <= max(draft.end_ms, cue.start_ms) + 1_000
