"""The checkpoint store: what is in it survives any crash and is what was written, or counts as missing.

Layout under home: ``store.json`` (identity), ``objects/ab/<key>`` (records), ``blobs/<digest>`` (large payloads),
``quarantine/`` (what failed its check), and the named files of `cache.names.NAMED_ROOTS`. Nothing is ever
overwritten, nothing depends on file locks, and several processes may share one store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from cache import names, removal, survey
from cache.blobs import BlobReader, BlobWriter, open_blob, verify_blob
from cache.documents import Documents, document_parts
from cache.envelope import BlobRef, Record, RecordHead, Retention
from cache.faults import FULL_HINT, faults
from cache.filesystem import Filesystem, ReadOnlyFilesystem
from cache.identity import StoreIdentity
from cache.journal import Journal, Journals, Lines
from cache.publish import PutOutcome
from cache.records import Records, Stamp
from cache.removal import Ages, Listing, Removal, RemovedFile
from cache.survey import Progress, StoreStats, VerifyReport
from cache.volume import Volume
from core.errors import DiskFullError
from core.keys import Digest

__all__ = [
    "Ages",
    "BlobRef",
    "Journal",
    "Listing",
    "PutOutcome",
    "Record",
    "Removal",
    "Retention",
    "Stamp",
    "Store",
    "StoreIdentity",
    "StoreStats",
    "VerifyReport",
]


def _say_nothing(_line: str) -> None:
    """The notice of those who do not listen."""


def _no_progress(_done: int, _total: int) -> None:
    """The progress of those who do not watch."""


class Store:
    """One opened store. Methods raise StoreError (DiskFullError when there is no room) and nothing else of the
    operating system's; ValueError for what is no key, digest, kind or name. Safe to use from several threads.
    """

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._records = Records(volume)
        self._documents = Documents(volume)
        self._journals = Journals(volume)

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        create: bool = True,
        filesystem: Filesystem | None = None,
        notice: Callable[[str], None] = _say_nothing,
        in_place: bool = False,
    ) -> Store:
        """The store at ``home``, founded if there is none and ``create`` allows it.

        ``in_place``: what is damaged counts as missing and stays where it is, instead of going to quarantine.

        ``notice`` is told in one line about each file that was found damaged. Raises StoreError for a folder that is
        no store, is damaged beyond its copy, has a format this program does not know, or lies on a disk that cannot
        publish without replacing.
        """
        absolute = str(Path(home).expanduser().absolute())
        with faults("opening the store", absolute):
            return cls(Volume(absolute, filesystem or Filesystem(), notice, create=create, in_place=in_place))

    @classmethod
    def look(cls, home: Path, notice: Callable[[str], None] = _say_nothing) -> Store:
        """The store at ``home`` for whoever changes nothing: writing raises StoreError. There must be one."""
        return cls.open(home, create=False, filesystem=ReadOnlyFilesystem(), notice=notice, in_place=True)

    @property
    def home(self) -> Path:
        return Path(self._volume.home)

    @property
    def identity(self) -> StoreIdentity:
        return self._volume.identity

    def close(self) -> None:
        """Ends the threads. Calling it twice is harmless; nothing is flushed, because nothing waits."""
        self._volume.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Records

    def has(self, key: str) -> bool:
        """True when a record of that name is there: for scheduling only, `get` decides whether it can be used.

        Neither this nor `missing` nor `stamps` opens a record, so they do not know of its blobs.
        """
        with faults("looking for a record", self._volume.home):
            return self._records.has(key)

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those of ``keys`` that `has` denies."""
        with faults("looking for records", self._volume.home):
            return self._records.missing(keys)

    def stamps(self, keys: Iterable[str]) -> dict[str, Stamp]:
        """Size and time of each of these records that is there: a record that was written anew has another stamp."""
        with faults("looking for records", self._volume.home):
            return self._records.stamps(keys)

    def shard_times(self) -> dict[str, int]:
        """When each folder of records last changed, in nanoseconds: while it does not, its records are the same."""
        with faults("looking for records", self._volume.home):
            self._volume.confirm()
            return self._records.shard_times()

    def shard_keys(self, shard: str) -> set[str]:
        """Every name in one folder of records; empty when there is no such folder."""
        with faults("looking for records", self._volume.home):
            return self._records.shard_keys(shard)

    def head(self, key: str) -> RecordHead | None:
        """What a record says about itself, its payload unread; None when it is missing or its head is damaged."""
        with faults("reading a record", self._volume.home):
            return self._records.head(key)

    def get(self, key: str) -> Record | None:
        """The record, every byte checked; None when it is missing, or was damaged and is now in quarantine.

        One that names a blob as its result, and whose blob has gone, counts as damaged; so does one whose blob was
        found damaged by whoever read it, for that moves the blob away. Only records that name blobs are looked at
        twice. Views and scratch may be missing: whoever wants them asks for them.
        """
        with faults("reading a record", self._volume.home):
            return self._records.get(key)

    def put(self, record: Record) -> PutOutcome:
        """Makes one record durable; see `put_many`."""
        return self.put_many([record])[0]

    def put_many(self, records: Sequence[Record]) -> list[PutOutcome]:
        """Makes all records durable in one round of fsyncs; an outcome for each, in order.

        When one cannot be written, the others of its group that can be are still committed before the error is
        raised: `missing` tells which. A record whose key has a sound record already is dropped (LOST_RACE).
        Raises StoreError, before anything is written, when one names a blob that is not in the store.
        """
        if not records:
            return []
        with faults("writing records", self._volume.home):
            return self._records.put_many(records)

    # Blobs

    def blob_writer(self, kind: str) -> BlobWriter:
        """``with store.blob_writer("audio") as writer: writer.write(...)``; afterwards ``writer.digest`` names it."""
        return BlobWriter(self._volume, kind)

    def has_blob(self, digest: str) -> bool:
        """True when a blob of that name is there; `open_blob` and its reads decide whether it can be used."""
        with faults("looking for a blob", self._volume.home):
            if self._volume.filesystem.exists(self._volume.path((names.BLOBS, names.check_blob(digest)))):
                return True
            self._volume.confirm()
            return False

    def open_blob(self, digest: str) -> BlobReader | None:
        """A reader of slices; None when the blob is missing, or its footer was damaged and it is in quarantine."""
        with faults("opening a blob", self._volume.home):
            return open_blob(self._volume, Digest(digest))

    def verify_blob(self, digest: str) -> bool:
        """Reads a whole blob; True when it is sound. A damaged one is moved to quarantine."""
        with faults("reading a blob", self._volume.home):
            return verify_blob(self._volume, Digest(digest))

    # Named files

    def write_once(self, parts: Sequence[str], payload: bytes) -> PutOutcome:
        """Makes a document durable, such as ``("jobs", id, "plan.json")``. The first one stays: read it on LOST_RACE.

        The file holds the payload first and a line with its checksum after it.
        """
        with faults("writing a document", self._volume.home):
            return self._documents.write_once(parts, payload)

    def read_document(self, parts: Sequence[str]) -> bytes | None:
        """A document's payload; None when it is missing, or was damaged and is now in quarantine."""
        with faults("reading a document", self._volume.home):
            return self._documents.read(document_parts(parts))

    def append(self, parts: Sequence[str], entries: Sequence[Mapping[str, Any]], *, durable: bool = True) -> None:
        """Adds JSON objects to a journal, such as ``("attempts", "x.jsonl")``, in one write; durable if asked.

        Any number of processes of one machine may append; on a network disk each writer needs its own journal.
        """
        if entries:
            with faults("writing a journal", self._volume.home):
                self._journals.append(parts, entries, durable=durable)

    def read_lines(self, parts: Sequence[str]) -> Lines:
        """The journal's sound lines and how many were not; empty when there is no such file."""
        with faults("reading a journal", self._volume.home):
            return self._journals.read(parts)

    def read_journal(self, parts: Sequence[str]) -> Journal:
        """As `read_lines`, each line as a JSON object."""
        return self.read_lines(parts).decode()

    def settle_journal(self, parts: Sequence[str]) -> None:
        """Makes durable what a writer that is gone has left in a journal; nothing where there is no such file."""
        with faults("writing a journal", self._volume.home):
            self._journals.settle(parts)

    def read_lines_from(self, parts: Sequence[str], offset: int) -> tuple[Lines, int]:
        """What was appended to a journal from this byte on, and the byte to go on from the next time."""
        with faults("reading a journal", self._volume.home):
            return self._journals.read_from(parts, offset)

    def replace_state(self, parts: Sequence[str], payload: bytes, *, durable: bool = True) -> None:
        """Writes a state, such as ``("state", "outputs.state")``, over the old one: all of it or nothing.

        Not ``durable``, a power cut may take it back (a killed process does not); a network disk waits for nothing.
        """
        with faults("writing a state", self._volume.home):
            self._documents.replace(parts, payload, durable=durable)

    def read_state(self, parts: Sequence[str]) -> bytes | None:
        """A state's payload; None when it is missing, or was damaged and is now in quarantine."""
        with faults("reading a state", self._volume.home):
            return self._documents.read_state(parts)

    def remove(self, parts: Sequence[str]) -> None:
        """Removes a note from the queue; gone already is fine. After a power cut it may be back: readers expect that.

        Raises ValueError outside ``queue``: nothing else is ever removed one by one.
        """
        checked = names.check_parts(parts)
        if checked[0] != names.QUEUE:
            raise ValueError(f"only what lies in {names.QUEUE!r} is removed like this: {'/'.join(checked)!r}")
        with faults("removing a note", self._volume.home), suppress(FileNotFoundError):
            self._volume.filesystem.unlink(self._volume.path(checked))

    def children(self, parts: Sequence[str]) -> tuple[str, ...]:
        """The names in a folder of named files, such as ``("jobs",)``, sorted; empty when there is no such folder."""
        path = self._volume.path(names.check_parts(parts))
        with faults("listing a folder", self._volume.home):
            try:
                found = self._volume.filesystem.names(path)
            except (FileNotFoundError, NotADirectoryError):
                self._volume.confirm()
                return ()
        return tuple(name for name in found if not names.is_temp(name))

    def file_stamps(self, parts: Sequence[str]) -> dict[str, Stamp]:
        """Size and time of whatever has a name in a folder of named files; nothing is opened."""
        folder = self._volume.path(names.check_parts(parts))
        with faults("listing a folder", self._volume.home):
            return {
                name: (facts.st_size, facts.st_mtime_ns)
                for name in self.children(parts)
                if (facts := self._volume.facts(f"{folder}/{name}")) is not None
            }

    # Room

    def free_bytes(self) -> int:
        """Bytes that may still be written on the store's disk."""
        with faults("measuring free space", self._volume.home):
            self._volume.confirm()
            return self._volume.filesystem.free_bytes(self._volume.home)

    def require_space(self, needed: int) -> None:
        """Raises DiskFullError when fewer than ``needed`` bytes are free: ask before computing, not after."""
        free = self.free_bytes()
        if free < needed:
            raise DiskFullError(
                f"{self._volume.home} has {free // 1_000_000} MB free and {needed // 1_000_000} MB are needed",
                FULL_HINT,
            )

    # Care

    def stats(self) -> StoreStats:
        """What lies in the store; reads every record's head, not its payload."""
        with faults("looking over the store", self._volume.home):
            self._volume.confirm()
            return survey.take_stats(self._volume, self._records)

    def blob_sizes(self) -> dict[Digest, int]:
        """Bytes of every blob's file; none is opened."""
        with faults("looking over the blobs", self._volume.home):
            self._volume.confirm()
            return survey.blob_sizes(self._volume)

    def quarantined(self) -> frozenset[tuple[str, ...]]:
        """Where the files in quarantine came from; sound ones may lie there again by now."""
        with faults("listing quarantine", self._volume.home):
            found = self._volume.filesystem.names(self._volume.path((names.QUARANTINE,)))
        return frozenset(filter(None, map(names.quarantined_parts, found)))

    def verify(self, progress: Progress = _no_progress) -> VerifyReport:
        """Reads every byte of the store; ``progress(done, total)`` is called after each file."""
        with faults("verifying the store", self._volume.home):
            self._volume.confirm()
            return survey.verify_all(self._volume, self._records, self._documents, progress)

    def gc(
        self,
        keep_keys: Collection[str],
        keep_blobs: Collection[str],
        *,
        dry_run: bool,
        ages: Ages | None = None,
        now_s: float | None = None,
    ) -> Removal:
        """Deletes records and blobs that are old enough and in no keep set (give sets), and old leftovers.

        A job that is planned meanwhile may find one of its records gone: it is then computed again.
        """
        moment, limits = time.time() if now_s is None else now_s, ages or Ages()
        files = removal.garbage_in(self.list_all(), keep_keys, keep_blobs, limits, moment)
        return self.remove_garbage(files, dry_run=dry_run, ages=limits, now_s=moment)

    def list_all(self) -> Listing:
        """Every record, blob and leftover with its size and age, from one walk; no file is opened."""
        with faults("listing the store", self._volume.home):
            self._volume.confirm()
            return removal.list_store(self._volume)

    def remove_garbage(
        self, files: Iterable[RemovedFile], *, dry_run: bool, now_s: float, ages: Ages | None = None
    ) -> Removal:
        """Deletes files that `garbage_in` found in a listing, but for those that were written again since."""
        with faults("collecting garbage", self._volume.home):
            self._volume.confirm()
            return removal.remove_garbage(self._volume, files, ages or Ages(), now_s=now_s, dry_run=dry_run)

    def purge(
        self,
        *,
        keys: Collection[str] = (),
        blobs: Collection[str] = (),
        trees: Collection[Sequence[str]] = (),
        dry_run: bool,
    ) -> Removal:
        """Deletes exactly these, durably: records, blobs, and named files or folders with all that is below them."""
        with faults("purging", self._volume.home):
            self._volume.confirm()
            return removal.purge(self._volume, keys, blobs, trees, dry_run=dry_run)
