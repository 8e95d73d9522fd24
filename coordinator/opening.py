"""Opening a job: from its orders on disk to its ready units, in a thread of its own, since planning decodes media."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from coordinator.announcements import WRITER
from core.errors import MediaError, UsageError
from core.keys import canonical_json
from jobs.submissions import Submission, Wanted, filed_orders, wanted_of
from media.claims import is_thin
from pipeline.inputs.sources import known_digest
from pipeline.job_summary import finished_result
from pipeline.jobs import JobFolder
from pipeline.lifecycle import open_work, restore_work
from pipeline.plan_queue import PlanningStoppedError, PutOffError
from pipeline.planning import PlanRequest
from pipeline.report import FileResult
from pipeline.runtime import Runtime
from pipeline.work import JobWork


@dataclass(frozen=True)
class Opened:
    """A job that is ready to be worked on."""

    wanted: Wanted
    folder: JobFolder
    request: PlanRequest
    work: JobWork
    round: int


@dataclass(frozen=True)
class Unopened:
    """A job that needs no work, or that cannot be worked on; one result for each delivery."""

    wanted: Wanted
    folder: JobFolder
    results: tuple[FileResult, ...]


def open_job(
    job_id: str, runtime: Runtime, stopping: Callable[[], bool], *, alone: bool = True
) -> Opened | Unopened | None:
    """Plans a job if that has not been done and reads what is there of it. None when nobody has submitted it.

    Raises MediaError, UsageError, SettingsError for a job that cannot be done, StoreError when the disk fails,
    PlanningStoppedError when ``stopping`` says so in the middle of a decoding, and, unless it is planned ``alone``,
    PutOffError for a file that would hold up others: it gives far more sound than its bytes let expect.
    """
    store = runtime.store
    wanted = wanted_of(filed_orders(store, job_id))
    if wanted is None:
        return None
    folder = JobFolder(store, job_id)
    for order in wanted.retries:
        folder.clear_failures(order, WRITER)
    known = [finished_result(folder, submission.delivery) for submission in wanted.submissions]
    finished = tuple(result for result in known if result is not None)
    if len(finished) == len(known):
        return Unopened(wanted, folder, finished)
    for submission in wanted.submissions:
        folder.note_delivery(submission.delivery, submission.settings.describe_engines(), latest=False)
        submission.delivery.check(submission.settings, store)
    request = plan_request_of(wanted.submissions[-1], runtime)
    work = open_work(request, folder, _leaving(request, stopping, alone=alone))
    return Opened(wanted, folder, request, work, folder.round())


def _leaving(request: PlanRequest, stopping: Callable[[], bool], *, alone: bool) -> Callable[[int, int], None]:
    """What a decoding calls, to be left when nobody waits for it or others should go first."""

    def on_decoded(done_ms: int, _total_ms: int) -> None:
        if stopping():
            raise PlanningStoppedError
        if not alone and is_thin(request.path, done_ms):
            raise PutOffError

    return on_decoded


def restore_views(opened: Opened, stopping: Callable[[], bool], *, alone: bool) -> Opened:
    """Makes a job's views again, which turned out to be damaged on disk. Raises as `open_job` does."""
    on_decoded = _leaving(opened.request, stopping, alone=alone)
    return replace(opened, work=restore_work(opened.request, opened.work, opened.folder, on_decoded))


def plan_request_of(submission: Submission, runtime: Runtime) -> PlanRequest:
    """What planning needs. Raises MediaError when the media have changed, UsageError for another segmenter."""
    settings, path = submission.settings, submission.delivery.media
    if not submission.captions:
        ours = canonical_json(runtime.segmenter.as_json())
        if canonical_json(dict(settings.segmenter)) != ours:
            raise UsageError(
                "it was submitted by a Segue whose segmenter differs from this coordinator's",
                "upgrade the older of the two and submit it again",
            )
    try:
        digest = known_digest(path, runtime.store)
    except MediaError as error:
        raise MediaError(
            f"the coordinator cannot read it: {error.message}",
            "put media on a disk that the coordinator mounts at the same path",
        ) from error
    if digest != submission.digest:
        raise MediaError(f"{path} has changed since it was submitted", "submit it again")
    segmenter, captions, notes = runtime.segmenter, submission.captions, submission.notes
    return PlanRequest(path, digest, submission.owner, settings, segmenter, captions, notes)
