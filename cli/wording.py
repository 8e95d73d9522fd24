"""Numbers and names as people read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sized
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from media.sources import shown as one_line

__all__ = ["clock", "count", "local_time", "near", "one_line", "percent", "printable", "size", "told_apart"]


def printable(text: str) -> str:
    """The text without anything that could move a cursor or break the line; nothing is cut off."""
    return "".join(char if char.isprintable() else " " for char in text)


def clock(ms: float) -> str:
    """``1:02:03`` or ``2:03``."""
    seconds = round(ms / 1000)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def near(path: Path) -> Path:
    """The path as one would type it here: relative below the working directory, else absolute."""
    with suppress(ValueError, OSError):
        return path.relative_to(Path.cwd())
    return path


def count(things: Sized, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """``41 %``; of nothing, 0 %."""
    return f"{round(100 * part / whole) if whole else 0} %"


def size(number: int) -> str:
    """``3.4 MB``."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def local_time(at: str) -> str:
    """A UTC time, ISO 8601, as this machine's clock shows it; as it stands when it is none."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return f"{at:<19}"


def told_apart(paths: Iterable[Path]) -> dict[Path, str]:
    """Each path's name, on one line, with as much of its folders before it as tells it from others of that name."""
    by_name: dict[str, set[Path]] = defaultdict(set)
    for path in paths:
        by_name[path.name].add(path)
    shown: dict[Path, str] = {}
    for alike in by_name.values():
        depth = 1
        while len({path.parts[-depth:] for path in alike}) < len(alike):
            depth += 1
        shown |= {path: one_line(Path(*path.parts[-depth:])) for path in alike}
    return shown
