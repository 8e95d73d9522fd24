"""One audio track as 16 kHz mono samples on the clock that a player shows, a block at a time."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.audio import SAMPLE_RATE, ms_to_samples, samples_to_ms
from core.errors import MediaError
from media.arguments import QUIET, compiled
from media.builds import FfmpegBuild
from media.containers import FORMAT_WHITELIST, JUMPING_DEMUXERS
from media.probe import DEEP_LOOK
from media.process import FfmpegRun, TimeLimits
from media.sources import check_source, shown
from media.tracks import AudioTrack, MediaInfo

#: Largest single allocation ffmpeg may make: a damaged header cannot ask for all memory. ffmpeg fills a gap in one
#: allocation and keeps two of them while it grows (measured: 795 MB for 3 hours), so this also bounds gaps.
_MAX_ALLOCATION = 192 << 20
#: In containers whose clock may jump, a longer step forward is a jump, a shorter one a gap that players show.
_LONGEST_GAP_S = 3600
#: What ffmpeg's resampler says when a gap is larger than that; it then drops the gap, and all later times are wrong.
_GAP_COMPLAINT = "Failed to compensate for timestamp delta"
#: Layouts that ffmpeg's own downmix knows; speech sits in the centre there. Others get equal weights.
_KNOWN_LAYOUTS = frozenset((
    "mono", "stereo", "2.1", "3.0", "3.0(back)", "3.1", "4.0", "4.1", "quad", "quad(side)", "5.0", "5.0(side)", "5.1",
    "5.1(side)", "6.0", "6.0(front)", "hexagonal", "6.1", "6.1(back)", "6.1(front)", "7.0", "7.0(front)", "7.1",
    "7.1(wide)", "7.1(wide-side)",
))  # fmt: skip
#: Stands for the file while the arguments are built.
_INPUT = "input"
#: Peak that a quiet mix of many channels is raised to, as a fraction of full scale.
_MIX_PEAK = 0.7
_FULL_SCALE = 32768.0
#: A track that ends this much before its stated end was cut off; less is rounding and padding.
_SHORT_MS = 1000
_SHORT_FRACTION = 0.02

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class DecodeLimits:
    """What one file may cost."""

    #: Most audio that one file may hold.
    max_ms: int = 48 * 3600 * 1000
    #: Length of the blocks that come out; the last one is shorter.
    block_ms: int = 10_000
    #: Seconds without output before ffmpeg is stopped.
    stall_s: float = 180.0
    #: Seconds that any file may take, before its length is counted.
    base_s: float = 300.0
    #: Slowest acceptable speed, in seconds of work for one second of audio.
    seconds_a_second: float = 0.5

    def time_limits(self, duration_ms: int) -> TimeLimits:
        """How long ffmpeg may take over audio of ``duration_ms`` (0 when unknown)."""
        expected_ms = duration_ms or self.max_ms
        return TimeLimits(self.stall_s, self.base_s + expected_ms / 1000 * self.seconds_a_second)


@dataclass(frozen=True)
class DecodeReport:
    """How decoding went; there once all blocks have been taken."""

    samples: int
    #: Length of the decoded audio.
    duration_ms: int
    #: Where the track ends by the file's own statement; 0 when the file does not say.
    stated_ms: int
    #: True when the track ends well before its stated end.
    truncated: bool
    #: Lines for a person; empty when all went well.
    warnings: tuple[str, ...]


class PcmStream:
    """Blocks of int16 samples, 16 kHz mono; iterate once, then read `report`.

    The first sample is the start of the file as a player shows it: late audio is preceded by silence, and gaps in the
    timestamps are filled with it. The same build and file give the same samples. Leaving the iteration early (or
    `close`) ends ffmpeg. Raises MediaError when nothing can be decoded, or a limit is reached.
    """

    def __init__(self, info: MediaInfo, track: AudioTrack, build: FfmpegBuild, limits: DecodeLimits) -> None:
        self._info = info
        self._track = track
        self._build = build
        self._limits = limits
        self._report: DecodeReport | None = None
        self._blocks = self._decode()

    def __iter__(self) -> Iterator[Pcm]:
        return self._blocks

    def close(self) -> None:
        """Ends ffmpeg if it still runs. Calling it twice is harmless."""
        self._blocks.close()

    @property
    def report(self) -> DecodeReport:
        """How it went. Raises ValueError before the last block has been taken."""
        if self._report is None:
            raise ValueError("the report is there once every block has been taken")
        return self._report

    def _decode(self) -> Generator[Pcm, None, None]:
        check_source(self._info.path)
        if self._track.channels <= 2:
            for data in self._raw_blocks("s16le", 2):
                yield np.frombuffer(data, dtype="<i2").astype(np.int16)
            return
        # Weights that can never clip make one voice among many channels very quiet, so a first pass finds the peak.
        peak = max((_peak(data) for data in self._raw_blocks("f32le", 4)), default=0.0)
        gain = min(float(self._track.channels), max(1.0, _MIX_PEAK / peak)) if peak > 0 else 1.0
        for data in self._raw_blocks("f32le", 4):
            yield _scaled(data, gain)

    def _raw_blocks(self, sample_format: str, width: int) -> Generator[bytes, None, None]:
        """One pass of ffmpeg: blocks of samples of ``width`` bytes, then the report is written."""
        block_bytes = ms_to_samples(self._limits.block_ms) * width
        most_bytes = ms_to_samples(self._limits.max_ms) * width
        command = decode_command(self._info, self._track, self._build, sample_format)
        buffer = bytearray()
        taken = 0
        time_limits = self._limits.time_limits(self._info.duration_ms)
        with FfmpegRun(command, time_limits, shown(self._info.path), watch_for=_GAP_COMPLAINT) as run:
            while data := run.read():
                buffer += data
                while len(buffer) >= block_bytes:
                    yield bytes(buffer[:block_bytes])
                    del buffer[:block_bytes]
                    taken += block_bytes
                if taken + len(buffer) > most_bytes:
                    raise self._too_long()
            run.finish()
            if run.noticed:
                raise self._gap_too_long()
            tail = bytes(buffer[: len(buffer) - len(buffer) % width])
            self._report = self._describe((taken + len(tail)) // width, run.complaint, run.complaint_count)
        if tail:
            yield tail

    def _too_long(self) -> MediaError:
        hours = self._limits.max_ms / 3_600_000
        return MediaError(
            f"{shown(self._info.path)}: holds more than {hours:g} hours of audio, the most that one file may",
            "cut it into shorter files",
        )

    def _gap_too_long(self) -> MediaError:
        return MediaError(
            f"{shown(self._info.path)}: has a gap of more than an hour in its sound",
            "cut it at the gap into two files",
        )

    def _describe(self, samples: int, complaint: str, count: int) -> DecodeReport:
        subject = shown(self._info.path)
        if samples == 0:
            said = f': ffmpeg says "{complaint}"' if complaint else ""
            raise MediaError(
                f"{subject}: nothing can be decoded from audio track {self._track.index}{said}",
                "check that a player plays its sound; copy or record it again",
            )
        duration_ms = samples_to_ms(samples)
        stated_ms = self._track.end_ms
        truncated = stated_ms - duration_ms > max(_SHORT_MS, stated_ms * _SHORT_FRACTION)
        warnings = []
        if truncated:
            warnings.append(
                f"{subject}: is cut off: {duration_ms / 1000:.1f} s of {stated_ms / 1000:.1f} s could be decoded"
            )
        if count:
            warnings.append(f'{subject}: has damage that was passed over ({count} lines; first: "{complaint}")')
        return DecodeReport(samples, duration_ms, stated_ms, truncated, tuple(warnings))


def decode_pcm(info: MediaInfo, track: AudioTrack, build: FfmpegBuild, limits: DecodeLimits | None = None) -> PcmStream:
    """The samples of ``track``, shape (n,), int16, 16 kHz mono, in blocks of ``limits.block_ms``. See `PcmStream`."""
    return PcmStream(info, track, build, limits or DecodeLimits())


def decode_command(info: MediaInfo, track: AudioTrack, build: FfmpegBuild, sample_format: str) -> list[str]:
    """ffmpeg's arguments: one named file in, one track, raw samples to its output, nothing else within reach."""
    import ffmpeg

    options: dict[str, Any] = {
        "format": info.container,
        "format_whitelist": FORMAT_WHITELIST,
        "protocol_whitelist": "file",
        "threads": 1,
        **(DEEP_LOOK if info.deep else {}),
    }
    if info.container in JUMPING_DEMUXERS and track.start_ms > 0:
        # ffmpeg counts time in these from the first mapped stream; the file's start may be earlier.
        options["itsoffset"] = f"{track.start_ms / 1000:.3f}"
    source = ffmpeg.input(_INPUT, **options)
    output = source[f"a:{track.index}"].output(
        "pipe:1",
        af=_filters(track, sample_format),
        format=sample_format,
        acodec=f"pcm_{sample_format}",
        fflags="+bitexact",
        flush_packets=0,
        max_muxing_queue_size=1024,
    )
    output = output.global_args(
        *QUIET, "-max_alloc", _MAX_ALLOCATION, "-max_error_rate", 1, "-dts_delta_threshold", _LONGEST_GAP_S
    )
    return compiled(output, build, {_INPUT: info.path})


