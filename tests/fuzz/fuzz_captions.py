"""Caption files: every word is in a caption, in a known kind of noise, or in a file that is refused with a reason."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable

from damage import damaged
from fuzzing import Target, expect_told
from hypothesis import strategies as st

from core.errors import MediaError
from subtitles.events import SubtitleEvent, clean_text
from subtitles.formats import render
from subtitles.read import inspect_captions

#: Words that are nothing else; each document has each of them once.
_WORD = re.compile(r"w\d+q")
_TIME_LINE = re.compile(r"\d\d?:\d\d:\d\d[.,]\d{3} ?--> ?\d\d?:\d\d:\d\d[.,]\d{3}")
_SRT = """\ufeff1
00:00:01,000 --> 00:00:02,000 X1:100 X2:200
<i>w1q</i> {\\an8}w2q
w3q

2
0:00:03.5 -> 0:00:04,25
w4q

1984
w5q
4
00:00:05,000 --> 00:00:06,00 0
w6q: 00:00:07,000
12

00:00:08:000 --> 00:00:09:000 w7q

6
-00:00:01,000 \u2014> 00:00:09,5
w8q w9q"""
_VTT = """WEBVTT - w90q
Kind: captions

STYLE
::cue { color: red }

NOTE w91q
w92q

intro
00:01.000 --> 00:02.000 align:start line:0
<v Ann>w1q &amp; <c.x>w2q</c></v>

01:00:03.000 --> 01:00:04.000
w3q <00:00:03.500><c> w4q</c>
w5q

- w6q

NOTES w7q
"""
_ASS = """[Script Info]
; w90q
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,w91q
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\i1}w1q,\\h w2q{\\i0}\\Nw3q
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}w4q
Dialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,,w5q
"""
_TTML = """<?xml version="1.0" encoding="utf-8"?><tt xmlns="http://www.w3.org/ns/ttml"
 xmlns:ttp="http://www.w3.org/ns/ttml#parameter" ttp:frameRate="25" ttp:tickRate="1000">
<head><metadata>w90q</metadata></head><body begin="10s"><div>
<p begin="00:00:01:05" end="00:00:02.5">w1q <span>w2q</span><br/>
 w3q</p>
<p begin="3000t" dur="1s">&lt;w4q&gt;</p>
<p><span begin="5s" end="6s">w5q</span> <span begin="6s" end="7s"><span>w6q</span></span></p>
</div></body></tt>
"""
_JSON = json.dumps({"cues": [{"start_ms": 5, "end_ms": 900, "text": "w1q"}, {"start_ms": 1000, "end_ms": 2000}]})
_JSON = _JSON.replace("2000}", '2000, "lines": ["w2q", "w3q"]}')
_EVENTS = tuple(SubtitleEvent(n * 1000, n * 1000 + 900, (f"w{2 * n}q", f"w{2 * n + 1}q")) for n in range(3))
_TOKENS = (
    "-->",
    "->",
    "00:00:01,000 --> 00:00:02,000",
    "00:00:01.000 --> ",
    "12",
    "2",
    "NOTE",
    "STYLE",
    "<i>",
    "{\\p1}",
)
_TOKENS += ("<p>", "</p>", "<span begin='1s' end='2s'>", "<br/>", 'end="1s"', "Dialogue:", "Comment:", "[Events]", "-")
_TOKENS += ("Format: Start, End, Text", "\\N", '"lines"', "00:00:01:12", "\u2028", "\uff1a", "WEBVTT", "&lt;", "99:")


def _words(lines: Iterable[str]) -> list[str]:
    return [word for line in lines for word in _WORD.findall(line)]


def _without_tags(text: str) -> str:
    return re.sub(r"<[^<>]*>|\{[^{}]*\}", " ", text)


def _srt_words(text: str) -> list[str]:
    return _words([_without_tags(text)])


def _vtt_words(text: str) -> list[str]:
    """Words outside of the header, of blocks that a keyword begins, and of names above times."""
    lines = text.split("\n")
    said, noise = [], True
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if not line.strip() or "-->" in line:
            noise = False
        elif not lines[number - 1].strip() and line.startswith(("NOTE", "STYLE", "REGION", "WEBVTT")):
            noise = True
        if not noise and "-->" not in following:
            # Settings behind the times are named values, whatever the values are.
            said.append(re.sub(r"\b[a-z]+:\S+", " ", line) if "-->" in line else line)
    return _words(_without_tags("\n".join(said)).split("\n"))


def _ass_words(text: str) -> list[str]:
    lines, commas = [], 9
    for line in (line.strip("\0 \t\ufeff") for line in text.split("\n")):
        if line.lower().startswith("dialogue:"):
            lines.append(line.split(",", commas)[-1])
        elif line.lower().startswith("format:") and "text" in line.lower():
            commas = line.count(",")
    drawn = r"\{[^{}]*\\p[1-9].*?(\{[^{}]*\\p0[^{}]*\}|$)"
    return _words(re.sub(r"\{[^{}]*\}", " ", re.sub(drawn, " ", line)).replace("\\N", " ") for line in lines)


def _ttml_words(text: str) -> list[str]:
    root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    body = [element for element in root if not str(element.tag).endswith("head")]
    return _words(" ".join(element.itertext()) for element in body)


def _json_words(text: str) -> list[str]:
    cues = json.loads(text)["cues"]
    return _words(line for cue in cues for line in cue.get("lines", [str(cue.get("text"))]))


_SAID: dict[str, Callable[[str], list[str]]] = {
    "srt": _srt_words,
    "vtt": _vtt_words,
    "ass": _ass_words,
    "ttml": _ttml_words,
    "json": _json_words,
}


def _check(data: bytes) -> None:
    try:
        captions = inspect_captions(data, "x", "en")
    except MediaError as error:
        expect_told(error)
        return
    events = captions.events
    assert events
    assert all(0 <= event.start_ms <= event.end_ms and all(event.lines) for event in events)
    assert list(events) == sorted(events, key=lambda event: (event.start_ms, event.end_ms))
    shown = [line for event in events for line in event.lines]
    assert all(clean_text(line) == line for line in shown)
    if captions.encoding in ("utf-8", "utf-8-sig"):
        text = re.sub(r"\r*\n|\r", "\n", data.decode("utf-8", errors="replace"))
        text = text.replace("\0", "").replace("\ufeff", "").lstrip("\n")
        lost = set(_SAID[captions.format](text)) - set(_words(shown))
        assert not lost, f"nowhere in the captions: {lost}"
    if captions.format in ("srt", "vtt"):
        assert not [line for line in shown if _TIME_LINE.match(line)], "a time line became text"


_FILES = [text.encode() for text in (_SRT, _VTT, _ASS, _TTML, _JSON)]
_FILES += [render(_EVENTS, name, "en") for name in ("srt", "vtt", "ass", "ttml")]
_CASES = damaged(st.sampled_from(_FILES), tuple(token.encode() for token in _TOKENS))
TARGET = Target("captions", _CASES, _check)
