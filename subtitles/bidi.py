"""Direction marks for right-to-left lines.

Subtitle text is kept in logical order without marks; only the text formats (srt, vtt, ass) get them when written,
since their players guess a line's direction: many take left to right always, browsers take the first strong letter.
A line is wrapped in RIGHT-TO-LEFT EMBEDDING ... POP DIRECTIONAL FORMATTING, which desktop players (FriBidi, HarfBuzz,
Uniscribe) and browsers honour alike; the newer isolates (RLI ... PDI) are drawn as boxes by older ones. A line that
every player shows right by itself stays without marks. TTML says the direction in attributes instead.
"""

from __future__ import annotations

import unicodedata

from subtitles.scripts import is_rtl

_RLE = "\u202b"
_PDF = "\u202c"
#: Every direction mark; readers take them out again.
_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
_RIGHT = ("R", "AL")


def is_rtl_line(line: str, language: str) -> bool:
    """True for a line to be read from right to left: it has such a letter, and either its language is written that way
    or its first letter is (the other language's line in a bilingual file)."""
    strong = [kind for kind in map(unicodedata.bidirectional, line) if kind in ("L", *_RIGHT)]
    return any(kind in _RIGHT for kind in strong) and (is_rtl(language) or strong[0] in _RIGHT)


def marked_line(line: str, language: str) -> str:
    """The line as a player needs it: wrapped when it is right to left and a guess of its direction would show it wrong.

    That is when it holds a left-to-right letter, or begins or ends with anything but a right-to-left letter (a full
    stop, a digit, a dash). All other lines come back as they are.
    """
    if not is_rtl_line(line, language):
        return line
    kinds = [unicodedata.bidirectional(char) for char in line if unicodedata.category(char) != "Mn"]
    if kinds[0] in _RIGHT and kinds[-1] in _RIGHT and "L" not in kinds:
        return line
    return f"{_RLE}{line}{_PDF}"


def without_marks(text: str) -> str:
    """The text without direction marks."""
    return text.translate(_MARKS)
