"""Journals: append-only files of facts, one checked JSON line each, which several writers may share.

Every line is written by one call together with a newline before and after it. So a line that a crash tore never
swallows the next one: it is a line of its own whose checksum fails, and it is counted instead of believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

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


@dataclass(frozen=True)
class Lines:
    """The whole lines of a journal, for whoever decodes them himself."""

    #: The JSON text of each, in the order of the file.
    bodies: tuple[bytes, ...] = ()
    #: Lines that were torn by a crash or changed on the disk.
    damaged: int = 0

    @classmethod
    def of(cls, data: bytes) -> Lines:
        """The lines of a journal's bytes whose checksum holds; the others are counted."""
        bodies, damaged = [], 0
        for line in data.split(b"\n"):
            body = line[_CHECK_DIGITS + 1 :]
            if line.startswith(_check(body) + b" "):
                bodies.append(body)
            elif line:
                damaged += 1
        return cls(tuple(bodies), damaged)

    def decode(self) -> Journal:
        """The JSON objects; whatever is none is counted as well."""
        entries = []
        for body in self.bodies:
            with suppress(ValueError):
                entry = decode_body(body)
                if isinstance(entry, dict):
                    entries.append(entry)
        return Journal(tuple(entries), self.damaged + len(self.bodies) - len(entries))


def journal_parts(parts: Sequence[str]) -> tuple[str, ...]:
    """The checked place of a journal, whose name ends in ``.jsonl``. Raises ValueError."""
    checked = names.check_parts(parts)
    if not checked[-1].endswith(names.JOURNAL_SUFFIX):
        raise ValueError(f"a journal's name ends in {names.JOURNAL_SUFFIX}: {checked[-1]!r}")
    return checked


def encode_body(entry: Mapping[str, Any]) -> bytes:
    """An entry's JSON, as it stands in its line."""
    return json.dumps(dict(entry), separators=(",", ":"), allow_nan=False).encode("ascii")


def encode_line(entry: Mapping[str, Any]) -> bytes:
    """One entry as it is appended."""
    body = encode_body(entry)
    return b"\n%b %b\n" % (_check(body), body)


def decode_body(body: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises ValueError.

    Where the fast decoder refuses, the standard library's has the word: it takes lone surrogates and NaN, and says
    what is wrong. What both take, they read alike: numbers of any size, and the last of two equal names.
    """
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(body.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def decode_lines(data: bytes) -> Journal:
    """The entries of a journal's bytes; whatever is not a whole line is counted."""
    return Lines.of(data).decode()


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

    def read(self, parts: Sequence[str]) -> Lines:
        data = self._volume.read(self._volume.path(journal_parts(parts)))
        return Lines() if data is None else Lines.of(data)

    def read_from(self, parts: Sequence[str], offset: int) -> tuple[Lines, int]:
        filesystem, path = self._volume.filesystem, self._volume.path(journal_parts(parts))
        try:
            fd = filesystem.open_read(path)
        except FileNotFoundError:
            self._volume.confirm()
            return Lines(), offset
        try:
            data = filesystem.read_at(fd, max(filesystem.size_of(fd) - offset, 0), offset)
        finally:
            filesystem.close(fd)
        # A line that is still being written has no newline after it: it is read the next time, whole.
        whole = data[: data.rfind(b"\n") + 1]
        return Lines.of(whole), offset + len(whole)

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
