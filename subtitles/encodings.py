"""Bytes of a text file to text: marks first, UTF-8 next, then the code page that makes its letters those of a language.

A code page cannot be seen in the bytes, only judged: by the letters of the language that the text is known to be in,
else by scripts and by a guess of the language. `DecodedText.doubt` says in words what a person should look at.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass

from subtitles.alphabets import INSIDE_WORDS, PUNCTUATION, SCRIPTS, Alphabet, alphabets_of, is_latin

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # UTF-32's little-endian mark begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Escape sequences of the seven-bit encodings, which are valid UTF-8.
_ESCAPES = (
    (b"\x1b$)C", "iso2022_kr"),
    (b"\x1b$B", "iso2022_jp"),
    (b"\x1b$@", "iso2022_jp"),
    (b"\x1b$(", "iso2022_jp_2"),
)
#: As much of the lines beyond ASCII as is looked at to choose a code page.
_SAMPLE = 65_536
#: Score from which a code page is believed, and from which it is believed without a word.
_PLAUSIBLE, _CERTAIN = 0.6, 0.9
#: A second choice with another text that comes so near makes a guess of the first.
_NEAR = 0.05
#: Alphabets beyond ASCII stand in words of their own; accented letters stand among ASCII ones.
_MOST_MIXED = 0.2
_MIXED = re.compile(r"[a-zA-Z][^\x00-\x7f]|[^\x00-\x7f](?=[a-zA-Z])")
#: Likely languages that are tried when nobody names one.
_GUESSES = 6


@dataclass(frozen=True)
class DecodedText:
    """A file's text, and how it was read."""

    text: str
    #: Name of the encoding.
    encoding: str
    #: What a person should know about the choice; empty where there is no doubt.
    doubt: str = ""


