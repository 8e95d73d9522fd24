"""Options of commands that make jobs, and what they mean together: `run`, `submit` and `plan` share them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.requests import Requests, RunOptions
    from pipeline.runtime import Runtime

MediaArgument = Annotated[
    list[Path],
    # Not typer's own check: a file that cannot be read must not cost the others.
    typer.Argument(
        metavar="MEDIA...",
        help="Media files, folders of them, or manifests (.csv, .tsv or .jsonl).",
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
FormatFlag = Annotated[str | None, typer.Option("--format", help="Subtitle formats: srt,vtt,ass,ttml. [SEGUE_FORMAT]")]
BilingualFlag = Annotated[
    bool | None, typer.Option("--bilingual/--no-bilingual", help="Also stack source and translation.")
]
MuxFlag = Annotated[
    bool | None, typer.Option("--mux/--no-mux", help="Also write a copy of the video with the subtitles in it.")
]
BudgetFlag = Annotated[
    str,
    typer.Option(
        "--budget",
        metavar="AMOUNT",
        help="The most these jobs may cost in all, e.g. 2.50 or '2.50 EUR'; at the cap no new work is taken.",
        show_default=False,
    ),
]
NodeRateFlag = Annotated[
    str | None,
    typer.Option(
        "--node-rate", metavar="PRICE", help="What this machine costs an hour, e.g. '0.149 USD'. [SEGUE_NODE_PRICE]"
    ),
]
FleetRateFlag = Annotated[
    str,
    typer.Option(
        "--node-rate",
        metavar="PRICE",
        help="With --budget: what a worker's machine costs an hour where it does not say so itself, e.g. '0.149 USD'.",
        show_default=False,
    ),
]
ForceFlag = Annotated[bool, typer.Option("--force", help="Overwrite files that Segue did not write.")]


def options_from(runtime: Runtime, transcript: Path | None = None, *, force: bool = False) -> RunOptions:
    """What holds for every file unless a manifest says otherwise. Raises UsageError."""
    from pipeline.languages import parse_source, parse_targets
    from pipeline.requests import RunOptions, parse_formats

    settings = runtime.settings
    if settings.glossary is not None and not os.path.isfile(settings.glossary):  # noqa: PTH113
        raise UsageError(f"the glossary {settings.glossary} is not a file", "give a CSV file: source,target[,language]")
    if transcript is not None and not os.path.isfile(transcript):  # noqa: PTH113 - must not raise for odd names
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


def gather_media(media: list[Path], options: RunOptions) -> Requests:
    """All inputs of a command. Raises UsageError when there is none at all."""
    from cli.context import note
    from pipeline.requests import gather

    requests = gather(media, options)
    if not requests.requests and not requests.problems:
        raise UsageError(f"there is no media in {', '.join(map(str, media))}", "name files, or a folder with some")
    for line in requests.notes:
        note(line)
    return requests
