"""Subtitle files as they are written, and read back."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UsageError
from subtitles.events import SubtitleEvent, bilingual
from subtitles.formats import FORMATS, render
from subtitles.read import inspect_captions

PLAIN = (
    SubtitleEvent(1_000, 2_500, ("Hello.",)),
    SubtitleEvent(36_610_020, 36_612_340, ("Ten hours later,", "still here.")),
)
#: Text that some format takes for markup, numbers or time lines.
NASTY = (
    "<i>not italic</i>",
    "a < b && c > d",
    "{\\an8} {curly} }{",
    "C:\\new\\Novel\\hat \\N",
    "00:00:01,000 --> 00:00:02,000",
    "--> arrow <-- -->",
    "1984",
    "&amp; &lt;b&gt; &#39;",
    "NOTE this is not a comment",
    "[Music] (laughs) * ♪ #",
    "Dialogue: 0,0:00:00.00,x,,y",
    "WEBVTT",
    "<00:00:01.000>",
    "]]> <!-- x --> <?xml?>",
    "“quotes” 'single' \"double\"",
    "e\u0301\u00a0x 👩‍👩‍👧 \U0001f1ea\U0001f1f8",
    "- dash",
    "\\{ \\\\ \\",
    "</v> <c.yellow>",
    "日本語、「はい」。",
)


def test_srt_text() -> None:
    assert render(PLAIN, "srt", "en").decode() == (
        "1\n00:00:01,000 --> 00:00:02,500\nHello.\n\n2\n10:10:10,020 --> 10:10:12,340\nTen hours later,\nstill here.\n"
    )


def test_srt_keeps_what_looks_like_markup_from_players() -> None:
    text = render((SubtitleEvent(0, 1_000, ("<b>{\\an8}C:\\new -->",)),), "srt", "en").decode()
    assert text.splitlines()[2] == "<\u2060b>｛\u2060\\an8}C:\\\u2060new --\u2060>"


def test_vtt_text() -> None:
    assert render(PLAIN[:1], "vtt", "es-419", "R&B").decode() == (
        "WEBVTT - R&amp;B\nKind: subtitles\nLanguage: es-419\n\n1\n00:00:01.000 --> 00:00:02.500\nHello.\n"
    )


def test_ass_has_one_style_and_a_canvas() -> None:
    loaded = pysubs2.SSAFile.from_string(render(PLAIN, "ass", "en", "Film").decode(), format_="ass")
    assert loaded.info["PlayResX"] == "1920"
    assert loaded.info["Title"] == "Film"
    assert list(loaded.styles) == ["Default"]
    assert [(event.start, event.end, event.text) for event in loaded] == [
        (1_000, 2_500, "Hello."),
        (36_610_020, 36_612_340, "Ten hours later,\\Nstill here."),
    ]


def test_ttml_is_valid_xml_with_a_language() -> None:
    root = ET.fromstring(render((*PLAIN, SubtitleEvent(0, 1, NASTY)), "ttml", "pt-BR", "Q&A <1>"))
    assert root.tag == "{http://www.w3.org/ns/ttml}tt"
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "pt-BR"
    assert [p.get("begin") for p in root.iter("{http://www.w3.org/ns/ttml}p")] == [
        "00:00:01.000",
        "10:10:10.020",
        "00:00:00.000",
    ]
    assert root.find(".//{http://www.w3.org/ns/ttml#metadata}title").text == "Q&A <1>"


def test_json_is_clean() -> None:
    value = json.loads(render((SubtitleEvent(0, 900, ("שלום.",)),), "json", "he", "x"))
    assert value == {"language": "he", "title": "x", "cues": [{"start_ms": 0, "end_ms": 900, "lines": ["שלום."]}]}
    assert json.loads(render((), "json", "he")) == {"language": "he", "title": "", "cues": []}


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="srt, vtt, ass, ttml, json"):
        render(PLAIN, "sub", "en")


@pytest.mark.parametrize("format_name", FORMATS)
def test_nasty_text_comes_back_as_it_was(format_name: str) -> None:
    events = tuple(
        SubtitleEvent(index * 2_000, index * 2_000 + 1_500, (text, text)) for index, text in enumerate(NASTY)
    )
    data = render(events, format_name, "en", "A title --> & <b>")
    assert data == render(events, format_name, "en", "A title --> & <b>")
    assert b"\r" not in data
    assert not data.startswith(b"\xef\xbb\xbf")
    assert inspect_captions(data, "x").events == events


@pytest.mark.parametrize("format_name", FORMATS)
def test_blank_lines_and_control_characters_do_not_break_a_file(format_name: str) -> None:
    events = (
        SubtitleEvent(0, 1_000, ("one\n\n2\n00:00:05,000 --> 00:00:06,000\nthree", "", " \t ", "a\x00b\x0bc\ud800d")),
        SubtitleEvent(2_000, 3_000, ("", " ")),
        SubtitleEvent(4_000, 5_000, ("last",)),
    )
    assert inspect_captions(render(events, format_name, "en"), "x").events == (
        SubtitleEvent(0, 1_000, ("one 2 00:00:05,000 --> 00:00:06,000 three", "ab cd")),
        SubtitleEvent(4_000, 5_000, ("last",)),
    )


_LINE = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("<>{}\\&-;N 1:,.")), min_size=1, max_size=30
).map(lambda text: "".join(char for char in text if char.isprintable()).strip())


@settings(max_examples=150)
@given(st.lists(_LINE.filter(bool), min_size=1, max_size=3), st.sampled_from(sorted(FORMATS)))
def test_any_printable_text_comes_back(lines: list[str], format_name: str) -> None:
    event = SubtitleEvent(1_000, 2_000, tuple(lines))
    assert inspect_captions(render((event,), format_name, "en"), "x").events == (event,)


RTL = [
    # (language, line, as SRT, VTT and ASS write it)
    ("ar", "مرحبا بكم", "مرحبا بكم"),
    # The Arabic question mark is a right-to-left letter to the bidirectional algorithm; "!" is not.
    ("ar", "هل أنتم مستعدون؟", "هل أنتم مستعدون؟"),
    ("ar", "أنتم مستعدون!", "\u202bأنتم مستعدون!\u202c"),
    ("he", "שלום.", "\u202bשלום.\u202c"),
    ("he", "גרסת Windows החדשה", "\u202bגרסת Windows החדשה\u202c"),
    ("he", "25 אנשים", "\u202b25 אנשים\u202c"),
    ("fa", "سلام، حال شما", "سلام، حال شما"),
    ("ar", "OK.", "OK."),
    ("en", "He said שלום.", "He said שלום."),
]


@pytest.mark.parametrize(("language", "line", "written"), RTL)
def test_right_to_left_lines_are_wrapped_only_where_needed(language: str, line: str, written: str) -> None:
    event = SubtitleEvent(0, 1_000, (line,))
    for format_name in ("srt", "vtt", "ass"):
        assert written in render((event,), format_name, language).decode()
        assert ("\u202b" in render((event,), format_name, language).decode()) == ("\u202b" in written)
    for format_name in ("ttml", "json"):
        assert "\u202b" not in render((event,), format_name, language).decode()
    for format_name in FORMATS:
        assert inspect_captions(render((event,), format_name, language), "x").events == (event,)


def test_ttml_says_the_direction() -> None:
    assert b'tts:direction="rtl"' in render((SubtitleEvent(0, 1, ("שלום",)),), "ttml", "he")
    assert b"tts:direction" not in render(PLAIN, "ttml", "en")
    assert b"span" not in render((SubtitleEvent(0, 1, ("25!",)),), "ttml", "he")


def test_bilingual_stacks_the_translation_under_its_source() -> None:
    source = (SubtitleEvent(0, 1_000, ("Hello.",)), SubtitleEvent(2_000, 3_000, ("Goodbye.",)))
    translated = (SubtitleEvent(0, 1_000, ("Hola.",)), SubtitleEvent(5_000, 6_000, ("Alone.",)))
    assert bilingual(source, translated) == (
        SubtitleEvent(0, 1_000, ("Hello.", "Hola.")),
        SubtitleEvent(2_000, 3_000, ("Goodbye.",)),
        SubtitleEvent(5_000, 6_000, ("Alone.",)),
    )


def test_each_line_of_a_bilingual_file_keeps_its_own_direction() -> None:
    (event,) = bilingual((SubtitleEvent(0, 1_000, ("Hello.",)),), (SubtitleEvent(0, 1_000, ("שלום.",)),))
    for language in ("he", "en"):
        for format_name in ("srt", "vtt"):
            assert "Hello.\n\u202bשלום.\u202c\n" in render((event,), format_name, language).decode()
        assert inspect_captions(render((event,), "ttml", language), "x").events == (event,)
    assert (
        '<br/><span tts:direction="rtl" tts:unicodeBidi="embed">שלום.</span>' in render((event,), "ttml", "en").decode()
    )
    assert (
        '<span tts:direction="ltr" tts:unicodeBidi="embed">Hello.</span><br/>'
        in render((event,), "ttml", "he").decode()
    )
