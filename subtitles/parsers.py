"""The caption formats that are read: text in, raw events out, tags already stripped.

No parser leaves a line out: it is a caption's text, a known kind of noise, or an error that names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from subtitles.events import SubtitleEvent
from subtitles.substation import is_substation, parse_substation
from subtitles.timed_text import has_time_line, parse_srt, parse_vtt
from subtitles.ttml import parse_ttml

Parser = Callable[[str], list[SubtitleEvent]]


def format_of(text: str) -> str | None:
    """The format that a file's text is in, or None."""
    head = text.lstrip()[:4096]
    if re.match(r"WEBVTT(\s|$)", head):
        return "vtt"
    if is_substation(head):
        return "ass"
    if head.startswith("<") and re.search(r"<(\w+:)?tt[\s>]", head):
        return "ttml"
    if head.startswith("{") and '"cues"' in text:
        return "json"
    return "srt" if has_time_line(text) else None


def parse_json(text: str) -> list[SubtitleEvent]:
    """The cues of our own JSON. Raises ValueError that names the cue."""
    events = []
    for number, cue in enumerate(json.loads(text, object_pairs_hook=_object)["cues"], start=1):
        try:
            lines = cue["lines"] if isinstance(cue.get("lines"), list) and cue["lines"] else cue["text"].split("\n")
            events.append(SubtitleEvent(int(cue["start_ms"]), int(cue["end_ms"]), tuple(map(str.strip, lines))))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"cue {number} has no start_ms, end_ms and text or lines: {error}") from error
    return events


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that is there twice Python keeps the last, and captions would be gone."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return found


#: Format name -> its parser; `format_of` tells which.
PARSERS: dict[str, Parser] = {
    "srt": parse_srt,
    "vtt": parse_vtt,
    "ass": parse_substation,
    "ttml": parse_ttml,
    "json": parse_json,
}
