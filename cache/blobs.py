"""Blobs: large binary payloads, streamed in and read in slices, each slice checked without reading the rest.

A blob's file is its content, then a footer with the SHA-256 of every chunk of content, then one line with the
footer's length. The blob's digest is the footer's SHA-256, so the name vouches for the footer, and the footer for
every chunk. The content starts at byte 0, so other programs can read it as it is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cache import names
from cache.envelope import BlobRef, Retention, check_kind
from cache.faults import UNREADABLE, BlobDamagedError, CorruptDataError, faults, store_error
from cache.filesystem import Filesystem
from cache.publish import PutOutcome
from cache.volume import Moved, Pending, Volume
from core.keys import Digest, canonical_json, digest_bytes

CHUNK_BYTES = 1 << 20
BLOB_FORMAT = 1
_END = re.compile(rb"\nsegue-blob/1 ([0-9]{16})\n")
_END_SIZE = 1 + 13 + 16 + 1
_CHUNKS_KEPT = 4
#: What a network disk shows for a moment is not yet damage; a sound file may come back from quarantine.
_READS = 2
_ROUNDS = 3
_REDO_HINT = "it was moved to quarantine; run the same command again and it is made anew"


@dataclass(frozen=True)
class BlobLayout:
    """What a blob's footer says."""

    kind: str
    #: Length of the content in bytes.
    size: int
    #: Bytes of content in each chunk but the last.
    chunk_bytes: int
    #: SHA-256 of each chunk, in order.
    chunks: tuple[str, ...]


def read_layout(filesystem: Filesystem, fd: int, digest: str) -> BlobLayout:
    """The footer of an open blob. Raises CorruptDataError when it is not the one that ``digest`` names."""
    file_size = filesystem.size_of(fd)
    if file_size < _END_SIZE:
        raise CorruptDataError("the file is too short")
    end = _END.fullmatch(filesystem.read_at(fd, _END_SIZE, file_size - _END_SIZE))
    footer_size = int(end[1]) if end else 0
    start = file_size - _END_SIZE - footer_size
    if end is None or start < 0:
        raise CorruptDataError("the last line is not a blob's")
    footer = filesystem.read_at(fd, footer_size, start)
    if digest_bytes(footer) != digest:
        raise CorruptDataError("the footer is not the one that was written")
    value = json.loads(footer)
    if value["format"] != BLOB_FORMAT:
        raise CorruptDataError(f"the footer has format {value['format']}")
    layout = BlobLayout(value["kind"], value["size"], value["chunk_bytes"], tuple(value["chunks"]))
    if layout.size != start:
        raise CorruptDataError(f"{start} bytes of content where {layout.size} were written")
    return layout


class BlobWriter:
    """Takes a stream of bytes; leaving the ``with`` block publishes them, an exception drops them."""

    def __init__(self, volume: Volume, kind: str) -> None:
        self._volume = volume
        self._kind = check_kind(kind)
        self._buffer = bytearray()
        self._chunks: list[str] = []
        self._size = 0
        self._pending: Pending | None = None
        #: The blob's digest once it is published.
        self.digest: Digest | None = None
        #: Whether it was there already.
        self.outcome: PutOutcome | None = None

    def __enter__(self) -> Self:
        with faults("writing a blob", self._volume.home):
            self._volume.confirm()
            self._pending = self._volume.begin((names.BLOBS,), self._kind)
        return self

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Adds bytes. Raises DiskFullError or StoreError; the temporary file is then removed by the block's end."""
        self._buffer += data
        while len(self._buffer) >= CHUNK_BYTES:
            self._write_chunk(bytes(self._buffer[:CHUNK_BYTES]))
            del self._buffer[:CHUNK_BYTES]

    def ref(self, name: str, retention: Retention) -> BlobRef:
        """How a record names the blob, once it is published."""
        if self.digest is None:
            raise RuntimeError("a record names a blob that is published")
        return BlobRef(name, self.digest, self._size, retention)

    def _write_chunk(self, chunk: bytes) -> None:
        if self._pending is None:
            raise RuntimeError("a blob is written inside its with block")
        self._chunks.append(hashlib.sha256(chunk).hexdigest())
        self._size += len(chunk)
        with faults("writing a blob", self._volume.home):
            self._volume.filesystem.write(self._pending.fd, chunk)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pending = self._pending
        if pending is None:
            return
        try:
            if error is None:
                self._finish(pending)
        finally:
            self._pending = None
            self._volume.discard(pending)

    def _finish(self, pending: Pending) -> None:
        if self._buffer:
            self._write_chunk(bytes(self._buffer))
            self._buffer.clear()
        footer = canonical_json(
            {
                "format": BLOB_FORMAT,
                "kind": self._kind,
                "size": self._size,
                "chunk_bytes": CHUNK_BYTES,
                "chunks": self._chunks,
            }
        )
        digest = digest_bytes(footer)
        with faults("publishing a blob", self._volume.home):
            self._volume.filesystem.write(pending.fd, b"%b\nsegue-blob/1 %016d\n" % (footer, len(footer)))
            pending.parts = (names.BLOBS, digest)
            self.outcome = self._volume.commit([pending], lambda _: self._settle(digest))[0]
        self.digest = digest

    def _settle(self, digest: Digest) -> bool:
        if verify_blob(self._volume, digest):
            return True
        filesystem, path = self._volume.filesystem, self._volume.path((names.BLOBS, digest))
        try:
            if not is_sound_blob(filesystem, path, digest):
                raise OSError(errno.EROFS, "a damaged blob cannot be moved away", path)
        except FileNotFoundError:
            return False
        return True


