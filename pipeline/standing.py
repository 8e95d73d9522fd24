"""How a job stands, read from the disk alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.assemble import Assembly, assemble_job
from pipeline.jobs import JobFolder
from pipeline.report import FileResult, JobState, count_units, units_json
from pipeline.work import JobWork


@dataclass(frozen=True)
class Standing:
    """A job as `segue status` shows it."""

    job_id: str
    owner: str
    state: JobState
    #: Unit counts by stage: (total, done, cached, failed).
    units: dict[str, tuple[int, int, int, int]]
    media: tuple[Path, ...]
    outputs: tuple[Path, ...]
    reason: str
    language: str
    targets: tuple[str, ...]
    engines: str
    duration_ms: int
    speech_ms: int

    def as_json(self) -> dict[str, Any]:
        """The object that `segue status JOB --json` prints."""
        return {
            "id": self.job_id,
            "owner": self.owner,
            "state": str(self.state),
            "units": units_json(self.units),
            "media": [str(path) for path in self.media],
            "outputs": [str(path) for path in self.outputs],
            "reason": self.reason,
            "language": self.language,
            "targets": list(self.targets),
            "engines": self.engines,
            "duration_ms": self.duration_ms,
            "speech_ms": self.speech_ms,
            "skipped_ms": self.duration_ms - self.speech_ms,
        }


def standing_of(folder: JobFolder) -> Standing | None:
    """How the job stands; None for a job without a readable plan."""
    plan = folder.read_plan()
    if plan is None:
        return None
    results = [result for _, result in folder.results()]
    if results and all(result.state is JobState.DONE for result in results):
        # Its records need not be read again: thousands of finished jobs must not make a list slow.
        state, units, language = JobState.DONE, dict(results[0].tally.units), results[0].language
    else:
        work = JobWork.open(plan, folder.store, folder.failures())
        state, units, language = _state(work, results), count_units(work), work.language
    return Standing(
        job_id=folder.job_id,
        owner=plan.owner,
        state=state,
        units=units,
        media=tuple(result.media for result in results),
        outputs=tuple(path for result in results for path in result.outputs if path.exists()),
        reason=next((result.reason for result in results if result.reason), ""),
        language=language,
        targets=plan.settings.target_languages,
        engines=plan.settings.engines(),
        duration_ms=plan.media.duration_ms,
        speech_ms=plan.segmentation.speech_ms,
    )


def _state(work: JobWork, results: list[FileResult]) -> JobState:
    if work.has_failures:
        return JobState.PARTIAL if any(work.cues.values()) else JobState.FAILED
    if any(result.state is JobState.FAILED for result in results):
        return JobState.FAILED
    return JobState.INTERRUPTED if any(count.done for count in work.counts.values()) else JobState.QUEUED


def assembly_of(folder: JobFolder) -> Assembly | None:
    """What the job's records say now; None for a job without a readable plan."""
    plan = folder.read_plan()
    return None if plan is None else assemble_job(JobWork.open(plan, folder.store, folder.failures()))
