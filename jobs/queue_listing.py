"""How submitted jobs stand: the coordinator's views, and on top of them the orders that it has not applied yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cache.store import Store
from core.errors import UsageError
from jobs.queue_view import QueueView, read_view
from jobs.submissions import JobOrder, OrderKind, Wanted, filed_orders, orders_by_job, wanted_of
from jobs.webhooks import (
    EventEnd,
    EventOutcome,
    WaitingEvent,
    end_event,
    make_event_id,
    outcomes,
    read_waiting,
    waiting_events,
)
from pipeline.jobs import JobFolder, list_jobs
from pipeline.report import JobState

#: Shown as why a job waits as long as nobody has applied its orders.
NOT_TAKEN_UP = "no coordinator has taken it up yet"
_WORST_FIRST = (JobState.FAILED, JobState.PARTIAL, JobState.CANCELLED, JobState.BUDGET_STOPPED)


def job_view(store: Store, job_id: str, pending: Sequence[JobOrder] | None = None) -> QueueView | None:
    """How a submitted job stands; None for one that was never submitted.

    ``pending`` are the orders about it that wait to be applied; they are looked up when not given, and then those that
    were applied a moment ago count as well, whether or not the coordinator has written its view since.
    """
    view = read_view(store, job_id)
    if pending is not None:
        return _with_orders(view, pending) if view is not None else _without_view(store, job_id, pending)
    # Pending ones first: an order that is applied in between is then seen twice rather than never.
    waiting = orders_by_job(store).get(job_id, [])
    if view is None:
        return _without_view(store, job_id, waiting)
    filed = filed_orders(store, job_id)
    known = [order.id for order in filed]
    newer = filed[known.index(view.order) + 1 :] if view.order in known else ()
    view = _with_webhooks(view, outcomes(store, job_id), _waiting_events(store, filed))
    return _with_orders(view, [*newer, *(order for order in waiting if order.id not in known)])


def job_views(store: Store) -> list[QueueView]:
    """Every submitted job, the newest first. No job is opened: ten thousand finished ones cost a small file each."""
    pending, untold = orders_by_job(store), waiting_events(store)
    ids = {folder.job_id for folder in list_jobs(store)} | pending.keys()
    found = []
    for job_id in ids:
        view = job_view(store, job_id, pending.get(job_id, ()))
        if view is not None:
            found.append(_with_webhooks(view, (), untold.get(job_id, ())))
    return sorted(found, key=lambda view: (view.submitted_at, view.job_id), reverse=True)


def _waiting_events(store: Store, filed: Sequence[JobOrder]) -> list[WaitingEvent]:
    """Webhooks of one job that nobody has taken yet; others' are not looked at, of which there may be thousands."""
    wanted = wanted_of(filed)
    urls = dict.fromkeys(o.submission.notify for o in filed if o.submission is not None and o.submission.notify)
    if wanted is None:
        return []
    events = [end_event(number) for number in range(len(wanted.retries) + 1)]
    ids = [make_event_id(wanted.job_id, event, url) for url in urls for event in events]
    return [event for event_id in ids if (event := read_waiting(store, event_id)) is not None]


def _with_webhooks(view: QueueView, told: Sequence[EventOutcome], waiting: Sequence[WaitingEvent]) -> QueueView:
    """The view with what is known of the job's webhooks; what waits comes before what was told."""
    lines = [event.describe() for event in waiting]
    untold = [*lines, *(outcome.describe() for outcome in told[-1:] if outcome.end is not EventEnd.DELIVERED)]
    if not lines and not told:
        return view
    notified = "; ".join([*lines, *(outcome.describe() for outcome in told[-1:])])
    return replace(view, notified=notified, untold="; ".join(untold))


def matches(view: QueueView, state: str, owner: str, labels: Mapping[str, str]) -> bool:
    """True when a job fits what a person asked to see; empty means any."""
    return (
        (not state or view.state == state)
        and (not owner or view.owner == owner)
        and all(view.labels.get(name) == text for name, text in labels.items())
    )


def view_of(wanted: Wanted, state: JobState, waiting_for: str = "") -> QueueView:
    """What the orders about a job say of it, before there is anything else to tell."""
    newest = wanted.submissions[-1]
    return QueueView(
        job_id=wanted.job_id,
        state=state,
        priority=wanted.priority,
        owner=newest.owner,
        labels=wanted.labels,
        media=tuple(dict.fromkeys(submission.delivery.media for submission in wanted.submissions)),
        submitted_at=wanted.submitted_at,
        waiting_for=waiting_for,
        order=wanted.latest,
    )


def _without_view(store: Store, job_id: str, pending: Sequence[JobOrder]) -> QueueView | None:
    filed = filed_orders(store, job_id)
    known = {order.id for order in filed}
    wanted = wanted_of([*filed, *(order for order in pending if order.id not in known)])
    if wanted is None:
        return None
    if wanted.cancelled:
        return view_of(wanted, JobState.CANCELLED)
    results = {delivery.folder: result for delivery, result in JobFolder(store, job_id).results()}
    ends = [results[each.delivery.folder].state for each in wanted.submissions if each.delivery.folder in results]
    if pending or len(ends) < len(wanted.submissions):
        return view_of(wanted, JobState.QUEUED, NOT_TAKEN_UP)
    # The view was lost; what was delivered says how the job ended.
    ended = next((state for state in _WORST_FIRST if state in ends), JobState.QUEUED)
    return view_of(wanted, JobState.DONE if set(ends) == {JobState.DONE} else ended)


def _with_orders(view: QueueView, orders: Sequence[JobOrder]) -> QueueView:
    """The view as it will be once these orders have been applied, as far as that can be told."""
    for order in orders:
        if order.kind is OrderKind.SUBMIT and order.submission is not None:
            media = tuple(dict.fromkeys((*view.media, order.submission.delivery.media)))
            labels = {**view.labels, **order.submission.labels}
            view = replace(view, media=media, labels=labels, priority=order.submission.priority)
        elif order.kind is OrderKind.REPRIORITISE and order.priority is not None:
            view = replace(view, priority=order.priority)
        if order.kind in (OrderKind.SUBMIT, OrderKind.RETRY) and view.ended:
            view = replace(view, state=JobState.QUEUED, reason="", waiting_for=NOT_TAKEN_UP)
        elif order.kind is OrderKind.CANCEL and not view.ended:
            view = replace(view, waiting_for="no coordinator has cancelled it yet")
    return view


def latest_order(store: Store, job_id: str) -> str:
    """Id of the last order about a job, applied or not; empty when there is none."""
    waiting = orders_by_job(store).get(job_id, [])
    return max((order.id for order in (*waiting, *filed_orders(store, job_id))), default="")


def require_submitted(store: Store, job_id: str) -> QueueView:
    """The job's view. Raises UsageError for a job of `segue run`, which no queue knows."""
    view = job_view(store, job_id)
    if view is None:
        raise UsageError(f"job {job_id[:12]} was never submitted", "'segue submit' gives a job to the queue")
    return view