class BlobReader:
    """Slices of one blob; every byte it returns was checked. Safe to use from several threads."""

    def __init__(self, volume: Volume, digest: Digest, fd: int, layout: BlobLayout) -> None:
        self.digest = digest
        self._volume = volume
        self._fd = fd
        self._layout = layout
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._open = True

    @property
    def kind(self) -> str:
        return self._layout.kind

    @property
    def size(self) -> int:
        """Length of the content in bytes."""
        return self._layout.size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from ``offset`` on, fewer than ``length`` only at the end of the blob.

        Raises BlobDamagedError, after moving the blob to quarantine, when they are not what was written; ValueError
        for a negative offset or length.
        """
        if offset < 0 or length < 0:
            raise ValueError(f"no such slice: {offset}, {length}")
        stop = min(offset + length, self.size)
        if stop <= offset:
            return b""
        step = self._layout.chunk_bytes
        parts = []
        with self._lock:
            for index in range(offset // step, (stop - 1) // step + 1):
                chunk = self._chunk(index)
                start = index * step
                parts.append(chunk[max(offset - start, 0) : stop - start])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def verify(self) -> None:
        """Reads and checks the whole content. Raises BlobDamagedError."""
        for index in range(len(self._layout.chunks)):
            with self._lock:
                self._chunk(index)

    def _chunk(self, index: int) -> bytes:
        if not self._open:
            raise ValueError("the blob is closed")
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        step = self._layout.chunk_bytes
        wanted = min(step, self.size - index * step)
        for _ in range(_READS):
            try:
                data = self._volume.filesystem.read_at(self._fd, wanted, index * step)
            except OSError as error:
                if error.errno in UNREADABLE:
                    continue
                raise store_error(error, "reading a blob", self._volume.home) from error
            if digest_bytes(data) == self._layout.chunks[index]:
                self._kept[index] = data
                while len(self._kept) > _CHUNKS_KEPT:
                    self._kept.popitem(last=False)
                return data
        reason = f"chunk {index} is not the one that was written"
        self._volume.quarantine(
            (names.BLOBS, self.digest), reason, lambda path: is_sound_blob(self._volume.filesystem, path, self.digest)
        )
        raise BlobDamagedError(f"the {self.kind} {self.digest[:12]} is damaged on the disk", _REDO_HINT)

    def close(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                self._kept.clear()
                self._volume.filesystem.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_blob(volume: Volume, digest: Digest) -> BlobReader | None:
    """A reader, or None when there is no such blob or its footer was damaged (it is then in quarantine)."""
    parts = (names.BLOBS, names.check_blob(digest))
    for _ in range(_ROUNDS):
        reason = ""
        for _ in range(_READS):
            try:
                fd = volume.filesystem.open_read(volume.path(parts))
            except FileNotFoundError:
                volume.confirm()
                return None
            try:
                return BlobReader(volume, digest, fd, read_layout(volume.filesystem, fd, digest))
            except CorruptDataError as damage:
                reason = str(damage)
            except OSError as error:
                if error.errno not in UNREADABLE:
                    volume.filesystem.close(fd)
                    raise
                reason = error.strerror or str(error)
            volume.filesystem.close(fd)
        moved = volume.quarantine(parts, reason, lambda path: is_sound_blob(volume.filesystem, path, digest))
        if moved is not Moved.BACK:
            return None
    return None


def verify_blob(volume: Volume, digest: Digest) -> bool:
    """True when every byte of the blob is the one that was written; a damaged one is moved to quarantine."""
    reader = open_blob(volume, digest)
    if reader is None:
        return False
    with reader:
        try:
            reader.verify()
        except BlobDamagedError:
            return False
    return True


def is_sound_blob(filesystem: Filesystem, path: str, digest: str) -> bool:
    """True when the file at ``path`` is the blob ``digest``, every byte of it; nothing is moved."""
    fd = filesystem.open_read(path)
    try:
        layout = read_layout(filesystem, fd, digest)
        for index, chunk in enumerate(layout.chunks):
            start = index * layout.chunk_bytes
            wanted = min(layout.chunk_bytes, layout.size - start)
            if digest_bytes(filesystem.read_at(fd, wanted, start)) != chunk:
                return False
    except CorruptDataError:
        return False
    finally:
        filesystem.close(fd)
    return True
