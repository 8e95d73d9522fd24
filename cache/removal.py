"""Deleting, which only ever happens when a person asks for it: what nothing refers to, or exactly what is named."""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from os import stat_result

from cache import names
from cache.records import Records, Stamp
from cache.survey import all_named_parts, named_parts, record_folders, store_files, with_facts
from cache.volume import Volume
from core.keys import is_digest

DAY_S = 86_400


class RemovalReason(Enum):
    """Why a file goes."""

    #: Nothing that is kept refers to it.
    UNREFERENCED = "unreferenced"
    #: Its writer was killed.
    UNFINISHED = "unfinished"
    #: It was damaged and has been in quarantine long enough.
    QUARANTINED = "quarantined"
    #: It was named.
    PURGED = "purged"


@dataclass(frozen=True)
class RemovedFile:
    """One file that was deleted, or would be."""

    #: Its place below home, with slashes.
    place: str
    bytes: int
    reason: RemovalReason


@dataclass(frozen=True)
class Removal:
    """What a deletion did, or with ``dry_run`` would do."""

    files: tuple[RemovedFile, ...]
    dry_run: bool
    #: What this user may not delete, each with the reason; it stays, and the rest went.
    stuck: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Ages:
    """How old a file must be, in seconds since it was written, before gc may take it."""

    #: Unreferenced records and blobs. Younger ones may belong to a job that is being planned.
    unreferenced_s: float = 7 * DAY_S
    #: Unfinished files. Younger ones may have a living writer.
    unfinished_s: float = DAY_S
    #: Files in quarantine.
    quarantined_s: float = 30 * DAY_S

    def of(self, reason: RemovalReason) -> float:
        """The age that counts for a reason; 0 for what was named."""
        return {
            RemovalReason.UNREFERENCED: self.unreferenced_s,
            RemovalReason.UNFINISHED: self.unfinished_s,
            RemovalReason.QUARANTINED: self.quarantined_s,
        }.get(reason, 0.0)


