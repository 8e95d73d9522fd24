"""Media of the golden jobs, made of the repository's own speech without any lossy step.

Wave files are written with numpy, containers with PyAV, so that the samples are the same on every machine.
"""

from __future__ import annotations

import hashlib
import wave
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = ROOT / "demo" / "sample.mp4"
TICKETS = ROOT / "tests" / "data" / "tickets.flac"
RATE = 16_000

Samples = npt.NDArray[np.int16]


@lru_cache(maxsize=1)
def speech() -> Samples:
    """Ten seconds of speech, 16 kHz mono."""
    with av.open(str(TICKETS)) as source:
        frames = [frame.to_ndarray().reshape(-1) for frame in source.decode(audio=0)]
    return np.concatenate(frames).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE), np.int16)


def long_speech(times: int = 12) -> Samples:
    """The same speech again and again, each time at another level, so that no two windows are alike."""
    pieces = [(speech() * (1 - 0.06 * number)).astype(np.int16) for number in range(times)]
    return np.concatenate([part for piece in pieces for part in (piece, silence(1.7))])


def write_wav(path: Path, samples: Samples, rate: int = RATE, width: int = 2) -> None:
    """Samples of the shape (count,) or (count, channels), with ``width`` bytes for each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = samples.astype("<i2")
    raw = data.tobytes() if width == 2 else ((data.astype(np.int32) >> 8) + 128).astype(np.uint8).tobytes()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(raw)


def write_matroska(path: Path, tracks: dict[str, Samples], start_s: float = 0.0, picture: bool = False) -> None:
    """Tracks by language in one file; the sound begins at ``start_s``, a picture at zero."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="matroska") as out:
        video = out.add_stream("ffv1", rate=5, width=32, height=32, pix_fmt="yuv420p") if picture else None
        sounds = {}
        for language, samples in tracks.items():
            stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
            stream.metadata["language"] = language
            sounds[language] = (stream, samples)
        if video is not None:
            for number in range(60):
                frame = av.VideoFrame.from_ndarray(np.full((48, 32), number * 4, np.uint8), format="yuv420p")
                frame.pts = number
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        for stream, samples in sounds.values():
            for begin in range(0, len(samples), RATE):
                frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + RATE], format="s16", layout="mono")
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = begin + int(start_s * RATE)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))


def machine_samples(path: Path) -> str:
    """Digest of a file's sound as FFmpeg decodes and resamples it on this machine.

    Lossy codecs and resampling give other samples on another kind of CPU, and the fake transcriber makes its words
    from the samples: what was recorded there says nothing here.
    """
    digest = hashlib.sha256()
    with av.open(str(path)) as source:
        to_mono = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        for frame in source.decode(audio=0):
            for part in to_mono.resample(frame):
                digest.update(part.to_ndarray().tobytes())
    return digest.hexdigest()[:16]
