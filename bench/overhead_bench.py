"""What Segue adds to its engine: the same model and the same windows, bare and as a whole run, in turn.

Bare is the transcriber alone, given the planned windows from memory in batches. The run is the executor over the same
plan: store, commits, journal, cues, outputs. Models are loaded before either clock starts.

    python bench/overhead_bench.py [--media FILE] [--rounds 3] [--model base]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engines import roles  # noqa: E402
from engines.engine import Engine  # noqa: E402
from engines.transcribe.interface import Clip, ClipSegment  # noqa: E402
from pipeline import engines_pool  # noqa: E402
from pipeline.analysis import open_audio, window_samples  # noqa: E402
from pipeline.executor import Executor  # noqa: E402
from pipeline.inputs.requests import RunOptions, gather, make_entries, plan_request  # noqa: E402
from pipeline.job import SPEECH, Plan  # noqa: E402
from pipeline.jobs import JobFolder  # noqa: E402
from pipeline.planning import draft_plan  # noqa: E402
from pipeline.progress import Silence  # noqa: E402
from pipeline.runtime import Runtime, Settings  # noqa: E402


def main() -> None:
    """Measures and prints the ratio run / bare, pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--media", type=Path, default=ROOT / "demo" / "sample.mp4")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="base")
    options = parser.parse_args()
    media = options.media
    if media.is_dir():
        media = next(path for path in sorted((media / "programs").glob("en.*")) if path.suffix != ".json")
    ratios = []
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as scratch:
        first = _runtime(Path(scratch) / "models-home", options.model)
        engine = roles.open_engine("transcriber", first.engine_spec("transcriber"), first.resources)
        # Both sides use this engine, already loaded.
        engines_pool.open_engine = lambda _role, _spec, _resources: _Kept(engine)
        for number in range(options.rounds + 1):
            pair = _pair(media, Path(scratch) / str(number), first, engine, run_first=number % 2 == 1)
            if number:
                ratios.append(pair)
    print(
        f"overhead {media.name}: run / bare engine {', '.join(f'{ratio:.3f}' for ratio in ratios)}; "
        f"median {statistics.median(ratios):.3f}"
    )


class _Kept:
    """An engine that outlives the runs that close it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.spec, self.batch_size = engine.spec, engine.batch_size
        self.remote, self.run, self.usage = engine.remote, engine.run, engine.usage

    def close(self) -> None:
        """Left open."""


def _runtime(home: Path, model: str) -> Runtime:
    settings = Settings(home=home, owner="bench", transcriber_model=model)
    return Runtime(settings, lambda line: None)


def _pair(media: Path, folder: Path, first: Runtime, engine: Engine, *, run_first: bool) -> float:
    runtime = _runtime(folder / "home", first.settings.transcriber_model)
    runtime._specs["transcriber"] = first.engine_spec("transcriber")
    request = gather([media], RunOptions(source_language="en", out=folder / "out")).requests[0]
    wanted = plan_request(request, runtime)
    plan = JobFolder(runtime.store, wanted.job_id).write_plan(draft_plan(wanted, runtime.store))

    def run() -> float:
        executor = Executor(runtime, make_entries([request], runtime), Silence())
        started = time.perf_counter()
        report = executor.run()
        assert report.flawless, report
        return time.perf_counter() - started

    def bare() -> float:
        clips = _clips(plan, runtime)
        started = time.perf_counter()
        for at in range(0, len(clips), engine.batch_size):
            list(engine.run(clips[at : at + engine.batch_size]))
        return time.perf_counter() - started

    if run_first:
        ours = run()
        return ours / bare()
    theirs = bare()
    return run() / theirs


def _clips(plan: Plan, runtime: Runtime) -> list[Clip]:
    clips = []
    with open_audio(runtime.store, plan.view(SPEECH)) as audio:
        for each in plan.windows:
            segments = tuple(ClipSegment(*span) for span in each.layout())
            clips.append(Clip(str(each.index), window_samples(audio, each.window), segments, "en"))
    return clips


if __name__ == "__main__":
    main()
