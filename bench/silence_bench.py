"""What skipping silence saves in engine seconds, and what the ledger says that it saved.

The real transcriber hears each file twice a round, in turn and in changing order, in one process: once in the windows
that Segue plans, and once as ``SEGUE_WHOLE_MEDIA=true`` plans it: windows end to end, so that nothing is skipped. Both
go through the pipeline (language vote, batches, commits) into a store of their own; the engine is loaded once and its
first hearing is not counted. Then the ledger is asked about the planned job.

    python -m bench.silence_bench [MEDIA...] [--rounds 3] [--copies 1,5] [--clock quiet|wall] [--model base] [--from en]
                                  [--alone] [--score detected|500]

The ledger charges engine seconds by the wall clock, and a wall clock measures the neighbours too. ``--clock quiet``
gives the wall time of a machine that nobody else uses: the engine's batches run one after the other, each measured in
CPU time, and are laid onto its workers in its own order; the time of the call is when the last worker is through. The
engine's meters and the attempts note that clock, so the ledger reckons with it. ``--clock wall`` runs and notes the
batches as they come. CPU time in all is printed beside both: it does not see that a worker has nothing to do.

The ledger states its figure from what one hearing measured, so it is set against that very round's saving, and the
figure is the median of the rounds' differences. Even CPU time grows when a neighbour shares a core's caches and
pipelines; since a batch is the same work in every round, the saving with each batch at the least that it took is
printed beside it.

Two things that silence does to Whisper cannot be known before: it leaves words out beside a long pause, and then
either the text is shorter or the engine looks again. The last figure leaves both aside: no second looks, and the
ledger's model for the text that was written. ``--score 500`` makes each window end to end one stretch with that score
instead of what the detector found in it (speech with its score, pauses with 0): the engine then misses no words.
``--alone`` gives the engine one clip and one thread at a time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from accounting.job import job_report  # noqa: E402
from bench.quiet_clock import Batch, QuietPool, makespan_s  # noqa: E402
from cache.store import Store  # noqa: E402
from core.speech import Segment, Span, Window  # noqa: E402
from engines.engine import Result, Stopping, never  # noqa: E402
from journals.attempts import AttemptJournal  # noqa: E402
from journals.demand import DemandLog  # noqa: E402
from journals.log_ends import EndOfLogRecorder  # noqa: E402
from ledger.price_book.prices import PriceBook  # noqa: E402
from pipeline.batches import Outcome, run_units  # noqa: E402
from pipeline.inputs.requests import RunOptions, gather, make_entries  # noqa: E402
from pipeline.job import Plan  # noqa: E402
from pipeline.jobs import JobFolder  # noqa: E402
from pipeline.planning import plan_job  # noqa: E402
from pipeline.runtime import Runtime, Settings  # noqa: E402
from pipeline.stages.silence import measured_effort, spared_by_skipping  # noqa: E402
from pipeline.work import JobWork  # noqa: E402


@dataclass
class Metered:
    """The transcriber, and what it takes by the chosen clock."""

    engine: Any
    #: Its batches one by one; None by the wall clock.
    pool: QuietPool | None
    #: Batches that it computes at the same time.
    workers: int
    #: Of this hearing so far, by the chosen clock.
    engine_s: float = 0.0
    cpu_s: float = 0.0
    #: What its parts did, attempt by attempt.
    efforts: list[Mapping[str, int]] = field(default_factory=list)
    #: The batches of each call.
    calls: list[tuple[Batch, ...]] = field(default_factory=list)

    @property
    def spec(self) -> Any:
        return self.engine.spec

    @property
    def batch_size(self) -> int:
        return int(self.engine.batch_size)

    @property
    def remote(self) -> bool:
        return False

    def run(self, requests: Any, stopping: Stopping = never) -> Iterator[Result]:
        with self._measured():
            found = list(self.engine.run(requests, stopping))
        return iter(found)

    def usage(self) -> Mapping[str, int]:
        found: Mapping[str, int] = self.engine.usage()
        self.efforts.append(found)
        return found

    @contextmanager
    def _measured(self) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            took_s = time.process_time() - cpu
            self.cpu_s += took_s
            if self.pool is None:
                self.engine_s += time.perf_counter() - wall
            else:
                batches = self.pool.take()
                self.calls.append(batches)
                self.engine_s += makespan_s([batch.took_s for batch in batches], self.workers)


class ClockJournal(AttemptJournal):
    """Notes engine seconds by the chosen clock."""

    def __init__(self, store: Store, engine: Metered) -> None:
        super().__init__(store)
        self._engine, self._noted_s = engine, 0.0
        engine.cpu_s = engine.engine_s = 0.0
        engine.efforts.clear()
        engine.calls.clear()

    def end(self, attempt: str, seconds: float, *results: Any) -> None:
        took_s = self._engine.engine_s - self._noted_s
        self._noted_s = self._engine.engine_s
        super().end(attempt, took_s, *results)


@dataclass(frozen=True)
class Hearing:
    """One file heard once."""

    plan: Plan
    work: JobWork
    engine_s: float
    cpu_s: float
    #: What the engine's parts did.
    efforts: tuple[Mapping[str, int], ...]
    #: The batches of each call; nothing by the wall clock.
    calls: tuple[tuple[Batch, ...], ...] = ()
    #: Engine seconds that the ledger says were avoided; None where it was not asked.
    avoided_s: float | None = None
    basis: str = ""

    @property
    def characters(self) -> int:
        """Length of what was heard."""
        return sum(each[2] for each in texts(self.work))

    def stated(self) -> float:
        """Saving in per cent that the ledger's figures come to."""
        avoided = self.avoided_s or 0.0
        return 100 * avoided / (avoided + self.engine_s)

    def stated_of(self, written: Sequence[tuple[int, int, int]]) -> float:
        """The saving in per cent that the ledger's model comes to for another text end to end."""
        heard = [effort for effort in self.efforts if "decoder_texts" in effort]
        effort = measured_effort(heard, [each for each in self.efforts if "decoder_texts" not in each])
        assert effort is not None, "the real engine says what its parts took"
        spared_s = float(spared_by_skipping(self.plan, self.work.results, effort, written)) / 1000
        return 100 * spared_s / (spared_s + self.engine_s)

    def parts(self) -> str:
        """What the parts took, in seconds of the workers, and on how much."""
        total: Counter[str] = Counter()
        for effort in self.efforts:
            total.update(effort)
        return (
            f"encoder {total['encoder_ms'] / 1000:.2f} s for {total['encoder_passes']} passes, decoder "
            f"{total['decoder_ms'] / 1000:.2f} s for {total['decoder_steps']} steps and {total['decoder_tokens']} "
            f"tokens, aligner {total['aligner_ms'] / 1000:.2f} s, second looks {total['look_ms'] / 1000:.2f} s"
        )


