"""Word times that a subtitle can use: in order, without overlap, each inside one segment. Pure functions."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from core.text import Word
from engines.transcribe.interface import ClipSegment

#: Languages whose words Whisper cannot tell apart by spaces.
UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
#: Thai and Lao vowels that are written before the consonant they belong to.
_LEADING_VOWELS = frozenset("เแโใไເແໂໃໄ")
#: Kana that only modify the one before them.
_SMALL_KANA = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶー々ゝゞヽヾ")
#: A run of katakana or Latin letters is one word up to this length.
_LONGEST_RUN = 12


@dataclass(frozen=True)
class TimedWord:
    """One word as the aligner places it."""

    text: str
    start_ms: int
    end_ms: int
    #: Mean probability of its tokens, 0-1.
    probability: float


def join_units(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Joins what cannot stand apart in a script without spaces: marks with their letter, katakana and Latin runs."""
    joined: list[TimedWord] = []
    for word in words:
        if joined and _belongs_to(joined[-1].text, word.text):
            joined[-1] = _joined(joined[-1], word)
        else:
            joined.append(word)
    return joined


def _belongs_to(before: str, after: str) -> bool:
    if not before or not after or after[0].isspace():
        return False
    last, first = before[-1], after[0]
    if unicodedata.category(first).startswith("M") or first in _SMALL_KANA or last in _LEADING_VOWELS:
        return True
    if len(before.strip()) + len(after) > _LONGEST_RUN:
        return False
    return _run_of(last) is not None and _run_of(last) == _run_of(first)


def _run_of(character: str) -> str | None:
    """Which kind of run a character can be part of: ``katakana``, ``latin``, or none."""
    if "\u30a0" <= character <= "\u30ff" and character not in "・":
        return "katakana"
    if character.isascii() and character.isalnum():
        return "latin"
    return None


def _joined(before: TimedWord, after: TimedWord) -> TimedWord:
    length, added = max(1, len(before.text)), max(1, len(after.text))
    probability = (before.probability * length + after.probability * added) / (length + added)
    return TimedWord(before.text + after.text, before.start_ms, max(before.end_ms, after.end_ms), probability)


def place_words(words: Sequence[TimedWord], segments: Sequence[ClipSegment], audio_ms: int) -> list[TimedWord]:
    """Each word inside the one segment that holds most of it, in order and without overlap, inside the clip.

    A word over the seam of two segments would otherwise stretch over the silence that was cut out between them.
    """
    bounds = [(segment.start_ms, min(segment.end_ms, audio_ms)) for segment in segments] or [(0, audio_ms)]
    placed: list[TimedWord] = []
    floor, current = 0, 0
    for word in words:
        start, end = max(0, min(word.start_ms, audio_ms)), max(0, min(word.end_ms, audio_ms))
        current = max(current, _home(start, end, bounds))
        low, high = bounds[current]
        start = min(max(start, low, floor), max(high, floor))
        end = min(max(start, end), max(high, start))
        placed.append(replace(word, start_ms=start, end_ms=end))
        floor = end
    return placed


def spread_words(text: str, segments: Sequence[ClipSegment], audio_ms: int) -> list[TimedWord]:
    """The words of a text whose times nobody knows, evenly over the clip; a text without spaces is one word."""
    pieces = text.split()
    first, last = (segments[0].start_ms, segments[-1].end_ms) if segments else (0, audio_ms)
    marks = [first + (last - first) * place // max(1, len(pieces)) for place in range(len(pieces) + 1)]
    return [TimedWord(f" {piece}", *ends, 0.0) for piece, ends in zip(pieces, pairwise(marks), strict=True)]


def whole_ms(milliseconds: float) -> int:
    """A time that an engine gave; 0 for what is no number."""
    return round(milliseconds) if math.isfinite(milliseconds) else 0


def in_order(words: Sequence[Word], audio_ms: int) -> tuple[Word, ...]:
    """The same words with times that keep the promise: whole, inside the clip, in order, without overlap."""
    kept: list[Word] = []
    floor = 0
    for word in words:
        first, last = sorted((whole_ms(word.start_ms), whole_ms(word.end_ms)))
        if first > audio_ms:
            # It says nothing about where the word is, and must not take the time of those after it.
            first = last = floor
        start = min(max(first, floor), max(audio_ms, floor))
        floor = min(max(last, start), max(audio_ms, start))
        kept.append(Word(start, floor, word.text, min(1000, max(0, whole_ms(word.probability)))))
    return tuple(kept)


def _home(start: int, end: int, bounds: Sequence[tuple[int, int]]) -> int:
    """The segment that overlaps the word most; for a word without length, the one it stands in."""
    overlaps = [min(end, high) - max(start, low) for low, high in bounds]
    return max(range(len(bounds)), key=lambda index: (overlaps[index], -index))


def by_segment(words: Sequence[TimedWord], segments: Sequence[ClipSegment]) -> list[list[TimedWord]]:
    """The words of each segment, in the segments' order; every word is in exactly one."""
    bounds = [(segment.start_ms, segment.end_ms) for segment in segments]
    grouped: list[list[TimedWord]] = [[] for _ in segments]
    for word in words:
        grouped[_home(word.start_ms, word.end_ms, bounds)].append(word)
    return grouped


def as_words(words: Sequence[TimedWord]) -> tuple[Word, ...]:
    """The words in the form that records keep."""
    return tuple(
        Word(word.start_ms, word.end_ms, word.text, max(0, min(1000, round(word.probability * 1000)))) for word in words
    )
