"""One error family: each says what went wrong and what to do next, and survives a pickle round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self


class SegueError(Exception):
    """Base of every error a person may see.

    ``message`` is one line that names the thing that failed; ``hint`` says what to do next.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.hint), self.__dict__


class UsageError(SegueError):
    """The request itself cannot be carried out as written (exit code 2)."""


#: Lines of a list of problems that are said, and characters of each: whoever corrects thousands begins with these.
LISTED, _LONGEST_PROBLEM = 20, 300


def summed_up(problems: Sequence[str]) -> list[str]:
    """The first problems, each of bounded length, and one line that says how many more there are."""
    first = [one if len(one) <= _LONGEST_PROBLEM else f"{one[: _LONGEST_PROBLEM - 3]}..." for one in problems[:LISTED]]
    more = len(problems) - len(first)
    return [*first, f"and {more} more"] if more else first


class ListedError(UsageError):
    """Something has several problems: the first of them are lines of ``message``, and ``total`` counts all."""

    total: int = 0

    @classmethod
    def of(cls, said: str, problems: Sequence[str], hint: str = "") -> Self:
        """``said`` with a colon and one line for each problem, as `summed_up` has them."""
        error = cls("\n".join([f"{said}:", *(f"  {problem}" for problem in summed_up(problems))]), hint)
        error.total = len(problems)
        return error


class SettingsError(UsageError):
    """A setting is unknown, malformed or contradicts another."""


class MediaError(SegueError):
    """One input file cannot be used; the other files of the run go on."""


class StoreError(SegueError):
    """The checkpoint store cannot store or read safely (disk full, read-only, foreign, vanished)."""


class MachineError(SegueError):
    """The machine lacks what the work needs (memory, room, open files), or fails: the same command continues later."""


class DiskFullError(StoreError):
    """There is no room for a record: nothing was lost, and a later run continues."""


class EngineError(SegueError):
    """An engine cannot be loaded or used at all: the stage cannot go on."""


class EngineMissingError(EngineError):
    """A provider's package or model is not installed; the hint names what to install."""


class DeviceError(EngineError):
    """The compute device does not work, or has no memory left: whatever was computed is not to blame."""


class EndpointAwayError(EngineError):
    """A remote engine does not answer: nothing here is wrong, and it may answer later."""


class UnitError(SegueError):
    """One unit of work failed and will not succeed by being repeated now; its job goes on."""
