"""Reading files that must be exactly what was written: what is not goes to quarantine and counts as missing."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TypeVar

from cache.faults import UNREADABLE, CorruptDataError
from cache.volume import Moved, Pending, Volume

T = TypeVar("T")
_READS = 2
_ROUNDS = 3


def read_checked(volume: Volume, parts: Sequence[str], decode: Callable[[bytes], T]) -> T | None:
    """What ``decode`` makes of the file at ``parts``; None when it is missing or damaged.

    ``decode`` raises CorruptDataError for bytes that were not written there. A damaged file is read once more first
    (what a network disk shows for a moment is not yet damage), then moved to quarantine.
    """
    return _read(volume, parts, decode)[0]


def settle(volume: Volume, pending: Pending, decode: Callable[[bytes], T]) -> bool:
    """After a lost race: True when the winner is sound and stays, False when it is worth trying to publish again."""
    value, moved = _read(volume, pending.parts, decode)
    if moved is Moved.STUCK:
        raise OSError(errno.EROFS, "a damaged file cannot be moved away", volume.path(pending.parts))
    return value is not None


def _read(volume: Volume, parts: Sequence[str], decode: Callable[[bytes], T]) -> tuple[T | None, Moved | None]:
    """The checked file, and what became of it when it was damaged."""
    path = volume.path(parts)

    def is_sound(place: str) -> bool:
        try:
            decode(volume.filesystem.read(place))
        except CorruptDataError:
            return False
        return True

    moved = None
    for _ in range(_ROUNDS):
        reason = ""
        for _ in range(_READS):
            try:
                data = volume.read(path)
                return None if data is None else decode(data), None
            except CorruptDataError as damage:
                reason = str(damage)
            except OSError as error:
                if error.errno not in UNREADABLE:
                    raise
                reason = error.strerror or str(error)
        moved = volume.quarantine(parts, reason, is_sound)
        if moved is not Moved.BACK:
            break
    return None, moved
