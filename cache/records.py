"""Records: write-once files named by the digest of everything that determines them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from cache import names
from cache.checked import read_checked, settle
from cache.envelope import BlobRef, Record, RecordHead, Retention, decode_head, decode_record, encode_record
from cache.faults import CorruptDataError
from cache.publish import PutOutcome
from cache.volume import Pending, Volume
from core.errors import StoreError
from core.keys import Digest, is_digest

#: A record's size and when it was last written, in nanoseconds: another one under the same name has another stamp.
Stamp = tuple[int, int]
#: Files of one group that are open at once; a larger group is committed in several rounds.
GROUP_FILES = 128
#: Bytes that hold the header of any ordinary record.
_HEAD_BYTES = 4096


class Records:
    """The folder ``objects`` of one store."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    @staticmethod
    def parts(key: str) -> tuple[str, str, str]:
        """Where a record lies below home. Raises ValueError for what is no key."""
        return names.OBJECTS, names.record_shard(key), key

    def has(self, key: str) -> bool:
        if self._volume.filesystem.exists(self._volume.path(self.parts(key))):
            return True
        self._volume.confirm()
        return False

    def missing(self, keys: Iterable[str]) -> set[str]:
        self._volume.confirm()
        objects, exists = f"{self._volume.home}/{names.OBJECTS}", self._volume.filesystem.exists
        return {key for key in keys if not exists(f"{objects}/{names.record_shard(key)}/{key}")}

    def stamps(self, keys: Iterable[str]) -> dict[str, Stamp]:
        """Stamps of those that are there."""
        self._volume.confirm()
        found: dict[str, Stamp] = {}
        for key in keys:
            with suppress(FileNotFoundError):
                facts = self._volume.filesystem.stat(self._volume.path(self.parts(key)))
                found[key] = facts.st_size, facts.st_mtime_ns
        return found

    def shard_times(self) -> dict[str, int]:
        found = {}
        for shard in names.SHARDS:
            facts = self._volume.facts(self._volume.path((names.OBJECTS, shard)))
            if facts is not None:
                found[shard] = facts.st_mtime_ns
        return found

    def shard_keys(self, shard: str) -> set[str]:
        try:
            return set(self._volume.filesystem.names(self._volume.path((names.OBJECTS, shard))))
        except FileNotFoundError:
            return set()

    def get(self, key: str) -> Record | None:
        return read_checked(self._volume, self.parts(key), partial(self._decode, key=key))

    def _decode(self, data: bytes, key: str) -> Record:
        """The record in a whole file. Raises CorruptDataError for other bytes, and for a result not all there."""
        record = decode_record(data, key)
        for ref in record.blobs:
            if ref.retention is Retention.RESULT and not self._has_blob(ref.digest):
                self._volume.confirm()
                raise CorruptDataError(f"its {ref.name}, blob {ref.digest[:12]}, has gone")
        return record

    def _has_blob(self, digest: Digest) -> bool:
        return self._volume.filesystem.exists(self._volume.path((names.BLOBS, digest)))

    def put_many(self, records: Sequence[Record]) -> list[PutOutcome]:
        files = [(self.parts(record.key), encode_record(record)) for record in records]
        self._volume.confirm()
        self._require_blobs({ref.digest: ref for record in records for ref in record.blobs}.values())
        outcomes: list[PutOutcome] = []
        for start in range(0, len(files), GROUP_FILES):
            outcomes += self._put_group(files[start : start + GROUP_FILES])
        return outcomes

    def _require_blobs(self, refs: Collection[BlobRef]) -> None:
        """Raises StoreError for a blob that is not there: no record is published before its blobs."""
        for ref in refs:
            path = self._volume.path((names.BLOBS, ref.digest))
            try:
                # One call that looks, and keeps a gc that runs now from taking it for an old one.
                self._volume.filesystem.touch(path)
            except FileNotFoundError:
                there = False
            except OSError:  # Another user's, or a disk that does not let us.
                there = self._has_blob(ref.digest)
            else:
                there = True
            if not there:
                raise StoreError(
                    f"the {ref.name} of a record, blob {ref.digest[:12]}, is not in the store",
                    "run the same command again: it is made anew",
                )

    def _put_group(self, files: Sequence[tuple[tuple[str, str, str], bytes]]) -> list[PutOutcome]:
        pendings: list[Pending] = []
        failure: OSError | None = None
        try:
            for parts, data in files:
                try:
                    pendings.append(self._volume.write_file(parts, data))
                except OSError as error:  # What is written already is still committed.
                    failure = error
                    break
        except BaseException:
            for pending in pendings:
                self._volume.discard(pending)
            raise
        outcomes = self._volume.commit(pendings, self._settle)
        if failure is not None:
            raise failure
        return outcomes

    def _settle(self, pending: Pending) -> bool:
        return settle(self._volume, pending, partial(self._decode, key=pending.parts[-1]))

    def keys(self) -> Iterator[str]:
        """Every key present, in order."""
        objects = f"{self._volume.home}/{names.OBJECTS}"
        for shard in self._volume.filesystem.names(objects):
            if shard in names.SHARDS:
                for name in self._volume.filesystem.names(f"{objects}/{shard}"):
                    if name.startswith(shard) and is_digest(name):
                        yield name

    def head(self, key: str) -> RecordHead | None:
        """What a record says about itself, its payload unread; None when it is missing or its head is damaged."""
        filesystem = self._volume.filesystem
        try:
            fd = filesystem.open_read(self._volume.path(self.parts(key)))
        except FileNotFoundError:
            return None
        try:
            size = filesystem.size_of(fd)
            head = decode_head(filesystem.read_at(fd, min(_HEAD_BYTES, size), 0), key, size)
            return head or decode_head(filesystem.read_at(fd, size, 0), key, size)
        except CorruptDataError:
            return None
        finally:
            filesystem.close(fd)

    def is_sound(self, path: str, key: str) -> bool:
        """True when the file at ``path`` is the record ``key`` and its result is there; nothing is moved."""
        try:
            self._decode(self._volume.filesystem.read(path), key)
        except CorruptDataError:
            return False
        return True
