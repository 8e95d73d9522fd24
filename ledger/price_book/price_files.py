"""Price rows as text: TOML and CSV files read strictly, rows appended, the book put together from its layers."""

from __future__ import annotations

import csv
import io
import os
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from core.errors import UsageError
from core.money import MoneyError, currency_code, rate
from ledger.price_book.prices import Confidence, Meter, PriceBook, PriceBookError, PriceRow, Rounding, instant_text
from ledger.price_book.tiers import PRICED_AHEAD, Tier

#: Name of a project's own price file under its home.
PROJECT_FILE = "prices.toml"
#: The array of tables that a price file is.
TABLE = "price"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@-]{0,118}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{3})?Z)?")
_URL = re.compile(r"https?://[^\s]+")
_COUNT = re.compile(r"[1-9][0-9]{0,14}")
_INSTANTS = ("effective_from", "effective_to", "retired_from")
_NAMES = tuple(field.name for field in fields(PriceRow))
_REQUIRED = frozenset(
    field.name for field in fields(PriceRow) if field.default is MISSING and field.name != "effective_to"
)
_Closed = TypeVar("_Closed", bound=StrEnum)


def parse_toml(text: str, origin: str, stages: Collection[str] | None = None) -> tuple[PriceRow, ...]:
    """The rows of ``[[price]]`` tables. Raises PriceBookError with a line for each thing that is wrong.

    ``stages``: those that a row may be for, where rows are a person's; None takes any, as in a book that was accepted
    already.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceBookError.of(origin, [f"is not TOML: {error}"]) from error
    unknown = sorted(set(document) - {TABLE})
    if unknown:
        raise PriceBookError.of(origin, [f"'{name}' is not a part of a price file" for name in unknown])
    tables = document.get(TABLE, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise PriceBookError.of(origin, [f"'{TABLE}' must be tables, each under [[{TABLE}]]"])
    return _rows(tables, origin, stages)


def parse_csv(text: str, origin: str, stages: Collection[str] | None = None) -> tuple[PriceRow, ...]:
    """The rows under a header of field names; an empty cell is a field left out. Raises PriceBookError."""
    reader = csv.DictReader(io.StringIO(text), strict=True, restkey="", restval="")
    try:
        tables = [{name: cell for name, cell in line.items() if cell} for line in reader]
    except csv.Error as error:
        raise PriceBookError.of(origin, [f"is not CSV: {error}"]) from error
    if not reader.fieldnames:
        raise PriceBookError.of(origin, ["has no header of field names"])
    if any("" in table for table in tables):
        raise PriceBookError.of(origin, ["a line has more cells than the header"])
    return _rows(tables, origin, stages)


def read_rows(file: Path, stages: Collection[str] | None = None) -> tuple[PriceRow, ...]:
    """The rows of a ``.toml`` or ``.csv`` file, for ``stages`` as in `parse_toml`. Raises PriceBookError, also for a
    file that cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PriceBookError.of(str(file), [f"cannot be read: {reason}"], "give a text file of price rows") from error
    if file.suffix.lower() == ".csv":
        return parse_csv(text, file.name, stages)
    return parse_toml(text, file.name, stages)


def _rows(tables: Iterable[Mapping[str, object]], origin: str, stages: Collection[str] | None) -> tuple[PriceRow, ...]:
    rows: list[PriceRow] = []
    problems: list[str] = []
    for number, table in enumerate(tables, 1):
        reading = _Reading(table, stages)
        row = reading.row()
        label = f"row {number} ({table['id']})" if isinstance(table.get("id"), str) else f"row {number}"
        problems += [f"{label}: {problem}" for problem in reading.problems]
        if row is not None:
            rows.append(row)
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            problems.append(f"the id {row.id} is used twice")
        seen.add(row.id)
    if problems:
        raise PriceBookError.of(origin, problems)
    return tuple(rows)


class _Reading:
    """One table on its way to a row; collects what is wrong with it."""

    def __init__(self, table: Mapping[str, object], stages: Collection[str] | None) -> None:
        self.problems: list[str] = []
        self._table, self._stages = table, stages

    def row(self) -> PriceRow | None:
        """The row, or None where `problems` is not empty."""
        table = self._table
        self.problems += [f"'{name}' is not a field" for name in sorted(set(table) - set(_NAMES))]
        missing = sorted(_REQUIRED - set(table))
        self.problems += [f"'{name}' is missing" for name in missing]
        values: dict[str, Any] = {}
        for name in _NAMES:
            if name not in table:
                continue
            try:
                values[name] = _value(name, table[name])
            except (UsageError, ValueError) as error:
                self.problems.append(f"{name}: {_said(error)}")
        stage = values.get("stage")
        known = dict.fromkeys((*(self._stages or ()), *PRICED_AHEAD))
        if stage and self._stages is not None and stage not in known:
            self.problems.append(f"stage: '{stage}' is none of {', '.join(known)}")
        if self.problems:
            return None
        row = PriceRow(**{"effective_to": None, **values})
        if row.effective_to is not None and row.effective_to <= row.effective_from:
            self.problems.append("effective_to is not after effective_from")
            return None
        return row


def _said(error: UsageError | ValueError) -> str:
    if isinstance(error, UsageError):
        return f"{error.message}; {error.hint}" if error.hint else error.message
    return str(error)


