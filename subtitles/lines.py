"""From a cue's text to the lines on screen: as few as possible, then where a reader expects the break.

All break places get the cost of `subtitles.breaks`; among the ways to cut the text into the fewest lines that fit, the
one with the least sum of break costs and imbalance wins (ties: the shorter first line). A text that does not fit into
``max_lines`` gets more lines and is reported by lint; nothing is ever cut off.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from subtitles.breaks import INSIDE_WORD_COST, NO_LINE_START, break_cost
from subtitles.events import clean_text
from subtitles.grammar import grammar_of
from subtitles.graphemes import cluster_cells, clusters, count_clusters
from subtitles.rules import CueRules
from subtitles.scripts import is_unspaced

#: Weight of imbalance: a line of twice the mean length costs about this much.
_BALANCE_WEIGHT = 80.0
#: A first line longer than the second hides more of the picture: cost per line width of difference.
_TOP_HEAVY_WEIGHT = 12.0
#: Wide scripts: a line of more characters than the limit, though narrow enough because half-width ones count half.
_MANY_CHARS_COST = 20.0
#: Cost of each cell by which a line is too long; only for pieces that nothing can break.
_OVERFLOW_COST = 1000.0


@dataclass(frozen=True)
class _Piece:
    """A stretch of text without a break place inside, with the spaces that follow it."""

    text: str
    #: Cells without the trailing spaces.
    width: int
    #: Cells with them.
    advance: int
    #: Cost of ending a line after it.
    cost: int


@functools.lru_cache(maxsize=32_768)
def break_lines(text: str, rules: CueRules) -> tuple[str, ...]:
    """The lines of one cue, in logical order and without marks; empty for a text without characters.

    Lint, every format and the bilingual track ask for the same cues, so answers are remembered.
    """
    text = clean_text(text)
    if not text:
        return ()
    if rules.cells(text) <= rules.line_cells:
        return (text,)
    return _best_lines(_pieces(text, rules), rules)


def fits(text: str, rules: CueRules) -> bool:
    """True when `break_lines` needs no more than ``max_lines`` lines and none of them is too long."""
    text = clean_text(text)
    cells = rules.cells(text)
    if cells <= rules.line_cells:
        return True
    if cells > rules.max_lines * (rules.line_cells + 1):
        return False
    pieces = _pieces(text, rules)
    return _fewest_lines(pieces, rules) <= rules.max_lines and all(piece.width <= rules.line_cells for piece in pieces)


@dataclass(frozen=True)
class Stretch:
    """A part of a text that no line may end inside."""

    #: 1 when a space comes before it, else 0.
    space: int
    #: Width in half-width cells.
    cells: int
    #: Cost of ending a line before it.
    cost: int


def stretches_of(text: str, rules: CueRules) -> tuple[Stretch, ...]:
    """The stretches of ``text`` in order."""
    stretches: list[Stretch] = []
    space = cost = 0
    for piece in _pieces(text, rules) if text else []:
        stretches.append(Stretch(space, piece.width, cost))
        space, cost = int(piece.advance > piece.width), piece.cost
    return tuple(stretches)


def _pieces(text: str, rules: CueRules) -> list[_Piece]:
    """The text cut at every place where a line may end."""
    grammar = grammar_of(rules.language)
    cells = clusters(text)
    pieces: list[_Piece] = []
    start = offset = 0
    for cluster in cells:
        if offset > start and cluster != " " and _may_break(text[offset - 1], cluster[0]):
            cost = break_cost(text[max(0, start - 24) : offset], text[offset : offset + 24], grammar)
            if cost is not None:
                pieces.append(_piece(text[start:offset], cost, rules))
                start = offset
        offset += len(cluster)
    pieces.append(_piece(text[start:], 0, rules))
    return [part for piece in pieces for part in _emergency_parts(piece, rules)]


def _may_break(last: str, first: str) -> bool:
    """Cheap test before `break_cost`: a break needs a space, a hyphen, or a script that writes no spaces."""
    return last in " -‐/" or ord(last) > 0xE00 or ord(first) > 0xE00


def _piece(text: str, cost: int, rules: CueRules) -> _Piece:
    return _Piece(text, rules.cells(text.rstrip(" \u3000")), rules.cells(text), cost)


def _emergency_parts(piece: _Piece, rules: CueRules) -> list[_Piece]:
    """A piece too long for a line, cut between characters when its script allows that; long words stay whole."""
    if piece.width <= rules.line_cells or not any(map(is_unspaced, piece.text)):
        return [piece]
    parts: list[str] = [""]
    width = 0
    for cluster in clusters(piece.text):
        step = cluster_cells(cluster, rules.wide)
        if width + step > rules.line_cells and cluster[0] not in NO_LINE_START and is_unspaced(cluster[0]):
            parts.append("")
            width = 0
        parts[-1] += cluster
        width += step
    return [_piece(part, INSIDE_WORD_COST, rules) for part in parts[:-1]] + [_piece(parts[-1], piece.cost, rules)]


def _fewest_lines(pieces: list[_Piece], rules: CueRules) -> int:
    lines, used = 1, 0
    for piece in pieces:
        if used and used + piece.width > rules.line_cells:
            lines, used = lines + 1, 0
        used += piece.advance
    return lines


def _best_lines(pieces: list[_Piece], rules: CueRules) -> tuple[str, ...]:
    """Least-cost cut into exactly the fewest possible lines, by dynamic programming over the pieces."""
    count = _fewest_lines(pieces, rules)
    mean = sum(piece.advance for piece in pieces) / count
    total = len(pieces)
    #: best[n][j]: (cost, starts of the n lines) of pieces[:j] in n lines.
    best: list[dict[int, tuple[float, tuple[int, ...]]]] = [{0: (0.0, ())}]
    for number in range(1, count + 1):
        row: dict[int, tuple[float, tuple[int, ...]]] = {}
        for begin, (cost, starts) in best[-1].items():
            width = 0
            for end in range(begin + 1, total + 1):
                line_width = width + pieces[end - 1].width
                width += pieces[end - 1].advance
                if line_width > rules.line_cells and end > begin + 1:
                    break
                if number == count and end < total:
                    continue
                step = cost + _line_cost(pieces[begin:end], line_width, mean, rules)
                if end < total:
                    step += pieces[end - 1].cost
                if count == 2 and number == 1 and line_width > mean:
                    step += _TOP_HEAVY_WEIGHT * (line_width - mean) / rules.line_cells
                if end not in row or step < row[end][0]:
                    row[end] = (step, (*starts, begin))
        best.append(row)
    _, starts = best[count][total]
    ends = (*starts[1:], total)
    return tuple(
        "".join(piece.text for piece in pieces[begin:end]).strip(" \u3000")
        for begin, end in zip(starts, ends, strict=True)
    )


def _line_cost(pieces: list[_Piece], width: int, mean: float, rules: CueRules) -> float:
    cost = _BALANCE_WEIGHT * ((width - mean) / mean) ** 2
    cost += _OVERFLOW_COST * max(0, width - rules.line_cells)
    if rules.wide:
        text = "".join(piece.text for piece in pieces).rstrip()
        cost += _MANY_CHARS_COST * max(0, count_clusters(text) - rules.max_line_chars)
    return cost
