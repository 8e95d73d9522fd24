"""How a growing cue fills its lines, told token by token: what the search for the best cues asks again and again."""

from __future__ import annotations

from subtitles.rules import CueRules
from subtitles.tokens import Token

#: Wide scripts: a text of four full-width characters or less is a crumb.
_CRUMB_CELLS = 8


class Shape:
    """First fit, which needs the fewest lines: the same answers as `subtitles.lines` gives for the whole text."""

    def __init__(self, rules: CueRules) -> None:
        self.rules = rules
        #: Tokens, half-width cells and characters so far.
        self.tokens = self.cells = self.chars = 0
        self._lines = 1
        self._line_cells = 0
        self._overflows = False
        #: Places where a line may end: (cells before, cells before the next line begins, cost).
        self._places: list[tuple[int, int, int]] = []

    @property
    def fits(self) -> bool:
        """True while the text needs no more than ``max_lines`` lines and none of them is too long."""
        return not self._overflows and self._lines <= self.rules.max_lines

    @property
    def is_crumb(self) -> bool:
        """One word alone; in scripts without spaces, a text as short as one."""
        if self.rules.wide:
            return self.cells <= _CRUMB_CELLS
        return self.tokens == 1 and self.cells < self.rules.line_cells

    @property
    def line_break_cost(self) -> int:
        """Cost of the best place that leaves two lines which fit; 0 for one line, or when there is no such place."""
        limit = self.rules.line_cells
        if self.cells <= limit:
            return 0
        costs = (cost for end, begin, cost in self._places if end <= limit and self.cells - begin <= limit)
        return min(costs, default=0)

    def add(self, token: Token, before: Token | None) -> None:
        """Appends a token; ``before`` is the one it follows in the same cue, None for the first."""
        space = token.space if before else 0
        cost = before.cost if before else 0
        done = self.cells
        for index, stretch in enumerate(token.stretches):
            gap = stretch.space if index else space
            may_wrap = index > 0 or before is None or before.may_end_line
            if may_wrap and done:
                self._places.append((done, done + gap, stretch.cost if index else cost))
            done += gap + stretch.cells
            self._fill(gap, stretch.cells, may_wrap)
        self.tokens += 1
        self.cells += space + token.cells
        self.chars += space + token.chars

    def _fill(self, gap: int, cells: int, may_wrap: bool) -> None:
        if self._line_cells and may_wrap and self._line_cells + gap + cells > self.rules.line_cells:
            self._lines += 1
            self._line_cells = cells
        else:
            self._line_cells += (gap if self._line_cells else 0) + cells
        self._overflows = self._overflows or self._line_cells > self.rules.line_cells
