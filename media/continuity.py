"""Counters in containers that show lost pieces of a file: where they jump, a pause in the timestamps is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

_CHUNK = 1 << 20
#: Flags, serial number and page number of an Ogg page.
_OGG_PAGE = re.compile(rb"OggS\0([\0-\x07]).{8}(.{4})(.{4})", re.DOTALL)
_OGG_HEAD_BYTES, _OGG_BEGINS = 22, 2
_TS_SYNC, _TS_BYTES, _M2TS_BYTES = 0x47, 188, 192
#: Bytes between two packets of sound that are looked through.
_MOST = 64 << 20


def has_lost_pages(handle: BinaryIO) -> bool:
    """True for an Ogg file in which page numbers of a stream jump."""
    last: dict[bytes, int] = {}
    rest = b""
    handle.seek(0)
    while chunk := handle.read(_CHUNK):
        data = rest + chunk
        for page in _OGG_PAGE.finditer(data):
            number = int.from_bytes(page[3], "little")
            if not page[1][0] & _OGG_BEGINS and number > last.get(page[2], number) + 1:
                return True
            last[page[2]] = number
        rest = data[-(_OGG_HEAD_BYTES - 1) :]
    return False


def lost_packets_between(handle: BinaryIO, pid: int) -> Callable[[int, int], bool]:
    """For an MPEG transport stream: whether packets of ``pid`` are missing between two places of the file."""

    def is_torn(start: int, end: int) -> bool:
        at = handle.tell()
        handle.seek(start)
        data = np.frombuffer(handle.read(min(end - start, _MOST) + _TS_BYTES), np.uint8)
        handle.seek(at)
        size = _TS_BYTES if len(data) > _TS_BYTES and data[_TS_BYTES] == _TS_SYNC else _M2TS_BYTES
        packets = data[: len(data) // size * size].reshape(-1, size)
        if not (packets[:, 0] == _TS_SYNC).all():
            return True
        # Only packets with a payload are counted; a packet may be sent twice.
        own = ((packets[:, 1] & 0x1F).astype(int) << 8 | packets[:, 2]) == pid
        ours = packets[own & (packets[:, 3] & 0x10 > 0)]
        steps = np.diff((ours[:, 3] & 0x0F).astype(int)) % 16
        announced = (ours[1:, 3] & 0x20 > 0) & (ours[1:, 4] > 0) & (ours[1:, 5] & 0x80 > 0)
        return bool(((steps > 1) & ~announced).any())

    return is_torn
