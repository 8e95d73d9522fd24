"""What a disk may look like after a crash, worked out from the recorded file-system operations of a run.

The rules are those of the weakest disk the store claims to survive:
- bytes written to a file since its last fsync may be there, or not, or in part, or as zeros;
- a name created, linked, renamed or removed since its folder's last fsync may be so or still be as it was before any of
  those changes, each name by itself (a rename may show both names, or neither);
- what was fsynced stays.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from cache.filesystem import Filesystem

DIRECTORY = -1
_TORN_PIECE = 64


@dataclass(frozen=True)
class Operation:
    """One change, in the order in which the run made it."""

    name: str
    #: Path or paths below the root, or the inode's number.
    subject: tuple[str, ...] = ()
    inode: int = 0
    data: bytes = b""
    #: What the run reported as done at this moment.
    promise: tuple[object, ...] = ()


class Survival(Enum):
    """How much of what was not fsynced a crash leaves."""

    ALL = "the process died, the kernel lives"
    NOTHING = "nothing but what was fsynced"
    NAMES_ONLY = "every name, no bytes"
    DATA_ONLY = "every byte, no names"
    ZEROS = "every name, every length, zeros for bytes"
    MIXED = "each piece by chance"


class RecordingFilesystem(Filesystem):
    """The real file system below ``root``, with every change written down."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.operations: list[Operation] = []
        self._lock = threading.RLock()
        self._inode_of: dict[str, int] = {}
        self._open: dict[int, int] = {}
        self.base_files: dict[int, bytes] = {}
        self.base_names: dict[str, int] = {}
        for folder, folders, files in os.walk(root):
            for name in folders:
                self.base_names[self._below(f"{folder}/{name}")] = DIRECTORY
            for name in files:
                inode = len(self.base_files) + 1
                self.base_files[inode] = Path(folder, name).read_bytes()
                self.base_names[self._below(f"{folder}/{name}")] = inode
        self._inode_of.update(self.base_names)
        self._next = len(self.base_files) + 1

    def promise(self, *promise: object) -> None:
        """Notes that the run has just been told that something is done."""
        with self._lock:
            self.operations.append(Operation("promise", promise=promise))

    def _below(self, path: str) -> str:
        return "" if path == self.root else path.removeprefix(self.root + "/")

    def _log(self, name: str, *paths: str, inode: int = 0, data: bytes = b"") -> None:
        self.operations.append(Operation(name, tuple(self._below(path) for path in paths), inode, data))

    def _created(self, path: str, fd: int) -> int:
        inode = self._next
        self._next += 1
        self._inode_of[self._below(path)] = self._open[fd] = inode
        self._log("create", path, inode=inode)
        return fd

    def create(self, path: str) -> int:
        with self._lock:
            return self._created(path, super().create(path))

    def create_append(self, path: str) -> int:
        with self._lock:
            return self._created(path, super().create_append(path))

    def open_append(self, path: str) -> int:
        with self._lock:
            fd = super().open_append(path)
            self._open[fd] = self._inode_of[self._below(path)]
            return fd

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> None:
        with self._lock:
            super().write(fd, data)
            self._log("write", inode=self._open[fd], data=bytes(data))

    def fsync(self, fd: int) -> None:
        with self._lock:
            super().fsync(fd)
            self._log("fsync", inode=self._open[fd])

    def fsync_directory(self, path: str) -> None:
        with self._lock:
            super().fsync_directory(path)
            self._log("fsync_directory", path)

    def link(self, source: str, target: str) -> None:
        with self._lock:
            super().link(source, target)
            self._inode_of[self._below(target)] = self._inode_of[self._below(source)]
            self._log("link", source, target)

    def rename_noreplace(self, source: str, target: str) -> None:
        with self._lock:
            super().rename_noreplace(source, target)
            self._inode_of[self._below(target)] = self._inode_of.pop(self._below(source))
            self._log("rename", source, target)

    def replace(self, source: str, target: str) -> None:
        with self._lock:
            super().replace(source, target)
            self._inode_of[self._below(target)] = self._inode_of.pop(self._below(source))
            self._log("rename", source, target)

    def unlink(self, path: str) -> None:
        with self._lock:
            super().unlink(path)
            self._inode_of.pop(self._below(path))
            self._log("unlink", path)

    def make_directory(self, path: str, mode: int = 0o777) -> None:
        with self._lock:
            super().make_directory(path, mode)
            self._log("make_directory", path)

    def remove_directory(self, path: str) -> None:
        with self._lock:
            super().remove_directory(path)
            self._log("unlink", path)


