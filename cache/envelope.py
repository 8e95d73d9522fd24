"""The bytes of records and documents: text that a person can read and that betrays every changed byte.

A record is ``segue-record/2 <header length> <payload length> <seal>``, then one line of header, then the payload,
then a newline. The seal covers the lengths and the header, the header carries the payload's digest, and the lengths
must add up to the file's size: each byte is hashed once and none is left out. The header names the record's blobs, so
that whoever keeps, removes or checks files need not know any payload. A document is its payload, then a newline and
``segue-document/1 <payload length> <seal>``; its seal also covers its own path.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cache.faults import CorruptDataError
from core.keys import Digest, Key, digest_bytes, is_digest

RECORD_SCHEMA = 2
_KIND = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FRAME = re.compile(rb"segue-record/2 ([0-9]{8}) ([0-9]{16}) ")
_OTHER_FRAME = re.compile(rb"segue-record/([0-9]{1,4}) ")
_FRAME_SIZE = 15 + 8 + 1 + 16 + 1
_SEAL_SIZE = 64
#: Length of a record's first line, newline included.
FRAME_LINE_SIZE = _FRAME_SIZE + _SEAL_SIZE + 1
_DOCUMENT_END = re.compile(rb"\nsegue-document/1 ([0-9]{16}) ([0-9a-f]{64})\n")
_DOCUMENT_END_SIZE = 1 + 17 + 16 + 1 + 64 + 1


class Retention(StrEnum):
    """How long a blob is wanted by the record that names it."""

    #: Part of the output: a record without it counts as missing.
    RESULT = "result"
    #: A form of the media that can be made again from them.
    VIEW = "view"
    #: Wanted until the job is finished.
    SCRATCH = "scratch"


@dataclass(frozen=True)
class BlobRef:
    """A blob that a record names."""

    #: What it is to the record: one short word, unique in the record, such as ``speech``.
    name: str
    digest: Digest
    #: Length of its content in bytes.
    size: int
    retention: Retention


@dataclass(frozen=True)
class Record:
    """One finished unit of work."""

    #: Digest of everything that determines the payload.
    key: Key
    #: What it is: ``transcript``, ``translation``; lower case, digits, ``._-``.
    kind: str
    #: The output itself, normally JSON.
    payload: bytes
    #: How it came to be (attempt id, engine, versions): JSON, read by people and by the ledger, never by a stage.
    provenance: Mapping[str, Any] = field(default_factory=dict)
    #: Blobs that belong to it; they are in the store before it is.
    blobs: tuple[BlobRef, ...] = ()


@dataclass(frozen=True)
class RecordHead:
    """What a record says about itself, without its payload."""

    key: Key
    kind: str
    payload_size: int
    payload_digest: str
    provenance: Mapping[str, Any]
    blobs: tuple[BlobRef, ...]
    #: Where the payload starts in the file.
    payload_start: int

    @property
    def file_size(self) -> int:
        return self.payload_start + self.payload_size + 1


def check_kind(kind: str) -> str:
    """The kind itself. Raises ValueError for a name that is not one short lower-case word."""
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ValueError(f"not a kind: {kind!r}")
    return kind


def _blobs_as_json(refs: Sequence[BlobRef]) -> list[list[Any]]:
    if len({ref.name for ref in refs}) < len(refs):
        raise ValueError(f"a record names two blobs alike: {', '.join(ref.name for ref in refs)}")
    for ref in refs:
        if not is_digest(ref.digest) or ref.size < 0:
            raise ValueError(f"not a blob: {ref!r}")
    return [[check_kind(ref.name), ref.digest, ref.size, Retention(ref.retention).value] for ref in refs]


def encode_record(record: Record) -> bytes:
    """The file of a record. Raises ValueError or TypeError for a record that could not be read back."""
    header = json.dumps(
        {
            "schema": RECORD_SCHEMA,
            "key": record.key,
            "kind": check_kind(record.kind),
            "payload_sha256": digest_bytes(record.payload),
            "provenance": dict(record.provenance),
            "blobs": _blobs_as_json(record.blobs),
        },
        separators=(",", ":"),
        allow_nan=False,
    ).encode("ascii")
    if len(header) >= 10**8:
        raise ValueError("provenance and blobs are too large for a record's header")
    frame = b"segue-record/2 %08d %016d " % (len(header), len(record.payload))
    seal = hashlib.sha256(frame + header).hexdigest().encode("ascii")
    return b"%b%b\n%b\n%b\n" % (frame, seal, header, record.payload)


def decode_head(data: bytes, key: str, file_size: int) -> RecordHead | None:
    """The head of the record file that starts with ``data``; None when ``data`` is too short to hold it.

    Raises CorruptDataError when the file cannot be the record ``key``.
    """
    frame = _FRAME.match(data)
    if frame is None:
        other = _OTHER_FRAME.match(data)
        if other is not None:
            raise CorruptDataError(
                f"it is a record of version {int(other[1])}; this Segue knows version {RECORD_SCHEMA}"
            )
        raise CorruptDataError("the first line is not a record's")
    header_size, payload_size = int(frame[1]), int(frame[2])
    payload_start = FRAME_LINE_SIZE + header_size + 1
    if payload_start + payload_size + 1 != file_size:
        raise CorruptDataError(f"{file_size} bytes where {payload_start + payload_size + 1} were written")
    if len(data) < payload_start:
        return None
    header = data[FRAME_LINE_SIZE : payload_start - 1]
    seal = hashlib.sha256(frame[0] + header).hexdigest().encode("ascii")
    if data[_FRAME_SIZE:FRAME_LINE_SIZE] != seal + b"\n" or data[payload_start - 1 : payload_start] != b"\n":
        raise CorruptDataError("the header is not the one that was written")
    try:
        value = json.loads(header)
        if value["schema"] != RECORD_SCHEMA or value["key"] != key:
            raise CorruptDataError(f"it is record {value['key']} of schema {value['schema']}")
        return RecordHead(
            key=Key(value["key"]),
            kind=value["kind"],
            payload_size=payload_size,
            payload_digest=value["payload_sha256"],
            provenance=value["provenance"],
            blobs=tuple(
                BlobRef(name, Digest(digest), size, Retention(retention))
                for name, digest, size, retention in value["blobs"]
            ),
            payload_start=payload_start,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(f"the header was not written by a store: {error}") from error


def decode_record(data: bytes, key: str) -> Record:
    """The record in a whole file. Raises CorruptDataError when any byte is not the one that was written for ``key``."""
    head = decode_head(data, key, len(data))
    if head is None or data[-1:] != b"\n":
        raise CorruptDataError("the file ends too early")
    payload = data[head.payload_start : -1]
    if digest_bytes(payload) != head.payload_digest:
        raise CorruptDataError("the payload is not the one that was written")
    return Record(head.key, head.kind, payload, head.provenance, head.blobs)


def _document_seal(parts: Sequence[str], payload: bytes) -> bytes:
    state = hashlib.sha256("/".join(parts).encode("ascii"))
    state.update(b"\0%d\0" % len(payload))
    state.update(payload)
    return state.hexdigest().encode("ascii")


def encode_document(parts: Sequence[str], payload: bytes) -> bytes:
    """The file of a document that lies at ``parts``; the payload comes first, so that a person can read it."""
    return b"%b\nsegue-document/1 %016d %b\n" % (payload, len(payload), _document_seal(parts, payload))


def decode_document(parts: Sequence[str], data: bytes) -> bytes:
    """The payload of a document's file. Raises CorruptDataError when any byte is not the one that was written there."""
    end = _DOCUMENT_END.fullmatch(data[-_DOCUMENT_END_SIZE:])
    payload = data[:-_DOCUMENT_END_SIZE]
    if end is None or int(end[1]) != len(payload) or end[2] != _document_seal(parts, payload):
        raise CorruptDataError("the document is not the one that was written")
    return payload
