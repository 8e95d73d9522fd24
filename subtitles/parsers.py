"""One parser a caption format: text in, raw events out, tags already stripped.

pysubs2 parses ASS. SRT, WebVTT and TTML are parsed here because it takes a closing line of digits for the next cue's
number, puts WebVTT's cue names and comments into the text, and knows neither frames, ticks nor ``dur`` in TTML.
"""

from __future__ import annotations

import html
import json
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator

from subtitles.events import SubtitleEvent

Parser = Callable[[str], list[SubtitleEvent]]

_STAMP = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIME_LINE = re.compile(rf"[ \t]*{_STAMP}[ \t]*-{{1,2}}>[ \t]*{_STAMP}(?=[ \t]|$)")
_HTML_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_VTT_TAG = re.compile(r"<[^<>]*>")
_RUBY = re.compile(r"<rt[^<>]*>[^<>]*(?:</rt>)?")
_OVERRIDE = re.compile(r"\{[^{}]*\}")
_SRT_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
#: What our own writers put between characters that would be markup.
_ESCAPED = re.compile("(?<=[<{\\\\-])\u2060")
_SRT_BRACE = "｛\u2060"
_OPEN_BRACE = "\ue000"


def format_of(text: str) -> str | None:
    """The format that a file's text is in, or None."""
    head = text.lstrip()[:4096]
    if head.startswith("WEBVTT"):
        return "vtt"
    if re.search(r"^\[(Script Info|V4\+? Styles|Events)\]", head, re.IGNORECASE | re.MULTILINE):
        return "ass"
    if head.startswith("<") and re.search(r"<(\w+:)?tt[\s>]", head):
        return "ttml"
    if head.startswith("{") and '"cues"' in text:
        return "json"
    if any(_TIME_LINE.match(line) for line in text.split("\n")):
        return "srt"
    return None