class Bench:
    """One engine, and a new store for every hearing."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        from engines.roles import open_engine

        self.options, self.scratch = options, scratch
        self._count = 0
        runtime = self._runtime(scratch / "first")
        engine = open_engine("transcriber", runtime.engine_spec("transcriber"), runtime.resources)
        pool = QuietPool(engine.meter) if options.clock == "quiet" else None
        if pool is not None:
            # One batch at a time: what the process takes meanwhile is the batch's.
            engine._pool, engine.meter.clock = pool, time.process_time  # type: ignore[attr-defined]
        self.engine = Metered(engine, pool, engine.usage()["workers"])

    def hear(self, media: Path, *, whole: bool) -> Hearing:
        """Transcribes a file in a store of its own."""
        self._count += 1
        runtime = self._runtime(self.scratch / f"home-{self._count}", whole=whole)
        request = make_entries(gather([media], self._run_options()).requests, runtime)[0].request()
        with runtime.store as store:
            folder = JobFolder(store, request.job_id)
            plan = plan_job(request, folder)
            if whole and self.options.score != "detected":
                plan = rescored(plan, int(self.options.score))
            journal = ClockJournal(store, self.engine)
            # A run begins without the encoder's outputs of another.
            self.engine.engine._kept.clear()
            demand = DemandLog(EndOfLogRecorder(store, journal.session))
            demand.wanted(folder)
            work = compute(plan, self.engine, store, journal)
            demand.ended(folder, work.keys)
            engine = self.engine
            found = Hearing(plan, work, engine.engine_s, engine.cpu_s, tuple(engine.efforts), tuple(engine.calls))
            if whole:
                return found
            report = job_report(store, plan.job_id, PriceBook(()))
            (silence,) = (one for one in report.avoided if one.kind == "silence")
            return replace(found, avoided_s=(silence.engine_ms or 0) / 1000, basis=silence.basis)

    def _runtime(self, home: Path, *, whole: bool = False) -> Runtime:
        options = self.options
        settings = Settings(
            home=home,
            owner="bench",
            transcriber_model=options.model,
            device="cpu",
            threads=1 if options.alone else 0,
            batch_size=1 if options.alone else 0,
            whole_media=whole,
        )
        return Runtime(settings, lambda _line: None)

    def _run_options(self) -> RunOptions:
        source = "" if self.options.source == "auto" else self.options.source
        return RunOptions(source_language=source, out=self.scratch / "out")


def rescored(plan: Plan, score: int) -> Plan:
    """The plan of somebody who has no detector: each window is one segment with this score."""
    windows = []
    for each in plan.windows:
        start, end = each.window.spans[0].start_ms, each.window.spans[-1].end_ms
        segment = Segment(each.index, start, end, score)
        windows.append(replace(each, window=Window(each.index, (segment,), (Span(start, end),))))
    segments = tuple(each.window.segments[0] for each in windows)
    return replace(plan, segments=segments, windows=tuple(windows))


def compute(plan: Plan, engine: Metered, store: Store, journal: AttemptJournal) -> JobWork:
    """Every unit of the plan, in batches as a run makes them. Raises RuntimeError when one fails."""
    work = JobWork.open(plan, store, {})
    settled: list[Outcome] = []
    while ready := work.ready():
        batch = [unit for unit in ready if unit.stage is ready[0].stage][: engine.batch_size]
        run_units(batch, lambda _job: plan, engine, store, journal, settled.append)
        for outcome in settled:
            if outcome.record is None:
                raise RuntimeError(f"{outcome.unit.describe()}: {outcome.reason}")
            work.settle(outcome.unit, outcome.record)
        settled.clear()
    return work


def texts(work: JobWork) -> tuple[tuple[int, int, int], ...]:
    """Where what was heard stands, and how long it is."""
    return tuple((cue.start_ms, cue.end_ms, len(cue.text)) for cues in work.cues.values() for cue in cues)


def compare(bench: Bench, media: Path, name: str, rounds: int) -> float:
    """Prints one file's figures; returns by how many points the ledger is off."""
    skipped: list[Hearing] = []
    whole: list[Hearing] = []
    for number in range(rounds):
        for every in (False, True) if number % 2 == 0 else (True, False):
            (whole if every else skipped).append(bench.hear(media, whole=every))
    workers = bench.engine.workers
    saved = [share(one.engine_s, other.engine_s) for one, other in zip(skipped, whole, strict=True)]
    stated = [each.stated() for each in skipped]
    planned, covering = (len(side[0].plan.windows) for side in (skipped, whole))
    print(f"{name}: {planned} windows planned, {covering} end to end; {rounds} rounds")
    for title, side in (("skipping", skipped), ("end to end", whole)):
        least = min(side, key=lambda each: each.engine_s)
        print(
            f"  {title}: engine {quiet_s(side, workers):.2f} s, {spread([each.engine_s for each in side], 's')} a round"
        )
        print(f"    {least.parts()}; {least.characters} characters")
    cpu = [share(one.cpu_s, other.cpu_s) for one, other in zip(skipped, whole, strict=True)]
    quiet = share(quiet_s(skipped, workers), quiet_s(whole, workers))
    off = [one - other for one, other in zip(stated, saved, strict=True)]
    points = statistics.median(off)
    print(f"  saved {spread(saved, '%')} of engine seconds a round; of CPU time in all {spread(cpu, '%')}")
    print(f"  the ledger states {spread(stated, '%')}; off by {spread(off, 'points', sign='+')} a round")
    print(
        f"  with each batch at its least: saved {quiet:.1f} %, off by {statistics.median(stated) - quiet:+.1f} points"
    )
    print(f"    {skipped[0].basis}")
    if skipped[0].calls:
        once = share(quiet_s(skipped, workers, looks=False), quiet_s(whole, workers, looks=False))
        same = statistics.median(each.stated_of(texts(whole[0].work)) for each in skipped)
        print(f"  without second looks {once:.1f} % are saved; for the text that end to end wrote, its model states")
        print(f"    {same:.1f} %: {same - once:+.1f} points")
    sys.stdout.flush()
    return points


