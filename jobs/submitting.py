"""Submitting inputs one by one: each is an order on disk before the next is looked at, and none is given twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import SegueError, StoreError
from core.keys import canonical_json
from jobs.queue_listing import job_view
from jobs.submissions import (
    JobOrder,
    OrderKind,
    Priority,
    Submission,
    filed_orders,
    give_order,
    orders_by_job,
)
from pipeline.inputs.glossaries import read_glossary
from pipeline.inputs.requests import Request, delivery_of, plan_request, roles_of
from pipeline.job_summary import finished_result
from pipeline.jobs import JobFolder
from pipeline.report import JobState, outcome_json
from pipeline.runtime import Runtime


@dataclass(frozen=True)
class Submitted:
    """What became of one input."""

    media: Path
    #: `queued` and `running` for a job on its way, `done` for one that needs nothing, `failed` for a file that is none.
    state: JobState
    job_id: str | None = None
    outputs: tuple[Path, ...] = ()
    reason: str = ""
    #: True when an order was written; False when the queue knows already all that there is to know.
    ordered: bool = False

    def as_json(self) -> dict[str, Any]:
        """The object that `segue submit --json` prints for a file."""
        return outcome_json(self)


def submission_of(
    request: Request, runtime: Runtime, priority: Priority, labels: Mapping[str, str], notify: str
) -> Submission:
    """What submitting one input freezes: digest, engines, captions, glossary. Raises MediaError, UsageError."""

    planned = plan_request(request, runtime)
    return Submission(
        owner=planned.owner,
        digest=planned.digest,
        settings=planned.settings,
        delivery=delivery_of(request),
        captions=planned.captions,
        notes=planned.notes,
        priority=priority,
        labels=dict(labels),
        notify=notify,
    )


@dataclass
class Submitter:
    """Gives orders for inputs that are delivered alike. Not thread-safe."""

    runtime: Runtime
    priority: Priority = Priority.NORMAL
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Webhook; empty for none.
    notify: str = ""
    #: The most that each job may cost; empty for no limit.
    budget: str = ""
    #: Price an hour of machines that nobody knows one of; empty for none.
    node_rate: str = ""
    #: Orders that no coordinator had applied when this began, and those given here, by job.
    _pending: dict[str, list[JobOrder]] | None = None

    def freeze(self, request: Request) -> None:
        """Finds the engines and reads the glossary. Raises EngineError, UsageError: what holds for every input."""
        if request.options.glossary is not None:
            read_glossary(request.options.glossary)
        for role in roles_of(request.options):
            self.runtime.engine_spec(role)

    def submit(self, request: Request) -> Submitted:
        """Submits one input; its order is durable when this returns. Raises StoreError; other errors are its result."""
        media = request.file.path
        try:
            submission = submission_of(request, self.runtime, self.priority, self.labels, self.notify)
            return self._submit(replace(submission, budget=self.budget, node_rate=self.node_rate))
        except StoreError:
            raise
        except SegueError as error:
            return Submitted(media, JobState.FAILED, reason=str(error))

    def _submit(self, submission: Submission) -> Submitted:
        store, job_id, delivery = self.runtime.store, submission.job_id, submission.delivery
        folder = JobFolder(store, job_id)
        if self._pending is None:
            # Before any job's own list is read: an order that is applied meanwhile is then seen in one or the other.
            self._pending = orders_by_job(store)
        pending = self._pending.setdefault(job_id, [])
        filed = filed_orders(store, job_id)
        known = {order.id for order in filed}
        orders = [*filed, *(order for order in pending if order.id not in known)]
        view = job_view(store, job_id, [order for order in pending if order.id not in known])
        on_its_way = view is not None and not view.ended
        finished = finished_result(folder, delivery)
        if finished is not None and not on_its_way:
            return Submitted(delivery.media, JobState.DONE, job_id, finished.outputs)
        if view is not None and on_its_way and _says_the_same(orders, submission):
            return Submitted(delivery.media, view.state, job_id)
        if not orders and not folder.has_plan():
            _probe(submission)
        delivery.check(submission.settings, store)
        latest = max((order.id for order in orders), default="")
        pending.append(give_order(store, OrderKind.SUBMIT, job_id, submission, after=latest))
        return Submitted(delivery.media, JobState.QUEUED, job_id, ordered=True)


def _says_the_same(orders: list[JobOrder], submission: Submission) -> bool:
    """True when the last order for this place asks for exactly this."""
    place = (submission.delivery.media, submission.delivery.folder)
    for order in reversed(orders):
        said = order.submission
        if said is not None and (said.delivery.media, said.delivery.folder) == place:
            return canonical_json(said.as_json()) == canonical_json(submission.as_json())
    return False


def _probe(submission: Submission) -> None:
    """Refuses at once what planning would refuse later. Raises MediaError."""
    from media.probe import probe
    from media.tracks import select_track

    info = probe(submission.delivery.media)
    if not submission.settings.captions:
        select_track(info, submission.settings.track)
