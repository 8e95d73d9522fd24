"""Looking over a whole store: what is in it, and whether every byte is still the one that was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from os import stat_result

from cache import names
from cache.blobs import is_sound_blob, verify_blob
from cache.documents import Documents
from cache.envelope import RecordHead
from cache.journal import decode_lines
from cache.publish import place
from cache.records import Records
from cache.volume import Volume
from core.keys import Digest, is_digest

Progress = Callable[[int, int], None]
UNREADABLE_KIND = "(unreadable)"


@dataclass(frozen=True)
class FileCount:
    """How many files, and how many bytes they have."""

    files: int = 0
    bytes: int = 0

    def plus(self, size: int) -> FileCount:
        return FileCount(self.files + 1, self.bytes + size)


@dataclass(frozen=True)
class StoreStats:
    """What lies in a store."""

    #: Records by kind; a record whose head cannot be read counts as ``(unreadable)``.
    records: dict[str, FileCount] = field(default_factory=dict)
    blobs: FileCount = field(default_factory=FileCount)
    #: Plans, journals, states.
    documents: FileCount = field(default_factory=FileCount)
    quarantine: FileCount = field(default_factory=FileCount)
    #: Unfinished files, of writers that are at work or were killed.
    unfinished: FileCount = field(default_factory=FileCount)
    #: Bytes that may still be written on the disk.
    free_bytes: int = 0


@dataclass
class VerifyReport:
    """What a check of every byte found. Damaged files are in quarantine afterwards and count as missing."""

    records_ok: int = 0
    records_damaged: int = 0
    blobs_ok: int = 0
    blobs_damaged: int = 0
    documents_ok: int = 0
    documents_damaged: int = 0
    #: Damaged files that the disk did not allow to be moved: they still have their names.
    stuck: int = 0
    #: Lines of journals that a crash tore; they are skipped when read.
    journal_lines_damaged: int = 0
    #: Sound files that were found in quarantine and put back.
    restored: int = 0
    #: Files in quarantine now.
    quarantined: int = 0

    @property
    def damaged(self) -> int:
        return self.records_damaged + self.blobs_damaged + self.documents_damaged


def blob_names(volume: Volume) -> Iterator[Digest]:
    """The digest of every blob present, in order."""
    for name in volume.filesystem.names(volume.path((names.BLOBS,))):
        if is_digest(name):
            yield Digest(name)


def blob_sizes(volume: Volume) -> dict[Digest, int]:
    """The size of every blob's file."""
    return {Digest(name): facts.st_size for name, facts in store_files(volume, (names.BLOBS,)) if is_digest(name)}


def all_named_parts(volume: Volume) -> Iterator[tuple[str, ...]]:
    """Every file that a caller named (documents, journals, states, and their unfinished ones)."""
    for root in names.NAMED_ROOTS:
        yield from named_parts(volume, (root,))


