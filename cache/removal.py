"""Deleting, which only ever happens when a person asks for it: what nothing refers to, or exactly what is named."""

from __future__ import annotations

import stat
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from itertools import chain

from cache import names
from cache.records import Records
from cache.survey import all_named_files, named_files, record_folders, store_files
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


class Remover:
    """Collects what goes, and deletes it unless this is a dry run."""

    def __init__(self, volume: Volume, *, dry_run: bool) -> None:
        self._volume = volume
        self._dry_run = dry_run
        self._files: dict[str, RemovedFile] = {}
        self._folders: set[str] = set()

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
            self._folders.add(path.rpartition("/")[0])
        self._files[place] = RemovedFile(place, size, reason)

    def remove_folders(self, parts: Sequence[str]) -> None:
        """Deletes a folder that is empty by now, and the empty folders in it."""
        if self._dry_run:
            return
        path = self._volume.path(parts)
        try:
            below = self._volume.filesystem.names(path)
        except (FileNotFoundError, NotADirectoryError):
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
        return Removal(tuple(self._files.values()), self._dry_run)


def collect_garbage(
    volume: Volume,
    keep_keys: Collection[str],
    keep_blobs: Collection[str],
    ages: Ages,
    *,
    now_s: float,
    dry_run: bool,
) -> Removal:
    """Deletes records and blobs that are old and in no keep set, old unfinished files, and old quarantine."""
    remover = Remover(volume, dry_run=dry_run)
    folders = [(folder, keep_keys) for folder in record_folders(volume)]
    for folder, keep in [*folders, ((names.BLOBS,), keep_blobs)]:
        for name, facts in store_files(volume, folder):
            age_s = now_s - facts.st_mtime
            if names.is_temp(name):
                if age_s >= ages.unfinished_s:
                    remover.remove((*folder, name), facts.st_size, RemovalReason.UNFINISHED)
            elif is_digest(name) and name not in keep and age_s >= ages.unreferenced_s:
                remover.remove((*folder, name), facts.st_size, RemovalReason.UNREFERENCED)
    for name, facts in store_files(volume, (names.QUARANTINE,)):
        if now_s - facts.st_ctime >= ages.quarantined_s:
            remover.remove((names.QUARANTINE, name), facts.st_size, RemovalReason.QUARANTINED)
    at_home = (((name,), facts) for name, facts in store_files(volume, ()))
    for parts, facts in chain(at_home, all_named_files(volume)):
        if names.is_temp(parts[-1]) and now_s - facts.st_mtime >= ages.unfinished_s:
            remover.remove(parts, facts.st_size, RemovalReason.UNFINISHED)
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
    for parts, below in named_files(volume, tree):
        remover.remove(parts, below.st_size, RemovalReason.PURGED)
    remover.remove_folders(tree)
