"""A QuickTime movie whose samples lie in another file: the oldest way to make a player open what it was not given."""

from __future__ import annotations

import struct
from pathlib import Path

_NESTED = (b"moov", b"trak", b"mdia", b"minf", b"dinf")


def point_elsewhere(movie: bytes, target: Path) -> bytes:
    """``movie`` (with its index at the end) with every data reference replaced by an alias of ``target``."""
    return _rewritten(movie, _alias(target))


def _rewritten(data: bytes, entry: bytes) -> bytes:
    out = bytearray()
    at = 0
    while at < len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        kind = data[at + 4 : at + 8]
        body = data[at + 8 : at + size]
        if kind in _NESTED:
            body = _rewritten(body, entry)
        elif kind == b"dref":
            body = struct.pack(">II", 0, 1) + entry
        out += struct.pack(">I", len(body) + 8) + kind + body
        at += size
    return bytes(out)


def _alias(target: Path) -> bytes:
    volume, name, path = b"disk", target.name.encode(), f"disk:{str(target)[1:].replace('/', ':')}".encode()
    record = bytes(10) + bytes([len(volume)]) + volume.ljust(27, b"\0") + bytes(12)
    record += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    record += struct.pack(">HH", 1, 1) + bytes(16)
    record += struct.pack(">HH", 2, len(path)) + path + b"\0" * (len(path) % 2)
    record += struct.pack(">HH", 0xFFFF, 0)
    return struct.pack(">I", len(record) + 12) + b"alis" + struct.pack(">I", 0) + record
