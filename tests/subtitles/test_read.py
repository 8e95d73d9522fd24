"""Caption files as the world writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MediaError
from subtitles.events import SubtitleEvent
from subtitles.read import inspect_captions


def srt(text: str) -> str:
    return f"1\r\n00:00:01,000 --> 00:00:02,000\r\n{text}\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\n{text}\r\n"


ENCODED = [
    ("utf-8", "Él dijo: ¿qué?", "utf-8"),
    ("utf-8-sig", "Él dijo", "utf-8-sig"),
    ("utf-16", "日本語 text", "utf-16"),
    ("utf-16-le", "plain text", "utf-16-le"),
    ("utf-16-be", "日本語です", "utf-16-be"),
    ("utf-32", "text", "utf-32"),
    ("cp1252", "Où est l’hôtel ? Ça coûte 5 €…", "cp1252"),
    ("latin-1", "Mañana iré a España", "cp1252"),
    ("latin-1", "Über den Wölken ist es schön, daß", "cp1252"),
    ("cp932", "今日は天気がいいですね。明日はどうでしょうか。", "cp932"),
    ("gb18030", "你好，我们今天说的是这个问题。你在什么地方？", "gb18030"),
    ("big5", "你好，我們今天說的是這個問題。你在什麼地方？", "cp950"),
    ("cp949", "안녕하세요. 오늘은 날씨가 좋고 바람이 시원하네요.", "cp949"),
    ("cp1251", "Привет, как дела? Сегодня хорошая погода.", "cp1251"),
    ("cp1253", "Καλημέρα, τι κάνετε σήμερα;", "cp1253"),
    ("cp1255", "שלום לכולם, מה שלומכם היום?", "cp1255"),
    ("cp1256", "مرحبا بكم في هذا البرنامج اليوم", "cp1256"),
]


@pytest.mark.parametrize(("written", "text", "read"), ENCODED)
def test_encodings_are_told_apart(written: str, text: str, read: str) -> None:
    captions = inspect_captions(srt(text).encode(written), "ep1.srt")
    assert captions.encoding == read
    assert [event.lines for event in captions.events] == [(text,), (text,)]
    guessed = not written.startswith("utf")
    assert [read in note for note in captions.notes] == [True] * guessed


FILES = [
    (
        "srt with tags, without numbers, with a closing line of digits",
        '00:00:01.000 --> 00:00:02.000 X1:100 X2:200\n<font color="#fff"><i>Hello</i></font>\n{\\an8}there\n\n'
        "0:0:3,5 -> 0:0:4,25\nIn the year\n1984",
        "srt",
        [(1_000, 2_000, ("Hello", "there")), (3_500, 4_250, ("In the year", "1984"))],
    ),
    (
        "srt with a blank line inside and an empty cue",
        "1\n00:00:01,000 --> 00:00:02,000\none\n\ntwo\n\n2\n00:00:03,000 --> 00:00:04,000\n\n"
        "3\n00:00:05,000 --> 00:00:06,000\nend\n",
        "srt",
        [(1_000, 2_000, ("one", "two")), (5_000, 6_000, ("end",))],
    ),
    (
        "vtt with everything",
        "WEBVTT Kind: captions\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\nSTYLE\n::cue { color: red }\n\n"
        "NOTE\na comment\n\nintro\n"
        "00:01.000 --> 00:02.000 align:start line:0\n<v Ann>Hi &amp; <c.x>bye</c>&nbsp;</v>\n\n"
        "01:00:03.000 --> 01:00:04.000\n<ruby>漢<rt>かん</rt></ruby> <00:00:03.500>x\n",
        "vtt",
        [(1_000, 2_000, ("Hi & bye\u00a0",)), (3_603_000, 3_604_000, ("漢 x",))],
    ),
    (
        "ass with overrides, drawings and comments",
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name\nStyle: Default,Arial,20\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,hidden\n"
        "Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\i1}One,\\h two{\\i0}\\Nthree\n"
        "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}\n",
        "ass",
        [(1_000, 2_500, ("One,\u00a0 two", "three"))],
    ),
    (
        "ttml with frames, ticks, durations and nested times",
        '<?xml version="1.0" encoding="utf-16"?><tt xmlns="http://www.w3.org/ns/ttml"'
        ' xmlns:ttp="http://www.w3.org/ns/ttml#parameter"'
        ' ttp:frameRate="25" ttp:tickRate="1000"><body begin="10s"><div>'
        '<p begin="00:00:01:05" end="00:00:02.5">a <span>b</span><br/>\n c</p>'
        '<p begin="3000t" dur="1s">&lt;d&gt;</p></div></body></tt>',
        "ttml",
        [(11_200, 12_500, ("a b", "c")), (13_000, 14_000, ("<d>",))],
    ),
    (
        "our own transcript json",
        '{"language": "en", "cues": [{"id": "1", "start_ms": 5, "end_ms": 900, "text": "Hi", "words": []}]}',
        "json",
        [(5, 900, ("Hi",))],
    ),
]


@pytest.mark.parametrize(("_what", "text", "kind", "expected"), FILES, ids=[row[0] for row in FILES])
def test_files(_what: str, text: str, kind: str, expected: list[tuple[int, int, tuple[str, ...]]]) -> None:
    captions = inspect_captions(text.encode(), "x")
    assert captions.format == kind
    assert captions.events == tuple(SubtitleEvent(*event) for event in expected)


#: A time line of every kind, and what it says.
TIMES = [
    ("00:00:01,000 --> 00:00:02,000", 1_000, 2_000),
    ("00:00:01.000 --> 00:00:02.000", 1_000, 2_000),
    ("0:00:01,5 --> 100:00:02,25", 1_500, 360_002_250),
    ("00:01 --> 00:02", 1_000, 2_000),
    ("00:00:01 --> 00:00:02,", 1_000, 2_000),
    ("00:00:01,00 0 --> 00:00:02,0 00", 1_000, 2_000),
    ("00 : 00 : 01 , 000 --> 00:00: 02,000", 1_000, 2_000),
    ("00:00:01,0000-->00:00:02,0009999", 1_000, 2_000),
    ("00:00:01:000 --> 00:00:02:000", 1_000, 2_000),
    ("00:00:01,000 -> 00:00:02,000", 1_000, 2_000),
    ("00:00:01,000 \u2014> 00:00:02,000", 1_000, 2_000),
    ("00:00:01,000 - -> 00:00:02,000", 1_000, 2_000),
    ("00:00:01,000 \u2192 00:00:02,000", 1_000, 2_000),
    ("00:00:01,000 --&gt; 00:00:02,000", 1_000, 2_000),
    ("00:00:01,000 - 00:00:02,000", 1_000, 2_000),
    ("0:00:01.000,0:00:02.000", 1_000, 2_000),
    ("\uff10\uff10\uff1a00\uff1a01\uff0c000 --> 00\uff1a00\uff1a02,000", 1_000, 2_000),
    ("\t00:00:01,000\t-->\t00:00:02,000  X1:100 X2:200 align:start", 1_000, 2_000),
    ("\x0000:00:01,000 --> 00:00:02,000\x00", 1_000, 2_000),
    ("-00:00:01,000 --> 00:00:02,000", 0, 2_000),
    ("-00:00:02,000 --> -00:00:01,000", 0, 0),
    ("00:00:02,000 --> 00:00:01,000", 2_000, 2_000),
]


@pytest.mark.parametrize(("line", "start_ms", "end_ms"), TIMES)
def test_times_are_read_however_they_are_written(line: str, start_ms: int, end_ms: int) -> None:
    text = f"1\n{line}\none\ntwo\n\n2\n200:00:00,000 --> 200:00:01,000\nend\n"
    first = inspect_captions(text.encode(), "x").events[0]
    assert first == SubtitleEvent(start_ms, end_ms, ("one", "two"))


#: What stands where a time line is expected, and is none.
NO_TIMES = [
    "00:00:01:12 --> 00:00:02:12",
    "00:00:01;12 --> 00:00:02;12",
    "O0:00:01,000 --> 00:00:02,000",
    "00:00:01,000 --> 00:00:O2,000",
    "00:00:01,000 -->",
    "--> 00:00:02,000",
    "00:00:01,000 --> 00:00:02,000 --> 00:00:03,000",
    "00:00:-1,000 --> 00:00:02,000",
    "00:00:01.000.5 --> 00:00:02,000",
    "Hello without times",
]


@pytest.mark.parametrize("line", NO_TIMES)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_a_line_that_states_no_times_is_named(line: str, end: str) -> None:
    lines = ["1", "00:00:00,000 --> 00:00:00,900", "one", "", "2", line, "two", ""]
    with pytest.raises(MediaError, match=r"damaged srt captions: line 6\b"):
        inspect_captions(end.join(lines).encode(), "x")


TEXTS = [
    ("what a counter is not", "In the year\n1984\n\n1985", ("In the year", "1984", "1985")),
    ("clock times", "5:30 -> 6:30\n10:30 - 11:45, then", ("5:30 -> 6:30", "10:30 - 11:45, then")),
    ("an arrow", "a --> b <-- 3 -> 4", ("a --> b <-- 3 -> 4",)),
    ("words in brackets", "<Laughs> I <3 you, {really} 2 > 1", ("<Laughs> I <3 you, {really} 2 > 1",)),
    ("markup", "<B>a</b><br/>b<font color='x'>c</FONT>{\\an8}", ("a", "bc")),
    ("what VTT calls a comment", "NOTE this", ("NOTE this",)),
    ("sections of ASS", "[Events]\nDialogue: x", ("[Events]", "Dialogue: x")),
]


@pytest.mark.parametrize(("_what", "text", "lines"), TEXTS, ids=[row[0] for row in TEXTS])
@pytest.mark.parametrize("counted", [True, False])
def test_what_was_said_stays_text_in_srt(_what: str, text: str, lines: tuple[str, ...], counted: bool) -> None:
    one, two = ("1\n", "2\n") if counted else ("", "")
    file = f"{one}00:00:01,000 --> 00:00:02,000\n{text}\n\n{two}00:00:03,000 --> 00:00:04,000\nend\n"
    assert [event.lines for event in inspect_captions(file.encode(), "x").events] == [lines, ("end",)]


@pytest.mark.parametrize(
    "counters",
    [("1", "2", "3"), ("", "", ""), ("7", "7", "9"), ("1.", "2.", "3."), ("1", "", "2"), ("1\n1", "2\n2", "3\n\n3")],
)
def test_counters_may_be_missing_doubled_or_wrong(counters: tuple[str, ...]) -> None:
    text = "\n\n".join(f"{counter}\n00:00:0{n},000 --> 00:00:0{n},500\nline {n}" for n, counter in enumerate(counters))
    said = [line for event in inspect_captions(text.lstrip("\n").encode(), "x").events for line in event.lines]
    assert [line for line in said if line.startswith("line")] == ["line 0", "line 1", "line 2"]
    assert all(line.startswith("line") or line in ("1", "2", "3", "7", "9") for line in said)


LOST = [
    ("srt", "Made by me\n\n1\n00:00:01,000 --> 00:00:02,000\na\n", "line 1 belongs to no caption: 'Made by me'"),
    ("vtt", "WEBVTT\n\nsome text\n\n00:01.000 --> 00:02.000\na\n", "line 3 belongs to no caption: 'some text'"),
    ("vtt", "WEBVTT\n\n00:01.000 --> 00:00:02:12\na\n", "line 3 counts frames"),
    ("ass", "[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0\n", "line 2 has 7 fields"),
    ("ass", "[Events]\nDialogue: 0,x,0:00:02.00,Default,,0,0,0,,a\n", "line 2 states no time: 'x'"),
    ("ass", "[Events]\nDialog: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,a\n", "line 2 is neither"),
    ("ass", "[Events]\nFormat: Start, End\n", "line 2"),
    ("ttml", "<tt><body><div>lost<p begin='0s' end='1s'>a</p></div></body></tt>", "outside a paragraph: 'lost'"),
    ("ttml", "<tt><body><p>forever</p></body></tt>", "no time ends the paragraph 'forever'"),
    ("ttml", "<tt><body timeContainer='seq'><p dur='1s'>a</p></body></tt>", "timeContainer"),
    ("json", '{"cues": [{"start_ms": 1, "end_ms": 2, "text": "a"}, {"start_ms": 1}]}', "cue 2 has no"),
]


@pytest.mark.parametrize(("kind", "text", "reason"), LOST)
def test_a_line_that_would_be_lost_is_named(kind: str, text: str, reason: str) -> None:
    with pytest.raises(MediaError, match=f"damaged {kind} captions: ") as caught:
        inspect_captions(text.encode(), "x")
    assert reason in caught.value.message


def test_timed_spans_and_times_of_parents_are_read() -> None:
    text = (
        "<tt><body begin='10s' end='20s'><div begin='1s' dur='5s'><p>all of it</p>"
        "<p begin='1s'>until <i>the end</i></p><p begin='2s' end='99s'>cut</p>"
        "<p><span begin='0s' end='1s'>one</span><br/><span><span begin='1s' dur='1s'>two</span></span></p>"
        "<p begin='0s' end='1s'>\u6f22<span xmlns:t='urn:t' t:ruby='text'>\u304b</span></p></div></body></tt>"
    )
    assert set(inspect_captions(text.encode(), "x").events) == {
        SubtitleEvent(11_000, 16_000, ("all of it",)),
        SubtitleEvent(12_000, 16_000, ("until the end",)),
        SubtitleEvent(13_000, 16_000, ("cut",)),
        SubtitleEvent(11_000, 12_000, ("one",)),
        SubtitleEvent(12_000, 13_000, ("two",)),
        SubtitleEvent(11_000, 12_000, ("\u6f22",)),
    }


def test_a_line_that_draws_and_speaks_keeps_what_it_says() -> None:
    text = "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}Hello, {\\b1}you\n"
    assert inspect_captions(text.encode(), "x").events == (SubtitleEvent(1_000, 2_000, ("Hello, you",)),)


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:02.000 align:start position:0%
(space)
so<00:00:00.500><c> this</c><00:00:01.000><c> is</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
so this is
(space)

00:00:02.010 --> 00:00:04.000 align:start position:0%
so this is
no<00:00:02.500><c> no</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
no no
(space)

00:00:04.010 --> 00:00:06.000 align:start position:0%
no no
no<00:00:04.500><c> no</c>

00:00:09.000 --> 00:00:10.000 align:start position:0%
no no
"""


