"""Where sentences and clauses end, told from the text on both sides of a place where a break is possible."""

from __future__ import annotations

import re
from enum import IntEnum

from subtitles.grammar import Grammar
from subtitles.scripts import is_unspaced


class TextEnd(IntEnum):
    """What a text ends with, from nothing to a whole sentence."""

    NONE = 0
    #: Comma, semicolon, colon, dash.
    CLAUSE = 1
    SENTENCE = 2


_CLOSERS = "\"'”’»›)]}）］｝」』】〉》〕＂＇\u200f\u200e\u202c"
_TERMINATORS = frozenset(".?!…。？！．｡‼⁇⁈⁉؟۔।॥՞։።፧။៕៖‽")
_CLAUSE_MARKS = frozenset(",;:،؛、，；：､—–―・～〜")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+")
_ORDINAL = re.compile(r"\d{1,2}\.")
#: What follows quoted speech in Japanese and belongs to its sentence.
_JA_QUOTATIVES = ("と", "って", "という")
#: Words that open a sentence so often that a dotted abbreviation before them ends one: "in the U.S. The".
_STARTERS = frozenset(
    (
        "the",
        "he",
        "she",
        "it",
        "we",
        "they",
        "this",
        "that",
        "these",
        "those",
        "but",
        "and",
        "there",
        "so",
        "then",
        "what",
        "if",
    )
)


def ending_of(left: str, right: str, grammar: Grammar) -> TextEnd:
    """How ``left`` ends, knowing that ``right`` follows (either may carry spaces outside; ``right`` may be empty)."""
    text = left.rstrip()
    bare = text.rstrip(_CLOSERS + " ")
    if not bare:
        return TextEnd.NONE
    last = bare[-1]
    following = right.lstrip().lstrip("\"'“‘«‹([{¿¡「『（-–— ")
    if last in _CLAUSE_MARKS:
        return TextEnd.CLAUSE
    if last not in _TERMINATORS:
        return TextEnd.NONE
    if not following:
        return TextEnd.SENTENCE
    if text[-1] in "」』" and following.startswith(_JA_QUOTATIVES):
        return TextEnd.CLAUSE
    if following[0].islower():
        return TextEnd.NONE if last == "." and not bare.endswith("..") else TextEnd.CLAUSE
    if last == "." and not bare.endswith("..") and _stop_is_inside(bare, right, following, grammar):
        return TextEnd.NONE
    return TextEnd.SENTENCE


def _stop_is_inside(bare: str, right: str, following: str, grammar: Grammar) -> bool:
    """True when the full stop that ``bare`` ends with belongs to a number or an abbreviation."""
    if not right[:1].isspace() and not is_unspaced(following[0]) and right[:1].isalnum():
        return True
    token = re.split(r"[\s(\[\"“«'’]", bare)[-1]
    if token[:-1].lower() in grammar.abbreviations:
        return True
    if token[:-1].lower() in grammar.counting:
        return following[0].isdigit()
    if _DOTTED.fullmatch(token):
        first_word = re.split(r"\W", following, maxsplit=1)[0].lower()
        # An initial ("J. Smith") never ends a sentence; a longer abbreviation does before a usual first word.
        return (token.count(".") == 1 and token != "I.") or first_word not in _STARTERS
    return grammar.ordinal_stop and _ORDINAL.fullmatch(token) is not None
