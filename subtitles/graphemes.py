"""Counting what a reader sees: grapheme clusters and their width in terminal-like cells.

The cluster rules are those of UAX #29 as far as subtitles need them (combining and spacing marks, joiners, emoji
sequences, flags, Hangul jamo, Indic conjuncts); the width rules are those of UAX #11.
"""

from __future__ import annotations

import unicodedata

_ZWJ = "\u200d"
_SARA_AM = frozenset("\u0e33\u0eb3")
#: Signs that join the consonant before them to the one after (Devanagari and its relatives).
_VIRAMAS = frozenset("\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d")
_JOINING = _VIRAMAS | {_ZWJ}
#: Punctuation of ambiguous width that fonts for Chinese, Japanese and Korean draw full width.
_WIDE_WHEN_CJK = frozenset("“”‘’…—―·※")
#: Drawn with no width at all: direction marks, joiners, byte order mark.
_INVISIBLE = frozenset(
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad"
)


def clusters(text: str) -> list[str]:
    """The text cut into grapheme clusters; joined, they are the text again."""
    found: list[str] = []
    for char in text:
        if found and _continues(found[-1], char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _continues(cluster: str, char: str) -> bool:
    code = ord(char)
    if code < 0x300 or (0x3041 <= code <= 0x9FFF and code not in (0x3099, 0x309A) and cluster[-1] not in _JOINING):
        # Latin, kana and Han: most of all text, and never part of the cluster before.
        return False
    if char in _SARA_AM or unicodedata.category(char) in ("Mn", "Me", "Mc"):
        return not cluster.isspace()
    if char == _ZWJ or 0x1F3FB <= code <= 0x1F3FF:
        return not cluster.isspace()
    last = cluster[-1]
    if last == _ZWJ:
        return unicodedata.category(char) == "So" or (len(cluster) > 1 and cluster[-2] in _VIRAMAS)
    if last in _VIRAMAS:
        return unicodedata.category(char) == "Lo"
    if 0x1F1E6 <= code <= 0x1F1FF:
        return len(cluster) == 1 and 0x1F1E6 <= ord(cluster) <= 0x1F1FF
    # Decomposed Hangul: vowels and finals follow their leading consonant.
    return 0x1160 <= code <= 0x11FF and (0x1100 <= ord(cluster[0]) <= 0x115F or 0xAC00 <= ord(cluster[0]) <= 0xD7A3)


def count_clusters(text: str) -> int:
    """How many characters a reader would count: combining and invisible marks add nothing."""
    if text.isascii():
        return len(text)
    return sum(1 for cluster in clusters(text) if not _INVISIBLE.issuperset(cluster))


def cluster_cells(cluster: str, wide: bool) -> int:
    """Width of one cluster: 2 for full-width, 1 for others, 0 for what is not drawn.

    ``wide`` measures as Chinese, Japanese and Korean fonts draw, where some shared punctuation is full width.
    """
    if _INVISIBLE.issuperset(cluster):
        return 0
    lead = cluster[0]
    if wide and lead in _WIDE_WHEN_CJK:
        return 2
    return 2 if unicodedata.east_asian_width(lead) in ("W", "F") else 1


def count_cells(text: str, wide: bool) -> int:
    """Width of a text in half-width cells: a full-width character takes two."""
    if text.isascii():
        return len(text)
    return sum(cluster_cells(cluster, wide) for cluster in clusters(text))
