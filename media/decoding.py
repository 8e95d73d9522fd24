"""The decoding process: one audio track of one file, as 16 kHz mono samples on its standard output, then its report.

`media.decode` starts it, so that a file that crashes a decoder, or makes it ask for all memory, costs a process and not
the run. libavformat reads from an open file: it has no name, and no protocol, to open another one with.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import av.logging
import numpy as np
from av.stream import Discard

from core.audio import SAMPLE_RATE
from core.errors import MediaError
from media.containers import BARE_DEMUXERS, JUMPING_DEMUXERS
from media.continuity import has_lost_pages, lost_packets_between
from media.damage import DamageWatch
from media.decoding_order import HEADER, REFUSED, REPORT, SAMPLES, Order
from media.downmix import BLOCK, Downmix
from media.parts import FilePart, find_links
from media.placement import Placement
from media.probe import open_container
from media.resampler import Form, Resampler, Stereo, in_samples
from media.sources import one_line, open_source, shown

if TYPE_CHECKING:
    from av.container import InputContainer

#: Most memory that the process may have: a damaged header cannot ask for all of the machine's.
_MEMORY_BYTES = 3 << 30
_SILENCE = np.zeros((BLOCK, 2), np.float32)
#: So many samples are mixed and sent at once.
_BATCH = 8 * BLOCK


class TrackDecoder:
    """Decodes one track: samples go out as they come, and what does not come out is counted."""

    def __init__(self, order: Order, out: BinaryIO) -> None:
        self._order, self._out = order, out
        self._placement = Placement(order.container in JUMPING_DEMUXERS, shown(order.path))
        self._downmix = Downmix()
        self._waiting: list[Stereo] = []
        self._waiting_length = 0
        self._resampler: Resampler | None = None
        #: Where the clock of the part at hand starts.
        self._zero = 0
        self._watch = DamageWatch(order.container, bare=order.container in BARE_DEMUXERS)
        self._complaint, self._stopped = "", ""
        self._bare = order.container in BARE_DEMUXERS
        #: Sound in packets that came to nothing without a complaint.
        self._undecoded = 0
        #: How long the last frame was.
        self._usual = 0
        #: Where the last packet ends in the file.
        self._read_to = 0

    def run(self) -> dict[str, Any]:
        """Decodes to the end and returns the report. Raises MediaError or libav's errors when it cannot begin."""
        with open_source(Path(self._order.path)) as handle:
            self._handle = handle
            starts = [0]
            if self._order.container == "ogg":
                starts = find_links(handle)
                self._watch.steady = has_lost_pages(handle)
            for start, end in zip(starts, [*starts[1:], None], strict=True):
                self._stopped = ""
                try:
                    self._decode(FilePart(handle, start, end))
                except (av.error.FFmpegError, IndexError) as error:
                    if start == starts[0]:
                        raise
                    self._stopped = self._complain(error)
                self._placement.restart()
            size = handle.seek(0, 2)
        self._mix(everything=True)
        self._watch.close(size)
        return {
            "damage": [asdict(each) for each in self._watch.found],
            "undecoded": self._undecoded,
            "cancelled": self._downmix.cancelled,
            "complaint": self._complaint,
            "stopped": self._stopped,
            "unread_bytes": size - self._read_to,
            "read_bytes": self._read_to,
        }

    def _decode(self, part: FilePart) -> None:
        with open_container(part, self._order.container, self._order.options) as container:
            stream = container.streams.audio[self._order.track]
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = Discard.all
            stream.codec_context.thread_count = 1
            self._zero = ((container.start_time or 0) * SAMPLE_RATE + 500_000) // 1_000_000
            # Of cover art nothing is read.
            self._alone = not container.streams.video
            if self._order.container == "mpegts":
                self._watch.is_torn = lost_packets_between(self._handle, stream.id)
            with av.logging.Capture() as said:
                for packet in self._packets(container, stream):
                    if packet.size and packet.pos is not None:
                        self._read_to = max(self._read_to, part.start + packet.pos + packet.size)
                    self._take(packet, complained=bool(said))
                    said.clear()
            self._end_form()

    def _packets(self, container: InputContainer, stream: Any) -> Iterator[Any]:
        read_to = -1
        while True:
            try:
                yield from container.demux(stream)
            except av.error.BlockingIOError as error:
                # "Not now": more bytes were passed over than libavformat looks at in one go. It goes on from there.
                if read_to == (read_to := self._handle.tell()):
                    self._stopped = self._complain(error)
                    return
                continue
            except av.error.FFmpegError as error:
                self._stopped = self._complain(error)
            return

    def _take(self, packet: Any, *, complained: bool) -> None:
        """Decodes a packet; what of it cannot be decoded is counted as lost."""
        # Once a packet, for its frames too: PyAV makes a new Fraction each time, which is slow.
        time_base = None if self._bare else packet.time_base
        start = self._start_of(packet, time_base)
        length = in_samples(packet.duration, time_base) if packet.duration and time_base else self._usual
        missing = self._watch.step(packet, start, length, alone=self._alone, complained=complained)
        if missing:
            self._watch.lose(self._placement.at(start) - missing, missing)
        swollen = self._watch.swollen(packet, length)
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            self._complain(error)
            self._watch.lose(self._placement.at(start), length, max(length, swollen))
            if self._bare:
                self._place(iter([(None, np.zeros((length, 2), np.float32))]))
            return
        if swollen:
            self._watch.lose(self._placement.at(start), length, swollen)
        elif frames:
            self._watch.decoded(packet, length)
        elif packet.size and not packet.is_discard:
            self._undecoded += length
        for frame in frames:
            frame_length = frame.samples * SAMPLE_RATE // frame.sample_rate
            self._usual = frame_length
            if self._resampler is None or self._resampler.form != Form.of(frame):
                # First what the old one holds: the new frame's clock may be another.
                self._end_form()
                self._resampler = Resampler(Form.of(frame), frame.time_base)
            start = self._start_of(frame, time_base)
            self._placement.note_frame(start, frame_length)
            if frame.is_corrupt:
                self._watch.lose(self._placement.at(start), frame_length)
            self._place(self._resampler.push(frame))

    def _start_of(self, timed: Any, time_base: Fraction | None) -> int | None:
        return None if timed.pts is None or not time_base else in_samples(timed.pts, time_base) - self._zero

    def _end_form(self) -> None:
        """What the resampler still holds, before another one takes over."""
        if self._resampler is not None:
            self._place(self._resampler.push(None))
        self._resampler = None

    def _complain(self, error: Exception) -> str:
        said = one_line(str(getattr(error, "strerror", None) or error))
        self._complaint = self._complaint or said
        return said

    # -- out -------------------------------------------------------------------------------------------------

    def _place(self, pieces: Iterator[tuple[int | None, Stereo]]) -> None:
        for start, piece in pieces:
            at = None if start is None or self._bare else start - self._zero
            silence, skipped = self._placement.place(at, len(piece))
            while silence > 0:
                self._add(_SILENCE[:silence])
                silence -= BLOCK
            self._add(piece[skipped:])

    def _add(self, piece: Stereo) -> None:
        self._waiting.append(piece)
        self._waiting_length += len(piece)
        if self._waiting_length >= _BATCH:
            self._mix()

    def _mix(self, *, everything: bool = False) -> None:
        joined = np.concatenate(self._waiting) if self._waiting else _SILENCE[:0]
        end = len(joined) if everything else len(joined) // BLOCK * BLOCK
        mono = [self._downmix.mix(joined[at : min(at + BLOCK, end)]) for at in range(0, end, BLOCK)]
        send(self._out, SAMPLES, b"".join(block.astype("<i2").tobytes() for block in mono))
        self._waiting, self._waiting_length = [joined[end:]], len(joined) - end


def send(out: BinaryIO, kind: bytes, payload: bytes) -> None:
    """One message to whoever started the process."""
    out.write(HEADER.pack(kind, len(payload)) + payload)


def main() -> int:
    """Decodes what the only argument orders."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, resource.RLIM_INFINITY))
    av.logging.set_level(av.logging.ERROR)
    order, out = Order(**json.loads(sys.argv[1])), sys.stdout.buffer
    try:
        report = TrackDecoder(order, out).run()
    except MediaError as error:
        send(out, REFUSED, json.dumps([error.message, error.hint]).encode())
    except (av.error.FFmpegError, IndexError, OSError, ValueError, MemoryError) as error:
        reason = one_line(str(getattr(error, "strerror", None) or error)) or type(error).__name__
        message = f"{shown(order.path)}: audio track {order.track} cannot be decoded: {reason}"
        send(out, REFUSED, json.dumps([message, "check that a player plays its sound"]).encode())
    else:
        send(out, REPORT, json.dumps(report).encode())
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
