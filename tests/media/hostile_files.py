"""Media files that try to make their reader open something else.

A QuickTime movie whose samples lie in another file, and an AVI that carries a whole other file, which readers take for
subtitles and open in the format that it looks like.
"""

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


def avi_with_a_passenger(passenger: bytes) -> bytes:
    """One second of sound, 16 kHz mono, and ``passenger`` as a GAB2 subtitle."""
    header = struct.pack("<14I", 40_000, 0, 0, 0, 10, 0, 2, 0, 0, 0, 0, 0, 0, 0)
    sound = struct.pack(_STREAM, b"auds", bytes(4), 0, 0, 0, 0, 2, 32_000, 0, 16_000, 4096, 0xFFFFFFFF, 2, 0, 0, 0, 0)
    text = struct.pack(_STREAM, b"txts", bytes(4), 0, 0, 0, 0, 1, 1, 0, 1, 4096, 0xFFFFFFFF, 0, 0, 0, 0, 0)
    pcm = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    tracks = _list(b"strl", _chunk(b"strh", sound) + _chunk(b"strf", pcm))
    tracks += _list(b"strl", _chunk(b"strh", text) + _chunk(b"strf", b""))
    gab2 = b"GAB2\0" + struct.pack("<HIHHI", 2, 2, 0, 4, len(passenger)) + passenger
    content = _chunk(b"01tx", gab2) + b"".join(_chunk(b"00wb", b"\x10\x20" * 1600) for _ in range(10))
    body = b"AVI " + _list(b"hdrl", _chunk(b"avih", header) + tracks) + _list(b"movi", content)
    return b"RIFF" + struct.pack("<I", len(body)) + body


_STREAM = "<4s4sIHHIIIIIIII4H"


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _list(kind: bytes, body: bytes) -> bytes:
    return _chunk(b"LIST", kind + body)
