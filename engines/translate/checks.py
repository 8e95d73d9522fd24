"""What may be wrong with one translated line, or between the lines of one reply. Pure and without a model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import pairwise

from engines.translate.identity import CopyCheck, identity_of, plain
from engines.translate.interface import Line, TranslationTask
from engines.translate.languages import (
    letter_script,
    letters_by_script,
    same_language,
    script_names,
    text_weight,
    writes_densely,
)
from engines.translate.prompt import occurs, relevant_glossary
from engines.translate.refusals import is_refusal

#: Also of how an answer is read (`reply`, `reasoning`).
CHECKS_VERSION = "2"


class Problem(StrEnum):
    """What is wrong with a line; the value is the flag that a person sees."""

    MISSING = "missing"
    EMPTY = "empty"
    COPIED = "copied"
    RUNAWAY = "runaway"
    WRONG_SCRIPT = "wrong-script"
    MERGED = "merged"
    REFUSED = "refused"
    SAME = "same-answer"
    EXTRA = "extra"
    MAYBE_COPIED = "maybe-copied"
    TOO_LONG = "too-long"
    TOO_SHORT = "too-short"
    STRAY_SCRIPT = "stray-script"
    NUMBERS = "numbers"
    PLACEHOLDER = "placeholder"
    GLOSSARY = "glossary"


#: Problems that a line must not keep: asked again, then alone, then left untranslated.
BAD = frozenset(
    {
        Problem.MISSING,
        Problem.EMPTY,
        Problem.COPIED,
        Problem.RUNAWAY,
        Problem.WRONG_SCRIPT,
        Problem.MERGED,
        Problem.REFUSED,
        Problem.SAME,
        Problem.EXTRA,
    }
)

#: Problem -> the flag on the line, where it is not the problem's own value.
_FLAGS = {
    Problem.MISSING: "",
    Problem.EMPTY: "",
    Problem.RUNAWAY: "too-long",
    Problem.MAYBE_COPIED: "copied",
    Problem.STRAY_SCRIPT: "wrong-script",
}

#: Problem -> what the model is told when it is asked again.
_COMPLAINTS = {
    Problem.MISSING: "this line was left out",
    Problem.EMPTY: "the answer was empty",
    Problem.COPIED: "the line was copied instead of translated",
    Problem.RUNAWAY: "the answer was far too long or repeated itself",
    Problem.WRONG_SCRIPT: "the answer was not in the language asked for",
    Problem.MERGED: "two lines were merged into one; answer each line on its own",
    Problem.REFUSED: "the answer was a refusal; translate the line, whatever it says",
    Problem.SAME: "different lines had the same answer; translate each line",
    Problem.EXTRA: "there were more answers than lines",
    Problem.MAYBE_COPIED: "the line was hardly translated",
    Problem.TOO_LONG: "the answer was too long",
    Problem.TOO_SHORT: "most of the line was left out",
    Problem.STRAY_SCRIPT: "there were letters of another language in it",
    Problem.NUMBERS: "a number was lost or changed",
    Problem.PLACEHOLDER: "a placeholder was lost or changed",
    Problem.GLOSSARY: "a term was not translated as required",
}

_PLACEHOLDER = re.compile(r"\{[^{}\s]*\}|%\(\w+\)[sd]|%[sd]\b|\$\{\w+\}")
_NUMBER = re.compile(r"\d+(?:[.,   ]\d+)*")
#: Characters that stand for powers of ten, with which digits are written differently.
_COUNTING = re.compile(r"[万萬億亿千百만억천]|mil\b|thousand|million|billion|тыс|млн", re.IGNORECASE)
_COPIED_SHARE = 0.8
_COPIED_RUN = 4
_LONG_RATIO = 2.5
_RUNAWAY_RATIO = 5.0
#: Weight (tenths of a letter) that any line may have, however short its source is.
_FREE_WEIGHT = 300
#: A line heavier than this loses something when it comes back at less than a quarter.
_SHORTENED_FROM = 500
_SHORT_RATIO = 4
_DOUBLE_WORDS = 4
#: An answer of more words is long, a line of fewer is short.
_SHORT_UNITS = 4
#: Share of words in the same order (`difflib`) from which two lines say nearly the same.
_ALIKE = 0.5
_KANA = frozenset({"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"})
#: Japanese without a single kana is a label or a name up to here, and Chinese beyond.
_HAN_ONLY = 8


def flag_of(problem: Problem) -> str:
    """The flag that a line with this problem carries; empty where ``untranslated`` alone says it."""
    return _FLAGS.get(problem, problem.value)


def complaint_of(problem: Problem) -> str:
    """One phrase that tells a model what was wrong."""
    return _COMPLAINTS[problem]


def line_problem(source: str, text: str, task: TranslationTask) -> Problem | None:
    """The worst problem of one cleaned translation, or None when it can stand."""
    if not any(character.isalnum() for character in text):
        return Problem.EMPTY if any(character.isalnum() for character in source) else None
    unchanged = _unchanged_problem(source, text, task)
    if unchanged is not None:
        return unchanged
    if is_refusal(text, source, task.target_language):
        return Problem.REFUSED
    if is_runaway(source, text):
        return Problem.RUNAWAY
    if plain(source) != plain(text):
        script = _script_problem(source, text, task)
        if script is not None:
            return script
    return _doubt(source, text, task)


def _unchanged_problem(source: str, text: str, task: TranslationTask) -> Problem | None:
    """COPIED for the source itself; for most of its words MAYBE_COPIED, or COPIED where another script is wanted."""
    before, after = plain(source), plain(text)
    if not before or same_language(task.source_language, task.target_language):
        return None
    verdict = identity_of(source, task)
    if before == after:
        return {CopyCheck.RIGHT: None, CopyCheck.POSSIBLE: Problem.MAYBE_COPIED, CopyCheck.WRONG: Problem.COPIED}[
            verdict
        ]
    if verdict is not CopyCheck.WRONG:
        return None
    alike = script_names(task.source_language) == script_names(task.target_language)
    kept = _words_kept(source, text)
    words = before.split()
    if alike:
        mostly = len(kept) >= _COPIED_SHARE * len(words) or (
            len(kept) * 2 >= len(words) and _longest_run(words, after.split()) >= _COPIED_RUN
        )
        return Problem.MAYBE_COPIED if mostly and len(words) >= _DOUBLE_WORDS else None
    # In another script, names may stay as they are, ordinary words may not.
    small = [word for word in kept if word[0].islower()]
    return Problem.COPIED if len(small) >= 3 and len(small) * 3 >= len(words) else None


def _words_kept(source: str, text: str) -> list[str]:
    """The source's words, as written there, that the text has too; each as often as it has it."""
    left = plain(text).split()
    kept = []
    for word in source.split():
        if plain(word) in left:
            left.remove(plain(word))
            kept.append(word)
    return kept


