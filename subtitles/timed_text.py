"""SubRip and WebVTT: every line is a caption's text, a counter or other known noise, or an error that names it.

SubRip has no standard, so a time line is read in every way that can mean one thing only: ``.`` for ``,``, one or three
digits of hours, missing or long fractions, other arrows, spaces inside, signs, settings or text behind the times.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from subtitles.events import SubtitleEvent, clean_text

#: A time line is never longer; what is behind that many characters is not looked at for arrows.
_MOST = 400
_STAMP = re.compile(
    r"\s*([-\u2212]?)\s?(?:(\d{1,4}) ?: ?)?(\d{1,3}) ?: ?(\d{1,2})"
    r"(?: ?([.,:;]) ?(\d{1,9}(?: \d{1,2})*(?=\s*$)|\d{1,9}|(?=\s|$)))?(?![\d:.,;])"
)
_ARROW = re.compile(r"-{2,}>")
#: What people and programs write for the arrow. It is one only where a time line is expected.
_LIKE_ARROW = re.compile(r" ?(?:[-=\u2010-\u2015\u2212] ?)+(?:>|&gt;)|\u2192|\u21d2| -{1,3} | [\u2010-\u2015] ")
_SBV = re.compile(r"^\s*(\d{1,3}:\d\d:\d\d\.\d{3}),(\d{1,3}:\d\d:\d\d\.\d{3})\s*$")
_LIKE_FULL_TIME = re.compile(r"\W*\d+ ?: ?\d+ ?: ?\d")
_LIKE_TIME = re.compile(r"\W*\d[\d ]*[:.,;] ?\d")
_SETTING = re.compile(r"(?:[XY][12]|align|line|position|region|size|vertical|[ADLST]):[\w.,%+-]+", re.IGNORECASE)
#: A header again: files that were put behind each other.
_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION|WEBVTT)(?:[ \t].*)?")
_TAG = re.compile(r"</?(?:b|i|u|s|c|v|em|strong|font|span|lang|ruby|rt)(?:[ .=][^<>\n]*)?/?>", re.IGNORECASE)
_INLINE_TIME = re.compile(r"<\d[\d:.]*>")
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_RUBY = re.compile(r"<rt(?:[ .][^<>]*)?>[^<>]*(?:</rt>)?")
_SRT_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
#: What our own writers put between characters that would be markup.
_ESCAPED = re.compile("(?<=[<{\\\\-])\u2060")
_SRT_BRACE = "｛\u2060"


@dataclass(frozen=True)
class _TimeLine:
    """A line that says when a caption is shown."""

    start_ms: int
    end_ms: int
    #: Text on the same line, behind the times.
    text: str


def parse_srt(text: str) -> list[SubtitleEvent]:
    """The captions of SubRip text. Raises ValueError that names the line."""
    blocks = _blocks(text.split("\n"), frozenset(), named=False)
    return [SubtitleEvent(at.start_ms, at.end_ms, _srt_lines(body)) for at, body in blocks]


def parse_vtt(text: str) -> list[SubtitleEvent]:
    """The captions of WebVTT text. Raises ValueError that names the line."""
    lines = text.split("\n")
    blocks = _blocks(lines, _vtt_noise(lines), named=True)
    return [SubtitleEvent(at.start_ms, at.end_ms, _vtt_lines(body)) for at, body in blocks]


def has_time_line(text: str) -> bool:
    """True when a line is a time line, or is meant to be one."""
    lines = text.split("\n")
    try:
        return any(_time_line(lines, number) for number in range(len(lines)))
    except ValueError:
        return True


def _srt_lines(body: Sequence[str]) -> tuple[str, ...]:
    plain = (_SRT_OVERRIDE.sub("", _TAG.sub("", _BREAK.sub("\n", line))).replace(_SRT_BRACE, "{") for line in body)
    return tuple(part for line in plain for part in _ESCAPED.sub("", line).split("\n"))


def _vtt_lines(body: Sequence[str]) -> tuple[str, ...]:
    payload = _INLINE_TIME.sub("", _RUBY.sub("", _BREAK.sub("\n", "\n".join(body))))
    return tuple(html.unescape(_TAG.sub("", payload)).split("\n"))


def _vtt_noise(lines: Sequence[str]) -> frozenset[int]:
    """Numbers of the lines of the header and of comments, styles and regions, each of which a blank line ends."""
    noise, inside = set(), True
    for number, line in enumerate(lines):
        if not line.strip() or _ARROW.search(line) or (number and _time_line(lines, number)):
            # The standard has no arrow in them.
            inside = False
        elif inside or (_COMMENT.fullmatch(line) and not lines[number - 1].strip()):
            inside = True
            noise.add(number)
    return frozenset(noise)


def _blocks(lines: Sequence[str], noise: frozenset[int], *, named: bool) -> list[tuple[_TimeLine, list[str]]]:
    """Each time line with the lines that are shown then. ``named``: any line may stand above it as its name."""
    found = [(number, at) for number in range(len(lines)) if number not in noise and (at := _time_line(lines, number))]
    blocks: list[tuple[_TimeLine, list[str]]] = []
    counter: int | None = None
    begins = 0
    for number, at in [*found, (len(lines), None)]:
        body = [place for place in range(begins, number) if place not in noise]
        lead, following = _lead(lines, body, counter, named=named, first=not blocks) if at else (0, None)
        body = body[: len(body) - lead]
        if not blocks:
            _refuse_lost(lines, body)
        else:
            if counter is not None and not named:
                _refuse_untimed(lines, body, counter + 1)
                if at is None:
                    _refuse_cut_off(lines, body, counter + 1)
            blocks[-1][1].extend(lines[place] for place in body)
        if at:
            blocks.append((at, [at.text]))
            counter, begins = following, number + 1
    return blocks


def _lead(
    lines: Sequence[str], body: Sequence[int], before: int | None, *, named: bool, first: bool
) -> tuple[int, int | None]:
    """How many lines above a time line are its counter or name (and blank lines behind that), and what it counts.

    Digits after text without a blank line are a counter only where captions are counted: else they were said.
    """
    filled = [place for place in range(len(body)) if lines[body[place]].strip()]
    if not filled:
        return 0, None
    at = filled[-1]
    count, adjacent = _count(lines[body[at]]), at == len(body) - 1
    while count is not None and at > (0 if first else 1) and _count(lines[body[at - 1]]) == count:
        at -= 1  # The same counter twice.
    alone = at == 0 or not lines[body[at - 1]].strip()
    expected = count is not None and before is not None and count == before + 1
    if first:
        taken = alone and (count is not None or (named and adjacent))
    elif at == 0:
        # Directly below the time line before: its text, unless the counting says that it has none.
        taken = expected
    elif alone:
        taken = (adjacent and (named or count is not None)) or expected
    else:
        taken = adjacent and count is not None and before is not None
    return (len(body) - at, count) if taken else (0, None)


def _count(line: str) -> int | None:
    digits = clean_text(line).rstrip(".:")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None


def _refuse_lost(lines: Sequence[str], body: Sequence[int]) -> None:
    for place in body:
        if lines[place].strip():
            raise ValueError(f"line {place + 1} belongs to no caption: {_quoted(lines[place])}")


def _refuse_untimed(lines: Sequence[str], body: Sequence[int], following: int) -> None:
    for place in body[1:-1]:
        if _count(lines[place]) == following and not lines[place - 1].strip() and lines[place + 1].strip():
            raise ValueError(f"line {place + 2}: caption {following} has no times: {_quoted(lines[place + 1])}")


def _refuse_cut_off(lines: Sequence[str], body: Sequence[int], following: int) -> None:
    """A file that ends with the next counter was cut off: nobody said that number."""
    last = next((place for place in reversed(body) if lines[place].strip()), 0)
    if last in body[1:] and _count(lines[last]) == following and not lines[last - 1].strip():
        raise ValueError(f"line {last + 1}: caption {following} has neither times nor text")


def _time_line(lines: Sequence[str], number: int) -> _TimeLine | None:
    """The times that a line states; None for any other line. Raises ValueError for one that is meant to state times."""
    line = _TAG.sub("", lines[number][:_MOST])
    if not _ARROW.search(line):
        if (":" not in line and "\uff1a" not in line) or not _expects_times(lines, number):
            return None
        line = _SBV.sub(r"\1-->\2", line)
    line = unicodedata.normalize("NFKC", line if line.isprintable() else clean_text(line))
    certain = _ARROW.search(line)
    arrow = certain or _LIKE_ARROW.search(line)
    if arrow is None:
        return None
    left, right = line[: arrow.start()], line[arrow.end() :]
    start, end = _STAMP.fullmatch(left.rstrip()), _STAMP.match(right)
    behind = (right[end.end() :] + lines[number][_MOST:]).strip() if end else ""
    if start and end and (certain or (_is_full(start) and _is_full(end))) and not _ARROW.search(behind):
        text = "" if all(_SETTING.fullmatch(part) for part in behind.split()) else behind
        return _TimeLine(_ms(start, number), _ms(end, number), text)
    like = _LIKE_TIME if certain else _LIKE_FULL_TIME
    sides = [bool(like.match(side)) for side in (left, right)]
    if any(sides) if certain else all(sides):
        raise ValueError(f"line {number + 1} states no times: {_quoted(lines[number])}")
    return None


def _expects_times(lines: Sequence[str], number: int) -> bool:
    """True below a blank line, or below a counter below one."""
    above = number - 1
    if above >= 0 and _count(lines[above]) is not None:
        above -= 1
    return above < 0 or not lines[above].strip()


def _is_full(stamp: re.Match[str]) -> bool:
    """True for a time with hours or a fraction: ``5:30 -> 6:30`` may well be said."""
    return bool(stamp[2] or stamp[6])


def _ms(stamp: re.Match[str], number: int) -> int:
    sign, hours, minutes, seconds, mark, fraction = stamp.groups()
    digits = (fraction or "").replace(" ", "")
    if mark in (":", ";") and len(digits) < 3:
        raise ValueError(f"line {number + 1} counts frames: {_quoted(stamp[0])} (SubRip and WebVTT know milliseconds)")
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    ms = whole * 1000 + int(digits[:3].ljust(3, "0"))
    return -ms if sign else ms


def _quoted(line: str) -> str:
    text = clean_text(line)
    return repr(text if len(text) <= 60 else text[:60] + "...")
