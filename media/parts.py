"""Stretches of an open file that libavformat reads as files of their own."""

from __future__ import annotations

import re
from typing import BinaryIO

_CHUNK = 1 << 20
#: An Ogg page's first bytes; the last of them says whether it begins a stream.
_PAGE = re.compile(rb"OggS\0([\0-\x07])", re.DOTALL)
_BEGINS = 2
_PAGE_BYTES = 6


class FilePart:
    """A part of a file as a file: an impossible seek is an answer, not an exception for PyAV to print."""

    name = ""

    def __init__(self, handle: BinaryIO, start: int = 0, end: int | None = None) -> None:
        self._handle, self.start = handle, start
        self._end = handle.seek(0, 2) if end is None else end
        handle.seek(start)

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._end - self._handle.tell())
        return self._handle.read(left if count < 0 else min(count, left))

    def tell(self) -> int:
        return self._handle.tell() - self.start

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (self.start, self._handle.tell(), self._end)[whence] if whence in (0, 1, 2) else self.start
        try:
            return self._handle.seek(max(self.start, base + offset)) - self.start
        except (OSError, ValueError):
            return -1


def find_links(handle: BinaryIO) -> list[int]:
    """Where the links of a chained Ogg file begin: files that were joined, each with streams of its own.

    libavformat reads on over a link only where it is coded like the one before.
    """
    starts, beginning, offset, rest = [0], True, 0, b""
    handle.seek(0)
    while chunk := handle.read(_CHUNK):
        data = rest + chunk
        for page in _PAGE.finditer(data):
            begins = bool(page[1][0] & _BEGINS)
            at = offset + page.start()
            if begins and not beginning and at > 0:
                starts.append(at)
            beginning = begins
        keep = _PAGE_BYTES - 1
        rest = data[-keep:]
        offset += len(data) - len(rest)
    return starts
