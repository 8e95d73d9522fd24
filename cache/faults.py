"""What the operating system says, in words a person can act on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import DiskFullError, StoreError

#: No room: the disk, the quota, or the largest file the system allows.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: The file or its folder went away, or a network disk forgot the handle.
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
#: The bytes cannot be read back: a bad sector, or something that is not a regular file under that name.
UNREADABLE = frozenset(
    {errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EILSEQ, getattr(errno, "EUCLEAN", errno.EIO)}
)

FULL_HINT = "free some space and run the same command again: everything finished is kept"


class BlobDamagedError(StoreError):
    """A blob's bytes are not those that were written; it was moved to quarantine and must be made again."""


class CorruptDataError(Exception):
    """Bytes on disk that are not what a writer of this store wrote. Never leaves this room."""


def store_error(error: OSError, doing: str, path: str) -> StoreError:
    """The error that a person sees instead of ``error``, met while ``doing`` something at ``path``."""
    number = error.errno
    if number in FULL:
        return DiskFullError(f"no room left while {doing} in {path}", FULL_HINT)
    if number == errno.EROFS:
        return StoreError(f"{path} is on a read-only disk: {doing} is not possible", "remount it writable")
    if number in (errno.EACCES, errno.EPERM):
        return StoreError(f"no permission for {doing} in {path}", "give this user write access to it")
    if number in GONE:
        return StoreError(
            f"{error.filename or path} has vanished while {doing}",
            "mount the disk again or point SEGUE_HOME at the right folder; nothing was created in its place",
        )
    reason = error.strerror or str(error)
    return StoreError(f"{reason} while {doing} in {path}", "run `segue doctor` to test this disk")


@contextmanager
def faults(doing: str, path: str) -> Iterator[None]:
    """Turns every OSError of the block into a StoreError that says what was being done and where."""
    try:
        yield
    except OSError as error:
        raise store_error(error, doing, path) from error
