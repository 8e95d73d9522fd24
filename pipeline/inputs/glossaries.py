"""Glossaries: CSV files of terms that must be translated in one way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import ListedError, UsageError
from media.sources import shown
from pipeline.inputs.tables import Row, read_rows, read_text
from pipeline.job import GlossaryTerm
from pipeline.languages import normalise_language

_COLUMNS = ["source", "target", "language"]
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*|")


@dataclass(frozen=True)
class Glossary:
    """What a glossary says."""

    terms: tuple[GlossaryTerm, ...] = ()
    #: What a person should know about how it was read; empty for nothing.
    doubt: str = ""


def read_glossary(path: Path) -> Glossary:
    """Terms from a CSV file with the columns source, target and, if wanted, language. Raises UsageError.

    Terms are compared as they are looked for: without regard to capitals. A file that is as it was is read once.
    """
    try:
        found = path.stat()
    except OSError:
        return _read(path, (0, 0, 0))  # Whatever is wrong is said by whoever reads it.
    return _read(path, (found.st_mtime_ns, found.st_size, found.st_ino))


@lru_cache(maxsize=64)
def _read(path: Path, _stamp: tuple[int, int, int]) -> Glossary:
    decoded = read_text(path, "glossary")
    problems: list[str] = []
    rows = read_rows(decoded.text, _is_glossary, problems)
    order = _COLUMNS
    if rows and set(_COLUMNS[:2]) <= set(names := [cell.lower() for cell in rows[0].cells]):
        problems += _wrong_columns(names)
        order, rows = names, rows[1:]
    terms: dict[tuple[str, str], tuple[int, GlossaryTerm]] = {}
    for row in rows:
        try:
            term = _term(row, order)
        except UsageError as error:
            problems.append(f"row {row.line}: {error}")
            continue
        line, known = terms.setdefault((term.source.casefold(), term.language), (row.line, term))
        if known.target != term.target:
            language = f" in '{term.language}'" if term.language else ""
            problems.append(
                f"rows {line} and {row.line}: {_quoted(term.source)} has two targets{language}, "
                f"{_quoted(known.target)} and {_quoted(term.target)}"
            )
    if not terms and not problems:
        problems.append("it has no terms")
    if problems:
        doubt = f"; {decoded.doubt}" if decoded.doubt else ""
        raise ListedError.of(
            f"{shown(path)} cannot be used as a glossary",
            problems,
            f"columns are source, target and, if wanted, language; a term has one target in a language{doubt}",
        )
    found = sorted((term for _, term in terms.values()), key=lambda term: (term.source, term.target, term.language))
    return Glossary(tuple(found), decoded.doubt)


def _wrong_columns(names: Sequence[str]) -> list[str]:
    """What is wrong with a row of headings."""
    named = [name for name in names if name]
    unknown = [_quoted(name) for name in named if name not in _COLUMNS]
    doubled = [_quoted(name) for name in _COLUMNS if named.count(name) > 1]
    problems = [f"unknown columns: {', '.join(unknown)}"] if unknown else []
    return [*problems, f"columns that stand twice: {', '.join(doubled)}"] if doubled else problems


def _is_glossary(rows: Sequence[Row]) -> bool:
    """True where a separator gives two or three cells, the third a language."""
    table = [row.cells for row in rows[:200]]
    return bool(table) and all(
        len(cells) > 1 and not any(cells[3:]) and (_LANGUAGE.fullmatch(cells[2]) if len(cells) > 2 else True)
        for cells in table
    )


def _term(row: Row, order: Sequence[str]) -> GlossaryTerm:
    said = dict(zip(order, row.cells, strict=False))
    source, target, language = (_plain(said.get(name, "")) for name in _COLUMNS)
    if any(row.cells[len(order) :]) or not set(said) <= {*_COLUMNS, ""} or not source or not target:
        raise UsageError("not 'source,target[,language]'", "one term a row, quoted where it holds the separator")
    return GlossaryTerm(source, target, normalise_language(language) if language else "")


def _plain(text: str) -> str:
    """Composed, with single spaces: the term as it stands in text."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _quoted(text: str) -> str:
    return f"'{shown(text)}'"
