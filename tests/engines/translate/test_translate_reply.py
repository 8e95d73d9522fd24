"""From a model's words to lines: parsing and cleaning, by tables."""

from __future__ import annotations

import pytest

from engines.translate.reply import clean_text, parse_reply

ASKED = ("1", "2")


@pytest.mark.parametrize(
    ("written", "texts", "extra"),
    [
        ('{"1": "uno", "2": "dos"}', {"1": "uno", "2": "dos"}, ()),
        ('{"1": "uno"}', {"1": "uno"}, ()),
        ('{"1": "uno", "2": "dos", "3": "tres"}', {"1": "uno", "2": "dos"}, ("3",)),
        ('{" 1 ": "uno"}', {"1": "uno"}, ()),
        ('```json\n{"1": "uno"}\n```', {"1": "uno"}, ()),
        ('<think>{"1": "no"}</think>{"1": "uno"}', {"1": "uno"}, ()),
        ("<think>never ends {", {}, ()),
        ('[see] {"1": "uno"}', {"1": "uno"}, ()),
        ('{"lines": [{"id": 1, "text": "uno"}, {"id": "2", "translation": "dos"}]}', {"1": "uno", "2": "dos"}, ()),
        ('[{"1": "uno"}, {"2": "dos"}]', {"1": "uno", "2": "dos"}, ()),
        ('{"1": "uno", "2": "do', {"1": "uno"}, ()),
        ('{"1": "di \\"no\\"", "2": tres}', {"1": 'di "no"'}, ()),
        ('{"1": "dos\nlíneas"}', {"1": "dos\nlíneas"}, ()),
        ('{"1": 7, "2": null}', {"1": "7"}, ()),
        ('{"1": {"a": ["x"]}, "2": "dos"}', {"2": "dos"}, ()),
        ("nothing at all", {}, ()),
        ("", {}, ()),
        ("[" * 3000, {}, ()),
        ("{" * 3000, {}, ()),
        ('["uno", "dos"]', {}, ()),
    ],
)
def test_reading_an_answer(written: str, texts: dict[str, str], extra: tuple[str, ...]) -> None:
    reply = parse_reply(written, ASKED)
    assert reply.texts == texts
    assert reply.extra == extra
    assert reply.readable == bool(texts or extra)


def test_a_number_answered_twice_with_different_texts_is_not_believed() -> None:
    reply = parse_reply('{"1": "uno", "1": "otro", "2": "dos", "2": "dos"}', ASKED)
    assert reply.texts == {"2": "dos"}
    assert reply.doubled == {"1"}


@pytest.mark.parametrize(
    ("text", "source", "cleaned"),
    [
        ("  Hola,\n amigo. ", "Hello, friend.", "Hola, amigo."),
        ("Ho\x00la\u200b\ufeff.\x1b", "Hello.", "Hola."),
        ("<i>Hola</i>", "Hello", "Hola"),
        ("<i>Hola</i>", "<i>Hello</i>", "<i>Hola</i>"),
        ("{\\an8}Hola", "Hello", "Hola"),
        ("**Hola**", "Hello", "Hola"),
        ("Spanish: Hola", "Hello", "Hola"),
        ("español: Hola", "Hello", "Hola"),
        ("Translation (Spanish): Hola", "Hello", "Hola"),
        ("Speaker 1: Hola", "Hello", "Hola"),
        ("Recuerda: hola", "Remember hello", "Recuerda: hola"),
        ("Nota: hola", "Note: hello", "Nota: hola"),
        ('"Hola"', "Hello", "Hola"),
        ('"Hola"', '"Hello"', '"Hola"'),
        ('"Hola" y "adiós"', "Hello and bye", '"Hola" y "adiós"'),
        ("1. Hola", "Hello", "Hola"),
        ("1. Hola", "1. Hello", "1. Hola"),
        ("7 días", "Seven days", "7 días"),
        ("- Hola", "Hello", "Hola"),
        ("- Hola", "- Hello", "- Hola"),
        ("Hola (Note: informal)", "Hello", "Hola"),
        ("می‌بینمت", "See you", "می‌بینمت"),
        ("if a < b and c > d", "if a < b and c > d", "if a < b and c > d"),
    ],
)
def test_cleaning_a_line(text: str, source: str, cleaned: str) -> None:
    assert clean_text(text, source, "es", "1") == cleaned


@pytest.mark.parametrize("piece", ["\n", "-\n", " \n", "```\n", "*", "final\n"])
def test_an_answer_of_nothing_but_line_ends_is_read_at_once(piece: str) -> None:
    # Where this takes time with the square of the length, the test would run for hours.
    assert not parse_reply(piece * (390_000 // len(piece)), ["1"]).texts
