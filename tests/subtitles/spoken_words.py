"""Words as a transcriber writes them, from plain text: what the tests of this folder speak with."""

from __future__ import annotations

import re

from core.text import Word
from subtitles.scripts import WIDE_LANGUAGES, primary_language

_UNSPACED = (WIDE_LANGUAGES - {"ko"}) | {"th"}


def spoken(text: str, language: str, ms_per_char: int = 60, start_ms: int = 0) -> tuple[Word, ...]:
    """Words without pauses; ``|`` in the text is a pause of 400 ms, ``||`` one of 1,500 ms.

    Spaced languages get the leading spaces that Whisper writes; Japanese, Chinese and Thai get one piece a character
    with the punctuation appended, as faster-whisper merges them.
    """
    unspaced = primary_language(language) in _UNSPACED
    pattern = (
        r"\|+|[A-Za-z0-9]+|\s?.[、。，！？」』）\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0e33]*"
        if unspaced
        else r"\|+|[ \n]*[^ \n|]+"
    )
    words: list[Word] = []
    now = start_ms
    for piece in re.findall(pattern, text):
        if piece.startswith("|"):
            now += 400 if piece == "|" else 1500
            continue
        written = piece if unspaced or piece.startswith(" ") else " " + piece
        words.append(Word(now, now + ms_per_char * len(piece.strip()), written, 900))
        now = words[-1].end_ms
    return tuple(words)
