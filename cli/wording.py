"""Numbers and names as people read them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from media.sources import shown as one_line

__all__ = ["clock", "near", "one_line", "percent", "printable", "size"]


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
