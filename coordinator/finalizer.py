"""The finalizer: delivers outputs in a thread of its own, writes the last view, logs, and tells webhooks."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from coordinator.active import ActiveJob
from coordinator.announcements import WRITER
from coordinator.opening import Unopened
from coordinator.outbox import Outbox
from coordinator.views import ended_view
from core.errors import MachineError, StoreError
from jobs.submissions import Wanted, read_view, write_view
from jobs.webhooks import EventEnd, end_event
from journals.demand import DemandLog
from pipeline.job_summary import note_summary
from pipeline.jobs import JobFolder
from pipeline.lifecycle import deliver
from pipeline.report import FileResult, JobCounts, JobState, tally_of
from pipeline.runtime import Runtime
from pipeline.work import JobWork


class Finalizer:
    """Ends jobs. Everything but `deliver` is done at once; what a delivery came to is fetched with `collect`."""

    def __init__(self, runtime: Runtime, announce: Callable[[str], None], demand: DemandLog) -> None:
        self._runtime, self._store, self._announce, self._demand = runtime, runtime.store, announce, demand
        self._outbox = Outbox(runtime.store, runtime.settings.notify_secret.get_secret_value(), announce)
        self._deliverer = ThreadPoolExecutor(1, thread_name_prefix="deliver")
        self._ended: queue.SimpleQueue[tuple[str, JobState | Exception | None]] = queue.SimpleQueue()

    def close(self) -> None:
        """Finishes the delivery under way; the others are done by the next coordinator."""
        self._deliverer.shutdown(wait=True, cancel_futures=True)
        self._outbox.close()

    def deliver(self, job: ActiveJob) -> None:
        """Writes a finished job's outputs, in another thread."""
        self._demand.ended(job.folder, job.work.keys)
        self._deliverer.submit(self._deliver, job.wanted, job.work, job.folder)

    def collect(self) -> list[tuple[str, JobState | Exception | None]]:
        """Jobs whose delivery has ended, and how.

        None when the store's own disk failed and it must be done again, an exception for a defect of ours.
        """
        found = []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found

    def note_webhooks(self) -> None:
        """Shows in the jobs' views what became of their webhooks."""
        for outcome in self._outbox.collect():
            try:
                view = read_view(self._store, outcome.job_id)
            except (KeyError, TypeError, ValueError):
                continue  # No view of this Segue's; `segue status` reads the outcome itself.
            if view is not None:
                untold = "" if outcome.end is EventEnd.DELIVERED else outcome.describe()
                notified = f"{outcome.end} {outcome.at}: {outcome.last}"
                write_view(self._store, replace(view, notified=notified, untold=untold))

    def known(self, found: Unopened) -> None:
        """A job that was finished before and is still as it was."""
        self._tell(found.wanted, found.results)

    def impossible(self, wanted: Wanted, reason: str) -> None:
        """A job that cannot be done."""
        folder = JobFolder(self._store, wanted.job_id)
        results = []
        for submission in wanted.submissions:
            engines = submission.settings.describe_engines()
            media = submission.delivery.media
            result = FileResult(media, JobState.FAILED, wanted.job_id, reason, engines=engines)
            folder.note_result(submission.delivery, result)
            results.append(result)
        self._tell(wanted, tuple(results))

    def cancel(self, wanted: Wanted, job: ActiveJob | None) -> None:
        """A job that a person has taken off the queue; what is finished of it stays."""
        self._stop(wanted, job, JobState.CANCELLED, "by 'segue cancel'")

    def spent_up(self, job: ActiveJob, reason: str) -> None:
        """A job whose budget is spent; what is finished of it stays."""
        self._stop(job.wanted, job, JobState.BUDGET_STOPPED, reason)

    def _stop(self, wanted: Wanted, job: ActiveJob | None, state: JobState, reason: str) -> None:
        tally = JobCounts()
        if job is not None:
            tally = tally_of(job.work)
            self._demand.ended(job.folder, job.work.keys)
            note_summary(job.folder, job.work)
        folder = JobFolder(self._store, wanted.job_id)
        results = []
        for delivery in (submission.delivery for submission in wanted.submissions):
            result = folder.finished_result(delivery)
            if result is None:
                result = FileResult(delivery.media, state, wanted.job_id, reason, tally=tally)
                folder.note_result(delivery, result)
            results.append(result)
        self._tell(wanted, tuple(results))

    def _deliver(self, wanted: Wanted, work: JobWork, folder: JobFolder) -> None:
        try:
            deliveries = [each.delivery for each in wanted.submissions]
            results = tuple(deliver(work, folder, deliveries, self._runtime))
            self._tell(wanted, results)
        except (StoreError, MachineError) as error:
            self._announce(f"job {wanted.job_id[:12]} cannot be delivered yet: {error}")
            self._ended.put((wanted.job_id, None))
            return
        except Exception as error:  # noqa: BLE001 - a defect of ours must not be silent: the loop sets the job aside
            self._ended.put((wanted.job_id, error))
            return
        self._ended.put((wanted.job_id, results[0].state))

    def _tell(self, wanted: Wanted, results: tuple[FileResult, ...]) -> None:
        """The view, the webhooks, the log. The job is still on the list of open ones: a crash repeats it all."""
        view = ended_view(wanted, results, self._store)
        write_view(self._store, view)
        for url in dict.fromkeys(submission.notify for submission in wanted.submissions if submission.notify):
            payload = {
                "job": wanted.job_id,
                "state": str(view.state),
                "owner": view.owner,
                "labels": dict(view.labels),
                "files": [result.as_json() for result in results],
            }
            self._outbox.post(wanted.job_id, end_event(len(wanted.retries)), url, payload)
        folder = JobFolder(self._store, wanted.job_id)
        folder.incidents.log(WRITER, "ended", f"{view.state}{f': {view.reason}' if view.reason else ''}")
