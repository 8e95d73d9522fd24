"""``segue plan``: where the speech is, before any model runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import HomeFlag, JsonFlag, open_runtime, print_json
from cli.options import (
    gather_media,
)
from core.errors import MediaError

if TYPE_CHECKING:
    from jobs.inspection import StageChange
    from pipeline.analysis import Analysis
    from pipeline.runtime import Runtime


def plan_command(
    media: Annotated[Path, typer.Argument(metavar="MEDIA", help="A media file.", show_default=False)],
    said: dict[str, Any],
    diff: Annotated[
        bool, typer.Option("--diff", help="Say what a run with these settings would compute and what it would keep.")
    ] = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Show the segments of speech and the silence that will be skipped. No model runs.

    With --diff, also what a change of model, glossary or settings would compute again, e.g.
    [bold]segue plan talk.mp4 --to es --glossary terms.csv --diff[/bold]
    """
    runtime = open_runtime({**said, "home": home})
    analysis = _analyse(media, runtime)
    found = analysis.segmentation
    value: dict[str, Any] = {
        "media": str(media),
        "duration_ms": found.duration_ms,
        "speech_ms": found.speech_ms,
        "skipped_ms": found.skipped_ms,
        "segments": [{"index": s.index, "start_ms": s.start_ms, "end_ms": s.end_ms} for s in found.segments],
        "warnings": list(analysis.warnings),
    }
    changes = _changes(media, runtime) if diff else ()
    if diff:
        value["diff"] = [
            {"stage": c.stage, "total": c.total, "kept": c.kept, "computed": c.computed, "unknown": c.unknown}
            for c in changes
        ]
    if json:
        print_json(value)
    else:
        _print_plan(media, analysis, changes)


def _analyse(media: Path, runtime: Runtime) -> Analysis:
    from pipeline.analysis import AnalysisRequest, analyse
    from pipeline.inputs.requests import refuse_missing
    from pipeline.inputs.sources import known_digest

    refuse_missing([media])
    if media.is_dir():
        raise MediaError(f"{media} is a folder", "plan one file at a time: segue plan FILE")
    wanted = AnalysisRequest(
        media.absolute(),
        known_digest(media.absolute(), runtime.store),
        runtime.settings.track,
        runtime.segmenter,
    )
    return analyse(wanted, runtime.store)


def _changes(media: Path, runtime: Runtime) -> tuple[StageChange, ...]:
    from jobs.inspection import what_would_run
    from pipeline.inputs.requests import plan_request
    from pipeline.jobs import JobFolder

    request = plan_request(gather_media([media], runtime).requests[0], runtime)
    return what_would_run(request, JobFolder(runtime.store, request.job_id))


def _print_plan(media: Path, analysis: Analysis, changes: tuple[StageChange, ...]) -> None:
    from rich.console import Console

    from cli.wording import clock, count, one_line, percent

    console = Console(highlight=False, markup=False, soft_wrap=True)
    found = analysis.segmentation
    for segment in found.segments:
        console.print(
            f"{segment.index + 1:>5}  {stamp(segment.start_ms)} - {stamp(segment.end_ms)}"
            f"  {segment.duration_ms / 1000:6.2f} s"
        )
    console.print(
        f"{one_line(media)}: {clock(found.duration_ms)}, speech {clock(found.speech_ms)} in "
        f"{count(found.segments, 'segment')}, silence skipped {clock(found.skipped_ms)} "
        f"({percent(found.skipped_ms, found.duration_ms)})"
    )
    for warning in analysis.warnings:
        console.print(f"note: {warning}")
    for change in changes:
        unknown = f", {change.unknown} known only later" if change.unknown else ""
        console.print(
            f"{change.stage}: {change.total} units, {change.kept} kept, {change.computed} to compute{unknown}"
        )


def stamp(ms: int) -> str:
    """``0:01:02.345``."""
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
