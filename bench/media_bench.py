"""What probing, decoding and searching folders cost: a ten-hour file's memory and speed; by codec, beside ffmpeg.

Run from the repository's root: ``python -m bench.media_bench`` (``--hours 1`` for a quick look).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from media.builds import FfmpegBuild, find_ffmpeg
from media.decode import decode_pcm
from media.inputs import expand_inputs
from media.probe import probe
from media.tracks import select_track

#: What the issue allows for a ten-hour file.
MEMORY_LIMIT_MB = 600
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024
_CODECS = {
    "aac.m4a": ("aac", 2),
    "mono.m4a": ("aac", 1),
    "mp3.mp3": ("mp3", 2),
    "opus.webm": ("libopus", 2),
    "flac.mka": ("flac", 2),
    "wav.wav": ("pcm_s16le", 2),
    "5.1.ac3": ("ac3", 6),
}
#: Pairs of runs by codec; the fastest of each side counts.
_PAIRS = 3


def main() -> int:
    """Prints the figures; 1 when the long file needs more memory than allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=10.0, help="length of the long file")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        _measure(arguments.measure)
        return 0
    build = find_ffmpeg()
    print(f"ffmpeg {build.version} ({build.source})")
    with tempfile.TemporaryDirectory() as folder:
        fits = _long_file(Path(folder), arguments.hours, build)
        _codecs(Path(folder), build)
        _folders(Path(folder) / "many")
    return 0 if fits else 1


def _make(build: FfmpegBuild, path: Path, seconds: float, codec: str, channels: int, rate: int) -> None:
    # One second of noise and tone, repeated without being decoded again, so that hours are made in seconds.
    seed = path.with_name(f"seed-{path.name}")
    waves = "|".join(["0.3*sin(2*PI*220*t)*sin(PI*t)+0.02*(random(0)-0.5)"] * channels)
    quiet = [str(build.path), "-nostdin", "-v", "error", "-y"]
    subprocess.run([*quiet, "-f", "lavfi", "-i", f"aevalsrc={waves}:s={rate}:d=60", "-c:a", codec, seed], check=True)
    repeat = ["-stream_loop", "-1", "-i", str(seed), "-t", str(seconds), "-c", "copy", str(path)]
    subprocess.run([*quiet, *repeat], check=True)


def _measure(path: Path) -> None:
    started = time.perf_counter()
    info = probe(path)
    stream = decode_pcm(info, select_track(info))
    samples = sum(len(block) for block in stream)
    seconds = time.perf_counter() - started
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MEMORY_UNIT
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _MEMORY_UNIT
    print(samples, seconds, own, child)


def _measured(path: Path) -> tuple[float, float, int, int]:
    """Seconds of audio, seconds it took, bytes of our process, bytes of the decoding process."""
    command = [sys.executable, "-m", "bench.media_bench", "--measure", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    samples, seconds, own, child = result.stdout.split()
    return int(samples) / 16_000, float(seconds), int(own), int(child)


def _cost(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds, here and in children, and seconds by the clock."""
    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4]), after.elapsed - before.elapsed


def _pairs(path: Path, build: FfmpegBuild) -> tuple[tuple[float, float], tuple[float, float]]:
    """What decoding costs with Segue and with ffmpeg's command line."""
    info = probe(path)
    track = select_track(info)
    arguments = ["-nostdin", "-v", "error", "-i", str(path), "-ac", "1", "-ar", "16000", "-f", "s16le", "pipe:1"]
    command = [str(build.path), *arguments]
    ours, theirs = [], []
    for _ in range(_PAIRS):
        ours.append(_cost(lambda: sum(len(block) for block in decode_pcm(info, track))))
        theirs.append(_cost(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)))
    return _least(ours), _least(theirs)


def _least(costs: list[tuple[float, float]]) -> tuple[float, float]:
    return min(cpu for cpu, _ in costs), min(clock for _, clock in costs)


def _long_file(folder: Path, hours: float, build: FfmpegBuild) -> bool:
    path = folder / "long.m4a"
    _make(build, path, hours * 3600, "aac", 2, 48_000)
    audio_s, took_s, own, child = _measured(path)
    total_mb = (own + child) / 1e6
    print(
        f"{audio_s / 3600:.2f} h of AAC stereo ({path.stat().st_size / 1e6:.0f} MB): decoded in {took_s:.1f} s, "
        f"{audio_s / took_s:.0f} x real time; peak memory {own / 1e6:.0f} MB here + {child / 1e6:.0f} MB in decoding "
        f"= {total_mb:.0f} MB (limit {MEMORY_LIMIT_MB})"
    )
    path.unlink()
    return total_mb < MEMORY_LIMIT_MB


def _codecs(folder: Path, build: FfmpegBuild) -> None:
    for name, (codec, channels) in _CODECS.items():
        path = folder / name
        _make(build, path, 1800, codec, channels, 48_000)
        started = time.perf_counter()
        for _ in range(20):
            probe(path)
        probe_ms = (time.perf_counter() - started) / 20 * 1000
        (cpu, clock), (ffmpeg_cpu, ffmpeg_clock) = _pairs(path, build)
        print(
            f"{name}: {channels} channels, probe {probe_ms:.1f} ms; 30 minutes: {cpu:.2f} s of CPU, {clock:.2f} s "
            f"by the clock; ffmpeg {ffmpeg_cpu:.2f}, {ffmpeg_clock:.2f}: {cpu / ffmpeg_cpu:.2f} x its CPU"
        )
        path.unlink()


def _folders(root: Path) -> None:
    for number in range(100):
        (root / str(number)).mkdir(parents=True)
        for episode in range(100):
            os.close(os.open(root / str(number) / f"{episode}.mp4", os.O_CREAT | os.O_WRONLY))
    started = time.perf_counter()
    inputs = expand_inputs([root])
    print(f"folder of {len(inputs.files)} files: listed in {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