def share(less_s: float, more_s: float) -> float:
    """What is saved, in per cent."""
    return 100 * (1 - less_s / more_s)


def quiet_s(side: Sequence[Hearing], workers: int, *, looks: bool = True) -> float:
    """Engine seconds with every batch at its least over the rounds; by the wall clock, the median."""
    if not side[0].calls:
        return statistics.median(each.engine_s for each in side)
    calls = zip(*(each.calls for each in side), strict=True)
    return sum(
        makespan_s(
            [min(one.took_s - (0 if looks else one.looks_s) for one in batch) for batch in zip(*call, strict=True)],
            workers,
        )
        for call in calls
    )


def spread(figures: Sequence[float], unit: str, sign: str = "") -> str:
    """Median and range; ``sign`` "+" shows the sign of each."""
    middle, least, most = (format(each, f"{sign}.1f") for each in (statistics.median(figures), *_ends(figures)))
    return f"{middle} {unit} ({least} to {most})"


def _ends(figures: Sequence[float]) -> tuple[float, float]:
    return min(figures), max(figures)


def main() -> int:
    """Compares file by file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("media", nargs="*", type=Path, help="recordings to hear instead of the sample")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", default="1,5", help="copies of the sample in each file; 1 is the sample itself")
    parser.add_argument("--model", default="base")
    parser.add_argument("--from", dest="source", default="auto")
    parser.add_argument("--alone", action="store_true", help="one clip and one thread at a time")
    parser.add_argument("--clock", choices=("quiet", "wall"), default="quiet")
    parser.add_argument("--score", default="detected", help="of whole windows: detected, or one number for all")
    options = parser.parse_args()
    from long_speech import SAMPLE, write_speech

    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        scratch = Path(folder)
        bench = Bench(options, scratch)
        bench.hear(SAMPLE, whole=False)
        for media in options.media:
            compare(bench, media, media.name, options.rounds)
        for copies in (int(each) for each in options.copies.split(",") if not options.media):
            media = SAMPLE if copies == 1 else write_speech(scratch / f"copies-{copies}.wav", copies)
            name = media.name if copies == 1 else f"{copies} copies of the sample"
            compare(bench, media, name, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