def _value(name: str, given: object) -> object:
    """The typed value of one field. Raises ValueError or MoneyError with what is wrong with it."""
    if name == "spot":
        return _flag(given)
    if isinstance(given, date):
        # TOML has dates of its own; they mean what their text means.
        given = given.isoformat().replace("+00:00", "Z")
    if isinstance(given, float):
        raise MoneyError(f'{given!r} is a float, which is not exact; write it in quotes, such as "0.006"')
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str):
        raise MoneyError(f"{given!r} is not text")
    return _text_value(name, given.strip())


def _text_value(name: str, text: str) -> object:
    if name in ("unit_price", "billing_increment", "minimum_quantity", "free_tier", "request_limit"):
        return rate(text)
    if name in _INSTANTS:
        return instant(text) if text or name == "effective_from" else None
    if name == "tier":
        return _closed(Tier, text) if text else None
    if name == "observed_at":
        return _day(text)
    if name == "per":
        return int(_matched(_COUNT, text, "a whole number above 0"))
    if name == "id":
        return _matched(_ID, text, "an id (letters, digits and . _ / @ -)")
    if name == "source_url":
        return _matched(_URL, text, "an address that begins with https://")
    if name == "currency":
        return currency_code(text)
    if name == "meter":
        return _closed(Meter, text)
    if name == "confidence":
        return _closed(Confidence, text)
    if name == "rounding":
        return _closed(Rounding, text)
    if name in ("provider", "sku") and not text:
        raise ValueError("is empty")
    if not text.isprintable():
        raise ValueError("holds what cannot be printed")
    return text


def _matched(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"'{text}' is not {what}")
    return text


def _closed(kind: type[_Closed], text: str) -> _Closed:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"'{text}' is none of {', '.join(kind)}") from None


def _flag(given: object) -> bool:
    if isinstance(given, bool):
        return given
    if given in ("true", "false"):
        return given == "true"
    raise ValueError(f"{given!r} is not true or false")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a day, such as 2026-11-21") from None


def instant(text: str) -> int:
    """``2026-05-01`` or ``2026-05-01T14:30:00Z`` in milliseconds since the epoch. Raises ValueError."""
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"'{text}' is not a day or a UTC time, such as 2026-05-01 or 2026-05-01T14:30:00Z")
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"'{text}' is not a day of the calendar") from None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def shipped_book() -> PriceBook:
    """The rows that come with this package, from ``ledger/book/*.toml``. Raises PriceBookError."""
    rows: list[PriceRow] = []
    for file in sorted(resources.files("ledger").joinpath("book").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml") and file.name != "providers.toml":
            rows += parse_toml(file.read_text(encoding="utf-8"), file.name)
    return PriceBook(()).with_rows(rows)


def load_book(project_file: Path | None, stages: Collection[str]) -> PriceBook:
    """Shipped rows, over them the project's file, whose rows may be for ``stages``. Raises PriceBookError.

    A project file that does not exist yet is an empty one.
    """
    book = shipped_book()
    if project_file is not None and project_file.exists():
        book = book.with_rows(read_rows(project_file, stages))
    return book


def with_imported(
    project_file: Path, rows: Iterable[PriceRow], stages: Collection[str]
) -> tuple[PriceBook, tuple[PriceRow, ...]]:
    """The book as it would be with ``rows`` in the project's file, and those of them that are not there yet.

    Raises PriceBookError where an id is taken by another row, or by the same price of which something else is said;
    `ledger.price_book.price_checks.check_book` finds overlaps.
    """
    shipped = shipped_book()
    own = read_rows(project_file, stages) if project_file.exists() else ()
    before = shipped.with_rows(own)
    wanted = tuple(rows)
    before.with_rows(wanted)
    told = {row.id: row for row in before.rows}
    other = [row for row in wanted if told.get(row.id, row) != row]
    if other:
        problems = [f"{row.id} is there at the same price and says something else about it" for row in other]
        raise PriceBookError.of(
            "price book", problems, f"correct it in {project_file} by hand: an import only adds rows"
        )
    new = tuple(row for row in wanted if before.row(row.id) is None)
    return shipped.with_rows((*own, *new)), new


def toml_of(row: PriceRow) -> str:
    """The row as one ``[[price]]`` table, without fields that are as if left out."""
    return "\n".join([f"[[{TABLE}]]", *_lines(row), ""])


def _lines(row: PriceRow) -> Iterator[str]:
    defaults = {field.name: field.default for field in fields(PriceRow) if field.default is not MISSING}
    for name in _NAMES:
        value = getattr(row, name)
        if value is None or (name in defaults and value == defaults[name]):
            continue
        if name in _INSTANTS:
            yield f'{name} = "{instant_text(value)}"'
        elif isinstance(value, bool):
            yield f"{name} = {str(value).lower()}"
        elif isinstance(value, Decimal):
            yield f'{name} = "{value:f}"'
        else:
            yield f'{name} = "{_escaped(str(value))}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def append_rows(file: Path, rows: Iterable[PriceRow]) -> int:
    """Appends ``rows`` to a project's price file, which is made if need be; returns how many bytes it grew by.

    What is in the file stays as it is, comments included. Rows must have passed `PriceBook.with_rows` and
    `ledger.price_book.price_checks.check_book` beside the file's own. Raises PriceBookError where it cannot be written.
    """
    text = "".join(f"\n{toml_of(row)}" for row in rows)
    try:
        if file.exists() and file.stat().st_size and not file.read_bytes().endswith(b"\n"):
            text = "\n" + text
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise PriceBookError.of(
            str(file), [f"cannot be written: {error.strerror}"], "give a file on a disk with room"
        ) from error
    return len(text.encode())
