"""Where sound is missing in a track: packets that cannot be decoded, and stretches of the file that hold none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.audio import ms_to_samples

#: Damage this close together is one place.
_NEIGHBOURS = ms_to_samples(2000)
#: A step in the timestamps that is looked into; shorter ones are pauses of a codec that sends nothing in silence.
_STEP = ms_to_samples(1000)
#: Where a step in the timestamps takes this share of the bytes that so much sound takes elsewhere, they were damaged.
_SHARE = 0.6
#: A packet of bare frames that is so much longer than usual carries what its reader could make nothing of.
_SWOLLEN = 10
_SWOLLEN_BYTES = 4096
#: What may stand between bare frames and is no sound.
_TAGS = (b"ID3", b"APETAGEX", b"TAG+", b"LYRICSBEGIN")
#: In these, nothing but a loss makes a step in the timestamps.
_STEADY_DEMUXERS = frozenset({"flac"})


@dataclass
class DamagedStretch:
    """A stretch of the output, in samples."""

    start: int
    end: int
    #: How much sound is missing in it.
    lost: int


class DamageWatch:
    """Looks at each packet of a track as it comes; positions and lengths are samples of the output."""

    def __init__(self, demuxer: str, *, bare: bool) -> None:
        self._bare = bare
        #: True where nothing but a loss makes a step in the timestamps.
        self.steady = demuxer in _STEADY_DEMUXERS
        #: Whether the container shows that something is missing between two places of the file.
        self.is_torn: Callable[[int, int], bool] = lambda _start, _end: False
        self.found: list[DamagedStretch] = []
        #: Bytes and sound of what could be decoded.
        self._bytes, self._samples = 0, 0
        self._last_at, self._expected = 0, 0
        #: Where the first packet is in the file, and the bytes of all.
        self._first_at, self._packet_bytes = 0, 0
        #: Bytes that were passed over, as sound, and where.
        self._hole, self._hole_at = 0, 0

    def lose(self, start: int, length: int, lost: int | None = None) -> None:
        """``lost`` samples (all of it when not given) are missing at ``start``."""
        lost, last = length if lost is None else lost, self.found[-1] if self.found else None
        # Times of packets are rounded: the next one may begin a sample before the last one's end.
        if last is not None and abs(start - last.end) < _NEIGHBOURS:
            last.end, last.lost = max(last.end, start + length), last.lost + lost
        else:
            self.found.append(DamagedStretch(start, start + length, lost))

    def close(self, size: int) -> None:
        """Once a file of ``size`` bytes was read: what its damage cost beyond the packets that came of it."""
        if not self._bare or not self.found or not self._bytes:
            return
        passed = (size - self._first_at - self._packet_bytes) * self._samples // self._bytes
        if passed >= _STEP:
            self.found[0].lost += passed

    def swollen(self, packet: Any, usual: int) -> int:
        """Sound that the bytes of a bare packet beyond its frame would hold; 0 for other packets."""
        if not self._bare or not self._bytes or packet.size < _SWOLLEN_BYTES:
            return 0
        of_a_frame = usual * self._bytes / max(1, self._samples)
        if packet.size < _SWOLLEN * of_a_frame or any(tag in bytes(packet) for tag in _TAGS):
            return 0
        return int((packet.size - of_a_frame) * self._samples / self._bytes)

    def decoded(self, packet: Any, samples: int) -> None:
        """A packet that gave sound."""
        self._bytes, self._samples = self._bytes + packet.size, self._samples + samples

    def step(self, packet: Any, start: int | None, length: int, *, alone: bool, complained: bool) -> int:
        """Sound that is missing before ``packet``; ``alone`` where no picture takes bytes of the file."""
        if not self._packet_bytes:
            self._first_at = packet.pos or 0
        self._packet_bytes += packet.size
        if self._bare or start is None or packet.pos is None:
            return 0
        gap, at = start - self._expected if self._expected else 0, packet.pos
        passed = max(0, at - self._last_at) * self._samples // max(1, self._bytes)
        if passed > _STEP or self._expected - self._hole_at > _NEIGHBOURS:
            self._hole, self._hole_at = passed, start
        last_at, self._last_at, self._expected = self._last_at, max(self._last_at, at), start + length
        if gap < _STEP:
            return 0
        # An Ogg page is a step of its own, and the time is known some packets later.
        damaged = self.steady or complained or packet.is_corrupt or (alone and self._hole > _STEP + _SHARE * gap)
        return gap if damaged or self.is_torn(last_at, at) else 0
