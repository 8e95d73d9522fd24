"""Speech that the repository ships, and longer speech made of it."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from media.decode import decode_pcm
from media.probe import probe
from media.tracks import select_track

ROOT = Path(__file__).resolve().parent.parent.parent
SPEECH = ROOT / "tests" / "data" / "tickets.flac"
SAMPLE = ROOT / "demo" / "sample.mp4"


def samples_of(path: Path) -> np.ndarray:
    """The file's sound: int16, 16 kHz mono."""
    info = probe(path)
    return np.concatenate(list(decode_pcm(info, select_track(info))))


def many_windows(path: Path) -> Path:
    """A few minutes of speech in which no two windows are alike."""
    speech = samples_of(SAMPLE)
    return write_wav(path, np.concatenate([(speech * gain).astype(np.int16) for gain in (1, 0.8, 0.6, 0.5)]))


def write_wav(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as handle:
        handle.setnchannels(1)
        handle.setsampwidth(2)
        handle.setframerate(16_000)
        handle.writeframes(samples.astype("<i2").tobytes())
    return path
