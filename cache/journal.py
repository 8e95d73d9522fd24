"""Journals: append-only files of facts, one checked JSON line each, which several writers may share.

Every line is written by one call together with a newline before and after it. So a line that a crash tore never
swallows the next one: it is a line of its own whose checksum fails, and it is counted instead of believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cache import names
from cache.volume import Volume

_CHECK_DIGITS = 16


@dataclass(frozen=True)
class Journal:
    """What an append-only file says."""

    #: The facts, in the order of the file.
    entries: tuple[dict[str, Any], ...]
    #: Lines that were torn by a crash or changed on the disk.
    damaged: int


def journal_parts(parts: Sequence[str]) -> tuple[str, ...]:
    """The checked place of a journal, whose name ends in ``.jsonl``. Raises ValueError."""
    checked = names.check_parts(parts)
    if not checked[-1].endswith(names.JOURNAL_SUFFIX):
        raise ValueError(f"a journal's name ends in {names.JOURNAL_SUFFIX}: {checked[-1]!r}")
    return checked


def encode_line(entry: Mapping[str, Any]) -> bytes:
    """One entry as it is appended."""
    body = json.dumps(dict(entry), separators=(",", ":"), allow_nan=False).encode("ascii")
    return b"\n%b %b\n" % (_check(body), body)


def decode_lines(data: bytes) -> Journal:
    """The entries of a journal's bytes; whatever is not a whole line is counted."""
    # Not at import: the command line starts without it.
    from pydantic_core import from_json

    entries, damaged = [], 0
    for line in data.split(b"\n"):
        if not line:
            continue
        body = line[_CHECK_DIGITS + 1 :]
        if not line.startswith(_check(body) + b" "):
            damaged += 1
            continue
        try:
            entry = from_json(body, cache_strings="keys")
        except ValueError:
            # It refuses lone surrogates and great depths, which were written all the same.
            entry = json.loads(body)
        if isinstance(entry, dict):
            entries.append(entry)
        else:
            damaged += 1
    return Journal(tuple(entries), damaged)


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECK_DIGITS].encode("ascii")


class Journals:
    """The append-only files of one store."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        #: Journals whose own name is known to be durable.
        self._durable: set[str] = set()

    def append(self, parts: Sequence[str], entries: Sequence[Mapping[str, Any]], *, durable: bool) -> None:
        checked = journal_parts(parts)
        data = b"".join(encode_line(entry) for entry in entries)
        self._volume.confirm()
        filesystem = self._volume.filesystem
        path = self._volume.path(checked)
        fd = self._open(checked, path)
        try:
            filesystem.write(fd, data)
            if durable:
                filesystem.fsync(fd)
        finally:
            filesystem.close(fd)
        if durable and path not in self._durable:
            filesystem.fsync_directory(path.rpartition("/")[0])
            self._durable.add(path)

    def settle(self, parts: Sequence[str]) -> None:
        filesystem, path = self._volume.filesystem, self._volume.path(journal_parts(parts))
        self._volume.confirm()
        try:
            fd = filesystem.open_append(path)
        except FileNotFoundError:
            return
        try:
            filesystem.fsync(fd)
        finally:
            filesystem.close(fd)
        filesystem.fsync_directory(path.rpartition("/")[0])

    def read(self, parts: Sequence[str]) -> Journal:
        data = self._volume.read(self._volume.path(journal_parts(parts)))
        return Journal((), 0) if data is None else decode_lines(data)

    def read_from(self, parts: Sequence[str], offset: int) -> tuple[Journal, int]:
        filesystem, path = self._volume.filesystem, self._volume.path(journal_parts(parts))
        try:
            fd = filesystem.open_read(path)
        except FileNotFoundError:
            self._volume.confirm()
            return Journal((), 0), offset
        try:
            data = filesystem.read_at(fd, max(filesystem.size_of(fd) - offset, 0), offset)
        finally:
            filesystem.close(fd)
        # A line that is still being written has no newline after it: it is read the next time, whole.
        whole = data[: data.rfind(b"\n") + 1]
        return decode_lines(whole), offset + len(whole)

    def _open(self, parts: Sequence[str], path: str) -> int:
        filesystem = self._volume.filesystem
        try:
            return filesystem.open_append(path)
        except FileNotFoundError:
            self._durable.discard(path)
            if not filesystem.exists(path.rpartition("/")[0]):
                self._volume.confirm()
                self._volume.forget_directories()
        self._volume.ensure_directory(parts[:-1])
        try:
            return filesystem.create_append(path)
        except FileExistsError:
            return filesystem.open_append(path)
