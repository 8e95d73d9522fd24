"""A job's way from a plan to its outputs: the steps that an embedded run and the coordinator take alike.

Open it (`open_work`), settle its units (`settle`), make its views again when they were damaged (`restore_work`), and
deliver it (`deliver`). Who computes the units, and where, is not this module's business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from cache.envelope import Record
from core.conditions import condition_of, reason_of
from core.errors import MachineError, StoreError
from pipeline.jobs import JobFolder
from pipeline.outputs.delivery import Delivery
from pipeline.outputs.results import deliver_job
from pipeline.planning import PlanRequest, ensure_views, plan_job
from pipeline.report import FileResult, JobState
from pipeline.runtime import Runtime
from pipeline.stages import views_of
from pipeline.stages.stage import Unit
from pipeline.work import JobWork

#: Told how far decoding is, in milliseconds: (done, total). What it raises ends the decoding.
OnDecoded = Callable[[int, int], None]
_log = logging.getLogger("segue.jobs")


def open_work(request: PlanRequest, folder: JobFolder, on_decoded: OnDecoded) -> JobWork:
    """Plans a job if that has not been done, and reads what is there of it; the views that are needed are there then.

    Raises MediaError when the file is unusable, StoreError when the disk fails.
    """
    plan = plan_job(request, folder, on_decoded)
    work = JobWork.open(plan, folder.store, folder.failures())
    there = ensure_views(request, plan, folder, views_of(work.ready()), on_decoded)
    return work if there is plan else JobWork.open(there, folder.store, folder.failures())


def restore_work(request: PlanRequest, work: JobWork, folder: JobFolder, on_decoded: OnDecoded) -> JobWork:
    """The job once its views, which turned out to be damaged on disk, were made again. Raises as `open_work` does."""
    plan = ensure_views(request, work.plan, folder, views_of(work.ready()), on_decoded, damaged=True)
    return JobWork.open(plan, folder.store, folder.failures())


def settle(work: JobWork, unit: Unit, record: Record | None, reason: str) -> None:
    """Takes into account what became of a unit: its record, or why there is none."""
    if record is None:
        work.fail(unit, reason)
    else:
        work.settle(unit, record)


def deliver(
    work: JobWork, folder: JobFolder, deliveries: Iterable[Delivery], runtime: Runtime, without: str = ""
) -> list[FileResult]:
    """Writes the outputs of every delivery; a defect of ours in one of them must not cost the others.

    ``without`` says why a stage could not run, if one could not. Raises StoreError when the state's own disk fails,
    MachineError when this machine lacks something: it can be done again.
    """
    return [_deliver(work, folder, delivery, runtime, without) for delivery in deliveries]


def _deliver(work: JobWork, folder: JobFolder, delivery: Delivery, runtime: Runtime, without: str) -> FileResult:
    try:
        return deliver_job(work, folder, delivery, runtime, without)
    except StoreError:
        raise
    except Exception as error:
        condition = condition_of(error)
        if isinstance(condition, MachineError):
            raise condition from error
        _log.exception("job %s: an output cannot be delivered", folder.job_id)
        result = FileResult(delivery.media, JobState.FAILED, folder.job_id, reason_of(error))
        folder.note_result(delivery, result)
        return result
