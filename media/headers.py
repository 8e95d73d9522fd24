"""What the headers of some containers say of the bytes behind them, beyond what libavformat tells."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from media.sources import open_source
from media.tracks import MediaInfo

#: Containers of plain samples behind a header, whose stated end may be wrong.
PLAIN_DEMUXERS = frozenset({"wav", "w64", "aiff", "caf", "au"})
#: Fourccs and sizes of the chunks that follow the samples, by container.
_CHUNKS = {"wav": struct.Struct("<4sI"), "aiff": struct.Struct(">4sI"), "caf": struct.Struct(">4sQ")}
#: Writers that cannot seek leave sizes like these, or 0; readers then take all there is.
_NO_SIZE = 0x7FFF_0000
#: Boxes on the top level that are looked at; a fragmented film of hours has thousands.
_MOST_BOXES = 100_000


def counts_frames(handle: BinaryIO) -> bool:
    """True for an MP3 file whose first frame is a header that counts the others, and all of them."""
    handle.seek(0)
    head = handle.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    handle.seek(start)
    frame = handle.read(200)
    at = next((at for mark in (b"Xing", b"Info") if (at := frame.find(mark)) >= 0), -1)
    if at < 0 or len(frame) < at + 16 or frame[at + 7] & 3 != 3:
        return False
    # Joined files keep the header of the first; libavformat then goes by the bit rate, at the same excess.
    counted = int.from_bytes(frame[at + 12 : at + 16], "big")
    return handle.seek(0, os.SEEK_END) - start <= counted + counted // 16


def missing_bytes(info: MediaInfo) -> int:
    """Bytes of a RIFF or Wave64 file that its header states and that are not there."""
    with open_source(info.path) as handle:
        head = handle.read(32)
    stated = 0
    if head[:4] == b"RIFF" and 0 < (size := int.from_bytes(head[4:8], "little")) < _NO_SIZE:
        stated = size + 8
    elif head[:4] == b"RF64" and head[12:16] == b"ds64":
        stated = int.from_bytes(head[20:28], "little") + 8
    elif head[:4] == b"riff":
        stated = int.from_bytes(head[16:24], "little")
    elif head[:4] == b"caff":
        stated = _caf_end(info)
    return max(0, stated - info.size_bytes)


def _caf_end(info: MediaInfo) -> int:
    """Where the samples of a CAF file end by its header; 0 where that leaves it open."""
    form, at = _CHUNKS["caf"], 8
    with open_source(info.path) as handle:
        while at < info.size_bytes:
            handle.seek(at)
            head = handle.read(form.size)
            if len(head) < form.size:
                break
            name, size = form.unpack(head)
            at += form.size + size
            if name == b"data":
                return at if size < 1 << 63 else 0
    return 0


def understates(info: MediaInfo) -> bool:
    """True for a WAV file whose samples go on behind the end that its header states."""
    if info.container != "wav":
        return False
    with open_source(info.path) as handle:
        if handle.read(12)[:4] != b"RIFF":
            return False
        while len(head := handle.read(8)) == 8:
            name, size = _CHUNKS["wav"].unpack(head)
            if name == b"data":
                return 0 < size < _NO_SIZE and unexplained_bytes(handle, handle.tell() + size, "wav") > 0
            handle.seek(size + size % 2, os.SEEK_CUR)
    return False


def second_movie(info: MediaInfo) -> int:
    """Where another file begins in one of the MP4 family that had it put behind; 0 where there is none."""
    if info.container != "mov":
        return 0
    at, begun = 0, False
    with open_source(info.path) as handle:
        for _ in range(_MOST_BOXES):
            handle.seek(at)
            head = handle.read(16)
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            if begun and head[4:8] == b"ftyp":
                return at
            begun = begun or head[4:8] == b"ftyp"
            # A box without a size reaches to the end.
            if size < 8 or (at := at + size) >= info.size_bytes:
                break
    return 0


def unexplained_bytes(handle: BinaryIO, at: int, container: str) -> int:
    """Bytes from ``at`` to the end of the file that are no further chunks of its container."""
    end = handle.seek(0, os.SEEK_END)
    form = _CHUNKS.get(container)
    while at < end:
        handle.seek(at)
        head = handle.read(form.size + 1) if form is not None else b""
        if head[:1] == b"\0" and at % 2:
            at, head = at + 1, head[1:]  # Chunks begin at even places.
        if form is None or len(head) < form.size:
            break
        name, size = form.unpack(head[: form.size])
        if not name.isascii() or not name.decode("ascii").isprintable() or name in (b"RIFF", b"FORM", b"caff"):
            break
        if at + form.size + size > end:
            break
        at += form.size + size
    return max(0, end - at)
