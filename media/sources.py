"""The files that are read: only regular local ones, checked before anything else opens them, and their digests."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.errors import MediaError
from core.keys import Digest, digest_chunks

_CHUNK_BYTES = 1 << 20
_LONGEST_NAME = 200


@dataclass(frozen=True)
class StatSignature:
    """What a file's metadata says; while it stays the same, so does the digest of the file, for caching."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int


def shown(path: Path | str) -> str:
    """A path as one printable line: control characters, line breaks and undecodable bytes are written as escapes."""
    text = "".join(char if char.isprintable() else _escaped(char) for char in str(path))
    return text if len(text) <= _LONGEST_NAME else "…" + text[-_LONGEST_NAME:]


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Foreign text (titles, ffmpeg's words) without control characters or line breaks."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


@contextmanager
def open_source(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading, its name unknown to the reader (so its suffix decides nothing).

    Raises MediaError unless it is a regular, readable file with at least one byte.
    """
    handle = os.fdopen(_open_checked(path), "rb")
    with handle:
        yield handle


def check_source(path: Path) -> None:
    """Raises MediaError unless ``path`` is a regular, readable file with at least one byte."""
    os.close(_open_checked(path))


def _open_checked(path: Path) -> int:
    try:
        # The kind is asked first: opening a device can have effects of its own.
        _refuse_kind(path, os.stat(path).st_mode)  # noqa: PTH116 - a Path method would raise for odd names
        # Without O_NONBLOCK, a FIFO put there since the check would block for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        hint = "the link points nowhere" if _is_link(path) else "check the name and the folder"
        raise MediaError(f"{shown(path)}: there is no such file", hint) from error
    except PermissionError as error:
        raise MediaError(f"{shown(path)}: no permission to read it", f"chmod +r {shown(path)}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not one a file can have"
        raise MediaError(f"{shown(path)}: cannot be read: {reason}", "check the disk and the name") from error
    try:
        status = os.fstat(descriptor)
        _refuse_kind(path, status.st_mode)
        _refuse_empty(path, status.st_size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_link(path: Path) -> bool:
    return os.path.islink(path)  # noqa: PTH114 - must not raise


def _refuse_kind(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise MediaError(f"{shown(path)}: is {kind}, not a file", "give a regular file on a local or mounted disk")


def _refuse_empty(path: Path, size_bytes: int) -> None:
    if size_bytes == 0:
        raise MediaError(f"{shown(path)}: is empty (zero bytes)", "copy or record it again")


def stat_signature(path: Path) -> StatSignature:
    """What the file system says of a file that exists. Raises MediaError when it does not."""
    try:
        return _signature(path, path.stat())
    except (OSError, ValueError) as error:
        raise MediaError(f"{shown(path)}: there is no such file", "check the name and the folder") from error


def _signature(path: Path, status: os.stat_result) -> StatSignature:
    return StatSignature(os.fspath(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino)


def media_digest(path: Path) -> Digest:
    """SHA-256 of the file's bytes, read in pieces.

    Raises MediaError when it is not a readable regular file, or changes while it is read.
    """
    with open_source(path) as handle:
        before = _signature(path, os.fstat(handle.fileno()))
        try:
            digest = digest_chunks(iter(lambda: handle.read(_CHUNK_BYTES), b""))
        except OSError as error:
            raise MediaError(f"{shown(path)}: cannot be read: {error.strerror}", "check the disk") from error
        after = _signature(path, os.fstat(handle.fileno()))
    if before != after:
        raise MediaError(f"{shown(path)}: changed while it was read", "wait until it is complete, then run again")
    return digest
