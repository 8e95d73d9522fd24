"""Plain JSON for programs: times in milliseconds, lines in logical order without marks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from subtitles.events import SubtitleEvent


def write(events: Sequence[SubtitleEvent], language: str, title: str) -> str:
    """``{"language", "title", "cues": [{"start_ms", "end_ms", "lines"}]}``, one cue a line."""
    cues = [
        json.dumps({"start_ms": event.start_ms, "end_ms": event.end_ms, "lines": event.lines}, ensure_ascii=False)
        for event in events
    ]
    head = json.dumps({"language": language, "title": title}, ensure_ascii=False)[:-1]
    body = ",\n  ".join(cues)
    return f'{head}, "cues": [\n  {body}\n]}}\n' if cues else f'{head}, "cues": []}}\n'