class Remover:
    """Collects what goes, and deletes it unless this is a dry run."""

    def __init__(self, volume: Volume, *, dry_run: bool) -> None:
        self._volume = volume
        self._dry_run = dry_run
        self._files: dict[str, RemovedFile] = {}
        self._folders: set[str] = set()
        self._stuck: list[str] = []

    def remove(self, parts: Sequence[str], size: int, reason: RemovalReason) -> None:
        """Deletes one file; one that is gone already is not counted."""
        place = "/".join(parts)
        path = self._volume.path(parts)
        if place in self._files:
            return
        if not self._dry_run:
            try:
                self._volume.filesystem.unlink(path)
            except FileNotFoundError:
                return
            except PermissionError as error:
                # Another user's: one file must not keep the others.
                self._stuck.append(f"{path}: {error.strerror}")
                return
            self._folders.add(path.rpartition("/")[0])
        self._files[place] = RemovedFile(place, size, reason)

    def remove_folders(self, parts: Sequence[str]) -> None:
        """Deletes a folder that is empty by now, and the empty folders in it."""
        if self._dry_run:
            return
        path = self._volume.path(parts)
        try:
            below = self._volume.filesystem.names(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return
        for name in below:
            self.remove_folders((*parts, name))
        self._folders.discard(path)
        with suppress(OSError):  # Not empty: somebody has just written into it.
            self._volume.filesystem.remove_directory(path)
        self._volume.forget_directories()
        self._folders.add(path.rpartition("/")[0])

    def finish(self) -> Removal:
        """Makes the deletions durable: what was purged does not come back with a power failure."""
        for folder in sorted(self._folders):
            with suppress(FileNotFoundError):
                self._volume.filesystem.fsync_directory(folder)
        return Removal(tuple(self._files.values()), self._dry_run, tuple(self._stuck))


@dataclass(frozen=True)
class Listing:
    """A store's records, blobs and leftovers, as one walk over its folders found them."""

    records: Mapping[str, Stamp]
    blobs: Mapping[str, Stamp]
    #: Unfinished files and what is in quarantine: size, and seconds since the epoch from which their age counts.
    leftovers: Sequence[tuple[RemovedFile, float]]

    def stamps(self, keys: Iterable[str]) -> dict[str, Stamp]:
        """Stamps of those of these records that are there."""
        return {key: self.records[key] for key in keys if key in self.records}


def list_store(volume: Volume) -> Listing:
    """One walk over everything that may be garbage."""
    found: dict[str, dict[str, Stamp]] = {names.OBJECTS: {}, names.BLOBS: {}}
    leftovers: list[tuple[RemovedFile, float]] = []

    def leave(parts: Sequence[str], facts: stat_result, reason: RemovalReason, since_s: float) -> None:
        leftovers.append((RemovedFile("/".join(parts), facts.st_size, reason), since_s))

    for folder in [*record_folders(volume), (names.BLOBS,)]:
        of_kind = found[folder[0]]
        for name, facts in store_files(volume, folder):
            if names.is_temp(name):
                leave((*folder, name), facts, RemovalReason.UNFINISHED, facts.st_mtime)
            elif is_digest(name) and folder in ((names.BLOBS,), Records.parts(name)[:2]):
                of_kind[name] = facts.st_size, facts.st_mtime_ns
            elif is_digest(name):  # In a folder where nobody looks for it.
                leave((*folder, name), facts, RemovalReason.UNREFERENCED, facts.st_mtime)
    for name, facts in store_files(volume, (names.QUARANTINE,)):
        leave((names.QUARANTINE, name), facts, RemovalReason.QUARANTINED, facts.st_ctime)
    at_home = ((name,) for name in volume.filesystem.names(volume.home))
    temps = (parts for parts in chain(at_home, all_named_parts(volume)) if names.is_temp(parts[-1]))
    for parts, facts in with_facts(volume, temps):
        leave(parts, facts, RemovalReason.UNFINISHED, facts.st_mtime)
    return Listing(found[names.OBJECTS], found[names.BLOBS], leftovers)


def garbage_in(
    listing: Listing, keep_keys: Collection[str], keep_blobs: Collection[str], ages: Ages, now_s: float
) -> list[RemovedFile]:
    """Records and blobs that are old and in no keep set, old unfinished files, and old quarantine."""
    limit_ns = int((now_s - ages.unreferenced_s) * 1e9)
    old = [
        RemovedFile("/".join(parts(name)), size, RemovalReason.UNREFERENCED)
        for kind, keep, parts in (
            (listing.records, keep_keys, Records.parts),
            (listing.blobs, keep_blobs, lambda digest: (names.BLOBS, digest)),
        )
        for name, (size, mtime_ns) in kind.items()
        if mtime_ns <= limit_ns and name not in keep
    ]
    return old + [file for file, since_s in listing.leftovers if now_s - since_s >= ages.of(file.reason)]


def remove_garbage(volume: Volume, files: Iterable[RemovedFile], ages: Ages, *, now_s: float, dry_run: bool) -> Removal:
    """Deletes what `garbage_in` found, but for what was written again since the store was listed."""
    remover = Remover(volume, dry_run=dry_run)
    for file in files:
        parts = file.place.split("/")
        if not dry_run:
            try:
                facts = volume.filesystem.stat(volume.path(parts))
            except FileNotFoundError:
                continue
            since_s = facts.st_ctime if file.reason is RemovalReason.QUARANTINED else facts.st_mtime
            if now_s - since_s < ages.of(file.reason):
                continue
        remover.remove(parts, file.bytes, file.reason)
    return remover.finish()


def purge(
    volume: Volume,
    keys: Collection[str],
    blobs: Collection[str],
    trees: Collection[Sequence[str]],
    *,
    dry_run: bool,
) -> Removal:
    """Deletes exactly these records, blobs and named folders or files, with what quarantine holds of them.

    Unfinished files of these records go too; unfinished blobs do not say whose they are and are gc's business.
    """
    remover = Remover(volume, dry_run=dry_run)
    stems = {names.quarantine_stem(Records.parts(key)) for key in keys}
    stems |= {names.quarantine_stem((names.BLOBS, names.check_blob(digest))) for digest in blobs}
    checked = [names.check_parts(tree) for tree in trees]
    shards: dict[tuple[str, str], set[str]] = {}
    for key in keys:
        shards.setdefault(Records.parts(key)[:2], set()).add(key)
    for folder, wanted in shards.items():
        with suppress(FileNotFoundError):
            for name, facts in store_files(volume, folder):
                if name in wanted or names.temp_target(name) in wanted:
                    remover.remove((*folder, name), facts.st_size, RemovalReason.PURGED)
    for digest in blobs:
        with suppress(FileNotFoundError):
            facts = volume.filesystem.stat(volume.path((names.BLOBS, digest)))
            remover.remove((names.BLOBS, digest), facts.st_size, RemovalReason.PURGED)
    for name, facts in store_files(volume, (names.QUARANTINE,)):
        parts = names.quarantined_parts(name)
        if parts is not None and (
            names.quarantine_stem(parts) in stems or any(parts[: len(tree)] == tree for tree in checked)
        ):
            remover.remove((names.QUARANTINE, name), facts.st_size, RemovalReason.PURGED)
    for tree in checked:
        _purge_tree(volume, remover, tree)
    return remover.finish()


def _purge_tree(volume: Volume, remover: Remover, tree: tuple[str, ...]) -> None:
    try:
        facts = volume.filesystem.stat(volume.path(tree))
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISDIR(facts.st_mode):
        remover.remove(tree, facts.st_size, RemovalReason.PURGED)
        return
    for parts, below in with_facts(volume, named_parts(volume, tree)):
        remover.remove(parts, below.st_size, RemovalReason.PURGED)
    remover.remove_folders(tree)
