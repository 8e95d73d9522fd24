"""How a job stands, read from the disk, without asking a process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobs.presence import RunSign, run_sign
from jobs.queue_listing import job_view
from jobs.queue_view import QueueView
from jobs.submissions import JobOrder, filed_orders, pending_orders, wanted_of
from pipeline.job import PlanOutline, PlanVersionError
from pipeline.job_summary import JobSummary, summary_of
from pipeline.jobs import JobFolder
from pipeline.outputs.assemble import Assembly, assemble_job
from pipeline.report import FileResult, JobState, units_json
from pipeline.work import JobWork


@dataclass(frozen=True)
class JobStatus:
    """A job as `segue status` shows it."""

    job_id: str
    owner: str
    state: JobState
    #: Unit counts by stage: (total, done, cached, failed).
    units: dict[str, tuple[int, int, int, int]]
    media: tuple[Path, ...]
    #: Files that were delivered, whether or not they are still there.
    delivered: tuple[Path, ...]
    reason: str
    language: str
    targets: tuple[str, ...]
    engines: str
    duration_ms: int
    speech_ms: int
    #: When it was last noted or asked for, UTC, ISO 8601; empty when that is not known.
    at: str = ""
    #: How the queue sees it; None for a job of `segue run`.
    queue: QueueView | None = None
    #: The `segue run` that is at it, or that was and has not said that it ended; None otherwise.
    run: RunSign | None = None
    #: False when there is a plan and this Segue cannot make sense of it.
    readable: bool = True
    #: True for a file that no job could be made of.
    refused: bool = False

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Delivered files that are there; looked for when asked."""
        return tuple(path for path in self.delivered if path.exists())

    def as_json(self) -> dict[str, Any]:
        """The object that `segue status JOB --json` prints."""
        value = {
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
            "at": self.at,
            "run": self.run.as_json() if self.run else None,
        }
        if self.queue is not None:
            queue = self.queue.as_json()
            names = ("priority", "labels", "submitted_at", "running", "waiting_for", "updated_at", "notified", "untold")
            value |= {name: queue[name] for name in names}
        return value


def status_of(folder: JobFolder, pending: Sequence[JobOrder] | None = None) -> JobStatus | None:
    """How the job stands; None for a job that has neither a readable plan nor an order nor a result.

    ``pending`` as for `job_view`: given, many jobs are listed quickly, and the coordinator's counts are believed.
    """
    folder = folder.listed()
    submitted = pending or folder.may_hold("queue.state") or folder.may_hold("orders.jsonl")
    view = job_view(folder.store, folder.job_id, pending) if submitted or pending is None else None
    results = [result for _, result in folder.results()]
    ended = bool(results) and all(result.state is JobState.DONE for result in results)
    # A job whose end was noted is believed: lists of thousands need not look after its records.
    told = (ended and (view is None or view.ended)) or (view is not None and pending is not None)
    try:
        data = folder.read_plan_data()
        plan = None if data is None else PlanOutline.from_json(json.loads(data))
        summary = None if data is None or told else summary_of(folder, data, folder.failures())
    except PlanVersionError as error:
        return _unreadable(folder, view, results, str(error), pending)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        why = f"its plan makes no sense: {type(error).__name__}: {error}"
        return _unreadable(folder, view, results, why, pending)
    if plan is None:
        if view is not None:
            return _unplanned(folder, view, results, pending)
        return _without_plan(folder, results) if results else None
    language = next((result.language for result in results if result.language), "")
    run = None
    if summary is not None:
        sign = run_sign(folder)
        state, units, language = _state(summary, results, sign), dict(summary.units), summary.language
        state = state if view is None else view.state
        # Whoever was killed at a job that others have taken up since is no news.
        run = sign if sign is not None and (sign.alive or state is JobState.INTERRUPTED) else None
    elif view is not None and not (ended and view.ended):
        state, units = view.state, dict(view.units)
    else:
        state, units = JobState.DONE, dict(results[0].tally.units)
        if view is not None and view.state is not JobState.DONE and not _all_delivered(folder, results):
            state = view.state
    return JobStatus(
        job_id=folder.job_id,
        owner=plan.owner,
        state=state,
        units=units,
        media=tuple(result.media for result in results) or (view.media if view else ()),
        delivered=_delivered(results),
        reason=_reason(view, results),
        language=language,
        targets=plan.settings.target_languages,
        engines=plan.settings.describe_engines(),
        duration_ms=plan.duration_ms,
        speech_ms=plan.speech_ms,
        at=_at(view, results),
        queue=view,
        run=run,
    )


