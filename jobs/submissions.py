"""Orders: what people ask of the queue, on disk. No broker is needed to submit, cancel, retry or reprioritise.

A command writes one order, durable and under a name of its own, so that any number of machines may submit at once. The
coordinator applies orders in the sequence of their names: it appends them to the job's own list, and only then removes
the order. Whatever it is killed between, applying an order twice changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from cache.store import Store
from core.errors import StoreError, UsageError
from core.keys import Digest, canonical_json
from jobs.queue_view import Priority, QueueView, read_view, write_view
from journals.demand import orders_parts
from pipeline.job import Caption, JobSettings, make_job_id
from pipeline.jobs import JobFolder, find_job, list_jobs
from pipeline.outputs.delivery import Delivery

__all__ = [
    "JobOrder",
    "OrderKind",
    "OrderVersionError",
    "Priority",
    "QueueView",
    "Submission",
    "Wanted",
    "close_job",
    "file_order",
    "filed_orders",
    "find_submitted",
    "give_order",
    "open_jobs",
    "order_names",
    "order_parts",
    "ordered_jobs",
    "orders_by_job",
    "pending_orders",
    "read_order",
    "read_view",
    "wanted_of",
    "write_view",
]

QUEUE = "queue"
_ORDERS = (QUEUE, "orders")
_OPEN = (QUEUE, "open")
#: Ends the names of orders that are in a hurry.
_RUSH = "-rush"
_STAMP = "%Y%m%dT%H%M%S%f"
#: Version of an order; a coordinator that does not know it leaves the order where it is and says so.
ORDER_VERSION = 2


class OrderVersionError(StoreError):
    """An order that another version of Segue wrote."""


class OrderKind(StrEnum):
    """What a person can ask for."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    RETRY = "retry"
    REPRIORITISE = "reprioritise"


