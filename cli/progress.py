"""Progress of a run: live rows by stage on a terminal, plain lines elsewhere. Everything goes to standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.context import note
from cli.wording import clock, count, one_line
from pipeline.progress import Silence, Watcher
from pipeline.report import FileResult, JobState
from pipeline.stages import main_stages
from pipeline.work import StageCount

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.work import JobWork

#: Seconds between two plain lines of progress.
PLAIN_EVERY = 15.0


@dataclass(frozen=True)
class StageView:
    """How far a stage is, over all jobs that are open or through."""

    stage: str
    total_ms: int
    done_ms: int
    cached_units: int
    failed_units: int
    #: True when nothing of it is left to do.
    through: bool
    #: Speech computed in this run, by the second it took; 0 before there is anything to go by.
    rate: float

    @property
    def left_seconds(self) -> float | None:
        """Time left at this rate; None when there is no telling."""
        return (self.total_ms - self.done_ms) / 1000 / self.rate if self.rate else None

    def describe(self) -> str:
        """``transcribe 1:23 of 4:56 speech, 12.3x real time, 0:17 left, 3 from cache``."""
        parts = [f"{self.stage} {clock(self.done_ms)} of {clock(self.total_ms)} speech"]
        if self.rate:
            parts.append(f"{self.rate:.1f}x real time")
        left = self.left_seconds
        if left is not None and not self.through:
            parts.append(f"{clock(left * 1000)} left")
        if self.cached_units:
            parts.append(f"{self.cached_units} from cache")
        if self.failed_units:
            parts.append(f"{self.failed_units} failed")
        return ", ".join(parts)


class RunProgress:
    """Sums over all files of a run. Safe for several threads."""

    def __init__(self, files: int) -> None:
        self.files = files
        self.through = 0
        self.decoding = ""
        self._lock = threading.Lock()
        self._open: dict[str, JobWork] = {}
        self._closed: dict[str, tuple[int, ...]] = {each.name: (0,) * 6 for each in main_stages()}
        self._started: dict[str, float] = {}
        #: When a unit of each stage was last through: a stage that has ended keeps its rate.
        self._last: dict[str, float] = {}
        self._told: set[str] = set()

    def opened(self, work: JobWork) -> None:
        """A job's numbers count from now on."""
        with self._lock:
            self._open[work.plan.job_id] = work
            # Its first stage has worked for it from now on.
            if first := next((each.name for each in main_stages() if each.name in work.counts), ""):
                self._started.setdefault(first, time.monotonic())

    def finished(self, result: FileResult) -> None:
        """A file is through; its job's numbers are kept, the job itself is not."""
        with self._lock:
            self.through += 1
            work = self._open.pop(result.job_id or "", None)
            if work is not None:
                for stage in self._closed:
                    pairs = zip(self._closed[stage], _numbers(work, stage), strict=True)
                    self._closed[stage] = tuple(old + new for old, new in pairs)

    def advanced(self, stage: str) -> None:
        """A unit of a stage is through.

        The clock of a stage starts with what was through before its first unit, so that this unit's time counts.
        """
        with self._lock:
            now = time.monotonic()
            opened = min(self._started.values(), default=now)
            self._started.setdefault(stage, max(self._last.values(), default=opened))
            self._last[stage] = now

    def ended(self, *, all_of_it: bool = False) -> list[str]:
        """A line for each stage that is through and was not told yet; with ``all_of_it``, for the others as well.

        A stage is through when it is so in every file of the run.
        """
        with self._lock:
            known = all_of_it or len(self._open) + self.through == self.files
        lines = []
        for view in self.views():
            if known and (all_of_it or view.through) and view.stage not in self._told:
                self._told.add(view.stage)
                lines.append(view.describe())
        return lines

    def views(self) -> list[StageView]:
        """The stages that have anything to do."""
        with self._lock:
            views = []
            for stage in self._closed:
                rows = [self._closed[stage], *(_numbers(work, stage) for work in self._open.values())]
                total, done, cached_ms, cached, failed, left = (sum(column) for column in zip(*rows, strict=True))
                ended = not left
                now = self._last.get(stage, 0.0) if ended else time.monotonic()
                seconds = now - self._started.get(stage, now)
                # Over less than a second a rate that is still moving says nothing.
                rate = (done - cached_ms) / 1000 / seconds if seconds > (0.0 if ended else 1.0) else 0.0
                if total:
                    views.append(StageView(stage, total, done, cached, failed, ended, rate))
            return views


