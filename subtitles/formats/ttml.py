"""TTML 1 (W3C), the profile that EBU-TT-D and IMSC players share: language and direction are said in attributes."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from subtitles.events import SubtitleEvent
from subtitles.formats.clock import clock
from subtitles.scripts import is_rtl


def write(events: Sequence[SubtitleEvent], language: str, title: str) -> str:
    """An XML document with one ``p`` an event; no direction marks in the text."""
    # Said on every paragraph: unicodeBidi is not inherited.
    direction = ' tts:direction="rtl" tts:unicodeBidi="embed"' if is_rtl(language) else ""
    paragraphs = [_paragraph(number, event, direction) for number, event in enumerate(events, start=1)]
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


def _paragraph(number: int, event: SubtitleEvent, direction: str) -> str:
    text = "<br/>".join(map(escape, event.lines))
    times = f'begin="{clock(event.start_ms, ".")}" end="{clock(event.end_ms, ".")}"'
    return f'      <p xml:id="c{number}" {times}{direction}>{text}</p>'
