"""What still breaks a rule, for a person to look at. Nothing here changes a cue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from subtitles.cues import Cue
from subtitles.lines import break_lines
from subtitles.rules import CueRules


class Rule(Enum):
    """The rules; the value is what reports and JSON say."""

    LINE_TOO_LONG = "line_too_long"
    TOO_MANY_LINES = "too_many_lines"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_FAST = "too_fast"
    OVERLAP = "overlap"
    GAP_TOO_SMALL = "gap_too_small"
    EMPTY = "empty"
    BAD_ORDER = "bad_order"


_UNITS = {
    Rule.LINE_TOO_LONG: "characters",
    Rule.TOO_MANY_LINES: "lines",
    Rule.TOO_SHORT: "ms",
    Rule.TOO_LONG: "ms",
    Rule.TOO_FAST: "characters/s",
    Rule.OVERLAP: "ms",
    Rule.GAP_TOO_SMALL: "ms",
    Rule.EMPTY: "characters",
    Rule.BAD_ORDER: "ms",
}


@dataclass(frozen=True)
class Finding:
    """One cue against one rule."""

    cue_id: str
    rule: Rule
    #: What was measured, in the rule's unit; rounded away from the limit.
    measured: int
    #: What the rule allows, in the same unit.
    limit: int

    def describe(self) -> str:
        """One line for a person: ``12: too_fast, 24 characters/s (limit 20)``."""
        return f"{self.cue_id}: {self.rule.value}, {self.measured} {_UNITS[self.rule]} (limit {self.limit})"


def lint(cues: Sequence[Cue], rules: CueRules) -> tuple[Finding, ...]:
    """All findings, in the order of the cues. Rules are those of the language the texts are in.

    ``overlap`` and ``gap_too_small`` are told of the later of two cues, ``bad_order`` of one that starts before the
    cue it follows or ends before it starts.
    """
    findings: list[Finding] = []
    for index, cue in enumerate(cues):
        findings.extend(_text_findings(cue, rules))
        findings.extend(_time_findings(cue, rules))
        if index:
            findings.extend(_neighbour_findings(cues[index - 1], cue, rules))
    return tuple(findings)


def _text_findings(cue: Cue, rules: CueRules) -> list[Finding]:
    lines = break_lines(cue.text, rules)
    if not lines:
        return [Finding(cue.id, Rule.EMPTY, 0, 1)]
    findings = []
    longest = max(rules.cells(line) for line in lines)
    if longest > rules.line_cells:
        unit = 2 if rules.wide else 1
        findings.append(Finding(cue.id, Rule.LINE_TOO_LONG, -(-longest // unit), rules.max_line_chars))
    if len(lines) > rules.max_lines:
        findings.append(Finding(cue.id, Rule.TOO_MANY_LINES, len(lines), rules.max_lines))
    return findings


def _time_findings(cue: Cue, rules: CueRules) -> list[Finding]:
    shown_ms = cue.end_ms - cue.start_ms
    if shown_ms < 0:
        return [Finding(cue.id, Rule.BAD_ORDER, shown_ms, 0)]
    findings = []
    if shown_ms < rules.min_ms:
        findings.append(Finding(cue.id, Rule.TOO_SHORT, shown_ms, rules.min_ms))
    if shown_ms > rules.max_ms:
        findings.append(Finding(cue.id, Rule.TOO_LONG, shown_ms, rules.max_ms))
    if rules.reading_ms(cue.text) > shown_ms:
        speed = -(-rules.reading_halves(cue.text) * 500 // max(1, shown_ms))
        findings.append(Finding(cue.id, Rule.TOO_FAST, speed, rules.chars_per_second))
    return findings


def _neighbour_findings(before: Cue, cue: Cue, rules: CueRules) -> list[Finding]:
    if cue.start_ms < before.start_ms:
        return [Finding(cue.id, Rule.BAD_ORDER, cue.start_ms - before.start_ms, 0)]
    gap_ms = cue.start_ms - before.end_ms
    if gap_ms < 0:
        return [Finding(cue.id, Rule.OVERLAP, -gap_ms, 0)]
    if gap_ms < rules.gap_ms:
        return [Finding(cue.id, Rule.GAP_TOO_SMALL, gap_ms, rules.gap_ms)]
    return []
