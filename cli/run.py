"""``segue run``: the main job."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from cli.context import HomeFlag, JsonFlag, note, open_runtime, print_json
from cli.exits import Exit
from cli.options import (
    BudgetFlag,
    ForceFlag,
    MediaArgument,
    TranscriptFlag,
    gather_media,
)

if TYPE_CHECKING:
    from pipeline.executor import Executor
    from pipeline.inputs.requests import Requests
    from pipeline.runtime import Runtime


def run_command(
    media: MediaArgument,
    said: dict[str, Any],
    transcript: TranscriptFlag = None,
    force: ForceFlag = False,
    budget: BudgetFlag = "",
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Transcribe media and translate its subtitles.

    Finds the speech, skips the silence, transcribes, translates, and writes STEM.LANG.srt, STEM.LANG.vtt and STEM.json.
    Ctrl-C, a kill or a power cut loses at most the batch in flight: run the same command again.
    With --budget it stops at the cap and keeps what is finished; a higher budget, or none, continues.

    Examples: [bold]segue run talk.mp4 --to es,ja[/bold] - [bold]segue run season1/ --to pt-BR --out subs/[/bold] -
    [bold]segue run list.csv[/bold] (columns media, to, from, out, track, transcript, glossary)
    """
    runtime = open_runtime({**said, "home": home})
    return _run(gather_media(media, runtime, transcript, force=force), runtime, as_json=json, budget=budget)


def _run(requests: Requests, runtime: Runtime, *, as_json: bool, budget: str) -> int:
    """Runs over all inputs and prints how each ended; returns the exit code."""
    from cli.money.budgets import open_budget
    from cli.progress import make_watcher
    from cli.summary import print_summary
    from pipeline.executor import Executor
    from pipeline.inputs.requests import make_entries
    from pipeline.jobs import note_last, note_refused
    from pipeline.report import RunReport

    report = RunReport(())
    for problem in requests.problems:
        note_refused(runtime.store, runtime.settings.owner, problem)
    if requests.requests:
        entries = make_entries(requests.requests, runtime)
        _ = runtime.store
        account = open_budget(budget, runtime, requests.requests) if budget else None
        with make_watcher(len(entries), quiet=as_json) as watcher:
            executor = Executor(runtime, entries, watcher, account)
            with _stopping(executor):
                report = executor.run()
    files = requests.problems + report.files
    jobs = [result.job_id for result in files if result.job_id is not None]
    if jobs:
        note_last(runtime.store, jobs)
    if as_json:
        value: dict[str, Any] = {"jobs": [result.as_json() for result in files]}
        if report.stopped:
            value["stopped"] = report.stopped
        if report.budget is not None:
            value["budget"] = report.budget.as_json()
        print_json(value)
    else:
        print_summary(files, report)
    if report.stopped:
        note(report.stopped)
    if report.interrupted:
        return Exit.INTERRUPTED
    return Exit.DONE if report.flawless and not requests.problems else Exit.INCOMPLETE


@contextmanager
def _stopping(executor: Executor) -> Iterator[None]:
    """Ctrl-C and SIGTERM finish the batch in flight; the second one leaves at once. Either way nothing done is lost."""
    asked = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(Exit.INTERRUPTED)
        asked = True
        executor.stop()
        note("stopping after the batch in flight; once more leaves at once (finished work is safe either way)")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
