"""ASS and SSA: what dialogue lines say, without override tags, drawings and comments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from subtitles.events import SubtitleEvent, clean_text

_SECTION = re.compile(r"\[[^\]]*[a-z][^\]]*\]\s*", re.IGNORECASE)
_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")
_MARGINS = ("marginl", "marginr", "marginv")
_TIME = re.compile(r"\s*(-?)(\d{1,4}):(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?\s*")
#: From ``{\p1}`` to ``{\p0}`` a line draws.
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9]\d*[^{}]*\}.*?(?=\{[^{}]*\\p0[^{}]*\}|$)", re.DOTALL)
_OVERRIDE = re.compile(r"\{[^{}]*\}")
_ESCAPED = re.compile("(?<=[<{\\\\-])\u2060")
_OPEN_BRACE = "\ue000"
#: Lines among the events that are no dialogue.
_NOISE = ("comment", "picture", "sound", "movie", "command")


def is_substation(head: str) -> bool:
    """True for text that begins with a section of such a file, or with its dialogue."""
    first = next((line for line in head.split("\n") if line.strip() and not line.lstrip().startswith((";", "!"))), "")
    return re.match(r"\s*(\[(script info|v4\+? styles\+?|events)\]|dialogue\s*:)", first, re.IGNORECASE) is not None


def parse_substation(text: str) -> list[SubtitleEvent]:
    """The captions of ASS or SSA text. Raises ValueError that names the line."""
    events, inside = [], True
    fields: tuple[str, ...] = _FIELDS
    for number, line in enumerate(text.split("\n"), start=1):
        kind, mark, value = line.strip("\0 \t\ufeff").partition(":")
        name = kind.strip().lower()
        if name == "dialogue" and mark:
            # Dialogue is dialogue, even below a damaged heading.
            events.append(_dialogue(value, fields, number))
        elif _SECTION.fullmatch(line.strip()):
            inside = "events" in line.lower()
        elif not inside or not clean_text(line) or (mark and name in _NOISE) or line.lstrip().startswith((";", "!:")):
            continue
        elif mark and name == "format":
            fields = tuple(field.strip().lower() for field in value.split(","))
            if not {"start", "end", "text"} <= set(fields) or fields[-1] != "text":
                raise ValueError(f"line {number}: the format names no start and end with the text behind them")
        else:
            raise ValueError(f"line {number} is neither dialogue nor a comment: {clean_text(line)[:60]!r}")
    return events


def _dialogue(value: str, fields: Sequence[str], number: int) -> SubtitleEvent:
    values = value.lstrip().split(",", len(fields) - 1)
    if len(values) < len(fields):
        raise ValueError(f"line {number} has {len(values)} fields where the format names {len(fields)}")
    said = dict(zip(fields, values, strict=True))
    if not all(said.get(name, "0").strip().isdecimal() for name in _MARGINS):
        raise ValueError(f"line {number} has no numbers for its margins: is a comma missing?")
    return SubtitleEvent(_ms(said["start"], number), _ms(said["end"], number), _lines(said["text"]))


def _lines(text: str) -> tuple[str, ...]:
    text = text.replace("\\{", _OPEN_BRACE)
    plain = _OVERRIDE.sub("", _DRAWING.sub("", text))
    plain = plain.replace("\\h", "\u00a0").replace("\\n", "\\N").replace(_OPEN_BRACE, "{")
    return tuple(_ESCAPED.sub("", line) for line in plain.split("\\N"))


def _ms(text: str, number: int) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"line {number} states no time: {clean_text(text)[:60]!r}")
    sign, hours, minutes, seconds, fraction = found.groups()
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    ms = whole * 1000 + int((fraction or "0").ljust(3, "0"))
    return -ms if sign else ms
