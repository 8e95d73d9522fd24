"""Tables as people and spreadsheets save them: any encoding, separated by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import UsageError
from media.sources import shown
from subtitles.encodings import DecodedText, decode_text

#: What separates cells; a tab and a semicolon stand in headers for no other reason.
_SEPARATORS = ("\t", ";", ",")
#: Excel's way to say what separates cells, in the first line.
_SEP_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One row that has something in it."""

    #: Line of the file that it begins on, from 1.
    line: int
    #: Without the space around them.
    cells: tuple[str, ...]


def read_text(path: Path, what: str) -> DecodedText:
    """A list's text and how it was read. ``what`` is what errors call it. Raises UsageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"the {what} {shown(path)} cannot be read: {reason}", "check its permissions") from error
    return decode_text(data)


def read_rows(text: str, fits: Callable[[Sequence[Row]], bool], problems: list[str]) -> list[Row]:
    """The rows of a table. ``fits`` says whether they are what they look like when one separator is tried.

    A row that is no row becomes a problem, and so does all behind a quote that is left open.
    """
    text = text.lstrip("\ufeff")
    said = _SEP_LINE.match(text)
    if said:
        return list(_rows(text, said[1], problems))[1:]
    for separator in _SEPARATORS:
        trouble: list[str] = []
        rows = list(_rows(text, separator, trouble))
        if fits(rows) or separator == _SEPARATORS[-1]:
            problems += trouble
            return rows
    return []


def _rows(text: str, separator: str, problems: list[str]) -> Iterator[Row]:
    # Strict, because a quote that is left open would otherwise swallow the rest of the file without a word.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                yield Row(line, stripped)
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"row {line}: {shown(str(error))} (is a quote left open?)")
