"""Manifests: CSV or JSONL files that list media with options for each."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import ListedError, MediaError, SegueError, UsageError
from media.sources import check_source, shown
from pipeline.inputs.tables import Row, read_rows, read_text
from pipeline.languages import parse_source, parse_targets
from pipeline.runtime import expand_home

SUFFIXES = (".csv", ".tsv", ".jsonl")
#: Columns of a manifest; every one but ``media`` may be left out or empty and then means what the flags say.
COLUMNS = ("media", "to", "from", "out", "track", "transcript", "glossary")


@dataclass(frozen=True)
class Manifest:
    """What a manifest lists."""

    #: What each row says of its media, by the names of `RunOptions`.
    rows: dict[Path, dict[str, Any]]
    #: What a person should know about how it was read; empty for nothing.
    doubt: str


def is_manifest(path: Path) -> bool:
    """True for a file that lists inputs."""
    return path.suffix.lower() in SUFFIXES and os.path.isfile(path)  # noqa: PTH113 - must not raise for odd names


def read_manifest(path: Path) -> Manifest:
    """A CSV or JSONL manifest; paths in it are relative to its own folder. Whether media are there is not asked.

    Raises ListedError with one line for each bad row, before anything is done.
    """
    decoded = read_text(path, "manifest")
    problems: list[str] = []
    read = _json_rows if path.suffix.lower() == ".jsonl" else _table_rows
    rows: dict[Path, tuple[int, dict[str, Any]]] = {}
    for number, row in read(decoded.text, problems):
        try:
            media, changes = _row(row, path.parent)
        except SegueError as error:
            problems.append(f"row {number}: {error}")
            continue
        first, known = rows.setdefault(media, (number, changes))
        if known != changes:
            # Both would write the same files; which one held would be chance.
            problems.append(f"row {number}: {shown(media)} stands in row {first} with other options")
    if not rows and not problems:
        problems.append("it has no rows")
    if problems:
        # Alone they are no reason to refuse the others.
        problems += [f"row {number}: {trouble}" for media, (number, _) in rows.items() if (trouble := _trouble(media))]
        doubt = f"; {decoded.doubt}" if decoded.doubt else ""
        raise ListedError.of(
            f"{shown(path)} cannot be used as a manifest", problems, f"correct these rows; nothing was done{doubt}"
        )
    return Manifest({media: changes for media, (_, changes) in rows.items()}, decoded.doubt)


def _json_rows(text: str, problems: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # Not splitlines: JSON strings may hold what Python takes for other ends of a line (U+2028, form feed).
    for number, line in enumerate(re.split(r"\r?\n|\r", text.lstrip("\ufeff")), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_object)
        except (ValueError, RecursionError):
            problems.append(f"row {number}: not valid JSON")
            continue
        except UsageError as error:
            problems.append(f"row {number}: {error}")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            problems.append(f"row {number}: not a JSON object")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, whose names are read as those of columns are. Raises UsageError for one that is there twice."""
    found = {name.strip().lower(): value for name, value in pairs}
    if len(found) < len(pairs):
        raise UsageError("a name is there twice")
    return found


def _names(row: Row) -> list[str]:
    return [cell.lower() for cell in row.cells]


def _table_rows(text: str, problems: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    def fits(rows: Sequence[Row]) -> bool:
        return bool(rows) and len(rows[0].cells) > 1 and "media" in _names(rows[0])

    rows = read_rows(text, fits, problems)
    names = _names(rows[0]) if rows else []
    unknown = [name for name in names if name and name not in COLUMNS]
    double = [name for name in COLUMNS if names.count(name) > 1]
    if unknown or double or "media" not in names:
        what = f"unknown: {', '.join(map(shown, unknown[:5]))}" if unknown else f"twice: {', '.join(double) or 'none'}"
        needed = f"columns are {', '.join(COLUMNS)}; 'media' is needed"
        problems.insert(0, f"row 1: the first line must name the columns ({what}; {needed})")
        return
    for row in rows[1:]:
        cells = [*row.cells, *[""] * (len(names) - len(row.cells))]
        if any(cell for cell, name in zip(cells, [*names, *[""] * len(cells)], strict=False) if not name):
            problems.append(f'row {row.line}: more values than columns (quote values that hold the separator: "es;fr")')
        else:
            yield row.line, dict(zip(names, cells, strict=False))


def _row(row: Mapping[str, Any], base: Path) -> tuple[Path, dict[str, Any]]:
    said = {name: cell for name, value in row.items() if (cell := _cell(value))}
    unknown = [name for name in said if name not in COLUMNS]
    if unknown:
        names = ", ".join(shown(name) or "without a name" for name in unknown)
        raise UsageError(f"unknown column {names}", f"columns are {', '.join(COLUMNS)}")
    if "media" not in said:
        raise UsageError("no media named")
    media = _absolute(base, said["media"])
    if os.path.isdir(media):  # noqa: PTH112 - must not raise for odd names
        raise UsageError(f"{shown(media)} is a folder", "name files in a manifest; folders go on the command line")
    changes: dict[str, Any] = {}
    if "to" in said:
        changes["targets"] = _targets(said["to"])
    if "from" in said:
        changes["source_language"] = _source(said["from"])
    for name in ("out", "transcript", "glossary"):
        if name in said:
            changes[name] = _absolute(base, said[name])
    if "track" in said:
        changes["track"] = said["track"]
    for name in ("transcript", "glossary"):
        if name in changes and not os.path.isfile(changes[name]):  # noqa: PTH113
            raise UsageError(f"the {name} {shown(changes[name])} is not a file")
    return media, changes


def _trouble(media: Path) -> str:
    try:
        check_source(media)
    except MediaError as error:
        return str(error)
    return ""


#: Thousands of rows say the same.
_targets = lru_cache(maxsize=1024)(parse_targets)
_source = lru_cache(maxsize=1024)(parse_source)


def _absolute(base: Path, text: str) -> Path:
    """A manifest's path, which is relative to its folder, as an absolute one without ``..``. Raises UsageError."""
    if "\0" in text:
        raise UsageError(f"{shown(text)} is not a name that a file can have")
    return Path(os.path.abspath(base / expand_home(Path(text))))  # noqa: PTH100 - resolve() would follow links


def _cell(value: Any) -> str:
    """A cell's text; a list of languages may be written as a JSON list."""
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value).strip()
