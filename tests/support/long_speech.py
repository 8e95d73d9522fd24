"""Inputs for the storms, made from the sample that the repository ships."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
from segue_process import ROOT

from media.builds import find_ffmpeg

SAMPLE = ROOT / "demo" / "sample.mp4"
#: Three short sentences, for engines that take their time.
TICKETS = ROOT / "tests" / "data" / "tickets.flac"
RATE = 16_000
#: Between two copies of the sample.
PAUSE_S = 2.0


def sample_pcm(source: Path = SAMPLE) -> np.ndarray:
    """A file's sound: 16 kHz mono signed 16-bit."""
    command = [
        str(find_ffmpeg().path),
        "-v",
        "error",
        "-i",
        str(source),
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


def write_takes(folder: Path, count: int) -> tuple[Path, ...]:
    """The short clip several times, each at another level: as many files with one window each."""
    sound = sample_pcm(TICKETS).astype(np.float64)
    return tuple(write_wav(folder / f"take {take + 1}.wav", sound * 0.9**take) for take in range(count))


def write_wav(path: Path, samples: np.ndarray, channels: int = 1) -> Path:
    """Samples in the 16-bit range; interleaved when there are several channels."""
    with wave.open(str(path), "wb") as handle:
        handle.setnchannels(channels)
        handle.setsampwidth(2)
        handle.setframerate(RATE)
        handle.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
    return path
