"""The same phrase again and again: said so by somebody, or a decoder that cannot stop. Pure functions.

People do repeat themselves (refrains, counting, chants). A decoder's loop shows in the times of its words: the aligner
finds no sound for most of them and gives them no length, and the sayings take very unequal times. Of 37 loops that
wrong languages and noise provoked from base, words without length tell 30, unequal sayings 29, the measures below
together all; a dozen repeated recordings pass with base and tiny.en (at most 0.17 and 0.27, probability 0.9 and more).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engines.transcribe.words import TimedWord

#: A phrase repeated this often in a row is a loop, if the loop is at least this many words long altogether.
_LOOP_TIMES, _LOOP_WORDS = 4, 8
#: Sayings are heard where no more than this part of their words has no length,
_MOST_PILED = 0.2
#: less than this part of them is shorter than half or longer than twice the usual one,
_UNEQUAL = 0.3
#: and their words are this probable.
_LEAST_PROBABILITY = 0.6
#: Nobody repeats faster than this: milliseconds for a word set off by a space, and for a character.
_FASTEST_WORD_MS, _FASTEST_CHARACTER_MS, _FASTEST_IDEOGRAPH_MS = 180, 40, 100
PUNCTUATION = ".,!?¡¿;:…\"'~。、，！？「」"


@dataclass(frozen=True)
class Loop:
    """A phrase that is repeated, by indexes of words."""

    #: First word of its first saying, and the word after it.
    first: int
    second: int
    #: The word after the last repetition, which may be broken off.
    end: int

    @property
    def phrase_words(self) -> int:
        return self.second - self.first


def find_loops(texts: Sequence[str]) -> Iterator[Loop]:
    """Every loop, in order and without overlap: at least four times in a row and at least eight words together.

    "No, no, no, no" is something that people say.
    """
    spoken = [text.strip().casefold().strip(PUNCTUATION) for text in texts]
    start = 0
    while start < len(spoken):
        loop = _loop_at(spoken, start)
        if loop is not None:
            yield loop
        start = loop.end if loop is not None else start + 1


def _loop_at(spoken: Sequence[str], start: int) -> Loop | None:
    for length in range(1, (len(spoken) - start) // _LOOP_TIMES + 1):
        end = start + length
        while end < len(spoken) and spoken[end] == spoken[end - length]:
            end += 1
        if end - start >= max(_LOOP_WORDS, _LOOP_TIMES * length) and any(spoken[start : start + length]):
            return Loop(start, start + length, end)
    return None


def decoder_loops(words: Sequence[TimedWord]) -> list[Loop]:
    """The loops for which there is not that much speech."""
    return [loop for loop in find_loops([word.text for word in words]) if not _is_said(words, loop)]


def said_once(words: Sequence[TimedWord]) -> str:
    """The text without the repetitions that somebody has said: what is left repeats itself for no good reason."""
    repeated = {
        index
        for loop in find_loops([word.text for word in words])
        if _is_said(words, loop)
        for index in range(loop.second, loop.end)
    }
    return "".join(word.text for index, word in enumerate(words) if index not in repeated)


def _is_said(words: Sequence[TimedWord], loop: Loop) -> bool:
    """True when the sound has room for each of the sayings, and they take about equally long."""
    inside = words[loop.first : loop.end]
    lasts = range(loop.phrase_words - 1, len(inside), loop.phrase_words)
    times = sorted(inside[last].end_ms - inside[last - loop.phrase_words + 1].start_ms for last in lasts)
    usual = times[len(times) // 2]
    unequal = sum(not usual <= 2 * time <= 4 * usual for time in times)
    piled = sum(word.end_ms <= word.start_ms for word in inside)
    return (
        sum(word.end_ms - word.start_ms for word in inside) >= _least_ms(inside)
        and piled <= _MOST_PILED * len(inside)
        and unequal < _UNEQUAL * len(times)
        and sum(word.probability for word in inside) >= _LEAST_PROBABILITY * len(inside)
    )


def _least_ms(words: Sequence[TimedWord]) -> int:
    """The least time in which so many words can be said."""
    text = "".join(word.text.strip() for word in words)
    character_ms = _FASTEST_IDEOGRAPH_MS if mostly_ideographs(text) else _FASTEST_CHARACTER_MS
    return max(_FASTEST_WORD_MS * sum(word.text[:1].isspace() for word in words), character_ms * len(text))


def mostly_ideographs(text: str) -> bool:
    """True when at least half of the letters are kana, hanzi or hangul."""
    letters = [character for character in text if character.isalpha()]
    dense = sum(1 for character in letters if "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7af")
    return dense * 2 >= len(letters) > 0


def compression_ratio(text: str) -> float:
    """Bytes of the text over bytes of the deflated text: above 2.4 it repeats itself."""
    data = text.strip().encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0
