"""From the words of one window to cues: the least-cost way to cut them, by dynamic programming.

The cost of a cutting is the sum over its cues of

- ``CUE_COST``: fewer cues are better;
- fullness squared: two halves are better than a full cue and a crumb;
- what a reader stumbles over: a cue of one orphan word, a cue too short to be read in the time there is for it;
- what stays inside it: the end of a sentence, or a pause, that would have been a good place to part;
- where its lines part: half the cost of the best place that leaves two lines which fit;
- where it ends: the cost of `subtitles.breaks`, less what a pause there forgives.

A cue that does not fit into two lines, is longer than ``max_ms`` or spans a silence of more than a second is not
considered, unless it is a single token. Only differences of times are used, so the same words a minute later give the
same cues. Neither fps nor ``gap_ms`` is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.text import Word
from subtitles.breaks import CLAUSE_COST, SENTENCE_COST
from subtitles.events import clean_text
from subtitles.grammar import grammar_of
from subtitles.rules import CueRules, rules_for
from subtitles.shape import Shape
from subtitles.tokens import MUST_BREAK_MS, Token, tokens_of

CUE_COST = 40.0
FULL_COST = 60.0
ORPHAN_COST = 110.0
SHORT_SENTENCE_COST = 25.0
TOO_SHORT_COST = 150.0
INNER_SENTENCE_COST = 60.0
INNER_PAUSE_COST = 120.0
MANY_CHARS_COST = 12.0
LINE_BREAK_SHARE = 0.5
#: From here on a pause is a good place for a cue to end.
PAUSE_MS = 300
#: How long a cue may stay on screen after its last word.
LINGER_MS = 1000


@dataclass(frozen=True)
class CueDraft:
    """A cue before it has an id and before its times are polished."""

    #: Start of its first word.
    start_ms: int
    #: End of its last word.
    end_ms: int
    #: One line, spaces normalised.
    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Cue:
    """One subtitle event of a job."""

    #: Unique in the job; a translation carries its source's.
    id: str
    start_ms: int
    end_ms: int
    #: One line, logical order, no marks.
    text: str
    #: The words it was made from; empty for translations and for captions that were given.
    words: tuple[Word, ...] = ()

    @classmethod
    def from_draft(cls, cue_id: str, draft: CueDraft) -> Cue:
        """The draft under its name."""
        return cls(cue_id, draft.start_ms, draft.end_ms, draft.text, draft.words)


def build_cues(
    words: Sequence[Word], language: str, breaks_ms: Sequence[int] = (), rules: CueRules | None = None
) -> tuple[CueDraft, ...]:
    """Cuts the words of one window into cues.

    ``words`` are in order of time, milliseconds of the caller's timeline, texts with the leading spaces that the model
    wrote. ``breaks_ms`` are places on the same timeline where silence was taken out or segments join: a cue prefers to
    end there. No word is lost or moved; the texts put together are the words' texts but for spaces. Words without any
    text give no cue. A pure function of its arguments.
    """
    rules = rules_for(language) if rules is None else rules
    tokens = tokens_of(words, breaks_ms, grammar_of(language), rules)
    if not tokens:
        return ()
    return tuple(_draft(tokens[begin:end]) for begin, end in _best_cuts(tokens, rules))


def _best_cuts(tokens: list[Token], rules: CueRules) -> list[tuple[int, int]]:
    """The [begin, end) ranges of the least-cost cutting; of equal ones, the one with the earliest last cut."""
    total = len(tokens)
    best: list[tuple[float, int]] = [(0.0, 0)] + [(float("inf"), 0)] * total
    for begin in range(total):
        inner = 0.0
        shape = Shape(rules)
        for end in range(begin + 1, total + 1):
            if end > begin + 1:
                place = tokens[end - 2]
                if place.gap_ms > MUST_BREAK_MS or tokens[end - 1].end_ms - tokens[begin].start_ms > rules.max_ms:
                    break
                inner += _inner_cost(place)
            shape.add(tokens[end - 1], tokens[end - 2] if end > begin + 1 else None)
            if end > begin + 1 and not shape.fits:
                break
            cost = best[begin][0] + inner + _cue_cost(tokens, begin, end, shape)
            if cost < best[end][0]:
                best[end] = (cost, begin)
    cuts: list[tuple[int, int]] = []
    end = total
    while end:
        begin = best[end][1]
        cuts.append((begin, end))
        end = begin
    return cuts[::-1]


def _inner_cost(place: Token) -> float:
    """What it costs not to end a cue after this token."""
    cost = INNER_SENTENCE_COST if place.cost == SENTENCE_COST else 0.0
    if place.gap_ms >= PAUSE_MS:
        cost += INNER_PAUSE_COST * (place.gap_ms - PAUSE_MS + 100) / (MUST_BREAK_MS - PAUSE_MS)
    return cost


def _end_cost(place: Token) -> float:
    """What it costs to end a cue after this token: a pause forgives up to all of it."""
    if place.gap_ms < PAUSE_MS:
        return float(place.cost)
    forgiven = min(1.0, 0.3 + 0.7 * (place.gap_ms - PAUSE_MS) / (MUST_BREAK_MS - PAUSE_MS))
    return place.cost * (1.0 - forgiven)


def _cue_cost(tokens: list[Token], begin: int, end: int, shape: Shape) -> float:
    rules = shape.rules
    last = end == len(tokens)
    fullness = shape.cells / (rules.max_lines * rules.line_cells)
    cost = CUE_COST + FULL_COST * fullness * fullness
    if not last:
        cost += _end_cost(tokens[end - 1])
    cost += LINE_BREAK_SHARE * shape.line_break_cost
    if rules.wide:
        cost += MANY_CHARS_COST * max(0, shape.chars - rules.max_lines * rules.max_line_chars)
    after = LINGER_MS if last else min(LINGER_MS, tokens[end - 1].gap_ms)
    time_ms = max(0, tokens[end - 1].end_ms - tokens[begin].start_ms) + after
    if time_ms < rules.min_ms:
        cost += TOO_SHORT_COST * (rules.min_ms - time_ms) / rules.min_ms
    if shape.is_crumb:
        starts_sentence = begin == 0 or tokens[begin - 1].cost == SENTENCE_COST
        ends_sentence = last or tokens[end - 1].cost <= CLAUSE_COST
        cost += SHORT_SENTENCE_COST if starts_sentence and ends_sentence else ORPHAN_COST
    return cost


def _draft(tokens: list[Token]) -> CueDraft:
    words = tuple(word for token in tokens for word in token.words)
    return CueDraft(
        start_ms=words[0].start_ms,
        end_ms=max(word.end_ms for word in words),
        text=clean_text("".join(token.text for token in tokens)),
        words=words,
    )
