"""Every file-system call that the store makes, and nothing else: the one seam that tests record, delay and break.

Paths are plain strings because these calls are the store's hot path. Every method raises OSError as the kernel does.
"""

# This file is the thin layer over the system calls themselves.
# ruff: noqa: PTH102, PTH105, PTH106, PTH108, PTH208

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_READ_SIZE = 1 << 16
_FILE_MODE = 0o666
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


@cache
def _renameat2() -> Callable[..., int] | None:
    """The C library's ``renameat2``, or None where there is none (before glibc 2.28, outside Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function: Any = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]


def _sync_to_disk(fd: int) -> None:
    if sys.platform == "darwin":
        # There, fsync leaves the data in the drive's own cache; network disks know only fsync.
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


class Filesystem:
    """The real file system. Tests subclass it."""

    def create(self, path: str) -> int:
        """Opens a new file for writing; FileExistsError when the name is taken."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | _NO_FOLLOW, _FILE_MODE)

    def open_append(self, path: str) -> int:
        """Opens an existing file so that every write lands at its end."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | _NO_FOLLOW)

    def create_append(self, path: str) -> int:
        """Like `open_append` for a new file; FileExistsError when the name is taken."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | _NO_FOLLOW
        return os.open(path, flags, _FILE_MODE)

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> None:
        """Writes all of ``data``, in as few calls as the kernel allows (one, unless the disk fills up)."""
        written = os.write(fd, data)
        if written < len(data):
            rest = memoryview(data)
            while written < len(rest):
                written += os.write(fd, rest[written:])

    def fsync(self, fd: int) -> None:
        """Returns when the disk, not only the kernel, has the file."""
        _sync_to_disk(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def fsync_directory(self, path: str) -> None:
        """Makes the names in a directory durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _sync_to_disk(fd)
        finally:
            os.close(fd)

    def link(self, source: str, target: str) -> None:
        """A second name for a file; FileExistsError when the target is taken."""
        os.link(source, target)

    def rename_noreplace(self, source: str, target: str) -> None:
        """Renames; FileExistsError when the target is taken, OSError(ENOSYS) where the system cannot do it."""
        function = _renameat2()
        if function is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), target)
        code = function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
        if code != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), source, None, target)

    def replace(self, source: str, target: str) -> None:
        """Renames over whatever has the target's name."""
        os.replace(source, target)

    def touch(self, path: str) -> None:
        """Sets the file's age to zero."""
        os.utime(path)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def make_directory(self, path: str, mode: int = 0o777) -> None:
        """One level only: a missing parent is FileNotFoundError, never created. The umask takes from ``mode``."""
        os.mkdir(path, mode)

    def remove_directory(self, path: str) -> None:
        os.rmdir(path)

    def read(self, path: str) -> bytes:
        """The whole file. Names that are not regular files are never opened for long: a fifo cannot block us."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | _NO_FOLLOW)
        try:
            parts = []
            while part := os.read(fd, _READ_SIZE):
                parts.append(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            os.close(fd)

    def open_read(self, path: str) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | _NO_FOLLOW)

    def read_at(self, fd: int, length: int, offset: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        data = os.pread(fd, length, offset)
        while 0 < len(data) < length and (more := os.pread(fd, length - len(data), offset + len(data))):
            data += more
        return data

    def size_of(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def stat(self, path: str) -> os.stat_result:
        """Facts about the name itself: a symbolic link is not followed."""
        return os.lstat(path)

    def exists(self, path: str) -> bool:
        """True when something has that name; any error but "no such name" is raised."""
        try:
            os.lstat(path)
        except FileNotFoundError:
            return False
        return True

    def kind(self, path: str) -> str:
        """The type of the mount that holds a folder, such as ``ext4`` or ``fuse.blobfuse2``; empty when nobody says."""
        device = os.lstat(f"{path}/.").st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:  # noqa: PTH123
                for line in mounts:
                    fields, _, rest = line.partition(" - ")
                    if fields.split(" ")[2] == wanted:
                        return rest.split(" ")[0]
        except (OSError, IndexError):
            return ""
        return ""

    def names(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        return sorted(os.listdir(path))

    def entries(self, path: str) -> list[tuple[str, bool]]:
        """The names in a directory, sorted, and whether each is a directory itself; no file is looked at."""
        with os.scandir(path) as found:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)

    def free_bytes(self, path: str) -> int:
        """Bytes that this user may still write on the path's disk."""
        facts = os.statvfs(path)
        return facts.f_bavail * facts.f_frsize


class ReadOnlyFilesystem(Filesystem):
    """The same disk for whoever only looks: what would change it is refused, as a disk mounted read-only refuses it."""

    def create(self, path: str) -> int:
        raise _refusal(path)

    def open_append(self, path: str) -> int:
        raise _refusal(path)

    def create_append(self, path: str) -> int:
        raise _refusal(path)

    def link(self, source: str, target: str) -> None:
        raise _refusal(target)

    def rename_noreplace(self, source: str, target: str) -> None:
        raise _refusal(target)

    def replace(self, source: str, target: str) -> None:
        raise _refusal(target)

    def touch(self, path: str) -> None:
        raise _refusal(path)

    def unlink(self, path: str) -> None:
        raise _refusal(path)

    def make_directory(self, path: str, mode: int = 0o777) -> None:
        raise _refusal(path)

    def remove_directory(self, path: str) -> None:
        raise _refusal(path)


def _refusal(path: str) -> OSError:
    return OSError(errno.EROFS, os.strerror(errno.EROFS), path)
