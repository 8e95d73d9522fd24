"""``segue run``: the main job."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import HomeFlag, JsonFlag, note, open_runtime, print_json
from cli.exits import Exit
from core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.executor import Executor
    from pipeline.requests import RunOptions
    from pipeline.runtime import Runtime

MediaArgument = Annotated[
    list[Path],
    # Not typer's own check: a file that cannot be read must not cost the others.
    typer.Argument(
        metavar="MEDIA...",
        help="Media files, folders of them, or manifests (.csv or .jsonl).",
        show_default=False,
        readable=False,
    ),
]
ToFlag = Annotated[str | None, typer.Option("--to", help="Target languages, BCP 47: es,ja,pt-BR. [SEGUE_TO]")]
FromFlag = Annotated[
    str | None, typer.Option("--from", help="Language spoken; 'auto' decides it by vote. [SEGUE_SOURCE]")
]
OutFlag = Annotated[
    Path | None, typer.Option("--out", help="Folder for outputs; default: beside each media file. [SEGUE_OUT]")
]
TrackFlag = Annotated[
    str | None, typer.Option("--track", help="Audio track: an index from 0, or a language. [SEGUE_TRACK]")
]
GlossaryFlag = Annotated[
    Path | None, typer.Option("--glossary", help="CSV of terms: source,target[,language]. [SEGUE_GLOSSARY]")
]
TranscriptFlag = Annotated[
    Path | None,
    typer.Option("--transcript", help="Captions to take as the transcript ; no transcriber runs."),
]
TranscriberFlag = Annotated[
    str | None, typer.Option("--transcriber", help="Provider: faster-whisper or fake. [SEGUE_TRANSCRIBER]")
]
TranscriberModelFlag = Annotated[
    str | None, typer.Option("--transcriber-model", help="Name, hub id or folder. [SEGUE_TRANSCRIBER_MODEL]")
]
TranslatorFlag = Annotated[
    str | None, typer.Option("--translator", help="Provider: llama, openai or fake. [SEGUE_TRANSLATOR]")
]
TranslatorModelFlag = Annotated[
    str | None, typer.Option("--translator-model", help="Name, hub id, folder or file. [SEGUE_TRANSLATOR_MODEL]")
]
TranslatorUrlFlag = Annotated[
    str | None, typer.Option("--translator-url", help="OpenAI-compatible endpoint. [SEGUE_TRANSLATOR_URL]")
]
OwnerFlag = Annotated[str | None, typer.Option("--owner", help="Whom the jobs belong to. [SEGUE_OWNER]")]


def run_command(
    media: MediaArgument,
    to: ToFlag = None,
    source: FromFlag = None,
    out: OutFlag = None,
    format: Annotated[  # noqa: A002
        str | None, typer.Option("--format", help="Subtitle formats: srt,vtt,ass,ttml. [SEGUE_FORMAT]")
    ] = None,
    transcript: TranscriptFlag = None,
    glossary: GlossaryFlag = None,
    track: TrackFlag = None,
    bilingual: Annotated[
        bool | None, typer.Option("--bilingual/--no-bilingual", help="Also stack source and translation.")
    ] = None,
    mux: Annotated[
        bool | None, typer.Option("--mux/--no-mux", help="Also write a copy of the video with the subtitles in it.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that Segue did not write.")] = False,
    transcriber: TranscriberFlag = None,
    transcriber_model: TranscriberModelFlag = None,
    translator: TranslatorFlag = None,
    translator_model: TranslatorModelFlag = None,
    translator_url: TranslatorUrlFlag = None,
    owner: OwnerFlag = None,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Transcribe media and translate its subtitles.

    Finds the speech, skips the silence, transcribes, translates, and writes STEM.LANG.srt, STEM.LANG.vtt and STEM.json.
    Ctrl-C, a kill or a power cut loses at most the batch in flight: run the same command again.

    Examples: [bold]segue run talk.mp4 --to es,ja[/bold] - [bold]segue run season1/ --to pt-BR --out subs/[/bold] -
    [bold]segue run list.csv[/bold] (columns media, to, from, out, track, transcript, glossary)
    """
    runtime = open_runtime(
        {
            "to": to,
            "source": source,
            "out": out,
            "format": format,
            "glossary": glossary,
            "track": track,
            "bilingual": bilingual,
            "mux": mux,
            "transcriber": transcriber,
            "transcriber_model": transcriber_model,
            "translator": translator,
            "translator_model": translator_model,
            "translator_url": translator_url,
            "owner": owner,
            "home": home,
        }
    )
    return run_media(media, runtime, options_from(runtime, transcript, force=force), as_json=json)


def options_from(runtime: Runtime, transcript: Path | None = None, *, force: bool = False) -> RunOptions:
    """What holds for every file unless a manifest says otherwise. Raises UsageError."""
    from pipeline.languages import parse_targets
    from pipeline.requests import RunOptions, parse_formats, parse_source

    settings = runtime.settings
    if settings.glossary is not None and not settings.glossary.is_file():
        raise UsageError(f"the glossary {settings.glossary} is not a file", "give a CSV file: source,target[,language]")
    if transcript is not None and not transcript.is_file():
        raise UsageError(f"the transcript {transcript} is not a file", "give captions: srt, vtt, ass or ttml")
    return RunOptions(
        targets=parse_targets(settings.to),
        source_language=parse_source(settings.source),
        out=settings.out,
        track=settings.track,
        transcript=transcript,
        glossary=settings.glossary,
        formats=parse_formats(settings.format),
        bilingual=settings.bilingual,
        mux=settings.mux,
        force=force,
    )


def run_media(media: list[Path], runtime: Runtime, options: RunOptions, *, as_json: bool) -> int:
    """Runs over all inputs and prints how each ended; returns the exit code."""
    from cli.progress import make_watcher
    from cli.summary import print_summary
    from pipeline.executor import Executor
    from pipeline.jobs import note_last
    from pipeline.report import RunReport
    from pipeline.requests import gather, make_entries

    requests = gather(media, options)
    if not requests.requests and not requests.problems:
        raise UsageError(f"there is no media in {', '.join(map(str, media))}", "name files, or a folder with some")
    report = RunReport(())
    if requests.requests:
        entries = make_entries(requests.requests, runtime)
        _ = runtime.store
        with make_watcher(len(entries), quiet=as_json) as watcher:
            executor = Executor(runtime, entries, watcher)
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
