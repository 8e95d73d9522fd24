"""``segue export``: a job's outputs again, in other formats or elsewhere; no engine runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.completion import complete_formats
from cli.context import HomeFlag, JobArgument, JsonFlag, note, open_runtime, print_json
from cli.wording import printable
from core.errors import UsageError


def export_command(
    job: JobArgument,
    format: Annotated[  # noqa: A002
        str,
        typer.Option(
            "--format", help="Formats, separated by commas: srt,vtt,ass,ttml,json.", autocompletion=complete_formats
        ),
    ] = "srt,vtt,json",
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default: where the job's outputs are.")] = None,
    bilingual: Annotated[bool, typer.Option("--bilingual", help="Also stack source and translation.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that Segue did not write.")] = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Write a job's subtitles in any format, from its records. A job with gaps gives .partial files."""
    from dataclasses import replace

    from jobs.status import assembly_of
    from pipeline.inputs.requests import parse_formats
    from pipeline.jobs import find_job
    from pipeline.outputs.delivery import write_outputs
    from pipeline.outputs.documents import outputs_of

    store = open_runtime({"home": home}).store
    folder = find_job(store, job)
    assembly = assembly_of(folder)
    deliveries = [delivery for delivery, _ in folder.results()]
    if assembly is None or not deliveries:
        raise UsageError(f"job {folder.job_id[:12]} has nothing to export yet", "run it first: segue run MEDIA --to es")
    written: list[Path] = []
    with_json = "json" in (name.strip() for name in format.lower().split(","))
    for delivery in deliveries:
        delivery = replace(delivery, formats=parse_formats(format), bilingual=bilingual, force=force)
        if out is not None:
            delivery = replace(delivery, folder=out.absolute())
        outputs = outputs_of(assembly, delivery)
        wanted = {path: data for path, data in outputs.items() if with_json or path.suffix != ".json"}
        written.extend(path for path in write_outputs(delivery, wanted, store) if path not in written)
    if assembly.partial:
        note(f"written with gaps: {assembly.reason}")
    if json:
        print_json({"id": folder.job_id, "outputs": [str(path) for path in written]})
        return
    for path in written:
        print(printable(str(path)))
