"""SubRip. It has no escapes, so text that players would take for markup is kept apart by an invisible word joiner.

Players built on libass hide whatever stands in braces, joiner or not, so an opening brace is written full width; the
joiner after it tells our reader that it was a plain one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from subtitles.bidi import marked_line
from subtitles.events import SubtitleEvent
from subtitles.formats.clock import clock

#: U+2060 WORD JOINER: no width, no break, and unknown to every parser of tags.
_JOINER = "\u2060"
#: The first character of what a player may take for a tag, an override, a line break (libass: \N) or a time line.
_MARKUP = re.compile(r"<(?=[/a-zA-Z])|\{|\\(?=[nNh])|--(?=>)")
_WIDE_BRACE = "｛"


def write(events: Sequence[SubtitleEvent], language: str, title: str) -> str:
    """Numbered blocks; SubRip has no place for a language or a title."""
    blocks = []
    for number, event in enumerate(events, start=1):
        lines = "\n".join(marked_line(_plain(line), language) for line in event.lines)
        blocks.append(f"{number}\n{clock(event.start_ms, ',')} --> {clock(event.end_ms, ',')}\n{lines}\n")
    return "\n".join(blocks)


def _plain(line: str) -> str:
    return _MARKUP.sub(lambda match: match.group().replace("{", _WIDE_BRACE) + _JOINER, line)
