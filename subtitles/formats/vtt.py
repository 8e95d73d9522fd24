"""WebVTT (W3C). ``&``, ``<`` and ``>`` are written as entities, which also takes care of ``-->`` in the text."""

from __future__ import annotations

from collections.abc import Sequence

from subtitles.bidi import marked_line
from subtitles.events import SubtitleEvent
from subtitles.formats.clock import clock

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def write(events: Sequence[SubtitleEvent], language: str, title: str) -> str:
    """A header that names the language (parsers skip what they do not know there), then numbered cues."""
    heading = f"WEBVTT - {title.translate(_ENTITIES)}" if title else "WEBVTT"
    blocks = [f"{heading}\nKind: subtitles\nLanguage: {language}\n"]
    for number, event in enumerate(events, start=1):
        lines = "\n".join(marked_line(line, language).translate(_ENTITIES) for line in event.lines)
        blocks.append(f"{number}\n{clock(event.start_ms, '.')} --> {clock(event.end_ms, '.')}\n{lines}\n")
    return "\n".join(blocks)
