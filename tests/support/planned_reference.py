"""What the embedded run makes of a planned job: the same units and the same outputs, on a store of its own."""

from __future__ import annotations

import time
from pathlib import Path

from planned_jobs import JobMaker, fake_runtime
from segue_process import read_outputs

from pipeline.executor import Executor
from pipeline.inputs.requests import RunOptions, gather, make_entries
from pipeline.progress import Silence
from pipeline.report import RunReport


def run_embedded(
    folder: Path, jobs: dict[str, int], targets: tuple[str, ...] = (), **settings: object
) -> tuple[RunReport, float]:
    """Runs planned jobs (name -> windows) in this process; the report and the executor's seconds."""
    runtime = fake_runtime(folder / "home", **settings)
    maker = JobMaker(runtime, folder)
    for name, windows in jobs.items():
        maker.submit(name, windows, targets=targets)
    options = RunOptions(targets=targets, source_language="en", out=folder / "out")
    requests = gather([folder / "media" / f"{name}.wav" for name in jobs], options).requests
    executor = Executor(runtime, make_entries(requests, runtime), Silence())
    started = time.perf_counter()
    report = executor.run()
    return report, time.perf_counter() - started


def reference_outputs(folder: Path, jobs: dict[str, int], targets: tuple[str, ...] = ()) -> dict[str, bytes]:
    """The outputs of such a run: file name -> content."""
    report, _ = run_embedded(folder, jobs, targets)
    assert report.flawless, report
    return read_outputs(folder / "out")
