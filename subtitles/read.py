"""Captions that exist already: SRT, WebVTT, ASS/SSA, TTML and our own JSON, in any encoding, as plain events."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import MediaError
from subtitles.bidi import without_marks
from subtitles.encodings import decode_text
from subtitles.events import SubtitleEvent, clean_text, has_text
from subtitles.parsers import PARSERS, format_of
from subtitles.rolling import merge_rolling

#: Far beyond any film's captions; a larger file is something else.
MAX_BYTES = 64 * 1024 * 1024
#: Ends of lines; a carriage return before one is a leftover of a conversion.
_ENDS = re.compile(r"\r*\n|\r")


@dataclass(frozen=True)
class Captions:
    """A subtitle file's content, and what had to be put right to use it."""

    events: tuple[SubtitleEvent, ...]
    #: ``srt``, ``vtt``, ``ass``, ``ttml`` or ``json``, told from the content.
    format: str
    #: The encoding it was read in.
    encoding: str
    #: One line for a person for each kind of defect; empty for a clean file.
    notes: tuple[str, ...] = ()


def inspect_captions(source: Path | bytes, name: str, language: str = "") -> Captions:
    """The events of a subtitle file in order of time, and what was found on the way.

    Tags and direction marks are stripped, events without text left out. ``name`` is what errors call the file,
    ``language`` the BCP 47 tag of what it is in, if that is known. Raises MediaError when it cannot be read, is in no
    known format, has a line that is no caption, or holds no caption.
    """
    data = source if isinstance(source, bytes) else _file_bytes(source, name)
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise MediaError(f"{name}: the caption file is empty", "give a file with captions, or leave --transcript out")
    decoded = decode_text(data, language)
    text = _ENDS.sub("\n", decoded.text.replace("\x00", "").replace("\ufeff", ""))
    kind = format_of(text)
    if kind is None:
        raise MediaError(f"{name}: not a caption file in a known format", f"convert it to one of {', '.join(PARSERS)}")
    try:
        raw = PARSERS[kind](text)
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        reason = clean_text(str(error))
        raise MediaError(
            f"{name}: damaged {kind} captions: {reason}", "repair the file or convert it to srt"
        ) from error
    events = [shown for event in raw if (shown := _plain(event)).lines]
    if not events:
        raise MediaError(
            f"{name}: no caption in this {kind} file", "give a file with captions, or leave --transcript out"
        )
    notes = [decoded.doubt] if decoded.doubt else []
    ordered = sorted(events, key=lambda event: (event.start_ms, event.end_ms))
    if (merged := merge_rolling(ordered)) is not None:
        notes.append(f"{len(events)} rolling captions, merged into {len(merged)} that say each line once")
        ordered = merged
    else:
        notes += _notes(events)
    empty, early = len(raw) - len(events), sum(event.start_ms < 0 for event in raw)
    notes += _counted((empty, "without text left out"), (early, "beginning before 0:00: shown from there"))
    return Captions(tuple(ordered), kind, decoded.encoding, tuple(notes))


def _file_bytes(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MediaError(f"{name}: too large for a caption file", "give a subtitle file, not a video")
        return path.read_bytes()
    except OSError as error:
        raise MediaError(
            f"{name}: cannot be read: {error.strerror or error}", "check the path and permissions"
        ) from error


def _plain(event: SubtitleEvent) -> SubtitleEvent:
    """The event without marks and empty lines, and with an end that is not before its start."""
    lines = tuple(filter(has_text, (clean_text(without_marks(line)) for line in event.lines)))
    start_ms = max(0, event.start_ms)
    return replace(event, start_ms=start_ms, end_ms=max(start_ms, event.end_ms), lines=lines)


def _notes(events: list[SubtitleEvent]) -> list[str]:
    pairs = list(itertools.pairwise(events))
    disordered = sum(after.start_ms < before.start_ms for before, after in pairs)
    ordered = sorted(events, key=lambda event: (event.start_ms, event.end_ms))
    overlaps = sum(after.start_ms < before.end_ms for before, after in itertools.pairwise(ordered))
    instant = sum(event.end_ms == event.start_ms for event in events)
    return _counted(
        (disordered, "out of order: sorted by time"),
        (overlaps, "overlapping the next: trimmed when the subtitles are written"),
        (instant, "without duration"),
    )


def _counted(*found: tuple[int, str]) -> list[str]:
    return [f"{count} caption{'s' if count > 1 else ''} {text}" for count, text in found if count]
