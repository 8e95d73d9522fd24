"""What skipping silence saves in engine seconds, and what the ledger says that it saved.

The real transcriber hears each file twice a round, in turn and in changing order, in one process: once in the windows
that Segue plans, and once in windows of the same length that cover the whole media end to end, so that nothing is
skipped. Both go through the pipeline (language vote, batches, commits) into a store of their own; the engine is loaded
once and its first hearing is not counted. Then the ledger is asked about the planned job.

    python -m bench.silence_bench [--rounds 3] [--copies 1,5] [--model base] [--from en] [--alone] [--neutral 500]

Engine seconds are CPU time of this process while the engine has the batch, which a busy machine disturbs least; the
attempts note them, so that the ledger reckons with the same clock. Wall time is printed beside it. Figures are medians
over the rounds. ``--alone`` gives the engine one clip and one thread at a time. Without a detector nobody knows how
likely speech is, so whole windows carry the score ``--neutral``: from 550 on the engine would miss words over every
pause and hear the window again and again, which makes skipping look better.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from cache.store import Store  # noqa: E402
from core.keys import digest_value  # noqa: E402
from core.speech import Segment, Span, Window  # noqa: E402
from ledger.prices import PriceBook  # noqa: E402
from pipeline.attempts import AttemptJournal  # noqa: E402
from pipeline.batches import Outcome, run_units  # noqa: E402
from pipeline.books_job import job_report  # noqa: E402
from pipeline.job import Plan, PlannedWindow  # noqa: E402
from pipeline.jobs import JobFolder  # noqa: E402
from pipeline.planning import plan_job  # noqa: E402
from pipeline.requests import RunOptions, gather, make_entries  # noqa: E402
from pipeline.runtime import Runtime, Settings  # noqa: E402
from pipeline.wants import note_ended, note_wanted  # noqa: E402
from pipeline.work import JobWork  # noqa: E402


@dataclass
class Metered:
    """The transcriber, and the CPU time of this process while it computes."""

    engine: Any
    #: Of this hearing so far.
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def spec(self) -> Any:
        return self.engine.spec

    @property
    def batch_size(self) -> int:
        return int(self.engine.batch_size)

    def detect_languages(self, clips: Any) -> Any:
        with self._measured():
            return self.engine.detect_languages(clips)

    def transcribe(self, clips: Any) -> Iterator[Any]:
        with self._measured():
            found = list(self.engine.transcribe(clips))
        return iter(found)

    @contextmanager
    def _measured(self) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu_s += time.process_time() - cpu
            self.wall_s += time.perf_counter() - wall


class CpuJournal(AttemptJournal):
    """Notes CPU time as engine seconds."""

    def __init__(self, store: Store, engine: Metered) -> None:
        super().__init__(store)
        self._engine, self._noted_s = engine, 0.0
        engine.cpu_s = engine.wall_s = 0.0

    def end(self, attempt: str, seconds: float, *results: Any) -> None:
        took_s = self._engine.cpu_s - self._noted_s
        self._noted_s = self._engine.cpu_s
        super().end(attempt, took_s, *results)


@dataclass(frozen=True)
class Hearing:
    """One file heard once."""

    windows: int
    cpu_s: float
    wall_s: float
    characters: int
    #: Engine seconds that the ledger says were avoided; None where it was not asked.
    avoided_s: float | None = None
    basis: str = ""

    @property
    def stated(self) -> float:
        """Saving in per cent that the ledger's figures come to."""
        avoided = self.avoided_s or 0.0
        return 100 * avoided / (avoided + self.cpu_s)


