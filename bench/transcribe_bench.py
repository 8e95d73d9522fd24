"""Our transcriber against faster-whisper's own batched pipeline: time, words, speech that is lost.

Both get the same model, options and threads, and both write word times. The pipeline gets the whole file and its own
voice detector; ours gets the windows that Segue plans, and the time of planning them is counted too. They run in turn,
so that a busy machine is unfair to neither. Beside it: what our gates and batching cost over the bare engine.

    python bench/transcribe_bench.py [--rounds 2] [--languages en,es,fr] [--model base] [--json]

The recordings lie beside the repository (``../shared/media/programs``); without them there is nothing to do.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT.parent / "shared" / "media" / "programs"
sys.path.insert(0, str(ROOT))

from core.audio import ms_to_samples  # noqa: E402
from core.speech import Window  # noqa: E402
from engines.engine import EngineChoice  # noqa: E402
from engines.resources import EngineResources  # noqa: E402
from engines.roles import freeze, open_engine  # noqa: E402
from engines.transcribe.interface import Clip, ClipSegment, Transcript  # noqa: E402
from segmenter.detection import find_speech  # noqa: E402
from segmenter.params import SegmenterParams  # noqa: E402
from segmenter.windows import pack_windows  # noqa: E402

#: Words of the script that must be heard for a cue not to be missing.
HEARD_PART = 0.34


@dataclass(frozen=True)
class Program:
    """One recording and what is said in it."""

    language: str
    #: shape (n,), 16 kHz, float32.
    samples: Any
    cues: tuple[dict[str, Any], ...]


@dataclass
class Tally:
    """What one contender took and wrote in one round."""

    seconds: float = 0.0
    texts: dict[str, str] = field(default_factory=dict)
    #: language -> words as (start in ms, text).
    words: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


def load_program(language: str) -> Program:
    from faster_whisper.audio import decode_audio

    script = json.loads((PROGRAMS / f"{language}.json").read_text(encoding="utf-8"))
    (media,) = (path for path in PROGRAMS.glob(f"{language}.*") if path.suffix != ".json")
    return Program(language, decode_audio(str(media), sampling_rate=16_000), tuple(script["cues"]))


def plan_clips(program: Program, params: SegmenterParams) -> list[Clip]:
    """The windows of a recording as clips."""
    whole = np.clip(np.rint(program.samples * 32768), -32768, 32767).astype(np.int16)
    found = find_speech([whole[start : start + 160_000] for start in range(0, len(whole), 160_000)], params)
    return [cut_window(program, window) for window in pack_windows(found, params)]


def cut_window(program: Program, window: Window) -> Clip:
    spans, pieces, offset = [], [], 0
    for segment, span in zip(window.segments, window.spans, strict=True):
        pieces.append(program.samples[ms_to_samples(span.start_ms) : ms_to_samples(span.end_ms)])
        spans.append(ClipSegment(offset, offset + span.duration_ms, segment.score))
        offset += span.duration_ms
    name = json.dumps([segment.start_ms for segment in window.segments])
    return Clip(name, np.concatenate(pieces), tuple(spans), program.language)


def run_ours(engine: Any, programs: Sequence[Program], params: SegmenterParams) -> Tally:
    tally = Tally(notes={"windows": 0, "retried": 0, "dropped": 0, "failed": 0})
    began = time.perf_counter()
    for program in programs:
        clips = plan_clips(program, params)
        results = [
            result
            for start in range(0, len(clips), engine.batch_size)
            for result in engine.run(clips[start : start + engine.batch_size])
        ]
        by_name = {clip.id: clip for clip in clips}
        words = [word for result in results for word in media_words(by_name[result.id], result.value)]
        tally.words[program.language] = sorted(words)
        tally.texts[program.language] = "".join(text for _start, text in sorted(words))
        tally.notes["windows"] += len(clips)
        for result in results:
            tally.notes["failed"] += not isinstance(result.value, Transcript)
            tally.notes["retried"] += "retried" in getattr(result.value, "flags", ())
            tally.notes["dropped"] += len(getattr(result.value, "dropped", ()))
    tally.seconds = time.perf_counter() - began
    return tally


def media_words(clip: Clip, result: Any) -> list[tuple[int, str]]:
    """Words with their times in the recording."""
    starts = json.loads(clip.id)
    placed = []
    for word in getattr(result, "words", ()):
        index = max(i for i, span in enumerate(clip.segments) if span.start_ms <= word.start_ms or i == 0)
        placed.append((starts[index] + word.start_ms - clip.segments[index].start_ms, word.text))
    return placed


def run_theirs(model: Any, programs: Sequence[Program]) -> Tally:
    from faster_whisper import BatchedInferencePipeline

    tally = Tally()
    pipeline = BatchedInferencePipeline(model)
    began = time.perf_counter()
    for program in programs:
        segments, _info = pipeline.transcribe(
            program.samples, language=program.language, batch_size=8, word_timestamps=True
        )
        words = [(round(word.start * 1000), word.word) for segment in segments for word in segment.words]
        tally.words[program.language] = words
        tally.texts[program.language] = "".join(text for _start, text in words)
    tally.seconds = time.perf_counter() - began
    return tally


def run_bare(engine: Any, clips: Sequence[Clip]) -> float:
    """Seconds for encode, generate and align of the same clips on the same threads, without gates and bookkeeping."""
    decoder, pool = engine._engine(), engine._pool

    def compute(batch: Sequence[Clip]) -> None:
        encoded = decoder.encode([clip.samples for clip in batch])
        texts = decoder.generate(encoded, [clip.language for clip in batch])
        for clip, output, text in zip(batch, encoded, texts, strict=True):
            decoder.align(text, output, clip, clip.language)

    began = time.perf_counter()
    ordered = sorted(clips, key=lambda clip: -len(clip.samples))
    for start in range(0, len(ordered), engine.batch_size):
        call = ordered[start : start + engine.batch_size]
        list(pool.map(compute, [call[at : at + 4] for at in range(0, len(call), 4)]))
    return time.perf_counter() - began


def run_gated(engine: Any, clips: Sequence[Clip]) -> float:
    began = time.perf_counter()
    ordered = sorted(clips, key=lambda clip: -len(clip.samples))
    for start in range(0, len(ordered), engine.batch_size):
        list(engine.run(ordered[start : start + engine.batch_size]))
    return time.perf_counter() - began


def normalized(text: str) -> list[str]:
    """Words without case, punctuation and accents: the scripts leave most accents out."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^\w\s]|_", " ", plain).split()