def _unplanned(
    folder: JobFolder, view: QueueView, results: list[FileResult], pending: Sequence[JobOrder] | None
) -> JobStatus:
    """A submitted job that nobody has planned yet, or that could not be planned."""
    waiting = pending_orders(folder.store) if pending is None else pending
    orders = [*filed_orders(folder.store, folder.job_id), *waiting]
    wanted = wanted_of([order for order in orders if order.job_id == folder.job_id])
    settings = wanted.submissions[-1].settings if wanted else None
    return JobStatus(
        job_id=folder.job_id,
        owner=view.owner,
        state=view.state,
        units=dict(view.units),
        media=view.media,
        delivered=_delivered(results),
        reason=_reason(view, results),
        language=settings.source_language if settings else "",
        targets=settings.target_languages if settings else (),
        engines=settings.describe_engines() if settings else "",
        duration_ms=view.duration_ms,
        speech_ms=view.speech_ms,
        at=_at(view, results),
        queue=view,
    )


def _without_plan(folder: JobFolder, results: list[FileResult]) -> JobStatus:
    """A file that no job could be made of, or a job that has lost its plan."""
    worst = min(results, key=lambda result: (result.state is JobState.DONE, result.state is not JobState.FAILED))
    return JobStatus(
        job_id=folder.job_id,
        owner=folder.noted_owner(),
        state=JobState.INTERRUPTED if worst.state is JobState.RUNNING else worst.state,
        units={},
        media=tuple(result.media for result in results),
        delivered=_delivered(results),
        reason=worst.reason or "its plan is lost; the same command again makes it anew",
        language=worst.language,
        targets=(),
        engines=worst.engines,
        duration_ms=worst.tally.duration_ms,
        speech_ms=worst.tally.speech_ms,
        at=_at(None, results),
        readable=False,
        refused=worst.state is JobState.FAILED and not worst.engines,
    )


def _at(view: QueueView | None, results: list[FileResult]) -> str:
    """When a job was last noted; the queue's own word comes first, because it goes on before there is a result."""
    times = [result.noted_at for result in results]
    times += [view.updated_at or view.submitted_at] if view is not None else []
    return max(times, default="")


def _unreadable(
    folder: JobFolder, view: QueueView | None, results: list[FileResult], why: str, pending: Sequence[JobOrder] | None
) -> JobStatus:
    """A job whose plan this Segue cannot make sense of: it must not keep people from seeing the others."""
    if view is not None:
        shown = _unplanned(folder, view, results, pending)
        return replace(shown, reason="; ".join(part for part in (shown.reason, why) if part), readable=False)
    media, owner, engines = tuple(result.media for result in results), "", ""
    state, outputs = JobState.FAILED, _delivered(results)
    at = _at(None, results)
    return JobStatus(folder.job_id, owner, state, {}, media, outputs, why, "", (), engines, 0, 0, at, readable=False)


def _delivered(results: list[FileResult]) -> tuple[Path, ...]:
    return tuple(path for result in results for path in result.outputs)


def _reason(view: QueueView | None, results: list[FileResult]) -> str:
    """Why it is not all well; what the queue says is newer, and a job that is to be tried again has no reason yet."""
    if view is not None and not view.ended:
        return view.reason
    return (view.reason if view else "") or next((result.reason for result in results if result.reason), "")


def _all_delivered(folder: JobFolder, results: list[FileResult]) -> bool:
    """True when every submission's outputs are there, whoever made them."""
    wanted = wanted_of(filed_orders(folder.store, folder.job_id))
    return wanted is not None and len(results) >= len(wanted.submissions)


def _state(summary: JobSummary, results: list[FileResult], run: RunSign | None) -> JobState:
    if run is not None and run.alive:
        noted = any(result.state is JobState.RUNNING for result in results)
        if noted or not run.delivering:
            return JobState.RUNNING
    if summary.ended is not None and summary.ended is not JobState.DONE:
        return summary.ended
    if any(result.state is JobState.FAILED for result in results):
        return JobState.FAILED
    if any(result.state is JobState.BUDGET_STOPPED for result in results):
        return JobState.BUDGET_STOPPED
    begun = run is not None or summary.begun
    return JobState.INTERRUPTED if begun else JobState.QUEUED


def assembly_of(folder: JobFolder) -> Assembly | None:
    """What the job's records say now; None for a job without a plan.

    Raises StoreError for a plan that cannot be read.
    """
    plan = folder.read_plan()
    return None if plan is None else assemble_job(JobWork.open(plan, folder.store, folder.failures()))