def test_rolling_captions_say_each_line_once() -> None:
    captions = inspect_captions(ROLLING.replace("(space)", " ").encode(), "x")
    assert captions.events == (
        SubtitleEvent(0, 2_010, ("so this is",)),
        SubtitleEvent(2_010, 4_010, ("no no",)),
        SubtitleEvent(4_010, 6_000, ("no no",)),
        SubtitleEvent(9_000, 10_000, ("no no",)),
    )
    assert captions.notes == ("6 rolling captions, merged into 4 that say each line once",)


def test_what_is_said_again_and_again_is_not_rolling() -> None:
    text = "\n\n".join(f"00:00:0{n},000 --> 00:00:0{n + 1},000\nNo.\nNo." for n in range(8))
    assert len(inspect_captions(text.encode(), "x").events) == 8


def test_a_line_of_ten_megabytes_is_read() -> None:
    text = "x " * 5_000_000
    (event,) = inspect_captions(f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n".encode(), "x").events
    assert event.lines == (text.strip(),)


def test_disorder_and_overlaps_are_put_right_and_told() -> None:
    text = (
        "1\n00:00:05,000 --> 00:00:06,000\nsecond\n\n2\n00:00:01,000 --> 00:00:05,500\nfirst\n\n"
        "3\n00:00:08,000 --> 00:00:07,000\nbackwards\n"
    )
    captions = inspect_captions(text.encode(), "x")
    assert [event.lines[0] for event in captions.events] == ["first", "second", "backwards"]
    assert captions.notes == (
        "1 caption out of order: sorted by time",
        "1 caption overlapping the next: trimmed when the subtitles are written",
        "1 caption without duration",
    )


BAD = [
    (b"", "is empty"),
    (b" \r\n\n", "is empty"),
    (b"\xef\xbb\xbf", "is empty"),
    (b"just some prose", "not a caption file"),
    (bytes(range(256)) * 8, "not a caption file"),
    (b"WEBVTT\n\n", "no caption in this vtt file"),
    (b"1\n00:00:01,000 --> 00:00:02,000\n\n", "no caption in this srt file"),
    (b"<tt><body><p begin='x' end='1s'>a</p></body></tt>", "damaged ttml captions"),
    (b"<tt><body><p begin='0s'", "damaged ttml captions"),
    (b'<!DOCTYPE tt [<!ENTITY a "aaaa">]><tt>&a;</tt>', "damaged ttml captions"),
    (b'{"cues": [{"start_ms": "x"}]}', "damaged json captions"),
    (b'{"cues": 5', "damaged json captions"),
    (b'{"cues": [{"start_ms": 1e999, "end_ms": 1, "text": ""}]}', "damaged json captions"),
    (b"<tt frameRate='0'><p begin='1f' end='2f'>a</p></tt>", "damaged ttml captions"),
    (b"<tt>" + b"<div>" * 50_000 + b"</div>" * 50_000 + b"</tt>", "damaged ttml captions"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_what_is_no_caption_file_gets_one_line_that_names_it(data: bytes, message: str) -> None:
    with pytest.raises(MediaError) as caught:
        inspect_captions(data, "ep1.srt")
    assert caught.value.message.startswith("ep1.srt: ")
    assert message in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_file_is_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ep1.srt"
    path.write_text(srt("Hi"), encoding="utf-8")
    assert len(inspect_captions(path, "ep1.srt").events) == 2
    with pytest.raises(MediaError, match="gone"):
        inspect_captions(tmp_path / "gone.srt", "gone.srt")
    with pytest.raises(MediaError, match="folder"):
        inspect_captions(tmp_path, "folder")


_WELL = [text.encode() for _, text, _, _ in FILES] + [srt("Hi").encode("utf-16"), srt("はい").encode("cp932")]


@settings(max_examples=300)
@given(st.sampled_from(_WELL), st.lists(st.tuples(st.integers(0, 2_000), st.binary(max_size=4)), max_size=6))
def test_a_damaged_file_is_read_or_refused_but_never_a_crash(data: bytes, wounds: list[tuple[int, bytes]]) -> None:
    for place, wound in wounds:
        at = place % (len(data) + 1)
        data = data[:at] + wound + data[at + 1 :]
    try:
        events = inspect_captions(data, "x").events
    except MediaError:
        return
    assert events
    assert all(0 <= event.start_ms <= event.end_ms and all(event.lines) for event in events)
    assert list(events) == sorted(events, key=lambda event: (event.start_ms, event.end_ms))


def test_files_put_behind_each_other_add_no_text() -> None:
    one = "1\n00:00:01,000 --> 00:00:02,000\none\n\n"
    two = "\ufeff1\n00:00:03,000 --> 00:00:04,000\ntwo\n"
    assert [event.lines for event in inspect_captions((one + two).encode(), "ep1.srt").events] == [("one",), ("two",)]
    web = "WEBVTT\n\n00:01.000 --> 00:02.000\none\n\n\ufeffWEBVTT\n\n00:03.000 --> 00:04.000\ntwo\n"
    assert [event.lines for event in inspect_captions(web.encode(), "ep1.vtt").events] == [("one",), ("two",)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n", "line 5: caption 2 has neither times nor text"),
        ('{"cues": [{"start_ms": 1, "end_ms": 2, "text": "a"}], "cues": []}', "a name is there twice"),
        ('{"cues": [{"start_ms": 1, "end_ms": 2, "text": "a", "text": "b"}]}', "a name is there twice"),
        *(
            (f'<tt ttp:frameRate="{rate}" xmlns:ttp="p"><body><p begin="30f" end="60f">a</p></body></tt>', "no rate")
            for rate in ("0", "-25", "inf", "nan")
        ),
    ],
)
def test_what_would_lose_or_misplace_a_caption_is_an_error(text: str, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        inspect_captions(text.encode(), "ep1.srt")


def test_a_number_that_does_not_follow_stays_text_at_the_end() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nIn the year\n\n1984\n"
    assert inspect_captions(text.encode(), "ep1.srt").events[0].lines == ("In the year", "1984")


def test_empty_lines_beside_a_text_lose_nothing() -> None:
    data = b'{"cues": [{"start_ms": 1, "end_ms": 2, "text": "a", "lines": []}]}'
    assert inspect_captions(data, "ep1.json").events[0].lines == ("a",)