def _stamp_ms(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> int:
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * 1000 + int((fraction or "0").ljust(3, "0"))


def _times(match: re.Match[str]) -> tuple[int, int]:
    groups = match.groups()
    return _stamp_ms(*groups[:4]), _stamp_ms(*groups[4:])


def _parse_srt(text: str) -> list[SubtitleEvent]:
    lines = text.split("\n")
    stamps = [(index, match) for index, line in enumerate(lines) if (match := _TIME_LINE.match(line))]
    events = []
    for number, (index, match) in enumerate(stamps):
        following = stamps[number + 1][0] if number + 1 < len(stamps) else len(lines)
        body = lines[index + 1 : following]
        if number + 1 < len(stamps) and body and body[-1].strip().isdigit():
            body.pop()
        start_ms, end_ms = _times(match)
        events.append(SubtitleEvent(start_ms, end_ms, tuple(_srt_text(line) for line in body)))
    return events


def _srt_text(line: str) -> str:
    return _ESCAPED.sub("", _SRT_OVERRIDE.sub("", _HTML_TAG.sub("", line)).replace(_SRT_BRACE, "{"))


def _parse_vtt(text: str) -> list[SubtitleEvent]:
    events = []
    for block in re.split(r"\n[ \t]*\n+", text):
        lines = block.strip("\n").split("\n")
        if lines[0].startswith(("NOTE", "STYLE", "REGION")) and not _TIME_LINE.match(lines[0]):
            continue
        for index, line in enumerate(lines):
            match = _TIME_LINE.match(line)
            if match:
                start_ms, end_ms = _times(match)
                payload = _VTT_TAG.sub("", _RUBY.sub("", "\n".join(lines[index + 1 :])))
                events.append(SubtitleEvent(start_ms, end_ms, tuple(html.unescape(payload).split("\n"))))
                break
    return events


def _parse_ass(text: str) -> list[SubtitleEvent]:
    import pysubs2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = pysubs2.SSAFile.from_string(text, format_="ass" if "[V4 Styles]" not in text else "ssa")
    events = []
    for event in loaded.events:
        if event.is_comment or event.is_drawing:
            continue
        plain = _OVERRIDE.sub("", event.text.replace("\\{", _OPEN_BRACE))
        plain = plain.replace("\\h", "\u00a0").replace("\\n", "\\N").replace(_OPEN_BRACE, "{")
        lines = tuple(_ESCAPED.sub("", line) for line in plain.split("\\N"))
        events.append(SubtitleEvent(int(event.start), int(event.end), lines))
    return events


def _parse_json(text: str) -> list[SubtitleEvent]:
    events = []
    for cue in json.loads(text)["cues"]:
        lines = cue["lines"] if "lines" in cue else str(cue["text"]).split("\n")
        events.append(SubtitleEvent(int(cue["start_ms"]), int(cue["end_ms"]), tuple(map(str, lines))))
    return events


def _parse_ttml(text: str) -> list[SubtitleEvent]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares a document type, which captions have no use for")
    # The text is decoded already: an encoding declared inside would only contradict that.
    try:
        root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    rates = {_local(name): value for name, value in root.attrib.items()}
    frame_rate = _frame_rate(rates)
    tick_rate = float(rates.get("tickRate", "0")) or frame_rate
    return list(_paragraphs(root, 0, (frame_rate, tick_rate)))


def _frame_rate(rates: dict[str, str]) -> float:
    rate = float(rates.get("frameRate", "30"))
    multiplier = rates.get("frameRateMultiplier", "1 1").replace(":", " ").split()
    return rate * float(multiplier[0]) / float(multiplier[-1] if float(multiplier[-1]) else 1)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _paragraphs(element: ET.Element, offset_ms: int, rates: tuple[float, float]) -> Iterator[SubtitleEvent]:
    """The ``p`` elements below, with times counted from their parents' begin."""
    begin_ms = offset_ms + _ttml_ms(element.get("begin", "0s"), rates)
    if _local(element.tag) == "p":
        if "end" in element.attrib:
            end_ms = offset_ms + _ttml_ms(element.attrib["end"], rates)
        else:
            end_ms = begin_ms + _ttml_ms(element.get("dur", "0s"), rates)
        lines = "".join(_ttml_text(element)).split("\n")
        yield SubtitleEvent(begin_ms, end_ms, tuple(lines))
        return
    for child in element:
        if isinstance(child.tag, str):
            yield from _paragraphs(child, begin_ms, rates)


def _ttml_text(element: ET.Element) -> Iterator[str]:
    """White space as XML means it (one space), ``br`` as a line break, foreign metadata left out."""
    yield re.sub(r"[ \t\r\n]+", " ", element.text or "")
    for child in element:
        name = _local(child.tag) if isinstance(child.tag, str) else ""
        if name == "br":
            yield "\n"
        elif name == "span":
            yield from _ttml_text(child)
        yield re.sub(r"[ \t\r\n]+", " ", child.tail or "")


_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)")
_CLOCK = re.compile(r"(\d+):(\d{2}):(\d{2})(?:\.(\d+)|:(\d+)(?:\.\d+)?)?")


def _ttml_ms(expression: str, rates: tuple[float, float]) -> int:
    """A TTML time expression in milliseconds, with frames and ticks. Raises ValueError for anything else."""
    text = expression.strip()
    offset = _OFFSET.fullmatch(text)
    if offset:
        scale = {"h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0}
        scale |= {"f": 1000.0 / rates[0], "t": 1000.0 / rates[1]}
        return round(float(offset[1]) * scale[offset[2]])
    found = _CLOCK.fullmatch(text)
    if not found:
        raise ValueError(f"unknown time {expression!r}")
    hours, minutes, seconds, fraction, frames = found.groups()
    whole_ms = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000
    if frames:
        return whole_ms + round(int(frames) * 1000 / rates[0])
    return whole_ms + (round(float(f"0.{fraction}") * 1000) if fraction else 0)


#: Format name -> its parser; `format_of` tells which.
PARSERS: dict[str, Parser] = {
    "srt": _parse_srt,
    "vtt": _parse_vtt,
    "ass": _parse_ass,
    "ttml": _parse_ttml,
    "json": _parse_json,
}
