"""Advanced SubStation Alpha, for players that draw with libass; one style, bottom centre."""

from __future__ import annotations

from collections.abc import Sequence

from subtitles.bidi import marked_line
from subtitles.events import SubtitleEvent

_JOINER = "\u2060"
#: A backslash begins \N and \h wherever it stands, so a joiner parts it from the next letter; libass knows \{.
_ESCAPES = str.maketrans({"\\": "\\" + _JOINER, "{": "\\{"})
#: White Arial (every system has it or a stand-in), thin black outline; 60 of 1080 lines leaves 42 characters room.
_HEADER = """[Script Info]
Title: {title}
ScriptType: v4.00+
Language: {language}
PlayResX: 1920
PlayResY: 1080
WrapStyle: 0
ScaledBorderAndShadow: yes
YCbCr Matrix: None

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, \
MarginV, Encoding
Style: Default,Arial,60,&H00FFFFFF,&H000000FF,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,2,96,96,54,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def write(events: Sequence[SubtitleEvent], language: str, title: str) -> str:
    """One Dialogue line an event."""
    lines = [
        f"Dialogue: 0,{_clock(event.start_ms)},{_clock(event.end_ms)},Default,,0,0,0,,{_text(event, language)}\n"
        for event in events
    ]
    return _HEADER.format(title=title or "Subtitles", language=language) + "".join(lines)


def _text(event: SubtitleEvent, language: str) -> str:
    return "\\N".join(marked_line(line, language).translate(_ESCAPES) for line in event.lines)


def _clock(ms: int) -> str:
    """``H:MM:SS.cc``, rounded to the nearest centisecond; hours may have more digits."""
    seconds, hundredths = divmod((ms + 5) // 10, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}.{hundredths:02d}"
