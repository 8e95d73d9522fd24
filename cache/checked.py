"""Reading files that must be exactly what was written: what is not goes to quarantine and counts as missing."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TypeVar

from cache.faults import UNREADABLE, Damage
from cache.volume import Pending, Volume

T = TypeVar("T")
_READS = 2
_ROUNDS = 3


def read_checked(volume: Volume, parts: Sequence[str], decode: Callable[[bytes], T]) -> T | None:
    """What ``decode`` makes of the file at ``parts``; None when it is missing or damaged.

    ``decode`` raises Damage for bytes that were not written there. A damaged file is read once more first (what a
    network disk shows for a moment is not yet damage), then moved to quarantine.
    """
    path = volume.path(parts)

    def is_sound(moved: str) -> bool:
        try:
            decode(volume.filesystem.read(moved))
        except Damage:
            return False
        return True

    for _ in range(_ROUNDS):
        reason = ""
        for _ in range(_READS):
            try:
                data = volume.read(path)
                return None if data is None else decode(data)
            except Damage as damage:
                reason = str(damage)
            except OSError as error:
                if error.errno not in UNREADABLE:
                    raise
                reason = error.strerror or str(error)
        if not volume.quarantine(parts, reason, is_sound):
            return None
    return None


def settle(volume: Volume, pending: Pending, decode: Callable[[bytes], T]) -> bool:
    """After a lost race: True when the winner is sound and stays, False when it was damaged and the name is free."""
    if read_checked(volume, pending.parts, decode) is not None:
        return True
    path = volume.path(pending.parts)
    if volume.filesystem.exists(path):
        raise OSError(errno.EROFS, "a damaged file cannot be moved away", path)
    return False
