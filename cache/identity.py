"""``store.json``: which store this is, which format it has, and how it publishes. Kept twice, sealed each time."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from cache import names
from cache.filesystem import Filesystem
from cache.publish import UNSUPPORTED, PublishMethod, place
from core.errors import StoreError
from core.keys import canonical_json, digest_value

FORMAT = 2
#: Mounts whose rename does not itself promise not to replace.
UNFENCED = ("fuse", "cifs", "smb3", "9p")


@dataclass(frozen=True)
class StoreIdentity:
    """What makes one store different from another."""

    #: Random, 32 hexadecimal digits.
    id: str
    #: Version of everything under home; a program refuses what it does not know.
    format: int
    #: How every writer of this store publishes.
    publish: PublishMethod

    def encode(self) -> bytes:
        """The bytes of ``store.json``."""
        value: dict[str, Any] = {"store": self.id, "format": self.format, "publish": self.publish.value}
        return canonical_json({**value, "seal": digest_value(value)}) + b"\n"


def open_identity(filesystem: Filesystem, home: str, *, create: bool) -> StoreIdentity:
    """The identity of the store at ``home``, made if there is none and ``create`` allows it.

    A damaged or missing ``store.json`` is restored from its copy. Raises StoreError for what is no store, or a newer
    one; OSError as the disk raises it.
    """
    path, copy = f"{home}/{names.IDENTITY}", f"{home}/{names.IDENTITY_COPY}"
    identity, there = _read(filesystem, path)
    spare, _ = _read(filesystem, copy)
    if identity is None and spare is not None:
        identity = spare
        with suppress(OSError):  # A read-only disk can still be read from.
            _rewrite(filesystem, home, path, spare)
    elif identity is None and there:
        raise StoreError(
            f"{path} is damaged and so is its copy", "restore it from a backup, or start a new store in another folder"
        )
    elif identity is None:
        if not create:
            raise StoreError(f"there is no store at {home}", "point SEGUE_HOME at the right folder, or mount its disk")
        identity = _found(filesystem, home)
    if spare != identity:
        with suppress(OSError):  # A read-only disk may keep a store without a copy.
            _rewrite(filesystem, home, copy, identity)
    return identity


def read_identity(filesystem: Filesystem, home: str) -> StoreIdentity | None:
    """What ``store.json`` says now; None when it is missing or damaged."""
    return _read(filesystem, f"{home}/{names.IDENTITY}")[0]


def _read(filesystem: Filesystem, path: str) -> tuple[StoreIdentity | None, bool]:
    """The sound identity in a file, and whether there is a file at all."""
    try:
        data = filesystem.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None, False
    try:
        value = json.loads(data)
        rest = {name: item for name, item in value.items() if name != "seal"}
        if value["seal"] != digest_value(rest):
            return None, True
        version = value["format"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, True
    if version != FORMAT:
        raise StoreError(
            f"the store at {PurePath(path).parent} has format {version}; this Segue knows format {FORMAT}",
            "use the version of Segue that made it, or another SEGUE_HOME",
        )
    return StoreIdentity(value["store"], version, PublishMethod(value["publish"])), True


def _found(filesystem: Filesystem, home: str) -> StoreIdentity:
    """Makes the folders, then the identity last: a store without identity holds nothing yet."""
    _make_home(filesystem, home)
    for name in (names.OBJECTS, names.BLOBS, names.QUARANTINE):
        _make(filesystem, f"{home}/{name}")
    objects = f"{home}/{names.OBJECTS}"
    if (founded := _refuse_orphans(filesystem, home)) is not None:
        return founded
    for shard in names.SHARDS:
        _make(filesystem, f"{objects}/{shard}")
    filesystem.fsync_directory(objects)
    filesystem.fsync_directory(home)
    kind = filesystem.kind(home)
    for method in PublishMethod:
        if method is PublishMethod.RENAME_NOREPLACE and kind.startswith(UNFENCED):
            # The kernel refuses to replace what this machine has seen; the file system ignores that flag, so two
            # machines could still overwrite each other.
            continue
        fresh = StoreIdentity(secrets.token_hex(16), FORMAT, method)
        temp = _write_temp(filesystem, home, fresh)
        try:
            place(filesystem, method, temp, f"{home}/{names.IDENTITY}")
        except FileExistsError:
            filesystem.unlink(temp)
        except OSError as error:
            filesystem.unlink(temp)
            if error.errno not in UNSUPPORTED:
                raise
            continue
        filesystem.fsync_directory(home)
        winner = read_identity(filesystem, home)
        if winner is None:
            raise StoreError(f"{home}/{names.IDENTITY} cannot be read back", "run `segue doctor` to test this disk")
        return winner
    raise StoreError(
        f"the disk of {home} can neither link files nor rename them without replacing",
        "put SEGUE_HOME on a local disk or NFS; `segue doctor` tests a mount",
    )


def _refuse_orphans(filesystem: Filesystem, home: str) -> StoreIdentity | None:
    """Records without an identity are a store that lost its own: never adopted by guess.

    Returns the identity of a process that founded the store since ours was looked for: it may have written already,
    and an identity is always published before the first record, so a second look tells the two cases apart.
    """
    objects = f"{home}/{names.OBJECTS}"
    for shard in filesystem.names(objects):
        if shard in names.SHARDS and any(not names.is_temp(name) for name in filesystem.names(f"{objects}/{shard}")):
            if (founded := read_identity(filesystem, home)) is not None:
                return founded
            raise StoreError(
                f"{home} holds records but no {names.IDENTITY}",
                "restore that file from a backup, or start a new store in another folder",
            )
    return None


def _make_home(filesystem: Filesystem, home: str) -> None:
    """Makes home and what is missing above it, each name durable before anything is put below it.

    A new home is its user's alone: transcripts and audio are in it. One that is there keeps its mode, for a fleet or a
    group may share it.
    """
    missing = []
    path = PurePath(home)
    while not filesystem.exists(str(path)):
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        _make(filesystem, str(folder), 0o700 if str(folder) == home else 0o777)
        filesystem.fsync_directory(str(folder.parent))


def _make(filesystem: Filesystem, path: str, mode: int = 0o777) -> None:
    with suppress(FileExistsError):
        filesystem.make_directory(path, mode)


def _write_temp(filesystem: Filesystem, home: str, identity: StoreIdentity) -> str:
    temp = f"{home}/{names.temp_name(names.IDENTITY, secrets.token_hex(4))}"
    fd = filesystem.create(temp)
    try:
        filesystem.write(fd, identity.encode())
        filesystem.fsync(fd)
    except OSError:
        filesystem.unlink(temp)
        raise
    finally:
        filesystem.close(fd)
    return temp


def _rewrite(filesystem: Filesystem, home: str, path: str, identity: StoreIdentity) -> None:
    """Puts the identity where it is missing or damaged."""
    temp = _write_temp(filesystem, home, identity)
    filesystem.replace(temp, path)
    filesystem.fsync_directory(home)
