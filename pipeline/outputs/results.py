"""Delivers a job's outputs, and says how that ended."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from cache.store import Store
from core.errors import SegueError, StoreError
from media.probe import probe
from pipeline.job_summary import note_summary
from pipeline.jobs import JobFolder
from pipeline.outputs.assemble import Assembly, assemble_job
from pipeline.outputs.delivery import Delivery, note_mux, read_mux_note, remove_stale, write_outputs
from pipeline.outputs.documents import mux_inputs, outputs_of
from pipeline.outputs.left_behind import left_behind
from pipeline.report import FileResult, JobState
from pipeline.runtime import Runtime
from pipeline.stages import suffixes_of
from pipeline.work import JobWork


def deliver_job(
    work: JobWork, folder: JobFolder, delivery: Delivery, runtime: Runtime, without: str = ""
) -> FileResult:
    """Writes the outputs that one delivery asks for. ``without`` says why a stage could not run, if one could not.

    Raises StoreError when the state's own disk fails; any other trouble is the result's reason.
    """
    assembly = assemble_job(work)
    note_summary(folder, work, assembly.state)
    result = FileResult(
        delivery.media,
        assembly.state,
        job_id=work.plan.job_id,
        reason=without or assembly.reason,
        language=assembly.language,
        tally=assembly.tally,
        warnings=work.plan.media.warnings,
        engines=work.plan.settings.describe_engines(),
    )
    if result.state is JobState.FAILED:
        return _noted(folder, result, delivery)
    try:
        paths = write_outputs(delivery, outputs_of(assembly, delivery), folder.store)
        result = replace(result, outputs=paths)
        if not assembly.partial:
            remove_stale(_partial_paths(assembly, delivery), delivery.media, folder.store)
            if delivery.mux and not probe(delivery.media).has_video:
                result = replace(result, warnings=(*result.warnings, "no copy with subtitles: it has no picture"))
            elif delivery.mux:
                result = replace(result, outputs=paths + _mux(assembly, delivery, runtime, folder.store))
    except StoreError:
        raise
    except SegueError as error:
        # What has been written is there all the same, and must be found again by its name.
        result = replace(result, state=JobState.FAILED, reason=str(error))
    noted = _noted(folder, result, delivery)
    return replace(noted, left_behind=left_behind(delivery, noted.outputs, assembly, folder.store))


def _noted(folder: JobFolder, result: FileResult, delivery: Delivery) -> FileResult:
    folder.note_result(delivery, result)
    return result


def _partial_paths(assembly: Assembly, delivery: Delivery) -> list[Path]:
    languages = [language for language in (assembly.language, *assembly.translations) if language]
    pairs = [f"{assembly.language}+{target}" for target in assembly.translations]
    suffixes = [
        "json",
        *suffixes_of(assembly.plan.settings),
        *(f"{name}.{format_}" for name in languages + pairs for format_ in delivery.formats),
    ]
    return [delivery.path(suffix, partial=True) for suffix in suffixes]


def _mux(assembly: Assembly, delivery: Delivery, runtime: Runtime, store: Store) -> tuple[Path, ...]:
    """Copies the video with the subtitles in it; a copy of ours that is up to date is left as it is."""
    from media.mux import SubtitleInput, mux_subtitles, muxed_path

    target = muxed_path(delivery.media, delivery.folder)
    tracks, inputs = mux_inputs(assembly)
    noted = read_mux_note(target, delivery.media, store)
    if noted is not None and noted.intact and noted.inputs == inputs:
        return (target,)
    with tempfile.TemporaryDirectory(prefix="segue-mux-") as scratch:
        files = []
        for language, data in tracks.items():
            path = Path(scratch) / f"{language}.srt"
            path.write_bytes(data)
            files.append(SubtitleInput(path, language))
        ours = delivery.force or (noted is not None and noted.intact)
        mux_subtitles(delivery.media, files, target, runtime.ffmpeg, replace=ours)
    note_mux(target, delivery.media, inputs, store)
    return (target,)
