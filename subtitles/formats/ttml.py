"""TTML 1 (W3C), the profile that EBU-TT-D and IMSC players share: language and direction are said in attributes."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from subtitles.bidi import is_rtl_line
from subtitles.events import SubtitleEvent
from subtitles.formats.clock import clock
from subtitles.scripts import is_rtl


def write(events: Sequence[SubtitleEvent], language: str, title: str) -> str:
    """An XML document with one ``p`` an event; no direction marks in the text."""
    paragraphs = [_paragraph(number, event, language) for number, event in enumerate(events, start=1)]
    head = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttm="http://www.w3.org/ns/ttml#metadata"'
        ' xmlns:ttp="http://www.w3.org/ns/ttml#parameter" xmlns:tts="http://www.w3.org/ns/ttml#styling"'
        f' ttp:timeBase="media" xml:lang={quoteattr(language)}>',
        "  <head>",
        *([f"    <metadata><ttm:title>{escape(title)}</ttm:title></metadata>"] if title else []),
        "    <styling>",
        '      <style xml:id="s1" tts:fontFamily="sansSerif" tts:fontSize="100%" tts:textAlign="center"'
        ' tts:color="white" tts:backgroundColor="transparent"/>',
        "    </styling>",
        "    <layout>",
        '      <region xml:id="r1" tts:origin="10% 80%" tts:extent="80% 15%" tts:displayAlign="after"/>',
        "    </layout>",
        "  </head>",
        '  <body style="s1" region="r1">',
        "    <div>",
    ]
    return "\n".join([*head, *paragraphs, "    </div>", "  </body>", "</tt>", ""])


def _paragraph(number: int, event: SubtitleEvent, language: str) -> str:
    rtl = is_rtl(language)
    text = "<br/>".join(_line(line, language, rtl) for line in event.lines)
    times = f'begin="{clock(event.start_ms, ".")}" end="{clock(event.end_ms, ".")}"'
    # Said on every paragraph: unicodeBidi is not inherited.
    return f'      <p xml:id="c{number}" {times}{_direction("rtl") if rtl else ""}>{text}</p>'


def _line(line: str, language: str, rtl: bool) -> str:
    """A line that runs against its paragraph (the other language of a bilingual file) says so in a span."""
    if is_rtl_line(line, language) == rtl or not any(char.isalpha() for char in line):
        return escape(line)
    return f"<span{_direction('ltr' if rtl else 'rtl')}>{escape(line)}</span>"


def _direction(value: str) -> str:
    return f' tts:direction="{value}" tts:unicodeBidi="embed"'