@dataclass
class _File:
    durable: bytes
    loose: bytes = b""


@dataclass
class Disk:
    """The disk's knowledge after some operations: what is durable, and what hangs in the air."""

    files: dict[int, _File] = field(default_factory=dict)
    #: For each name: what it meant at the last fsync of its folder, then each later meaning (None: no such name).
    names: dict[str, list[int | None]] = field(default_factory=dict)
    promises: list[tuple[object, ...]] = field(default_factory=list)

    @classmethod
    def before(cls, recorder: RecordingFilesystem) -> Disk:
        """The disk as the recorded run found it, all of it durable."""
        files = {inode: _File(data) for inode, data in recorder.base_files.items()}
        return cls(files, {name: [inode] for name, inode in recorder.base_names.items()})

    def apply(self, operation: Operation) -> None:
        match operation.name, operation.subject:
            case "promise", _:
                self.promises.append(operation.promise)
            case "create", (path,):
                self.files[operation.inode] = _File(b"")
                self._name(path, operation.inode)
            case "write", _:
                self.files[operation.inode].loose += operation.data
            case "fsync", _:
                file = self.files[operation.inode]
                file.durable, file.loose = file.durable + file.loose, b""
            case "link", (source, target):
                self._name(target, self.names[source][-1])
            case "rename", (source, target):
                self._name(target, self.names[source][-1])
                self._name(source, None)
            case "unlink", (path,):
                self._name(path, None)
            case "make_directory", (path,):
                self._name(path, DIRECTORY)
            case "fsync_directory", (folder,):
                for path, meanings in self.names.items():
                    if path.rpartition("/")[0] == folder:
                        del meanings[:-1]
            case _:
                raise AssertionError(operation)

    def _name(self, path: str, inode: int | None) -> None:
        self.names.setdefault(path, [None]).append(inode)

    def materialize(self, target: Path, survival: Survival, chance: random.Random) -> None:
        """Writes one possible state of the disk below ``target``."""
        contents = {inode: _survivor(file, survival, chance) for inode, file in self.files.items()}
        pick = _picker(survival, chance)
        target.mkdir()
        for path in sorted(self.names):
            inode = pick(self.names[path])
            place = target / path
            if inode is None or not place.parent.is_dir():
                continue
            if inode == DIRECTORY:
                place.mkdir()
            else:
                place.write_bytes(contents[inode])


def _picker(survival: Survival, chance: random.Random) -> Callable[[list[int | None]], int | None]:
    if survival is Survival.MIXED:
        return chance.choice
    if survival in (Survival.NOTHING, Survival.DATA_ONLY):
        return lambda meanings: meanings[0]
    return lambda meanings: meanings[-1]


def _survivor(file: _File, survival: Survival, chance: random.Random) -> bytes:
    if survival in (Survival.ALL, Survival.DATA_ONLY):
        return file.durable + file.loose
    if survival in (Survival.NOTHING, Survival.NAMES_ONLY):
        return file.durable
    if survival is Survival.ZEROS:
        return file.durable + bytes(len(file.loose))
    kept = file.loose[: chance.randint(0, len(file.loose))] if chance.random() < 0.5 else file.loose
    pieces = [kept[start : start + _TORN_PIECE] for start in range(0, len(kept), _TORN_PIECE)]
    share = chance.choice((0.0, 0.2, 1.0))
    return file.durable + b"".join(bytes(len(piece)) if chance.random() < share else piece for piece in pieces)
