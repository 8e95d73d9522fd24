"""From what a model wrote to a text for each line. Pure; never guesses which line a text belongs to."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from engines.translate.languages import language_name, own_name

_THINKING = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^\s*```\w*\s*$", re.MULTILINE)
_PAIR = re.compile(r'"([^"\\]{1,40})"\s*:\s*("(?:[^"\\]|\\.)*")', re.DOTALL)
_OPENING = re.compile(r"[{\[]")
#: Brackets in an answer that are looked at for the beginning of JSON.
_MOST_STARTS = 20
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,60}>|\{\\[^{}]{0,60}\}")
_EMPHASIS = re.compile(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1")
_NOTE = re.compile(
    r"\s*[(\[（](?:note|literal|literally|lit\.|translation|translator|nota|anmerkung)\b[^()（）]*[)\]）]\s*$",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^(?:(?:line|id)\s*)?\W?(\d{1,3})[.):：\]]\s+", re.IGNORECASE)
_PREFIX = re.compile(r"^\s*[*\[(]{0,2}([^\W\d_][\w .()'-]{0,40})[*\])]{0,2}\s*[:：]\s*")
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」", "『": "』", "'": "'", "‘": "’"}
_DASHES = "-–—"
#: Invisible characters that mean something in some scripts: joiners of Persian and Indic text, and direction marks.
_KEPT_FORMATS = frozenset("\u200c\u200d\u200e\u200f")
_LABELS = frozenset({"translation", "translated", "answer", "output", "subtitle", "text", "target", "result"})


@dataclass(frozen=True)
class Reply:
    """A model's answer, taken apart."""

    #: Line number -> text, only for numbers that were asked; as written, not cleaned.
    texts: dict[str, str]
    #: Names in the answer that nobody asked for.
    extra: tuple[str, ...] = ()
    #: Numbers that were answered twice with different texts; they are not in `texts`.
    doubled: frozenset[str] = field(default_factory=frozenset)
    #: False when nothing in the answer could be read as an object of lines.
    readable: bool = True


def parse_reply(text: str, asked: Collection[str]) -> Reply:
    """Reads an object of lines out of an answer: bare, in a code fence, after thinking, nested once, or cut off."""
    body = _FENCE.sub("", _THINKING.sub("", text)).strip()
    pairs = _pairs_of_object(body, asked)
    if pairs is None:
        pairs = [(name, _unquote(value)) for name, value in _PAIR.findall(body)]
    return _sorted_out(pairs, asked)


def _pairs_of_object(body: str, asked: Collection[str]) -> list[tuple[str, str]] | None:
    """Pairs of the first JSON value in the text that answers anything asked, else of the first one with any pairs."""
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs, strict=False)
    fallback: list[tuple[str, str]] | None = None
    position, tries = 0, 0
    while tries < _MOST_STARTS and (start := _OPENING.search(body, position)):
        tries += 1
        try:
            value, position = decoder.raw_decode(body, start.start())
        except (json.JSONDecodeError, RecursionError):
            position = start.end()
            continue
        pairs = _flatten(value)
        if pairs and any(name.strip() in asked for name, _ in pairs):
            return pairs
        fallback = fallback or pairs
    return fallback


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a name given twice is seen."""


def _flatten(value: Any) -> list[tuple[str, str]] | None:
    """Pairs of name and text from {id: text}, {"lines": {...}} or [{"id":, "text":}]; None for anything else."""
    if isinstance(value, _Pairs):
        plain = [(name, _scalar(item)) for name, item in value]
        texts = [(name, text) for name, text in plain if text is not None]
        if texts:
            return texts
        nested = [item for _, item in value if isinstance(item, list)]
        return _flatten(nested[0]) if len(nested) == 1 else []
    if isinstance(value, list):
        found: list[tuple[str, str]] = []
        for item in value:
            if not isinstance(item, _Pairs):
                continue
            fields = {name.lower(): _scalar(entry) for name, entry in item}
            name = fields.get("id") or fields.get("line") or fields.get("number")
            text = fields.get("text") or fields.get("translation")
            if name is not None and text is not None:
                found.append((name, text))
            elif len(item) == 1:
                found.extend((key, entry) for key, entry in fields.items() if entry is not None)
        return found
    return None


def _scalar(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def _unquote(quoted: str) -> str:
    try:
        return str(json.loads(quoted, strict=False))
    except json.JSONDecodeError:
        return quoted[1:-1]


def _sorted_out(pairs: list[tuple[str, str]], asked: Collection[str]) -> Reply:
    texts: dict[str, str] = {}
    extra: list[str] = []
    doubled: set[str] = set()
    for raw_name, text in pairs:
        name = raw_name.strip()
        if name not in asked:
            extra.append(name)
        elif name in texts and texts[name] != text:
            doubled.add(name)
        else:
            texts[name] = text
    for name in doubled:
        texts.pop(name, None)
    return Reply(texts, tuple(extra), frozenset(doubled), readable=bool(pairs))


def clean_text(text: str, source: str, target_language: str, number: str = "") -> str:
    """One line without what models add: control characters, markup, labels, numbers, quotes, notes.

    Nothing is removed that the source line has too.
    """
    text = _THINKING.sub("", text) if "<think>" in text.lower() else text
    text = "".join(_visible(character) for character in unicodedata.normalize("NFC", text))
    if not _TAG.search(source):
        text = _TAG.sub("", text)
    if not _EMPHASIS.search(source):
        text = _EMPHASIS.sub(r"\2", text)
    text = " ".join(text.split())
    text = _without_label(text, source, target_language)
    text = _without_number(text, source, number)
    if not any(mark in source for mark in "([（"):
        text = _NOTE.sub("", text)
    text = _without_quotes(text, source)
    if text[:1] in _DASHES and source[:1] not in _DASHES and text[1:2] == " ":
        text = text[2:]
    return text.strip()


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Zl", "Zp"} or character in "\t\n\r\x0b\x0c":
        return " "
    if character in _KEPT_FORMATS:
        return character
    return "" if category in {"Cc", "Cf", "Cs", "Co", "Cn"} else character


def _without_label(text: str, source: str, target_language: str) -> str:
    match = _PREFIX.match(text)
    if match is None or ":" in source or "：" in source:
        return text
    label = match.group(1).strip().casefold()
    names = {language_name(target_language).casefold(), own_name(target_language).casefold()} - {""}
    names |= {name.split(" (")[0] for name in names} | {name.split()[-1] for name in names}
    if label in names or label.split()[0] in _LABELS or label.startswith("speaker "):
        return text[match.end() :]
    return text


def _without_number(text: str, source: str, number: str) -> str:
    match = _NUMBERED.match(text)
    if match is None or match.group(1) != number or _NUMBERED.match(source):
        return text
    return text[match.end() :]


def _without_quotes(text: str, source: str) -> str:
    closing = _QUOTES.get(text[:1], "")
    if len(text) < 3 or not closing or text[-1] != closing or source[:1] in _QUOTES:
        return text
    inner = text[1:-1]
    return inner if text[0] not in inner and closing not in inner else text
