"""TTML (also DFXP, IMSC): paragraphs and timed spans, with frames, ticks and times counted from their parents'."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from subtitles.events import SubtitleEvent, clean_text

#: Elements whose text is about the captions, not of them.
_NOISE = frozenset({"head", "metadata", "title", "desc", "copyright", "agent", "name", "actor", "set", "animate"})
_NOISE |= {"image", "audio", "source", "data", "chunk", "font", "resources"}
_CONTAINERS = frozenset({"tt", "body", "div"})
#: What ruby annotates its base with; the base is the text.
_RUBY_NOTES = frozenset({"text", "textContainer", "delimiter"})
_SPACES = re.compile(r"[ \t\r\n]+")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)")
_CLOCK = re.compile(r"(\d+):(\d{1,2}):(\d{1,2})(?:[.,](\d+)|[:;](\d+)(?:\.\d+)?)?")


@dataclass(frozen=True)
class _Span:
    """A stretch of time on the media's clock."""

    begin_ms: int
    #: None where nothing ends it.
    end_ms: int | None


@dataclass(frozen=True)
class _Rates:
    """What a frame and a tick last."""

    frame_ms: float
    tick_ms: float


def parse_ttml(text: str) -> list[SubtitleEvent]:
    """The captions of TTML text. Raises ValueError that quotes what cannot be used."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares a document type, which captions have no use for")
    # The text is decoded already: an encoding declared inside would only contradict that.
    try:
        root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    return list(_captions(root, _Span(0, None), _rates(root)))


def _rates(root: ET.Element) -> _Rates:
    said = {_local(name): value for name, value in root.attrib.items()}
    multiplier = said.get("frameRateMultiplier", "1 1").replace(":", " ").split()
    divisor = float(multiplier[-1]) if len(multiplier) > 1 else 1.0
    frames = float(said.get("frameRate", "30")) * float(multiplier[0]) / divisor
    ticks = float(said.get("tickRate", "0")) or frames
    if not (0 < frames < math.inf and 0 < ticks < math.inf):
        raise ValueError("its frame rate or tick rate is no rate")
    return _Rates(1000.0 / frames, 1000.0 / ticks)


def _local(name: object) -> str:
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _captions(element: ET.Element, outer: _Span, rates: _Rates) -> Iterator[SubtitleEvent]:
    """The captions in and below an element."""
    name = _local(element.tag)
    if name in _NOISE or not name:
        return
    if any(_local(key) == "timeContainer" and value == "seq" for key, value in element.attrib.items()):
        raise ValueError('timeContainer="seq" is not read: give each paragraph its own times')
    span = _span(element, outer, rates)
    if name not in _CONTAINERS:
        yield from _paragraph(element, span, rates)
        return
    for text in (element.text, *(child.tail for child in element)):
        if text and text.strip():
            raise ValueError(f"text outside a paragraph: {clean_text(text)[:60]!r}")
    for child in element:
        yield from _captions(child, span, rates)


def _paragraph(element: ET.Element, span: _Span, rates: _Rates) -> Iterator[SubtitleEvent]:
    """One caption, or one for each timed span of a paragraph; text around timed spans is shown all the time."""
    timed = [child for child in element.iter() if child is not element and {"begin", "end", "dur"} & set(child.attrib)]
    spans = [child for child in timed if _local(child.tag) not in _NOISE]
    around = "".join(_text(element, frozenset(spans)))
    if around.strip():
        if span.end_ms is None:
            raise ValueError(f"no time ends the paragraph {clean_text(around)[:60]!r}")
        yield SubtitleEvent(span.begin_ms, span.end_ms, tuple(around.split("\n")))
    for child in element:
        if child in spans:
            yield from _paragraph(child, _span(child, span, rates), rates)
        elif spans:
            yield from _nested(child, span, frozenset(spans), rates)


def _nested(element: ET.Element, span: _Span, spans: frozenset[ET.Element], rates: _Rates) -> Iterator[SubtitleEvent]:
    for child in element:
        if child in spans:
            yield from _paragraph(child, _span(child, span, rates), rates)
        else:
            yield from _nested(child, span, spans, rates)


def _text(element: ET.Element, without: frozenset[ET.Element]) -> Iterator[str]:
    """White space as XML means it (one space), ``br`` as a line break, annotations and metadata left out."""
    yield _SPACES.sub(" ", element.text or "")
    for child in element:
        if _local(child.tag) == "br":
            yield "\n"
        elif child not in without and _is_said(child):
            yield from _text(child, without)
        yield _SPACES.sub(" ", child.tail or "")


def _is_said(element: ET.Element) -> bool:
    ruby = next((value for key, value in element.attrib.items() if _local(key) == "ruby"), "")
    return bool(_local(element.tag)) and _local(element.tag) not in _NOISE and ruby not in _RUBY_NOTES


def _span(element: ET.Element, outer: _Span, rates: _Rates) -> _Span:
    """An element's time, counted from its parent's begin and cut off at its parent's end."""
    begin = outer.begin_ms + _ms(element.get("begin", "0s"), rates)
    ends = [] if outer.end_ms is None else [outer.end_ms]
    if "end" in element.attrib:
        ends.append(outer.begin_ms + _ms(element.attrib["end"], rates))
    if "dur" in element.attrib:
        ends.append(begin + _ms(element.attrib["dur"], rates))
    return _Span(begin, min(ends, default=None))


def _ms(expression: str, rates: _Rates) -> int:
    """A TTML time expression in milliseconds, with frames and ticks. Raises ValueError for anything else."""
    text = expression.strip()
    offset = _OFFSET.fullmatch(text)
    if offset:
        scale = {"h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0, "f": rates.frame_ms, "t": rates.tick_ms}
        return round(float(offset[1]) * scale[offset[2]])
    found = _CLOCK.fullmatch(text)
    if not found:
        raise ValueError(f"unknown time {clean_text(expression)[:60]!r}")
    hours, minutes, seconds, fraction, frames = found.groups()
    whole_ms = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000
    if frames:
        return whole_ms + round(int(frames) * rates.frame_ms)
    return whole_ms + (round(float(f"0.{fraction}") * 1000) if fraction else 0)