def named_parts(volume: Volume, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every named file in one folder and below it; none is looked at. Nothing where there is no such folder."""
    try:
        entries = volume.filesystem.entries(volume.path(parts))
    except FileNotFoundError:
        return
    for name, is_folder in entries:
        if is_folder:
            yield from named_parts(volume, (*parts, name))
        else:
            yield (*parts, name)


def with_facts(volume: Volume, files: Iterable[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], stat_result]]:
    """The files with their facts; what vanishes meanwhile is left out."""
    for parts in files:
        with suppress(FileNotFoundError):
            yield parts, volume.filesystem.stat(volume.path(parts))


def store_files(volume: Volume, folder: tuple[str, ...]) -> Iterator[tuple[str, stat_result]]:
    """Every name in one of the store's own folders, or at home without parts, with its facts.

    What vanishes meanwhile is left out.
    """
    path = volume.path(folder)
    for name in volume.filesystem.names(path):
        try:
            yield name, volume.filesystem.stat(f"{path}/{name}")
        except FileNotFoundError:
            continue


def record_folders(volume: Volume) -> Iterator[tuple[str, str]]:
    """The shards that exist, as parts."""
    for shard in volume.filesystem.names(volume.path((names.OBJECTS,))):
        if shard in names.SHARDS:
            yield names.OBJECTS, shard


def take_stats(volume: Volume, records: Records) -> StoreStats:
    by_kind: dict[str, FileCount] = {}
    blobs = documents = quarantine = unfinished = FileCount()
    for folder in record_folders(volume):
        for name in volume.filesystem.names(volume.path(folder)):
            with suppress(FileNotFoundError):
                if names.is_temp(name):
                    unfinished = unfinished.plus(_size(volume, (*folder, name)))
                elif is_digest(name):
                    # A head that can be read tells the size as well: one call less for each of many files.
                    head = _head(records, folder, name)
                    kind = head.kind if head else UNREADABLE_KIND
                    size = head.file_size if head else _size(volume, (*folder, name))
                    by_kind[kind] = by_kind.get(kind, FileCount()).plus(size)
    for name, facts in store_files(volume, (names.BLOBS,)):
        if names.is_temp(name):
            unfinished = unfinished.plus(facts.st_size)
        elif is_digest(name):
            blobs = blobs.plus(facts.st_size)
    for name, facts in store_files(volume, ()):
        if names.is_temp(name):
            unfinished = unfinished.plus(facts.st_size)
    for _, facts in store_files(volume, (names.QUARANTINE,)):
        quarantine = quarantine.plus(facts.st_size)
    for parts, facts in with_facts(volume, all_named_parts(volume)):
        if names.is_temp(parts[-1]):
            unfinished = unfinished.plus(facts.st_size)
        else:
            documents = documents.plus(facts.st_size)
    free = volume.filesystem.free_bytes(volume.home)
    return StoreStats(by_kind, blobs, documents, quarantine, unfinished, free)


def _size(volume: Volume, parts: tuple[str, ...]) -> int:
    return volume.filesystem.stat(volume.path(parts)).st_size


def _head(records: Records, folder: tuple[str, str], name: str) -> RecordHead | None:
    if folder != records.parts(name)[:2]:
        return None
    try:
        return records.head(name)
    except OSError:
        return None


def verify_all(volume: Volume, records: Records, documents: Documents, progress: Progress) -> VerifyReport:
    report = VerifyReport()
    report.restored = _restore_sound(volume, records, documents)
    keys, blobs, named = list(records.keys()), list(blob_names(volume)), list(all_named_parts(volume))
    total = len(keys) + len(blobs) + len(named)
    done = 0
    for digest in blobs:
        if verify_blob(volume, digest):
            report.blobs_ok += 1
        else:
            report.blobs_damaged += 1
            report.stuck += _is_there(volume, (names.BLOBS, digest))
        done += 1
        progress(done, total)
    # After the blobs: a record whose result was damaged goes with it.
    for key in keys:
        if records.get(key) is not None:
            report.records_ok += 1
        else:
            report.records_damaged += 1
            report.stuck += _is_there(volume, records.parts(key))
        done += 1
        progress(done, total)
    for parts in named:
        _verify_named(volume, documents, parts, report)
        done += 1
        progress(done, total)
    report.quarantined = len(volume.filesystem.names(volume.path((names.QUARANTINE,))))
    return report


def _verify_named(volume: Volume, documents: Documents, parts: tuple[str, ...], report: VerifyReport) -> None:
    if names.is_temp(parts[-1]):
        return
    if parts[-1].endswith(names.JOURNAL_SUFFIX):
        report.journal_lines_damaged += decode_lines(volume.read(volume.path(parts)) or b"").damaged
    elif documents.read(parts) is not None:
        report.documents_ok += 1
    else:
        report.documents_damaged += 1
        report.stuck += _is_there(volume, parts)


def _is_there(volume: Volume, parts: tuple[str, ...]) -> bool:
    return volume.filesystem.exists(volume.path(parts))


def _restore_sound(volume: Volume, records: Records, documents: Documents) -> int:
    """Puts back what is in quarantine and sound: a passing read error, or a race that a crash cut short."""
    restored = 0
    for name in volume.filesystem.names(volume.path((names.QUARANTINE,))):
        parts = names.quarantined_parts(name)
        if parts is None:
            continue
        path = volume.path((names.QUARANTINE, name))
        try:
            if _belongs(volume, records, documents, path, parts):
                volume.ensure_directory(parts[:-1])
                place(volume.filesystem, volume.identity.publish, path, volume.path(parts))
                volume.filesystem.fsync_directory(volume.path(parts[:-1]))
                restored += 1
        except FileExistsError:
            continue
        except OSError as error:
            volume.notice(f"{path} cannot be put back: {error.strerror}")
    return restored


def _belongs(volume: Volume, records: Records, documents: Documents, path: str, parts: tuple[str, ...]) -> bool:
    if len(parts) == 3 and parts[0] == names.OBJECTS and is_digest(parts[2]) and parts[2].startswith(parts[1]):
        return records.is_sound(path, parts[2])
    if len(parts) == 2 and parts[0] == names.BLOBS and is_digest(parts[1]):
        return is_sound_blob(volume.filesystem, path, parts[1])
    return parts[0] in names.NAMED_ROOTS and documents.is_sound(path, names.check_parts(parts))
