"""From what a model wrote to a text for each line. Pure; never guesses which line a text belongs to."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from engines.translate.languages import language_name, own_name
from engines.translate.reasoning import after_announcement, announces_draft, has_marks, without_reasoning

#: Not over line ends: an answer of nothing but line ends, which models do write, would be searched from each of them.
_FENCE = re.compile(r"^[^\S\n]*```\w*[^\S\n]*$", re.MULTILINE)
_PAIR = re.compile(r'"([^"\\]{1,40})"\s*:\s*("(?:[^"\\]|\\.)*")', re.DOTALL)
_OPENING = re.compile(r"[{\[]")
#: Brackets in an answer that are looked at for the beginning of JSON, and characters of an answer: beyond, nobody can
#: say which of it is the answer.
_MOST_STARTS = 200
_LONGEST = 400_000
#: What models call the text that they mean, where they give a line, or all lines, more than one.
_MEANT = ("final", "final_answer", "final_translation", "translation", "translations", "translated", "answer", "text")
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


def parse_reply(text: str, asked: Collection[str], cut_off: bool = False) -> Reply:
    """Reads an object of lines out of an answer: bare, in a code fence, after reasoning, nested once, or cut off.

    Where several objects answer the same line, the last one is meant: models think aloud first. ``cut_off`` says that
    the model would have written more: then what is followed by other text may be a draft, and is not believed.
    """
    if len(text) > _LONGEST:
        return Reply({}, readable=False)
    body = _FENCE.sub("", after_announcement(without_reasoning(text))).strip()
    pairs, end = _pairs_of_objects(body, asked)
    rest = body[end:]
    # A last object that is not whole counts as well: what stands before it is no answer any more.
    broken = [(name, _unquote(value)) for name, value in _PAIR.findall(rest)]
    if pairs is None or _answered(broken, asked):
        pairs = _said_anew(pairs or [], broken, asked)
    elif cut_off and rest.strip(" `\n"):
        pairs = []
    return _sorted_out(pairs, asked)


def _pairs_of_objects(body: str, asked: Collection[str]) -> tuple[list[tuple[str, str]] | None, int]:
    """What the JSON values in the text say of the lines asked, and where the last value ends; where none says
    anything of them, the pairs of the first that has any. None when there are none, and no pairs for too many."""
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs, strict=False)
    found: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    position = end = tries = 0
    while start := _OPENING.search(body, position):
        tries += 1
        if tries > _MOST_STARTS:
            return [], len(body)
        try:
            value, position = decoder.raw_decode(body, start.start())
            pairs = _flatten(value, asked)
        except (ValueError, RecursionError):
            position = start.end()
            continue
        lead, end = body[end : start.start()], position
        if pairs and not announces_draft(lead):
            if _answered(pairs, asked):
                found = _said_anew(found, pairs, asked)
            else:
                other = other or pairs
    return found or other or None, end


def _said_anew(
    before: list[tuple[str, str]], now: list[tuple[str, str]], asked: Collection[str]
) -> list[tuple[str, str]]:
    """Both, where they are about different lines; else the later one alone."""
    return now if _answered(before, asked) & _answered(now, asked) else before + now


def _answered(pairs: list[tuple[str, str]], asked: Collection[str]) -> set[str]:
    return {name.strip() for name, _ in pairs} & set(asked)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a name given twice is seen."""


def _flatten(value: Any, asked: Collection[str]) -> list[tuple[str, str]]:
    """Pairs of name and text from {id: text}, {"lines": {...}} or [{"id":, "text":}]; none from anything else."""
    if isinstance(value, _Pairs):
        plain = [(name, _text_in(item)) for name, item in value]
        texts = [(name, text) for name, text in plain if text is not None]
        if _answered(texts, asked):
            return texts
        nested = [(name.lower(), item) for name, item in value if isinstance(item, list)]
        meant = nested if len(nested) == 1 else [pair for pair in nested if pair[0] in _MEANT]
        return _flatten(meant[0][1], asked) or texts if len(meant) == 1 else texts
    found: list[tuple[str, str]] = []
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, _Pairs):
            continue
        fields = {name.lower(): _scalar(entry) for name, entry in item}
        name = fields.get("id") or fields.get("line") or fields.get("number")
        text = _meant(fields)
        if name is not None and text is not None:
            found.append((name, text))
        elif len(item) == 1:
            found.extend((key, entry) for key, entry in fields.items() if entry is not None)
    return found


def _text_in(item: Any) -> str | None:
    """A line's text: itself, or the one that is meant of several."""
    if isinstance(item, _Pairs):
        return _meant({name.lower(): _scalar(entry) for name, entry in item})
    return _scalar(item)


def _meant(fields: Mapping[str, str | None]) -> str | None:
    return next((fields[name] for name in _MEANT if fields.get(name)), None)


def _scalar(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


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
    text = text if has_marks(source) else without_reasoning(text)
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