def _filters(track: AudioTrack, sample_format: str) -> str:
    """Mix to mono without clipping, resample, and lay the samples on the clock from zero."""
    mix = ""
    if track.channels > 2 and track.layout not in _KNOWN_LAYOUTS:
        # Numbered channels work for every layout, also those that ffmpeg cannot mix by itself.
        weight = math.floor(1e6 / track.channels) / 1e6
        mix = "pan=mono|c0=" + "+".join(f"{weight:.6f}*c{index}" for index in range(track.channels)) + ","
    clock = f"aresample={SAMPLE_RATE}:async=1:first_pts=0:dither_method=none:rematrix_maxval=1:lfe_mix_level=0.25"
    # Named outright, so that older builds, whose resampler names its options otherwise, take it too.
    return f"{mix}{clock},aformat=sample_fmts={'flt' if sample_format == 'f32le' else 's16'}:channel_layouts=mono"


def _peak(data: bytes) -> float:
    """Largest absolute sample of a block of float32, not a number counted as nothing."""
    return float(np.abs(np.nan_to_num(np.frombuffer(data, dtype="<f4"))).max())


def _scaled(data: bytes, gain: float) -> Pcm:
    """Float32 samples in [-1, 1] as int16, raised by ``gain``."""
    mix = np.nan_to_num(np.frombuffer(data, dtype="<f4")) * np.float32(gain * _FULL_SCALE)
    samples: Pcm = np.clip(np.rint(mix), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    return samples
