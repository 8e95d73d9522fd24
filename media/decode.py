"""One audio track as 16 kHz mono samples on the clock that a player shows, a block at a time."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.audio import ms_to_samples, samples_to_ms
from core.errors import MediaError
from core.keys import Digest, digest_value
from media.claims import LONGEST_MS, expected_ms, plausible_ms, too_long, too_thin
from media.containers import BARE_DEMUXERS
from media.decoding_order import HEADER, REFUSED, SAMPLES, Order
from media.headers import PLAIN_DEMUXERS, missing_bytes, second_movie, understates, unexplained_bytes
from media.probe import DEEP_LOOK
from media.process import FfmpegRun, TimeLimits
from media.sources import check_source, open_source, shown
from media.tracks import AudioTrack, Lost, MediaInfo

#: Sound that is missing is reported from here on; less is rounding and padding.
_LOST_MS = 1000
#: A track that ends this much before its stated end was cut off. AVI and ASF round what they state.
_SHORT_FRACTION = 0.002
_ROUNDING_DEMUXERS = frozenset({"avi", "asf"})
_ROUNDED_FRACTION = 0.02
#: Packets may come to nothing where a player skips sound as well (encoders' delay); more is a decoder that gave up.
_UNDECODED_MS = 2000
_BYTES_A_SAMPLE = 2
#: Raised when other samples come out of the same file, or more is said of them: it is part of `decoder_id`.
_DECODE_VERSION = 3

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class DecodeLimits:
    """What one file may cost."""

    #: Most audio that one file may hold.
    max_ms: int = LONGEST_MS
    #: Length of the blocks that come out; the last one is shorter.
    block_ms: int = 10_000
    #: Seconds without output before decoding is stopped.
    stall_s: float = 180.0
    #: Seconds that any file may take, before its length is counted.
    base_s: float = 300.0
    #: Slowest acceptable speed, in seconds of work for one second of audio.
    seconds_a_second: float = 0.5

    def time_limits(self, duration_ms: int) -> TimeLimits:
        """How long decoding may take over audio of ``duration_ms`` (0 when unknown)."""
        expected = duration_ms or self.max_ms
        return TimeLimits(self.stall_s, self.base_s + expected / 1000 * self.seconds_a_second)


@dataclass(frozen=True)
class DecodeReport:
    """How decoding went; there once all blocks have been taken."""

    samples: int
    #: Length of the decoded audio.
    duration_ms: int
    #: Where the track ends by the file's own statement; 0 when the file does not say.
    stated_ms: int
    #: In order; whoever needs all that was said has not got it when there is one.
    lost: tuple[Lost, ...]
    #: Lines for a person; empty when all went well.
    warnings: tuple[str, ...]


class PcmStream:
    """Blocks of int16 samples, 16 kHz mono; iterate once, then read `report`.

    The first sample is the start of the file as a player shows it: late audio is preceded by silence, and gaps in the
    timestamps are filled with it. The same PyAV and file give the same samples. Leaving the iteration early (or
    `close`) ends the decoding process. Raises MediaError when nothing can be decoded, or a limit is reached.
    """

    def __init__(self, info: MediaInfo, track: AudioTrack, limits: DecodeLimits) -> None:
        self._info = info
        self._track = track
        self._limits = limits
        self._report: DecodeReport | None = None
        self._blocks = self._decode()

    def __iter__(self) -> Iterator[Pcm]:
        return self._blocks

    def close(self) -> None:
        """Ends the decoding process if it still runs. Calling it twice is harmless."""
        self._blocks.close()

    @property
    def report(self) -> DecodeReport:
        """How it went. Raises ValueError before the last block has been taken."""
        if self._report is None:
            raise ValueError("the report is there once every block has been taken")
        return self._report

    def _decode(self) -> Generator[Pcm, None, None]:
        info, limits = self._info, self._limits
        check_source(info.path)
        subject = shown(info.path)
        block_bytes = ms_to_samples(limits.block_ms) * _BYTES_A_SAMPLE
        most_ms = min(limits.max_ms, plausible_ms(info.size_bytes))
        most_bytes = ms_to_samples(most_ms) * _BYTES_A_SAMPLE
        buffer, taken = bytearray(), 0
        time_limits = limits.time_limits(min(most_ms, expected_ms(info)))
        with FfmpegRun(decode_command(info, self._track), time_limits, subject) as run:
            said: dict[str, Any] | None = None
            for kind, payload in _messages(run):
                if kind == REFUSED:
                    raise MediaError(*json.loads(payload))
                if kind != SAMPLES:
                    said = json.loads(payload)
                    continue
                buffer += payload
                while len(buffer) >= block_bytes:
                    yield _pcm(buffer[:block_bytes])
                    del buffer[:block_bytes]
                    taken += block_bytes
                if taken + len(buffer) > most_bytes:
                    bounded = most_ms < limits.max_ms
                    raise too_thin(subject, info.size_bytes) if bounded else too_long(subject, limits.max_ms)
            code = run.finish()
            if said is None:
                raise MediaError(
                    f"{subject}: the decoder broke on it (exit code {code}{_quoted(run.complaint)})",
                    "convert the file with ffmpeg and try again",
                )
            self._report = describe(info, self._track, (taken + len(buffer)) // _BYTES_A_SAMPLE, said)
        if buffer:
            yield _pcm(buffer)


@functools.lru_cache(maxsize=1)
def decoder_id() -> Digest:
    """All that decides which samples come out of a file: PyAV, the libraries in it, and how they are used."""
    import av

    libraries = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    return digest_value({"av": av.__version__, "libraries": libraries, "decode": _DECODE_VERSION})


def decode_pcm(info: MediaInfo, track: AudioTrack, limits: DecodeLimits | None = None) -> PcmStream:
    """The samples of ``track``, shape (n,), int16, 16 kHz mono, in blocks of ``limits.block_ms``. See `PcmStream`."""
    return PcmStream(info, track, limits or DecodeLimits())


def decode_command(info: MediaInfo, track: AudioTrack) -> list[str]:
    """The decoding process: one named file, one track, nothing else within reach."""
    options = dict(DEEP_LOOK) if info.deep else {}
    if understates(info):
        options["ignore_length"] = "1"
    order = Order(str(info.path.absolute()), info.container, track.index, options)
    return [sys.executable, "-P", "-m", "media.decoding", json.dumps(asdict(order))]


def _messages(run: FfmpegRun) -> Iterator[tuple[bytes, bytes]]:
    """What the decoding process sends, message by message."""
    buffer = bytearray()
    while data := run.read():
        buffer += data
        at = 0
        while len(buffer) - at >= HEADER.size:
            kind, length = HEADER.unpack_from(buffer, at)
            if len(buffer) - at - HEADER.size < length:
                break
            at += HEADER.size
            yield kind, bytes(buffer[at : at + length])
            at += length
        del buffer[:at]


def _pcm(data: bytes | bytearray) -> Pcm:
    return np.frombuffer(bytes(data), dtype="<i2").astype(np.int16)


def _quoted(text: str) -> str:
    return f': "{text}"' if text else ""


def describe(info: MediaInfo, track: AudioTrack, samples: int, said: dict[str, Any]) -> DecodeReport:
    """What came out, held against what the file stated. Raises MediaError when nothing did."""
    subject = shown(info.path)
    if samples == 0:
        raise MediaError(
            f"{subject}: nothing can be decoded from audio track {track.index}{_quoted(said['complaint'])}",
            "check that a player plays its sound; copy or record it again",
        )
    duration_ms = samples_to_ms(samples)
    lost = [*_damage(said, duration_ms), *_missing_end(info, track, duration_ms, said)]
    warnings = [f"{subject}: {each.reason}" for each in lost]
    if not lost and said["damage"]:
        harmless = samples_to_ms(sum(each["lost"] for each in said["damage"]))
        warnings.append(f"{subject}: has damage that cost {harmless} ms of sound{_quoted(said['complaint'])}")
    if track.end_ms and duration_ms - track.end_ms > _tolerance_ms(info, track):
        warnings.append(
            f"{subject}: states {track.end_ms / 1000:.1f} s of sound and holds {duration_ms / 1000:.1f} s: all is used"
        )
    if said["cancelled"] > max(samples // 10, ms_to_samples(_LOST_MS)):
        seconds = samples_to_ms(said["cancelled"]) / 1000
        warnings.append(f"{subject}: its channels cancel each other; for {seconds:.0f} s one of them was taken alone")
    return DecodeReport(samples, duration_ms, track.end_ms, tuple(lost), tuple(warnings))


def _tolerance_ms(info: MediaInfo, track: AudioTrack) -> float:
    fraction = _ROUNDED_FRACTION if info.container in _ROUNDING_DEMUXERS else _SHORT_FRACTION
    return max(_LOST_MS, track.end_ms * fraction)


def _damage(said: dict[str, Any], duration_ms: int) -> Iterator[Lost]:
    """Stretches that could not be decoded, when they come to something."""
    if samples_to_ms(sum(each["lost"] for each in said["damage"])) >= _LOST_MS:
        for each in said["damage"]:
            seconds = samples_to_ms(each["lost"]) / 1000
            start_ms, end_ms = samples_to_ms(each["start"]), samples_to_ms(each["end"])
            reason = f"is damaged at {start_ms / 1000:.1f} s: {seconds:.1f} s of sound are missing"
            yield Lost(start_ms, end_ms, reason, samples_to_ms(each["lost"]))
    undecoded_ms = samples_to_ms(max(0, said["undecoded"]))
    if undecoded_ms > _UNDECODED_MS:
        yield Lost(0, duration_ms, f"{undecoded_ms / 1000:.1f} s of the sound in it could not be decoded", undecoded_ms)


def _missing_end(info: MediaInfo, track: AudioTrack, duration_ms: int, said: dict[str, Any]) -> Iterator[Lost]:
    """What should follow the last sample: by the stated length, by the bytes that were not read."""
    # What was damaged inside closes up in bare frames, which have no clock.
    inside = sum(each["lost"] for each in said["damage"]) if info.container in BARE_DEMUXERS else 0
    if track.end_ms - duration_ms - samples_to_ms(inside) > _tolerance_ms(info, track):
        reason = f"is cut off: {duration_ms / 1000:.1f} s of {track.end_ms / 1000:.1f} s could be decoded"
        yield Lost(duration_ms, track.end_ms, reason, track.end_ms - duration_ms)
        return
    unread, because, read = said["unread_bytes"], said["stopped"], said["read_bytes"]
    if not because and (at := second_movie(info)) >= max(read, 1):
        because, unread, read = "another file was put behind it, give them one by one", info.size_bytes - at, at
    elif not because and (unread := missing_bytes(info)):
        because = "the file was cut off"
    elif not because and info.container in PLAIN_DEMUXERS:
        because = "its header states an earlier end"
        with open_source(info.path) as handle:
            unread = unexplained_bytes(handle, read, info.container)
    missing_ms = duration_ms * unread // max(1, read)
    if because and missing_ms >= _LOST_MS:
        yield Lost(
            duration_ms,
            duration_ms + missing_ms,
            f"about {missing_ms / 1000:.0f} s of sound at its end could not be read: {because}",
            missing_ms,
        )
