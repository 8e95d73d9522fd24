"""How a finished file gets its name: never over another, and all of it or nothing."""

from __future__ import annotations

import errno
from contextlib import suppress
from enum import Enum

from cache.filesystem import Filesystem

#: What a mount answers when it has no such operation.
UNSUPPORTED = frozenset(
    {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EMLINK, errno.EXDEV, errno.ENOTTY}
)


_LINK_ATTEMPTS = 10


class PublishMethod(Enum):
    """The operation that publishes without replacing; chosen once for a store, because two kinds must never race."""

    LINK = "link"
    RENAME_NOREPLACE = "renameat2"


class PutOutcome(Enum):
    """What became of a record that was given to the store. Both are success, and both are durable."""

    #: It is now in the store.
    COMMITTED = "committed"
    #: A sound record of that key was there first; it stays, and this one is dropped.
    LOST_RACE = "lost-race"


def place(filesystem: Filesystem, method: PublishMethod, temp: str, target: str) -> None:
    """Gives the finished file ``temp`` its final name; its temporary name is gone afterwards.

    Raises FileExistsError, and leaves ``temp`` alone, when the name is taken.
    """
    if method is PublishMethod.RENAME_NOREPLACE:
        filesystem.rename_noreplace(temp, target)
        return
    for attempt in range(_LINK_ATTEMPTS):
        try:
            filesystem.link(temp, target)
            break
        except FileExistsError:
            mine = filesystem.stat(temp)
            try:
                there = filesystem.stat(target)
            except FileNotFoundError:
                # Whoever had the name was damaged and has just been moved to quarantine by another process.
                if attempt + 1 == _LINK_ATTEMPTS:
                    raise
                continue
            # An NFS client that repeats a request whose answer was lost is told "exists" about its own success.
            if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
                raise
            break
    with suppress(OSError):  # The record has its name; a leftover second name is gc's business.
        filesystem.unlink(temp)