def _numbers(work: JobWork, stage: str) -> tuple[int, ...]:
    count = work.counts.get(stage, StageCount())
    left = count.total - count.done - count.failed
    return count.total_ms, count.done_ms, count.cached_ms, count.cached, count.failed, left


class StageTeller(Silence):
    """Says how fast each stage was, once it is through: the rows of a table are gone by then."""

    def __init__(self, files: int) -> None:
        self.totals = RunProgress(files)

    def tell_ended(self, *, all_of_it: bool = False) -> None:
        for line in self.totals.ended(all_of_it=all_of_it):
            self.note(line)


class PlainWatcher(StageTeller):
    """A line when a file is planned, when it is through and when a stage is, and one now and then in between."""

    def __init__(self, files: int) -> None:
        super().__init__(files)
        self._said = time.monotonic()

    def note(self, line: str) -> None:
        note(line)

    def opened(self, media: Path, work: JobWork) -> None:
        self.totals.opened(work)
        found = work.plan.segmentation
        share = round(100 * found.skipped_ms / found.duration_ms) if found.duration_ms else 0
        note(
            f"{one_line(media.name)}: {clock(found.duration_ms)}, {clock(found.speech_ms)} speech in "
            f"{count(found.segments, 'segment')}, {share} % silence skipped"
        )

    def advanced(self, stage: str, audio_ms: int, *, failed: bool) -> None:
        self.totals.advanced(stage)
        self.tell_ended()
        if time.monotonic() - self._said >= PLAIN_EVERY:
            self._said = time.monotonic()
            note("; ".join(view.describe() for view in self.totals.views()))

    def finished(self, result: FileResult) -> None:
        self.totals.finished(result)
        self.tell_ended()
        note(f"[{self.totals.through}/{self.totals.files}] {one_line(result.media.name)}: {result.state}")


class LiveWatcher(StageTeller):
    """A small table that is drawn again a few times a second."""

    def __init__(self, files: int) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(files)
        self._console = Console(stderr=True)
        self.live = Live(
            console=self._console,
            get_renderable=self._table,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )

    def note(self, line: str) -> None:
        self._console.print(f"segue: {line}", markup=False, highlight=False)

    def decoding(self, media: Path, done_ms: int, total_ms: int) -> None:
        self.totals.decoding = f"{one_line(media.name)} {clock(done_ms)} of {clock(max(total_ms, done_ms))}"

    def opened(self, media: Path, work: JobWork) -> None:
        self.totals.decoding = ""
        self.totals.opened(work)

    def advanced(self, stage: str, audio_ms: int, *, failed: bool) -> None:
        self.totals.advanced(stage)
        self.tell_ended()

    def finished(self, result: FileResult) -> None:
        self.totals.finished(result)
        self.tell_ended()
        if result.state not in (JobState.DONE, JobState.INTERRUPTED, JobState.BUDGET_STOPPED):
            self.note(f"{one_line(result.media.name)}: {result.state}: {one_line(result.reason)}")

    def _table(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        totals = self.totals
        table.add_row(
            "files", ProgressBar(totals.files, totals.through, width=24), f"{totals.through} of {totals.files}"
        )
        if totals.decoding:
            table.add_row("find speech", "", totals.decoding)
        for view in totals.views():
            bar = ProgressBar(max(view.total_ms, 1), view.done_ms, width=24)
            table.add_row(str(view.stage), bar, view.describe().removeprefix(f"{view.stage} "))
        return table


@contextmanager
def make_watcher(files: int, *, quiet: bool) -> Iterator[Watcher]:
    """The watcher that fits where standard error goes."""
    if quiet:
        yield Silence()
    elif sys.stderr.isatty():
        live = LiveWatcher(files)
        with live.live:
            yield live
            live.tell_ended(all_of_it=True)
    else:
        plain = PlainWatcher(files)
        yield plain
        plain.tell_ended(all_of_it=True)