def decode_text(data: bytes, language: str = "") -> DecodedText:
    """The text; never fails (undecodable bytes become U+FFFD, and that is said).

    ``language`` is the BCP 47 tag of the language that the text is in, empty when nobody knows.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data, encoding)
    wide = _unmarked_utf16(data)
    if wide:
        return _decoded(data, wide)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _decoded(data, "utf-8") if _is_damaged_utf8(data) else _by_code_page(data, language)
    escaped = next((encoding for escape, encoding in _ESCAPES if escape in data), "")
    return _decoded(data, escaped) if escaped else DecodedText(text, "utf-8")


def _decoded(data: bytes, encoding: str, doubt: str = "") -> DecodedText:
    text = data.decode(encoding, errors="replace")
    if encoding == "cp1258":
        # It writes tone marks behind their vowels.
        text = unicodedata.normalize("NFC", text)
    lost = text.count("\ufffd")
    if lost:
        places = f"{lost} place{'s' if lost > 1 else ''} in it cannot be read"
        doubt = f"{doubt}; {places}" if doubt else f"read as {encoding}, and {places}: save it as UTF-8"
    return DecodedText(text, encoding, doubt)


def _is_damaged_utf8(data: bytes) -> bool:
    """True where most of what is beyond ASCII is UTF-8: chance makes little of another encoding look like it."""
    text = _sample(data).decode("utf-8", errors="replace")
    lost = text.count("\ufffd")
    return sum(char > "\x7f" for char in text) - lost > 4 * lost


def _unmarked_utf16(data: bytes) -> str:
    """UTF-16 without a mark shows as zeros in every other byte: time lines and line ends are ASCII in any language."""
    sample = data[:4096]
    if len(sample) < 4 or b"\x00" not in sample:
        return ""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > 4 * even and odd * 10 > len(sample) // 2:
        return "utf-16-le"
    if even > 4 * odd and even * 10 > len(sample) // 2:
        return "utf-16-be"
    return ""


def _sample(data: bytes) -> bytes:
    """The lines with bytes beyond ASCII, up to `_SAMPLE`; line ends are bytes of their own in every encoding here."""
    lines, size = [], 0
    for line in re.split(rb"[\r\n]+", data):
        if not line.isascii():
            lines.append(line[:_SAMPLE])
            size += len(line)
            if size > _SAMPLE:
                break
    return b"\n".join(lines)


@dataclass(frozen=True)
class _Choice:
    """A code page for some text, and how well its letters fit."""

    score: float
    encoding: str
    text: str


def _by_code_page(data: bytes, language: str) -> DecodedText:
    sample = _sample(data)
    if language:
        choices = _choices(sample, alphabets_of(language))
        best = choices[0]
        if best.score >= _PLAUSIBLE:
            rival = next((each for each in choices[1:] if each.text != best.text), None)
            sure = best.score >= _CERTAIN and (rival is None or rival.score < best.score - _NEAR)
            doubt = "" if sure else f"read as {best.encoding}, the best of a guess for '{language}'"
            return _decoded(data, best.encoding, f"{doubt}: check its letters, or save it as UTF-8" if doubt else "")
    best = _guess(sample)
    against = f" (it does not look like '{language}')" if language else ""
    doubt = f"read as {best.encoding} by its letters{against}: check them, name the language, or save it as UTF-8"
    return _decoded(data, best.encoding, doubt)


def _guess(sample: bytes) -> _Choice:
    """The code page when nobody named a language: another script than Latin, else that of the likeliest language."""
    fitting = []
    for alphabet in SCRIPTS.values():
        best = _choices(sample, (alphabet,))[0]
        share = _common_share(best.text, alphabet)
        if best.score >= _PLAUSIBLE and share >= alphabet.share and not _is_mixed(best.text):
            fitting.append((share, best))
    if fitting:
        return max(fitting, key=lambda each: each[0])[1]
    # Not at import: it reads its model.
    from py3langid import rank

    ascii_text = re.sub(r"[^A-Za-z]+", " ", sample.decode("ascii", errors="replace"))
    likely = [language for language, _ in rank(ascii_text) if is_latin(language)][:_GUESSES]
    choices = [_choices(sample, alphabets_of(language))[0] for language in likely]
    return next((each for each in choices if each.score >= _CERTAIN), max(choices, key=lambda each: each.score))


def _choices(sample: bytes, alphabets: tuple[Alphabet, ...]) -> list[_Choice]:
    """The code pages of these alphabets, the best first."""
    choices = []
    for alphabet in alphabets:
        for encoding in alphabet.encodings:
            # The sample may end inside a character: an incremental decoder keeps that back.
            text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
            if encoding == "cp1258":
                text = unicodedata.normalize("NFC", text)
            choices.append(_Choice(_score(text, alphabet), encoding, text))
    return sorted(choices, key=lambda each: -each.score)


def _score(text: str, alphabet: Alphabet) -> float:
    """From 0 to 1: how much of what is beyond ASCII belongs to the alphabet and stands where letters stand."""
    beyond = [char for char in text if char > "\x7f" and char not in PUNCTUATION]
    broken = _broken(text)
    if not beyond:
        return 0.0 if broken else 1.0
    good = sum(_belongs(char, alphabet) for char in beyond) - broken
    return max(0.0, good / len(beyond)) * min(1.0, _common_share(text, alphabet) / alphabet.share)


def _belongs(char: str, alphabet: Alphabet) -> int:
    """1, 0 for a sign or letter of elsewhere, -1 for what is in no text."""
    if "\x80" <= char <= "\x9f" or "\ue000" <= char <= "\uf8ff" or char == "\ufffd":
        return -1
    return int(not alphabet.letters or char in alphabet.letters or char.lower() in alphabet.letters)


def _common_share(text: str, alphabet: Alphabet) -> float:
    if not alphabet.common:
        return 1.0
    beyond = [char for char in text.lower() if char > "\x7f" and char not in PUNCTUATION]
    return sum(char in alphabet.common for char in beyond) / max(len(beyond), 1)


def _broken(text: str) -> int:
    """Capitals behind small letters, and signs between letters: what wrong code pages make of letters."""
    count = 0
    for before, char, after in zip(text, text[1:], text[2:] + " ", strict=False):
        if char > "\x7f" and char not in INSIDE_WORDS:
            inside = before.isalpha() and after.isalpha() and unicodedata.category(char)[0] in "SP"
            count += inside or (char.isupper() and before.islower())
    return count


def _is_mixed(text: str) -> bool:
    beyond = sum(char > "\x7f" for char in text)
    return len(_MIXED.findall(text)) > _MOST_MIXED * beyond
