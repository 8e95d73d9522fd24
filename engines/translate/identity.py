"""When a line may stay as it is: names, numbers and words that both languages share.

A line that comes back unchanged is the commonest way for a model to fail and look well, so the rule is strict:
unchanged is right only where nothing is left to translate, or where the text around proves a name. One word or a
name that nothing proves is only possible, and a person is asked to look.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from engines.translate.everyday import EVERYDAY_WORDS, SOUNDS
from engines.translate.interface import TranslationTask
from engines.translate.languages import letter_script, same_language, script_names

_NOTHING_TO_SAY = re.compile(
    r"https?://\S+|www\.\S+|\S+@\S+\.\w+|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|tv|edu|gov)\b\S*|"  # Links, addresses.
    r"[@#]\w+|"  # Handles and hashtags.
    r"\{[^{}]*\}|%\(?\w*\)?[sd]|\$\{?\w+\}?|<[^<>]+>|"  # Placeholders and tags.
    r"\d[\d.,:/%°]*\s?(?:st|nd|rd|th|km|kg|cm|mm|m|g|kb|mb|gb|tb|hz|khz|mhz|ghz|am|pm|h|s)?\b",  # Numbers with units.
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*\.?", re.UNICODE)
_SENTENCE_END = re.compile(r"[.!?…:\"“”«»([—-]\s*$")
#: A line of this many words or more is a sentence, and a sentence is not the same in two languages.
_SENTENCE_WORDS = 4
#: Han text this short may be a name or a word that Chinese and Japanese share.
_SHARED_HAN = 6


class CopyCheck(StrEnum):
    """May this line stay as it is?"""

    #: Nothing in it needs translating.
    RIGHT = "right"
    #: A name or a shared word, perhaps: keep it if the model insists, and ask a person.
    POSSIBLE = "possible"
    #: It must change.
    WRONG = "wrong"


def plain(text: str) -> str:
    """The text without case, punctuation, accents of width or spaces at the ends, for comparing two texts."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in folded).split())


def identity_of(text: str, task: TranslationTask) -> CopyCheck:
    """Whether a line of the task may come back unchanged."""
    if same_language(task.source_language, task.target_language):
        return CopyCheck.RIGHT
    words = _translatable_words(text, task)
    if not words:
        return CopyCheck.RIGHT
    if _is_dense(text):
        shared = script_names(task.source_language) & script_names(task.target_language)
        short = sum(1 for character in text if character.isalnum()) <= _SHARED_HAN
        scripts = {letter_script(character) for character in text} - {""}
        return CopyCheck.POSSIBLE if short and scripts <= shared else CopyCheck.WRONG
    words = list({plain(word): word for word in words}.values())
    if len(words) >= _SENTENCE_WORDS or any(plain(word) in EVERYDAY_WORDS for word in words):
        return CopyCheck.WRONG
    if all(word[:1].isupper() for word in words):
        return CopyCheck.POSSIBLE
    alike = script_names(task.source_language) == script_names(task.target_language)
    return CopyCheck.POSSIBLE if alike and len(words) == 1 and len(words[0]) > 1 else CopyCheck.WRONG


def _translatable_words(text: str, task: TranslationTask) -> list[str]:
    """The words of a line that are no number, link, placeholder, sound, acronym, coined or proven name."""
    kept = {plain(term) for term, wanted in task.glossary if plain(term) == plain(wanted)}
    names = _proven_names([line.text for line in task.lines] + list(task.before) + list(task.after))
    return [
        word
        for word in _WORD.findall(_NOTHING_TO_SAY.sub(" ", text))
        if not (_is_coined(word) or plain(word) in SOUNDS or plain(word) in kept or plain(word) in names)
    ]


def _is_coined(word: str) -> bool:
    """True for an acronym (NASA, U.S.A.) and for capitals inside a word (YouTube, iPhone)."""
    letters = [character for character in word if character.isalpha()]
    if len(letters) == 1:
        return not _is_dense(word) and letters[0].isupper() and letters[0] not in "IAOEYUАИЯОУВСК"
    if all(letter.isupper() for letter in letters):
        return len(letters) <= 5 and plain(word) not in EVERYDAY_WORDS
    return any(letter.isupper() for letter in letters[1:]) and any(letter.islower() for letter in letters)


def _proven_names(texts: Sequence[str]) -> set[str]:
    """Words that stand with a capital inside a sentence somewhere, and nowhere without one."""
    inside: set[str] = set()
    small: set[str] = set()
    for text in texts:
        if _is_title(text):
            continue
        for match in _WORD.finditer(text):
            word, ahead = match.group(), text[: match.start()]
            if word[0].islower():
                small.add(plain(word))
            elif ahead.strip() and not _SENTENCE_END.search(ahead) and word[1:].islower():
                inside.add(plain(word))
    return inside - small - EVERYDAY_WORDS


def _is_title(text: str) -> bool:
    """True when every word has a capital, so that a capital proves nothing (``Good Morning``, German has its own)."""
    words = _WORD.findall(text)
    return bool(words) and all(not word[0].islower() for word in words)


def _is_dense(text: str) -> bool:
    return any(letter_script(character) in {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"} for character in text)
