"""Captions that exist already: SRT, WebVTT, ASS/SSA, TTML and our own JSON, in any encoding, as plain events."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import MediaError
from subtitles.bidi import without_marks
from subtitles.encodings import decode_text
from subtitles.events import SubtitleEvent, clean_text, has_text
from subtitles.parsers import PARSERS, format_of

#: Far beyond any film's captions; a larger file is something else.
MAX_BYTES = 64 * 1024 * 1024


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


def read_captions(source: Path | bytes, name: str) -> tuple[SubtitleEvent, ...]:
    """The events of a subtitle file in order of time: tags and direction marks stripped, events without text left out.

    ``name`` is what errors call the file. Raises MediaError when it cannot be read, is in no known format or holds no
    caption.
    """
    return inspect_captions(source, name).events


def inspect_captions(source: Path | bytes, name: str) -> Captions:
    """`read_captions` with what was found on the way: format, encoding, and notes about order and overlaps."""
    data = source if isinstance(source, bytes) else _file_bytes(source, name)
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise MediaError(f"{name}: the caption file is empty", "give a file with captions, or leave --transcript out")
    text, encoding = decode_text(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
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
    notes = _notes(events)
    ordered = sorted(events, key=lambda event: (event.start_ms, event.end_ms))
    return Captions(tuple(ordered), kind, encoding, notes)


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


def _notes(events: list[SubtitleEvent]) -> tuple[str, ...]:
    pairs = list(itertools.pairwise(events))
    disordered = sum(after.start_ms < before.start_ms for before, after in pairs)
    ordered = sorted(events, key=lambda event: (event.start_ms, event.end_ms))
    overlaps = sum(after.start_ms < before.end_ms for before, after in itertools.pairwise(ordered))
    instant = sum(event.end_ms == event.start_ms for event in events)
    found = (
        (disordered, "out of order: sorted by time"),
        (overlaps, "overlapping the next: trimmed when the subtitles are written"),
        (instant, "without duration"),
    )
    return tuple(f"{count} caption{'s' if count > 1 else ''} {text}" for count, text in found if count)