@dataclass(frozen=True)
class Submission:
    """One media file to localize: everything that planning it needs, frozen where it was submitted."""

    owner: str
    digest: Digest
    settings: JobSettings
    delivery: Delivery
    captions: tuple[Caption, ...] = ()
    priority: Priority = Priority.NORMAL
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Webhook that is told how the job ends; empty for none.
    notify: str = ""
    #: The most that the job may cost, ``2.5 USD``; empty for no limit. Not of the job's identity.
    budget: str = ""
    #: Price an hour of machines that nobody knows one of, ``0.526 USD``; counted for the budget only.
    node_rate: str = ""
    #: What a person should know about the files that were read for it.
    notes: tuple[str, ...] = ()

    @property
    def job_id(self) -> str:
        return make_job_id(self.owner, self.digest, self.settings)

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {
            "owner": self.owner,
            "digest": self.digest,
            "settings": self.settings.as_json(),
            "delivery": {**self.delivery.as_json(), "force": self.delivery.force},
            "captions": [[caption.start_ms, caption.end_ms, caption.text] for caption in self.captions],
            "notes": list(self.notes),
            "priority": str(self.priority),
            "labels": dict(self.labels),
            "notify": self.notify,
            "budget": self.budget,
            "node_rate": self.node_rate,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Submission:
        """The submission that `as_json` wrote."""
        return cls(
            owner=str(value["owner"]),
            digest=Digest(value["digest"]),
            settings=JobSettings.from_json(value["settings"]),
            delivery=Delivery.from_json(value["delivery"], force=bool(value["delivery"]["force"])),
            captions=tuple(Caption(*fields) for fields in value["captions"]),
            notes=tuple(map(str, value["notes"])),
            priority=Priority(value["priority"]),
            labels={str(name): str(text) for name, text in value["labels"].items()},
            notify=str(value["notify"]),
            budget=str(value.get("budget", "")),
            node_rate=str(value.get("node_rate", "")),
        )


@dataclass(frozen=True)
class JobOrder:
    """One request to the queue, as it lies on disk."""

    #: Its name on disk without suffix; names sort by time.
    id: str
    kind: OrderKind
    job_id: str
    #: UTC, ISO 8601.
    at: str
    #: For `submit` only.
    submission: Submission | None = None
    #: For `reprioritise` only.
    priority: Priority | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {
            "v": ORDER_VERSION,
            "id": self.id,
            "order": str(self.kind),
            "job": self.job_id,
            "at": self.at,
            "submission": self.submission.as_json() if self.submission else None,
            "priority": str(self.priority) if self.priority else None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobOrder:
        """The order that `as_json` wrote. Raises StoreError for another version."""
        if value.get("v") != ORDER_VERSION:
            raise OrderVersionError(
                f"an order of version {value.get('v')} cannot be read by this Segue", "upgrade the coordinator"
            )
        submission, priority = value["submission"], value["priority"]
        return cls(
            id=str(value["id"]),
            kind=OrderKind(value["order"]),
            job_id=str(value["job"]),
            at=str(value["at"]),
            submission=Submission.from_json(submission) if submission else None,
            priority=Priority(priority) if priority else None,
        )


# -- giving orders -------------------------------------------------------------------------------------------


def give_order(
    store: Store,
    kind: OrderKind,
    job_id: str,
    submission: Submission | None = None,
    priority: Priority | None = None,
    after: str = "",
) -> JobOrder:
    """Writes an order; durable when this returns. Raises StoreError.

    ``after`` is the id of the last order about this job that its giver knows of: two machines' clocks differ, and what
    was asked later must be applied later.
    """
    JobFolder(store, job_id)
    now = datetime.now(UTC)
    # Fixed width, so that names sort by time; two orders of one microsecond from two machines may go either way.
    stamp = now.strftime(_STAMP)
    if after and stamp <= (earlier := after.partition("-")[0]):
        stamp = (datetime.strptime(earlier, _STAMP) + timedelta(microseconds=1)).strftime(_STAMP)
    hurry = Priority.RUSH in (priority, submission.priority if submission else None)
    name = f"{stamp}-{os.urandom(6).hex()}-{job_id}{_RUSH if hurry else ''}"
    order = JobOrder(name, kind, job_id, now.isoformat(timespec="milliseconds"), submission, priority)
    store.write_once((*_ORDERS, f"{name}.json"), canonical_json(order.as_json()))
    return order


# -- reading and applying them -------------------------------------------------------------------------------


def order_names(store: Store) -> tuple[str, ...]:
    """Names of the orders that wait to be applied: what is in a hurry first, then the oldest first.

    Nothing overtakes an older order about the same job.
    """
    names = sorted(name for name in store.children(_ORDERS) if name.endswith(".json"))
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(_job_named(name), name)
    return tuple(sorted(names, key=lambda name: not (f"{_RUSH}." in name and first[_job_named(name)] == name)))


def _job_named(name: str) -> str:
    """The job that an order's name tells; a name that tells none stands for itself."""
    parts = name.removesuffix(".json").split("-")
    return parts[2] if len(parts) > 2 else name


def read_order(store: Store, name: str) -> JobOrder | None:
    """One waiting order; None when it is gone or was damaged. Raises StoreError for one that cannot be read."""
    data = store.read_document((*_ORDERS, name))
    if data is None:
        return None
    try:
        order = JobOrder.from_json(json.loads(data))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"the order {name} is not one of this Segue's", "give it again and remove this one") from error
    if f"{order.id}.json" != name:
        raise StoreError(f"the order {name} calls itself {order.id}", "give it again and remove this one")
    return order


def file_order(store: Store, order: JobOrder) -> bool:
    """Moves an order to its job's own list; False when it was there already. Only the coordinator may call this."""
    folder = orders_parts(order.job_id)
    known = any(entry["id"] == order.id for entry in store.read_journal(folder).entries)
    if not known:
        store.replace_state((*_OPEN, f"{order.job_id}.state"), canonical_json({"job": order.job_id}))
        store.append(folder, [order.as_json()], durable=True)
    store.remove((*_ORDERS, f"{order.id}.json"))
    return not known


def filed_orders(store: Store, job_id: str) -> tuple[JobOrder, ...]:
    """Everything that was ever asked about a job, oldest first."""
    entries = store.read_journal(orders_parts(job_id)).entries
    return tuple(JobOrder.from_json(entry) for entry in entries)


def pending_orders(store: Store) -> tuple[JobOrder, ...]:
    """Orders that no coordinator has applied yet, for people who look before one has."""
    found: list[JobOrder | None] = []
    for name in order_names(store):
        with suppress(StoreError):
            found.append(read_order(store, name))
    return tuple(order for order in found if order is not None)


def order_parts(order: JobOrder) -> tuple[str, ...]:
    """Where an order waits."""
    return (*_ORDERS, f"{order.id}.json")


def orders_by_job(store: Store) -> dict[str, list[JobOrder]]:
    """The orders that no coordinator has applied yet, oldest first, by job."""
    found: dict[str, list[JobOrder]] = {}
    for order in pending_orders(store):
        found.setdefault(order.job_id, []).append(order)
    return found


def ordered_jobs(store: Store) -> frozenset[str]:
    """Ids of the jobs that orders wait about, also of orders that only another version of Segue can read."""
    return frozenset(_job_named(name) for name in order_names(store))


def open_jobs(store: Store) -> tuple[str, ...]:
    """Ids of the jobs that have not ended, in a stable order."""
    return tuple(name.removesuffix(".state") for name in store.children(_OPEN) if name.endswith(".state"))


def close_job(store: Store, job_id: str) -> None:
    """Takes a job that has ended off the list of open ones."""
    store.remove((*_OPEN, f"{job_id}.state"))


@dataclass(frozen=True)
class Wanted:
    """What all orders about a job come to."""

    job_id: str
    submissions: tuple[Submission, ...]
    priority: Priority
    cancelled: bool
    #: Ids of the `retry` orders; each of them opens a round.
    retries: tuple[str, ...]
    submitted_at: str
    #: Id of the last order; a view that names it is known to take everything into account.
    latest: str = ""
    #: As the last submission says; empty for no limit.
    budget: str = ""
    #: As the last submission says.
    node_rate: str = ""
    #: `retry` orders since the last submission: each allows the budget once more.
    retried: int = 0

    @property
    def labels(self) -> dict[str, str]:
        merged: dict[str, str] = {}
        for submission in self.submissions:
            merged.update(submission.labels)
        return merged


def wanted_of(orders: Sequence[JobOrder]) -> Wanted | None:
    """Folds a job's orders; None when it was never submitted."""
    submissions: dict[tuple[str, str], Submission] = {}
    priority, cancelled, retries, first, newest, retried = Priority.NORMAL, False, [], "", None, 0
    for order in orders:
        if order.kind is OrderKind.SUBMIT and order.submission is not None:
            # What was last asked for one place holds there, as with `segue run`; another place is one more delivery.
            delivery = order.submission.delivery
            submissions[(str(delivery.media), str(delivery.folder))] = order.submission
            priority, cancelled, first = order.submission.priority, False, first or order.at
            # Submitted again after it ended with gaps: what failed may be tried again, as with `segue run`.
            retries.append(order.id)
            newest, retried = order.submission, 0
        elif order.kind is OrderKind.CANCEL:
            cancelled = True
        elif order.kind is OrderKind.RETRY:
            cancelled = False
            retries.append(order.id)
            retried += 1
        elif order.kind is OrderKind.REPRIORITISE and order.priority is not None:
            priority = order.priority
    if newest is None:
        return None
    wanted = Wanted(orders[0].job_id, tuple(submissions.values()), priority, cancelled, tuple(retries), first)
    return replace(wanted, latest=orders[-1].id, budget=newest.budget, node_rate=newest.node_rate, retried=retried)


# -- finding a job -------------------------------------------------------------------------------------------


def find_submitted(store: Store, wanted: str) -> str:
    """The id of a job, by id, start of it, media name or ``last``; also one that no coordinator has seen yet.

    Raises UsageError when none or several fit.
    """
    waiting = pending_orders(store)
    known = {order.job_id for order in waiting if order.kind is OrderKind.SUBMIT}
    by_id = {job_id for job_id in known if wanted and job_id.startswith(wanted)}
    by_id |= {folder.job_id for folder in list_jobs(store) if wanted and folder.job_id.startswith(wanted)}
    if len(by_id) == 1:
        return by_id.pop()
    if by_id:
        ids = ", ".join(each[:12] for each in sorted(by_id)[:5])
        raise UsageError(f"'{wanted}' could be {len(by_id)} jobs: {ids}", "say which by the start of its id")
    named = [] if wanted == "last" else _submitted_as(store, wanted, waiting)
    try:
        folder = find_job(store, wanted)
    except UsageError:
        if named:
            return max(named)[1]
        raise
    # A file has a job for each combination of settings; a person means the one they asked for last.
    return max([*named, (folder.noted_at(), folder.job_id)])[1]


def _submitted_as(store: Store, wanted: str, waiting: Sequence[JobOrder]) -> list[tuple[str, str]]:
    """(when, job id) of each submission of a media file of this name."""
    found = [
        (order.at, order.job_id)
        for order in waiting
        if order.submission is not None and _is_called(order.submission.delivery.media, wanted)
    ]
    for folder in list_jobs(store):
        view = read_view(store, folder.job_id)
        if view is not None:
            media, at = view.media, view.submitted_at
        else:
            asked = wanted_of(filed_orders(store, folder.job_id))
            media = tuple(each.delivery.media for each in asked.submissions) if asked else ()
            at = asked.submitted_at if asked else ""
        if any(_is_called(path, wanted) for path in media):
            found.append((at, folder.job_id))
    return found


def _is_called(media: Path, wanted: str) -> bool:
    return bool(wanted) and (wanted in (media.name, media.stem) or media == Path(wanted).absolute())
