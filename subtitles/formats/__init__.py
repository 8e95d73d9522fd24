"""Subtitle files: one module a format, chosen from one literal dict.

To add a format: write a module with ``write(events, language, title) -> str`` and put it into `FORMATS`. pysubs2
writes none of these: it leaves ``&`` and ``<`` in WebVTT, drops ``{...}`` from SRT and reads ``\\N`` in
the text as a line break, has no language in TTML, and stops counting at ten hours in ASS (checked with 1.8.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.errors import UsageError
from subtitles.events import SubtitleEvent, clean_text
from subtitles.formats import ass, jsontext, srt, ttml, vtt

Writer = Callable[[Sequence[SubtitleEvent], str, str], str]

#: Format name, which is also the file extension -> its writer.
FORMATS: dict[str, Writer] = {
    "srt": srt.write,
    "vtt": vtt.write,
    "ass": ass.write,
    "ttml": ttml.write,
    "json": jsontext.write,
}


def render(events: Sequence[SubtitleEvent], format: str, language: str, title: str = "") -> bytes:  # noqa: A002
    """The bytes of a subtitle file: UTF-8 without byte order mark, lines ended by LF; the same input, the same bytes.

    ``language`` is the BCP 47 tag of the text (it decides the direction marks). Lines are cleaned of control characters
    and line breaks; empty lines, and events without a line, are left out. Raises UsageError for an unknown format.
    """
    writer = FORMATS.get(format)
    if writer is None:
        raise UsageError(f"unknown subtitle format {format!r}", f"choose from {', '.join(FORMATS)}")
    shown = []
    for event in events:
        lines = tuple(filter(None, map(clean_text, event.lines)))
        if lines:
            start_ms = max(0, event.start_ms)
            shown.append(SubtitleEvent(start_ms, max(start_ms, event.end_ms), lines))
    return writer(shown, language, clean_text(title)).encode()
