"""Words of a transcriber grouped into the smallest units that a cue may be cut between.

Models write pieces, not words: in scripts with spaces a piece without a leading space belongs to the one before
("twenty" "-five"); in scripts without, every place that `break_cost` allows will do.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from core.text import Word
from subtitles.breaks import break_cost
from subtitles.events import clean_text, has_text
from subtitles.grammar import Grammar
from subtitles.graphemes import count_clusters
from subtitles.lines import Stretch, stretches_of
from subtitles.rules import CueRules
from subtitles.scripts import is_unspaced

#: A silence as long as this always ends a cue.
MUST_BREAK_MS = 1000
#: A break that the caller knows of counts as at least this much silence.
MARKED_GAP_MS = 600
#: Text on either side of a join that is looked at.
_CONTEXT = 24


@dataclass(frozen=True)
class Token:
    """Words that stay together, and the place after them."""

    words: tuple[Word, ...]
    #: As written; a leading space says that it is set off from the token before.
    text: str
    start_ms: int
    end_ms: int
    #: Silence between this token and the next, milliseconds; 0 after the last.
    gap_ms: int = 0
    #: Cost of ending a cue after it, by the text alone (see `subtitles.breaks`).
    cost: int = 0
    #: True when a line may end after it.
    may_end_line: bool = True
    #: 1 when a space sets it off from the token before, else 0.
    space: int = 0
    #: The parts of it that no line may end inside.
    stretches: tuple[Stretch, ...] = ()
    #: Cells without the space before it.
    cells: int = 0
    #: Characters as a reader counts them, likewise.
    chars: int = 0


def tokens_of(words: Sequence[Word], breaks_ms: Sequence[int], grammar: Grammar, rules: CueRules) -> list[Token]:
    """The words as tokens in order; words without text stay with their neighbour; empty when no word has text."""
    marked = _marked_places(words, breaks_ms)
    groups: list[list[Word]] = []
    gaps: list[int] = []
    joined = ""
    for index, word in enumerate(words):
        gap = _gap_before(words, index, index in marked)
        text = word.text
        if groups and has_text(text) and has_text(joined):
            joins_plain = not (text[:1].isspace() or joined[-1:].isspace() or _unspaced_join(joined, text))
            if joins_plain and (index in marked or gap > MUST_BREAK_MS) and text[0].isalnum():
                # Two stretches of speech meet here: the model left the space out because it began anew.
                text = " " + text
            may_end = break_cost(joined[-_CONTEXT:], text[:_CONTEXT], grammar) is not None
            if may_end or gap > MUST_BREAK_MS:
                groups.append([])
                gaps.append(gap)
        if not groups:
            groups.append([])
        groups[-1].append(Word(word.start_ms, word.end_ms, text, word.probability) if text != word.text else word)
        joined = (joined + text)[-2 * _CONTEXT :]
    if not any(has_text(word.text) for word in words):
        return []
    return _finish([part for group in _whole(groups, gaps, rules) for part in group], grammar, rules)


def _gap_before(words: Sequence[Word], index: int, marked: bool) -> int:
    if index == 0:
        return 0
    gap = max(0, words[index].start_ms - words[index - 1].end_ms)
    return max(gap, MARKED_GAP_MS) if marked else gap


def _marked_places(words: Sequence[Word], breaks_ms: Sequence[int]) -> frozenset[int]:
    """Indexes of the words that a known break comes before: it lies between the middles of two words."""
    middles = [(word.start_ms + word.end_ms) // 2 for word in words]
    places = (bisect.bisect_left(middles, at) for at in breaks_ms)
    return frozenset(place for place in places if 0 < place < len(words))


def _unspaced_join(left: str, right: str) -> bool:
    return is_unspaced(left[-1]) or is_unspaced(right[0])


def _whole(groups: list[list[Word]], gaps: list[int], rules: CueRules) -> list[list[tuple[tuple[Word, ...], int]]]:
    """Each group as one (words, gap after) entry, or as several when it alone would not fit on screen."""
    after = [*gaps, 0]
    parts: list[list[tuple[tuple[Word, ...], int]]] = []
    for group, gap in zip(groups, after, strict=True):
        text = clean_text("".join(word.text for word in group))
        if len(group) > 1 and rules.cells(text) > rules.max_lines * rules.line_cells:
            entries: list[tuple[tuple[Word, ...], int]] = [((word,), 0) for word in group]
            entries[-1] = (entries[-1][0], gap)
            parts.append(entries)
        else:
            parts.append([(tuple(group), gap)])
    return parts


def _finish(entries: list[tuple[tuple[Word, ...], int]], grammar: Grammar, rules: CueRules) -> list[Token]:
    """Tokens with their measures and the cost of the place after each."""
    texts = ["".join(word.text for word in words) for words, _ in entries]
    tokens = []
    for index, (words, gap) in enumerate(entries):
        cost: int | None = 0
        if index + 1 < len(entries):
            left = "".join(texts[max(0, index - 3) : index + 1])
            cost = break_cost(left[-_CONTEXT:], texts[index + 1][:_CONTEXT], grammar)
        spaced = index > 0 and (texts[index][:1].isspace() or texts[index - 1][-1:].isspace())
        text = clean_text(texts[index])
        tokens.append(
            Token(
                words=words,
                text=texts[index],
                start_ms=words[0].start_ms,
                end_ms=max(word.end_ms for word in words),
                gap_ms=gap,
                cost=100 if cost is None else cost,
                may_end_line=cost is not None,
                space=int(spaced),
                stretches=stretches_of(text, rules),
                cells=rules.cells(text),
                chars=count_clusters(text),
            )
        )
    return tokens
