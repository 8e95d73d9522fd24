"""Options of the commands about a job, declared once: `run`, `submit`, `plan` and `estimate` take what they need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.completion import complete_formats, complete_language, complete_languages
from cli.signatures import Returned, with_parameters
from core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.inputs.requests import Requests, RunOptions
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
TranscriptFlag = Annotated[
    Path | None,
    typer.Option("--transcript", help="Captions to take as the transcript; no transcriber runs."),
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


@dataclass(frozen=True)
class JobOption:
    """A setting that the commands about a job take as a flag."""

    #: The setting's name; the flag is the same with dashes.
    name: str
    #: What its value is: ``str``, ``bool`` or ``Path``. A ``bool`` can be said both ways.
    type: type
    #: What it means; the setting's name in the environment is added.
    help: str
    #: The flag, where it is not the name: ``--from``.
    flag: str = ""
    #: What stands for the value in the help.
    metavar: str | None = None
    #: Not shown in the help.
    hidden: bool = False
    #: What a shell offers for it, as typer calls it.
    complete: Callable[..., list[str]] | None = None

    @property
    def parameter(self) -> Parameter:
        """The parameter of a command that typer makes the flag of. Its default, None, is: not said."""
        flag = self.flag or f"--{self.name.replace('_', '-')}"
        spoken = f"{flag}/--no-{flag[2:]}" if self.type is bool else flag
        option = typer.Option(
            spoken,
            metavar=self.metavar,
            help=f"{self.help} [SEGUE_{self.name.upper()}]",
            autocompletion=self.complete,
            hidden=self.hidden,
        )
        annotation = Annotated[self.type | None, option]  # type: ignore[name-defined]
        return Parameter(self.name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


#: Which engines do the work.
ENGINE_OPTIONS = (
    JobOption("transcriber", str, "Provider: faster-whisper or fake."),
    JobOption("transcriber_model", str, "Name, hub id or folder."),
    JobOption("translator", str, "Provider: llama, openai or fake."),
    JobOption("translator_model", str, "Name, hub id, folder or file."),
    JobOption("translator_url", str, "OpenAI-compatible endpoint."),
)
#: What is to be done with media: it decides which units a job has, and what they cost.
WORK_OPTIONS = (
    JobOption("to", str, "Target languages, BCP 47: es,ja,pt-BR.", complete=complete_languages),
    JobOption("source", str, "Language spoken; 'auto' decides it by vote.", flag="--from", complete=complete_language),
    JobOption("track", str, "Audio track: an index from 0, or a language."),
    JobOption("glossary", Path, "CSV of terms: source,target[,language]."),
    *ENGINE_OPTIONS,
    JobOption("owner", str, "Whom the jobs belong to."),
)
#: Which files are written, and where.
OUTPUT_OPTIONS = (
    JobOption("out", Path, "Folder for outputs; default: beside each media file."),
    JobOption("format", str, "Subtitle formats: srt,vtt,ass,ttml.", complete=complete_formats),
    JobOption("bilingual", bool, "Also stack source and translation."),
    JobOption("mux", bool, "Also write a copy of the video with the subtitles in it."),
)
#: What the machine that the command runs on costs.
PRICE_OPTIONS = (
    JobOption(
        "node_price", str, "What this machine costs an hour, e.g. '0.149 USD'.", flag="--node-rate", metavar="PRICE"
    ),
)


def with_job_options(command: Callable[..., Returned], options: Iterable[JobOption]) -> Callable[..., Returned]:
    """A command with a flag for each option in place of its parameter ``said``.

    The command's ``said`` is a dict of what was given, by the names of settings; None where a flag was not said.
    """
    return with_parameters(command, "said", [option.parameter for option in options], dict)


def _options_from(runtime: Runtime, transcript: Path | None, *, force: bool) -> RunOptions:
    """What holds for every file unless a manifest says otherwise. Raises UsageError."""
    from pipeline.inputs.requests import RunOptions, parse_formats
    from pipeline.languages import parse_source, parse_targets
    from pipeline.stages import options_said

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
        stage_options=options_said(settings),
    )


def gather_media(
    media: list[Path], runtime: Runtime, transcript: Path | None = None, *, force: bool = False
) -> Requests:
    """All inputs of a command, with what holds for each. Raises UsageError when there is none at all."""
    from cli.context import note
    from pipeline.inputs.requests import gather

    requests = gather(media, _options_from(runtime, transcript, force=force))
    if not requests.requests and not requests.problems:
        raise UsageError(f"there is no media in {', '.join(map(str, media))}", "name files, or a folder with some")
    for line in requests.notes:
        note(line)
    return requests