def _longest_run(words: list[str], others: list[str]) -> int:
    """The most words that follow each other in both."""
    joined = f" {' '.join(others)} "
    longest = 0
    for start in range(len(words)):
        while start + longest < len(words) and f" {' '.join(words[start : start + longest + 1])} " in joined:
            longest += 1
    return longest


def is_runaway(source: str, text: str) -> bool:
    """True for a text far too long for its source, or one that goes round in circles."""
    if text_weight(text) > _FREE_WEIGHT + _RUNAWAY_RATIO * text_weight(source):
        return True
    return repeats(text) > max(3, repeats(source))


def repeats(text: str) -> int:
    """How often a stretch of words (or of dense characters) comes directly after itself, at its most; 1 for none."""
    units = plain(text).split()
    if len(units) < 4:
        units = [character for character in plain(text) if character != " "]
        sizes = range(2, min(13, len(units) // 2 + 1))
    else:
        sizes = range(1, min(13, len(units) // 2 + 1))
    most = 1
    for size in sizes:
        run = 0
        for index in range(size, len(units)):
            run = run + 1 if units[index] == units[index - size] else 0
            most = max(most, run // size + 1)
    return most


def _script_problem(source: str, text: str, task: TranslationTask) -> Problem | None:
    """Whether the letters are those of the target language, leaving out words that the source has too."""
    wanted = script_names(task.target_language)
    if not wanted or not letters_by_script(source):
        return None
    known = set(plain(source).split())
    own = " ".join(word for word in re.split(r"[\s'’-]+", text) if plain(word) not in known)
    letters = letters_by_script(own)
    total = letters.total()
    if total == 0:
        foreign = not wanted & letters_by_script(text).keys()
        return Problem.WRONG_SCRIPT if foreign and identity_of(source, task) is CopyCheck.WRONG else None
    good = sum(count for script, count in letters.items() if script in wanted)
    if good * 2 < total and not (wanted & letters_by_script(text).keys() and _is_brand(own)):
        return Problem.WRONG_SCRIPT
    japanese = task.target_language.split("-")[0] == "ja"
    if japanese and not _KANA & letters.keys() and letters["CJK"] > _HAN_ONLY:
        return Problem.WRONG_SCRIPT
    alien = sum(
        count for script, count in letters.items() if script not in wanted and script not in {"LATIN", "GREEK", "MICRO"}
    )
    alien -= sum(1 for character in own if letter_script(character) not in {"", *wanted} and character in source)
    return Problem.STRAY_SCRIPT if alien > 0 else None


def _is_brand(own: str) -> bool:
    """True when the foreign words are few and look like names (each with a capital)."""
    foreign = [word for word in own.split() if word[:1].isascii() and word[:1].isalpha()]
    return len(foreign) <= 2 and all(word[0].isupper() for word in foreign)


def _doubt(source: str, text: str, task: TranslationTask) -> Problem | None:
    """A problem that a line may keep, with its flag, when asking again does not correct it."""
    if not set(_PLACEHOLDER.findall(source)) <= set(_PLACEHOLDER.findall(text)):
        return Problem.PLACEHOLDER
    if _numbers_lost(source, text):
        return Problem.NUMBERS
    for _, wanted in relevant_glossary(task.glossary, [source]):
        if wanted.strip() and not occurs(wanted, text) and plain(wanted) not in plain(text):
            return Problem.GLOSSARY
    if text_weight(text) > _FREE_WEIGHT + _LONG_RATIO * text_weight(source):
        return Problem.TOO_LONG
    if text_weight(source) > _SHORTENED_FROM and text_weight(text) * _SHORT_RATIO < text_weight(source):
        return Problem.TOO_SHORT
    return None


def _numbers_lost(source: str, text: str) -> bool:
    """True when a number of two digits or more is gone. Smaller ones are often written as words."""
    if _COUNTING.search(text):
        return False
    found = _numbers(text)
    joined = "".join(found)
    return any(number not in found and number not in joined for number in _numbers(source) if len(number) > 1)


def _numbers(text: str) -> list[str]:
    digits = "".join(
        str(unicodedata.digit(character)) if unicodedata.digit(character, None) is not None else character
        for character in text
    )
    return [re.sub(r"\D", "", number) for number in _NUMBER.findall(digits)]


def reply_problems(lines: Mapping[str, Line], texts: Mapping[str, str]) -> dict[str, Problem]:
    """Problems that only show between lines: one line's text that holds its neighbour's too.

    ``lines`` are what was asked in one request, in order; ``texts`` are its cleaned answers. Lines asked alone
    cannot be merged.
    """
    numbers = list(lines)
    found: dict[str, Problem] = {}
    for first, second in pairwise(numbers):
        if plain(lines[first].text) == plain(lines[second].text):
            continue
        one, other = texts.get(first, ""), texts.get(second, "")
        if one and other:
            if _says_both(one, other):
                found[first] = found[second] = Problem.MERGED
        elif one or other:
            given, gone = (first, second) if one else (second, first)
            if _fits_both(texts[given], lines[given].text, lines[gone].text):
                found[given] = Problem.MERGED
    return found


def _says_both(one: str, other: str) -> bool:
    """True when two neighbours say the same, or one says all of the other and more."""
    short, long = sorted((plain(one), plain(other)), key=len)
    enough = len(short.split()) >= _DOUBLE_WORDS or (text_weight(short) >= 8 * 24 and not short.isascii())
    return enough and short in long


def _fits_both(text: str, own: str, gone: str) -> bool:
    """True when a text is nearer in length to both sources together than to its own."""
    length, alone = text_weight(text), text_weight(own)
    both = alone + text_weight(gone)
    return length > 1.3 * alone and abs(length - both) < abs(length - alone)


def same_answers(sources: Mapping[str, str], texts: Mapping[str, str], target_language: str) -> set[str]:
    """Numbers of lines that say different things and have one answer: that is no translation of any of them.

    Short lines often do rightly ("Yes." and "Yeah."), and so do lines that say nearly the same: a short answer is
    doubted where at least three kinds of lines have it, a longer one where two have.
    """
    by_answer: dict[str, list[str]] = {}
    for number, text in texts.items():
        if answer := plain(text):
            by_answer.setdefault(answer, []).append(number)
    found: set[str] = set()
    for answer, numbers in by_answer.items():
        said = list(dict.fromkeys(plain(sources[number]) for number in numbers))
        long = len(_units(answer, target_language)) > _SHORT_UNITS
        if len(said) > 1 and _kinds(said, long) >= (2 if long else 3):
            found.update(numbers)
    return found


def _kinds(said: list[str], long: bool) -> int:
    """How many different things are said. Short lines are one kind, unless their answer is long."""
    kinds: list[list[str]] = []
    for units in (_units(text) for text in said):
        short = not long and len(units) < _SHORT_UNITS
        if not any((short and len(other) < _SHORT_UNITS) or _are_alike(units, other) for other in kinds):
            kinds.append(units)
    return len(kinds)


def _are_alike(units: list[str], others: list[str]) -> bool:
    """Whether most words are the same in the same order, and all numbers."""
    numbers, other_numbers = ([unit for unit in each if any(map(str.isdigit, unit))] for each in (units, others))
    return numbers == other_numbers and SequenceMatcher(None, units, others, False).ratio() >= _ALIKE


def _units(text: str, language: str = "") -> list[str]:
    """Words; where they are not divided, twos of characters."""
    words = text.split()
    dense = writes_densely(language) if language else not text.isascii() and text_weight(text) > 12 * len(text)
    return [text[at : at + 2] for at in range(0, len(text), 2)] if dense else words
