"""Media made on the spot with the ffmpeg that Segue itself would use, and the samples that come out of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.audio import SAMPLE_RATE
from media.builds import find_ffmpeg
from media.decode import DecodeLimits, DecodeReport, decode_pcm
from media.probe import probe
from media.tracks import select_track

Samples = npt.NDArray[np.int16]

#: A short, small picture; sound is added by each test.
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=3")


def make(*arguments: str | Path) -> None:
    """Runs ffmpeg with a test's own arguments."""
    command = [str(find_ffmpeg().path), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


def sound(seconds: float, *, start: float = 0.0, hertz: float = 440.0, rate: int = 16000) -> tuple[str, str, str, str]:
    """ffmpeg's input for silence until ``start`` and then a tone, ``seconds`` in all."""
    wave = f"0.5*sin(2*PI*{hertz}*t)*gte(t\\,{start})"
    return ("-f", "lavfi", "-i", f"aevalsrc={wave}:s={rate}:d={seconds}")


def decode(path: Path, wanted: str = "", limits: DecodeLimits | None = None) -> tuple[Samples, DecodeReport]:
    """All samples of one track, joined, and the report."""
    info = probe(path)
    stream = decode_pcm(info, select_track(info, wanted), limits)
    return np.concatenate(list(stream)), stream.report


def onset_ms(samples: Samples, threshold: int = 1000) -> int:
    """When the first loud sample is heard."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold)
    assert loud.size, "nothing is heard"
    return int(loud[0]) * 1000 // SAMPLE_RATE


def peak(samples: Samples) -> int:
    """Largest absolute sample."""
    return int(np.abs(samples.astype(np.int32)).max())
