"""What goes between the decoding process and whoever started it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

#: Kinds of message: samples, the report, and why there is none. Each is followed by its length in four bytes.
SAMPLES, REPORT, REFUSED = b"S", b"R", b"E"
HEADER = struct.Struct("<cI")


@dataclass(frozen=True)
class Order:
    """What is to be decoded."""

    path: str
    #: ffmpeg's name of the container.
    container: str
    #: Position among the audio tracks, from 0.
    track: int
    #: libavformat's options: how far the file is looked into, which of its statements are not believed.
    options: dict[str, str]
