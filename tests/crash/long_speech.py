"""Inputs for the storms, made from the sample that the repository ships."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
from segue_process import ROOT

from media.builds import find_ffmpeg

SAMPLE = ROOT / "demo" / "sample.mp4"
RATE = 16_000
#: Between two copies of the sample.
PAUSE_S = 2.0


def sample_pcm() -> np.ndarray:
    """The sample's sound: 16 kHz mono signed 16-bit."""
    command = [
        str(find_ffmpeg().path),
        "-v",
        "error",
        "-i",
        str(SAMPLE),
        "-ac",
        "1",
        "-ar",
        str(RATE),
        "-f",
        "s16le",
        "-",
    ]
    found = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout
    return np.frombuffer(found, dtype="<i2")


def write_speech(path: Path, copies: int, first_gain: float = 1.0) -> Path:
    """A WAV file with ``copies`` of the sample, each a little softer, so that no two windows are the same work."""
    sound = sample_pcm().astype(np.float64)
    pause = np.zeros(int(PAUSE_S * RATE))
    parts = [part for copy in range(copies) for part in (sound * (first_gain * 0.97**copy), pause)]
    return write_wav(path, np.concatenate(parts))


def write_wav(path: Path, samples: np.ndarray, channels: int = 1) -> Path:
    """Samples in the 16-bit range; interleaved when there are several channels."""
    with wave.open(str(path), "wb") as handle:
        handle.setnchannels(channels)
        handle.setsampwidth(2)
        handle.setframerate(RATE)
        handle.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
    return path