def word_error_rate(programs: Sequence[Program], tally: Tally) -> float:
    import jiwer

    references = [" ".join(normalized(" ".join(cue["text"] for cue in program.cues))) for program in programs]
    written = [" ".join(normalized(tally.texts[program.language])) for program in programs]
    return float(jiwer.wer(references, written))


def missing_cues(programs: Sequence[Program], tally: Tally) -> list[str]:
    """Cues of the script of which less than a third of the words was written near their time."""
    missing = []
    for program in programs:
        for cue in program.cues:
            low, high = cue["start_ms"] - 1000, cue["end_ms"] + 1000
            near = " ".join(text for start, text in tally.words[program.language] if low <= start <= high)
            wanted, heard = normalized(cue["text"]), normalized(near)
            found = sum(1 for word in wanted if word in heard)
            if wanted and found < HEARD_PART * len(wanted):
                missing.append(f"{program.language} {cue['start_ms'] / 1000:.1f} s: {cue['text']} -> {near.strip()}")
    return missing


def alternate(rounds: int, contenders: Sequence[Callable[[], Any]]) -> list[list[Any]]:
    """Each contender's results, run in turn and in changing order."""
    results: list[list[Any]] = [[] for _ in contenders]
    for number in range(rounds):
        order = range(len(contenders)) if number % 2 == 0 else reversed(range(len(contenders)))
        for index in order:
            results[index].append(contenders[index]())
    return results


def measure(rounds: int, languages: Sequence[str], model_name: str, context_ms: int) -> dict[str, Any]:
    from faster_whisper import WhisperModel

    from engines.device import cpu_threads
    from engines.models import resolve_whisper

    programs = [load_program(language) for language in languages]
    params = replace(SegmenterParams(), context_ms=context_ms)
    with tempfile.TemporaryDirectory() as folder:
        resources = EngineResources(models_dir=Path(folder), device="cpu", offline=True)
        engine = open_engine(
            "transcriber", freeze("transcriber", EngineChoice("faster-whisper", model_name), resources), resources
        )
        path = resolve_whisper(model_name, resources).path
        model = WhisperModel(str(path), device="cpu", compute_type="int8", cpu_threads=cpu_threads())
        ours, theirs = alternate(
            rounds, [lambda: run_ours(engine, programs, params), lambda: run_theirs(model, programs)]
        )
        clips = [clip for program in programs for clip in plan_clips(program, params)]
        gated, bare = alternate(rounds, [lambda: run_gated(engine, clips), lambda: run_bare(engine, clips)])
        engine.close()
    return {
        "audio_s": round(sum(len(program.samples) for program in programs) / 16_000, 1),
        "ours_s": [round(tally.seconds, 2) for tally in ours],
        "batched_pipeline_s": [round(tally.seconds, 2) for tally in theirs],
        "time_ratio": round(statistics.median(a.seconds / b.seconds for a, b in zip(ours, theirs, strict=True)), 3),
        "bare_engine_s": [round(seconds, 2) for seconds in bare],
        "overhead_ratio": round(statistics.median(a / b for a, b in zip(gated, bare, strict=True)), 3),
        "wer": round(word_error_rate(programs, ours[-1]), 4),
        "batched_pipeline_wer": round(word_error_rate(programs, theirs[-1]), 4),
        "missing": missing_cues(programs, ours[-1]),
        "batched_pipeline_missing": missing_cues(programs, theirs[-1]),
        "notes": ours[-1].notes,
        "same_text_every_round": all(tally.texts == ours[0].texts for tally in ours),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Segue's transcriber against faster-whisper's batched pipeline")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--languages", default="en,es,fr")
    parser.add_argument("--model", default="base")
    parser.add_argument(
        "--context-ms", type=int, default=SegmenterParams().context_ms, help="audio heard around each segment"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not PROGRAMS.is_dir():
        print("no recordings beside the repository: nothing to measure")
        return 0
    result = measure(options.rounds, options.languages.split(","), options.model, options.context_ms)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return 0
    for name, value in result.items():
        print(f"{name:26} {value if not isinstance(value, list) or len(value) < 4 else len(value)}")
    for line in result["missing"]:
        print("missing:", line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
