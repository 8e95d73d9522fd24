"""What is measured on a GPU, one step a process: a sticky CUDA error poisons a process, and ends only its step.

    python -m bench.gpu_steps STEP WORK [--stand-in] [--seconds 60]

A step prints what it found as one line of JSON, the last one. `bench/gpu_run.py` runs them all. With ``--stand-in`` the
same code runs on a CPU with a model of a few layers, and memory that runs out is played.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.gpu_load import LoadMeter
from bench.gpu_model import LARGE_V3, TINY, Shape, write_model
from core.errors import EngineError, SegueError
from core.specs import EngineSpec
from engines.device import detect_device
from engines.engine import EngineChoice, Result
from engines.gpu_memory import free_gpu_bytes
from engines.resources import EngineResources
from engines.transcribe import batching, faster_whisper
from engines.transcribe.batching import BatchLimit
from engines.transcribe.interface import Clip, ClipSegment, Transcript

GIB = 1 << 30
_CLIP_SECONDS = 25


@dataclass(frozen=True)
class Profile:
    """What is run on which device."""

    device: str
    shape: Shape
    compute_types: tuple[str, ...]
    #: Clips in one batch, one measurement each.
    batches: tuple[int, ...]
    #: Clips that are computed while another process holds all but `left_bytes`.
    squeezed_clips: int
    left_bytes: int
    #: Beyond so many clips the stand-in's memory runs out; 0 on a real device.
    fits: int = 0


GPU = Profile("cuda", LARGE_V3, ("float16", "int8_float16"), (1, 4, 8, 16, 32, 64), 32, 4 * GIB)
STAND_IN = Profile("cpu", TINY, ("float32",), (1, 2), 5, 0, fits=2)


@dataclass(frozen=True)
class Surroundings:
    """Where a step works, and until when."""

    profile: Profile
    #: Folder that all steps share: the model, the home, the tokenizer.
    work: Path
    deadline: float

    @property
    def model(self) -> Path:
        return self.work / "model"

    @property
    def resources(self) -> EngineResources:
        return EngineResources(self.work / "models", device=self.profile.device, offline=True)

    def spec(self, compute_type: str) -> EngineSpec:
        choice = EngineChoice("faster-whisper", str(self.model), compute_type)
        return faster_whisper.freeze(choice, self.resources)

    def left_s(self) -> float:
        """Seconds that the step still has."""
        return self.deadline - time.monotonic()


def clips(count: int, seed: int = 1) -> list[Clip]:
    """Noise in place of speech: a random model hears nothing in either."""
    random = np.random.default_rng(seed)
    length = _CLIP_SECONDS * 1000
    segment = (ClipSegment(0, length, 900),)
    return [
        Clip(str(number), (random.random(length * 16, dtype=np.float32) - 0.5) * 0.2, segment, "en")
        for number in range(count)
    ]


@contextmanager
def opened(around: Surroundings, compute_type: str, batch: int) -> Iterator[Any]:
    """The transcriber, and closed again."""
    resources = EngineResources(around.work / "models", device=around.profile.device, offline=True, batch_size=batch)
    engine = faster_whisper.FasterWhisperTranscriber(around.spec(compute_type), resources)
    try:
        yield engine
    finally:
        engine.close()


# -- steps -----------------------------------------------------------------------------------------------------


def start(around: Surroundings) -> dict[str, Any]:
    """Does it start at all: driver, device, compute types, products through cuBLAS."""
    import ctranslate2

    device = detect_device(around.profile.device)
    found: dict[str, Any] = {
        "device": device.describe(),
        "driver": driver_version(),
        "ctranslate2": ctranslate2.__version__,
        "compute_types": sorted(ctranslate2.get_supported_compute_types(around.profile.device)),
        "free_gib": _gib(free_gpu_bytes()),
    }
    small = around.work / "small"
    write_model(small, TINY, around.work / "tokenizer.json")
    for compute_type in around.profile.compute_types:
        began = time.monotonic()
        spec = faster_whisper.freeze(EngineChoice("faster-whisper", str(small), compute_type), around.resources)
        engine = faster_whisper.FasterWhisperTranscriber(spec, around.resources)
        results = list(engine.run(clips(1)))
        engine.close()
        found[f"{compute_type}_first_s"] = round(time.monotonic() - began, 2)
        found[f"{compute_type}_result"] = _kind(results[0])
    return found


def build(around: Surroundings) -> dict[str, Any]:
    """A Whisper of production size with random weights; how long it takes to load, and the first call cold and warm."""
    began = time.monotonic()
    size = write_model(around.model, around.profile.shape, around.work / "tokenizer.json")
    found: dict[str, Any] = {"weights_gib": _gib(size), "written_s": round(time.monotonic() - began, 1)}
    for compute_type in around.profile.compute_types:
        free, began = free_gpu_bytes(), time.monotonic()
        with opened(around, compute_type, 1) as engine:
            loaded = {"load_s": round(time.monotonic() - began, 2)}
            after = free_gpu_bytes()
            for call in ("cold_s", "warm_s"):
                began = time.monotonic()
                list(engine.run(clips(1)))
                loaded[call] = round(time.monotonic() - began, 2)
        if free is not None and after is not None:
            loaded["model_gib"] = _gib(free - after) or 0.0
        found[compute_type] = loaded
    return found


def batches(around: Surroundings) -> dict[str, Any]:
    """Clips a second, memory a clip, how busy the GPU is and where the time goes, by the size of the batch."""
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for compute_type in around.profile.compute_types:
        with opened(around, compute_type, max(around.profile.batches)) as engine:
            list(engine.run(clips(1)))
            longest = 0.0
            for size in around.profile.batches:
                for turn in (1, 2):
                    # A batch of twice as many takes at most twice as long.
                    if around.left_s() < 2.5 * longest + 2:
                        left_out.append(f"{compute_type} {size}")
                        continue
                    rows.append(_batch(engine, compute_type, size, turn))
                    longest = max(longest, rows[-1]["seconds"])
    return {"rows": rows, "left_out": left_out}


def _batch(engine: Any, compute_type: str, size: int, turn: int) -> dict[str, Any]:
    given = clips(size, seed=size + turn)
    began = time.monotonic()
    for clip in given:
        engine._engine()._features(clip.samples)
    features_s = time.monotonic() - began
    engine.usage()
    with LoadMeter() as meter:
        began = time.monotonic()
        results = list(engine.run(given))
        seconds = time.monotonic() - began
    effort = engine.usage()
    row = {
        "compute_type": compute_type,
        "clips": size,
        "turn": turn,
        "seconds": round(seconds, 3),
        "clips_a_second": round(size / seconds, 2),
        "audio_x": round(size * _CLIP_SECONDS / seconds, 1),
        "computed_together": effort["batch_clips"],
        "features_alone_s": round(features_s, 3),
        **{
            name: effort[name] for name in ("encoder_ms", "decoder_ms", "aligner_ms", "decoder_steps") if name in effort
        },
        "transcripts": sum(isinstance(result.value, Transcript) for result in results),
    }
    return row | meter.told(size)


def memory(around: Surroundings) -> dict[str, Any]:
    """Others hold nearly all memory: batches follow what is free, and are halved where that was not enough."""
    count, compute_type = around.profile.squeezed_clips, around.profile.compute_types[-1]
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        if not around.profile.fits:
            found["held_gib"] = _gib(stack.enter_context(_holding(around.profile.left_bytes)))
        engine = stack.enter_context(opened(around, compute_type, count))
        found["free_gib"] = _gib(free_gpu_bytes())
        if around.profile.fits:
            engine._compute = _running_out(engine._compute, around.profile.fits)
        found["following"] = _squeezed(engine, count)
        # Told nothing of free memory, the engine finds out by trying.
        engine._on_gpu, engine._limit = False, BatchLimit(count)
        found["trying"] = _squeezed(engine, count)
    return found


def _squeezed(engine: Any, count: int) -> dict[str, Any]:
    errors: list[str] = []
    classify = batching.classify

    def listening(error: BaseException) -> Any:
        errors.append(f"{classify(error)}: {type(error).__name__}: {error}"[:300])
        return classify(error)

    batching.classify = listening
    try:
        results = list(engine.run(clips(count)))
    except EngineError as error:
        return {"ended_by": f"{type(error).__name__}: {error}"[:300], "errors": errors}
    finally:
        batching.classify = classify
    failed = [result.reason for result in results if result.reason]
    return {"clips": count, "transcripts": count - len(failed), "limit": engine._limit.clips, "errors": errors}


def _running_out(compute: Callable[..., Any], fits: int) -> Callable[..., Any]:
    """A device whose memory takes so many clips, for one that cannot run out."""

    def computing(batch: Sequence[Clip]) -> Iterator[Any]:
        if len(batch) > fits:
            raise RuntimeError("CUDA failed with error out of memory")
        yield from compute(batch)

    return computing


@contextmanager
def _holding(left: int) -> Iterator[int]:
    """Another process holds all of the GPU's free memory but ``left`` bytes; yields how much that is."""
    command = [sys.executable, "-m", "bench.gpu_load", "hold", str(left)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            yield int(holder.stdout.readline())
        finally:
            holder.stdin.close()


def refusals(around: Surroundings) -> dict[str, Any]:
    """What must be refused when a job is made, and is."""
    found = {}
    for compute_type in ("bfloat16", "int8_bfloat16", "auto"):
        try:
            around.spec(compute_type)
        except SegueError as error:
            found[compute_type] = f"{type(error).__name__}: {error.message}"
        else:
            found[compute_type] = "accepted"
    return found


def driver_version() -> str:
    """The NVIDIA driver's version; empty where there is none."""
    import pynvml

    try:
        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError:
        return ""
    return version.decode() if isinstance(version, bytes) else str(version)


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / GIB, 2)


def _kind(result: Result) -> str:
    return result.reason or type(result.value).__name__


def steps() -> Mapping[str, Callable[[Surroundings], dict[str, Any]]]:
    """The steps by name, in their order."""
    from bench.gpu_job import run

    return {"start": start, "build": build, "batches": batches, "memory": memory, "run": run, "refusals": refusals}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("step", choices=list(steps()))
    parser.add_argument("work", type=Path)
    parser.add_argument("--stand-in", action="store_true")
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    profile = STAND_IN if asked.stand_in else GPU
    around = Surroundings(profile, asked.work.absolute(), time.monotonic() + asked.seconds)
    found = steps()[asked.step](around)
    print(json.dumps(found), flush=True)
    # A library that cannot take a device down must not keep the step.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
