"""What subtitle files hold: lines with a start and an end."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from subtitles.scripts import is_unspaced

#: Runs of breakable white space; no-break spaces are kept, they were put there for a reason.
_SPACES = re.compile(r"[ \t\r\n\f\v\u0085\u2028\u2029]+")


@dataclass(frozen=True)
class SubtitleEvent:
    """Text on screen for a stretch of time."""

    start_ms: int
    end_ms: int
    #: Logical order, no markup, no line breaks inside; an event without text is not written to files.
    lines: tuple[str, ...]


def clean_text(text: str) -> str:
    """One line of plain text: white space runs become one space; control characters and lone surrogates go."""
    collapsed = _SPACES.sub(" ", text)
    if collapsed.isprintable():
        return collapsed.strip(" ")
    return "".join(char for char in collapsed if not _is_unwritable(char)).strip(" ")


def has_text(text: str) -> bool:
    """True when a reader would see anything of it: spaces, control and format characters are nothing."""
    return any(not char.isspace() and unicodedata.category(char) not in ("Cc", "Cs", "Cf") for char in text)


def _is_unwritable(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or char in "\ufffe\uffff"


def join_lines(lines: Sequence[str]) -> str:
    """The lines of an event as one line: with a space, except between characters of scripts that write none."""
    joined = ""
    for line in map(clean_text, lines):
        if joined and line:
            joined += "" if is_unspaced(joined[-1]) and is_unspaced(line[0]) else " "
        joined += line
    return joined


def bilingual(upper: Sequence[SubtitleEvent], lower: Sequence[SubtitleEvent]) -> tuple[SubtitleEvent, ...]:
    """Stacks two tracks: each event of ``upper`` with the lines of the ``lower`` event that starts and ends with it.

    Meant for a source and its translation, whose times are equal; events without a partner stay by themselves, in
    order of time.
    """
    partners: dict[tuple[int, int], list[SubtitleEvent]] = {}
    for event in lower:
        partners.setdefault((event.start_ms, event.end_ms), []).append(event)
    stacked: list[SubtitleEvent] = []
    for event in upper:
        waiting = partners.get((event.start_ms, event.end_ms))
        below = waiting.pop(0).lines if waiting else ()
        stacked.append(SubtitleEvent(event.start_ms, event.end_ms, event.lines + below))
    stacked.extend(event for waiting in partners.values() for event in waiting)
    return tuple(sorted(stacked, key=lambda event: (event.start_ms, event.end_ms)))
