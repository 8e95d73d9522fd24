"""Whether a mount is fit for a store, tried out rather than believed."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath

from cache.filesystem import Filesystem
from core.environment import foreign_environment
from core.keys import digest_bytes

#: Below this much free space a run of ordinary length may stop half-way.
LOW_SPACE_BYTES = 2_000_000_000
_ANOTHER_DISK = "put SEGUE_HOME on another disk: ext4, xfs, btrfs, zfs, APFS and NFS 4 are fit"
_FORGETFUL = frozenset({"tmpfs", "ramfs"})
_CHILD_TIMEOUT_S = 60
#: Run by a second process: prints the digest of what it sees, then tries to take a name that is taken.
_CHILD = """
import hashlib, os, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
try:
    os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    print("taken twice")
except FileExistsError:
    print("refused")
"""


class ProbeLevel(Enum):
    """What a finding means."""

    OK = "ok"
    #: The store works; a person should know.
    WARNING = "warning"
    #: The store must not be put here.
    REFUSED = "refused"


@dataclass(frozen=True)
class ProbeResult:
    """One thing that was tried."""

    #: What was tried: ``create-exclusive``.
    name: str
    level: ProbeLevel
    #: What was seen, and what it means.
    detail: str
    #: What to do about it; empty when all is well.
    fix: str = ""


def probe_mount(home: Path, filesystem: Filesystem | None = None) -> list[ProbeResult]:
    """Tries every operation the store relies on, in a folder of its own that is removed afterwards.

    When ``home`` does not exist yet, the nearest folder above it that does is tried. Never raises OSError.
    """
    disk = filesystem or Filesystem()
    base = home.expanduser().absolute()
    while not base.is_dir() and base != base.parent:
        base = base.parent
    folder = f"{base}/.segue-probe-{secrets.token_hex(6)}"
    try:
        disk.make_directory(folder)
    except OSError as error:
        detail = f"nothing can be written in {base}: {error.strerror}"
        return [ProbeResult("write", ProbeLevel.REFUSED, detail, "give this user write access, or mount it writable")]
    try:
        tries: list[Callable[[Filesystem, str], ProbeResult]] = [
            _try_exclusive,
            _try_sync,
            _try_publish,
            _try_read_back,
            _try_second_process,
        ]
        results = [_attempt(action, disk, folder) for action in tries]
    finally:
        _clear(disk, folder)
    return [*results, _look_at_space(disk, str(base)), _look_at_kind(base)]


def _attempt(action: Callable[[Filesystem, str], ProbeResult], disk: Filesystem, folder: str) -> ProbeResult:
    name = action.__name__.removeprefix("_try_").replace("_", "-")
    try:
        return action(disk, folder)
    except OSError as error:
        return ProbeResult(name, ProbeLevel.REFUSED, f"the disk answers: {error.strerror or error}", _ANOTHER_DISK)


def _write(disk: Filesystem, path: str, data: bytes) -> None:
    with _opened(disk, path) as fd:
        disk.write(fd, data)
        disk.fsync(fd)


@contextmanager
def _opened(disk: Filesystem, path: str) -> Iterator[int]:
    fd = disk.create(path)
    try:
        yield fd
    finally:
        disk.close(fd)


def _try_exclusive(disk: Filesystem, folder: str) -> ProbeResult:
    path = f"{folder}/exclusive"
    _write(disk, path, b"first")
    try:
        disk.close(disk.create(path))
    except FileExistsError:
        return ProbeResult("exclusive", ProbeLevel.OK, "a name that is taken cannot be created again")
    return ProbeResult("exclusive", ProbeLevel.REFUSED, "two writers can create the same name", _ANOTHER_DISK)


def _try_sync(disk: Filesystem, folder: str) -> ProbeResult:
    _write(disk, f"{folder}/sync", b"x" * 4096)
    disk.fsync_directory(folder)
    return ProbeResult("sync", ProbeLevel.OK, "files and folders can be flushed to the disk")


def _try_publish(disk: Filesystem, folder: str) -> ProbeResult:
    """Link, then rename without replacing: one must work, and neither may overwrite."""
    refusals = []
    for name, action in (("link", disk.link), ("renameat2", disk.rename_noreplace)):
        mine, taken, free = (f"{folder}/{name}-{part}" for part in ("mine", "taken", "free"))
        _write(disk, mine, b"mine")
        _write(disk, taken, b"theirs")
        try:
            action(mine, taken)
        except FileExistsError:
            pass
        except OSError as error:
            refusals.append(f"{name}: {error.strerror}")
            continue
        if disk.read(taken) != b"theirs":
            return ProbeResult("publish", ProbeLevel.REFUSED, f"{name} overwrites what is there", _ANOTHER_DISK)
        action(mine, free)
        if disk.read(free) != b"mine":
            return ProbeResult("publish", ProbeLevel.REFUSED, f"{name} loses what it moves", _ANOTHER_DISK)
        return ProbeResult("publish", ProbeLevel.OK, f"finished files are published by {name}, never over another")
    return ProbeResult("publish", ProbeLevel.REFUSED, "; ".join(refusals), _ANOTHER_DISK)


def _try_read_back(disk: Filesystem, folder: str) -> ProbeResult:
    data = os.urandom(3_000_000)
    _write(disk, f"{folder}/read-back", data)
    if disk.read(f"{folder}/read-back") != data:
        return ProbeResult("read-back", ProbeLevel.REFUSED, "what is read is not what was written", _ANOTHER_DISK)
    return ProbeResult("read-back", ProbeLevel.OK, "what is read is what was written")


def _try_second_process(disk: Filesystem, folder: str) -> ProbeResult:
    path, data = f"{folder}/seen", os.urandom(10_000)
    _write(disk, path, data)
    try:
        child = subprocess.run(
            [sys.executable, "-I", "-c", _CHILD, path],
            capture_output=True,
            text=True,
            timeout=_CHILD_TIMEOUT_S,
            check=False,
            env=foreign_environment(),
        )
    except subprocess.TimeoutExpired:
        return ProbeResult("second-process", ProbeLevel.REFUSED, "another process hangs on this disk", _ANOTHER_DISK)
    if child.stdout.split("\n")[:2] == [digest_bytes(data), "refused"]:
        return ProbeResult("second-process", ProbeLevel.OK, "another process sees a file as soon as it is written")
    seen = (child.stderr.strip().splitlines() or child.stdout.split("\n"))[-1]
    return ProbeResult(
        "second-process", ProbeLevel.REFUSED, f"another process does not see what was written: {seen}", _ANOTHER_DISK
    )


def _look_at_space(disk: Filesystem, base: str) -> ProbeResult:
    try:
        free = disk.free_bytes(base)
    except OSError as error:
        return ProbeResult("space", ProbeLevel.WARNING, f"free space cannot be measured: {error.strerror}")
    detail = f"{free / 1e9:.1f} GB free"
    if free < LOW_SPACE_BYTES:
        fix = "free some space: an hour of media needs about 120 MB here"
        return ProbeResult("space", ProbeLevel.WARNING, detail, fix)
    return ProbeResult("space", ProbeLevel.OK, detail)


def _look_at_kind(base: Path) -> ProbeResult:
    """Memory disks forget everything at power-off, which no test of a running machine can show."""
    kind = _mounted_kind(base)
    if kind in _FORGETFUL:
        fix = "point SEGUE_HOME at a real disk unless this is only a trial"
        return ProbeResult("kind", ProbeLevel.WARNING, f"{kind}: everything is lost at power-off", fix)
    return ProbeResult("kind", ProbeLevel.OK, kind or "not known on this system")


def _mounted_kind(base: Path) -> str:
    """The file system's type by Linux's table of mounts; empty elsewhere."""
    best, kind = -1, ""
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text(errors="replace").splitlines():
            fields = line.split(" ")
            if len(fields) < 3:
                continue
            place = PurePath(fields[1].encode().decode("unicode_escape", errors="replace"))
            if base.resolve().is_relative_to(place) and len(place.parts) >= best:
                best, kind = len(place.parts), fields[2]
    return kind


def _clear(disk: Filesystem, folder: str) -> None:
    with suppress(OSError):
        for name in disk.names(folder):
            with suppress(OSError):
                disk.unlink(f"{folder}/{name}")
        disk.remove_directory(folder)