class Bench:
    """One engine, and a new store for every hearing."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        from engines.transcribe.factory import open_transcriber

        self.options, self.scratch = options, scratch
        self._count = 0
        runtime = self._runtime(scratch / "first")
        self.engine = Metered(open_transcriber(runtime.transcriber_spec, runtime.resources))

    def hear(self, media: Path, *, whole: bool) -> Hearing:
        """Transcribes a file in a store of its own."""
        self._count += 1
        runtime = self._runtime(self.scratch / f"home-{self._count}")
        request = make_entries(gather([media], self._run_options()).requests, runtime)[0].request()
        with runtime.store as store:
            folder = JobFolder(store, request.job_id)
            planned = plan_job(request, folder)
            plan = cover(planned, runtime.segmenter.max_window_ms, self.options.neutral) if whole else planned
            journal = CpuJournal(store, self.engine)
            note_wanted(folder, journal.session)
            work = compute(plan, self.engine, store, journal)
            note_ended(folder, journal.session, work.keys)
            found = Hearing(len(plan.windows), self.engine.cpu_s, self.engine.wall_s, letters(work))
            if whole:
                return found
            report = job_report(store, plan.job_id, PriceBook(()))
            (silence,) = (one for one in report.avoided if one.kind == "silence")
            return replace(found, avoided_s=(silence.engine_ms or 0) / 1000, basis=silence.basis)

    def _runtime(self, home: Path) -> Runtime:
        options = self.options
        settings = Settings(
            home=home,
            owner="bench",
            transcriber_model=options.model,
            device="cpu",
            threads=1 if options.alone else 0,
            batch_size=1 if options.alone else 0,
        )
        return Runtime(settings, lambda _line: None)

    def _run_options(self) -> RunOptions:
        source = "" if self.options.source == "auto" else self.options.source
        return RunOptions(source_language=source, out=self.scratch / "out")


def cover(plan: Plan, window_ms: int, score: int) -> Plan:
    """The plan of somebody who skips nothing: windows end to end over the whole media."""
    end = plan.media.duration_ms
    spans = [Span(start, min(start + window_ms, end)) for start in range(0, end, window_ms)]
    segments = tuple(Segment(index, span.start_ms, span.end_ms, score) for index, span in enumerate(spans))
    windows = tuple(
        PlannedWindow(Window(index, (segments[index],), (span,)), digest_value([plan.audio, span.start_ms, "whole"]))
        for index, span in enumerate(spans)
    )
    return replace(plan, segments=segments, windows=windows)


def compute(plan: Plan, engine: Metered, store: Store, journal: AttemptJournal) -> JobWork:
    """Every unit of the plan, in batches as a run makes them. Raises RuntimeError when one fails."""
    work = JobWork.open(plan, store, {})
    settled: list[Outcome] = []
    while ready := work.ready():
        batch = [unit for unit in ready if unit.stage is ready[0].stage][: engine.batch_size]
        run_units(batch, lambda _job: plan, engine, store, journal, settled.append)
        for outcome in settled:
            if outcome.payload is None:
                raise RuntimeError(f"{outcome.unit.describe()}: {outcome.reason}")
            work.settle(outcome.unit, outcome.payload)
        settled.clear()
    return work


def letters(work: JobWork) -> int:
    """Length of what was heard."""
    return sum(len(cue.text) for cues in work.cues.values() for cue in cues)


def compare(bench: Bench, media: Path, name: str, rounds: int) -> float:
    """Prints one file's figures; returns how many points the ledger is off, by CPU time."""
    skipped: list[Hearing] = []
    whole: list[Hearing] = []
    for number in range(rounds):
        for every in (False, True) if number % 2 == 0 else (True, False):
            (whole if every else skipped).append(bench.hear(media, whole=every))
    cpu = [statistics.median(each.cpu_s for each in side) for side in (skipped, whole)]
    wall = [statistics.median(each.wall_s for each in side) for side in (skipped, whole)]
    measured, by_wall = (100 * (1 - side[0] / side[1]) for side in (cpu, wall))
    stated = statistics.median(each.stated for each in skipped)
    print(f"{name}: {skipped[0].windows} windows planned, {whole[0].windows} end to end; {rounds} rounds, medians")
    print(f"  text: {skipped[0].characters} characters skipping silence, {whole[0].characters} without skipping")
    print(f"  engine CPU seconds {cpu[0]:.2f} / {cpu[1]:.2f}: saved {measured:.1f} %")
    print(f"  engine wall seconds {wall[0]:.2f} / {wall[1]:.2f}: saved {by_wall:.1f} %")
    print(f"  the ledger states {stated:.1f} %: {stated - measured:+.1f} points by CPU time ({skipped[0].basis})")
    sys.stdout.flush()
    return stated - measured


def main() -> int:
    """Compares file by file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", default="1,5", help="copies of the sample in each file; 1 is the sample itself")
    parser.add_argument("--model", default="base")
    parser.add_argument("--from", dest="source", default="auto")
    parser.add_argument("--alone", action="store_true", help="one clip and one thread at a time")
    parser.add_argument("--neutral", type=int, default=500, help="score of windows that nobody looked for speech in")
    options = parser.parse_args()
    from long_speech import SAMPLE, write_speech

    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        scratch = Path(folder)
        bench = Bench(options, scratch)
        bench.hear(SAMPLE, whole=False)
        for copies in (int(each) for each in options.copies.split(",")):
            media = SAMPLE if copies == 1 else write_speech(scratch / f"copies-{copies}.wav", copies)
            name = media.name if copies == 1 else f"{copies} copies of the sample"
            compare(bench, media, name, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
