"""Orders: what people ask of the queue, on disk. No broker is needed to submit, cancel, retry or reprioritise.

A command writes one order, durable and under a name of its own, so that any number of machines may submit at once. The
coordinator applies orders in the sequence of their names: it appends them to the job's own list, and only then removes
the order. Whatever it is killed between, applying an order twice changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cache.store import Store
from core.errors import StoreError, UsageError
from core.keys import Digest, canonical_json
from pipeline.delivery import Delivery
from pipeline.job import Caption, JobSettings, make_job_id
from pipeline.jobs import JOBS, JobFolder
from pipeline.report import JobState
from pipeline.requests import Request, plan_request
from pipeline.runtime import Runtime

QUEUE = "queue"
_ORDERS = (QUEUE, "orders")
_OPEN = (QUEUE, "open")
#: Version of an order; a coordinator that does not know it leaves the order where it is and says so.
ORDER_VERSION = 1


class Priority(StrEnum):
    """How soon a job's units are taken."""

    LOW = "low"
    NORMAL = "normal"
    RUSH = "rush"


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
            "priority": str(self.priority),
            "labels": dict(self.labels),
            "notify": self.notify,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Submission:
        """The submission that `as_json` wrote."""
        delivery = Delivery.from_json(value["delivery"], force=bool(value["delivery"]["force"]))
        return cls(
            owner=str(value["owner"]),
            digest=Digest(value["digest"]),
            settings=JobSettings.from_json(value["settings"]),
            delivery=delivery,
            captions=tuple(Caption(*fields) for fields in value["captions"]),
            priority=Priority(value["priority"]),
            labels={str(name): str(text) for name, text in value["labels"].items()},
            notify=str(value["notify"]),
        )


@dataclass(frozen=True)
class Order:
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
    def from_json(cls, value: Mapping[str, Any]) -> Order:
        """The order that `as_json` wrote. Raises StoreError for another version."""
        if value.get("v") != ORDER_VERSION:
            raise StoreError(
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


def submission_of(
    request: Request, runtime: Runtime, priority: Priority, labels: Mapping[str, str], notify: str
) -> Submission:
    """What submitting one input freezes: digest, engines, captions, glossary. Raises MediaError, UsageError."""
    from pipeline.requests import delivery_of

    planned = plan_request(request, runtime)
    return Submission(
        owner=planned.owner,
        digest=planned.digest,
        settings=planned.settings,
        delivery=delivery_of(request),
        captions=planned.captions,
        priority=priority,
        labels=dict(labels),
        notify=notify,
    )


def give_order(
    store: Store,
    kind: OrderKind,
    job_id: str,
    submission: Submission | None = None,
    priority: Priority | None = None,
) -> Order:
    """Writes an order; durable when this returns. Raises StoreError."""
    JobFolder(store, job_id)
    now = datetime.now(UTC)
    # Fixed width, so that names sort by time; two orders of one microsecond from two machines may go either way.
    name = f"{now.strftime('%Y%m%dT%H%M%S%f')}-{os.urandom(6).hex()}"
    order = Order(name, kind, job_id, now.isoformat(timespec="milliseconds"), submission, priority)
    store.write_once((*_ORDERS, f"{name}.json"), canonical_json(order.as_json()))
    return order


# -- reading and applying them -------------------------------------------------------------------------------


def order_names(store: Store) -> tuple[str, ...]:
    """Names of the orders that wait to be applied, oldest first."""
    return tuple(sorted(name for name in store.children(_ORDERS) if name.endswith(".json")))


def read_order(store: Store, name: str) -> Order | None:
    """One waiting order; None when it is gone or was damaged. Raises StoreError for another version."""
    data = store.read_document((*_ORDERS, name))
    return None if data is None else Order.from_json(json.loads(data))


def file_order(store: Store, order: Order) -> bool:
    """Moves an order to its job's own list; False when it was there already. Only the coordinator may call this."""
    folder = (JOBS, order.job_id, "orders.jsonl")
    known = any(entry["id"] == order.id for entry in store.read_journal(folder).entries)
    if not known:
        store.replace_state((*_OPEN, f"{order.job_id}.state"), canonical_json({"job": order.job_id}))
        store.append(folder, [order.as_json()], durable=True)
    store.remove((*_ORDERS, f"{order.id}.json"))
    return not known


def filed_orders(store: Store, job_id: str) -> tuple[Order, ...]:
    """Everything that was ever asked about a job, oldest first."""
    entries = store.read_journal((JOBS, job_id, "orders.jsonl")).entries
    return tuple(Order.from_json(entry) for entry in entries)


def pending_orders(store: Store) -> tuple[Order, ...]:
    """Orders that no coordinator has applied yet, for people who look before one has."""
    found = []
    for name in order_names(store):
        try:
            order = read_order(store, name)
        except StoreError:
            continue
        if order is not None:
            found.append(order)
    return tuple(found)


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

    @property
    def labels(self) -> dict[str, str]:
        merged: dict[str, str] = {}
        for submission in self.submissions:
            merged.update(submission.labels)
        return merged


def wanted_of(orders: Sequence[Order]) -> Wanted | None:
    """Folds a job's orders; None when it was never submitted."""
    submissions: dict[str, Submission] = {}
    priority, cancelled, retries, first = Priority.NORMAL, False, [], ""
    for order in orders:
        if order.kind is OrderKind.SUBMIT and order.submission is not None:
            delivery = canonical_json(order.submission.delivery.as_json()).decode()
            submissions[delivery] = order.submission
            priority, cancelled, first = order.submission.priority, False, first or order.at
            # Submitted again after it ended with gaps: what failed may be tried again, as with `segue run`.
            retries.append(order.id)
        elif order.kind is OrderKind.CANCEL:
            cancelled = True
        elif order.kind is OrderKind.RETRY:
            cancelled = False
            retries.append(order.id)
        elif order.kind is OrderKind.REPRIORITISE and order.priority is not None:
            priority = order.priority
    if not submissions:
        return None
    job_id = orders[0].job_id
    return Wanted(job_id, tuple(submissions.values()), priority, cancelled, tuple(retries), first)


# -- what people are shown -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueueView:
    """How a submitted job stands, as the coordinator last saw it. A view: it can be lost without harm."""

    job_id: str
    state: JobState
    priority: Priority
    owner: str
    labels: Mapping[str, str]
    media: tuple[Path, ...]
    submitted_at: str
    #: Unit counts by stage: (total, done, cached, failed).
    units: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    #: Units that a worker holds right now.
    running: int = 0
    #: Why nothing moves: no worker serves its engine, the disk is full; empty when something does.
    waiting_for: str = ""
    reason: str = ""
    duration_ms: int = 0
    speech_ms: int = 0
    updated_at: str = ""
    #: What became of the webhook, when one was wanted.
    notified: str = ""

    def as_json(self) -> dict[str, Any]:
        """The object that `segue jobs --json` prints for a job."""
        return {
            "id": self.job_id,
            "state": str(self.state),
            "priority": str(self.priority),
            "owner": self.owner,
            "labels": dict(self.labels),
            "media": [str(path) for path in self.media],
            "submitted_at": self.submitted_at,
            "units": {stage: list(counts) for stage, counts in self.units.items()},
            "running": self.running,
            "waiting_for": self.waiting_for,
            "reason": self.reason,
            "duration_ms": self.duration_ms,
            "speech_ms": self.speech_ms,
            "updated_at": self.updated_at,
            "notified": self.notified,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> QueueView:
        """The view that `as_json` wrote."""
        return cls(
            job_id=value["id"],
            state=JobState(value["state"]),
            priority=Priority(value["priority"]),
            owner=value["owner"],
            labels=value["labels"],
            media=tuple(Path(path) for path in value["media"]),
            submitted_at=value["submitted_at"],
            units={stage: (c[0], c[1], c[2], c[3]) for stage, c in value["units"].items()},
            running=value["running"],
            waiting_for=value["waiting_for"],
            reason=value["reason"],
            duration_ms=value["duration_ms"],
            speech_ms=value["speech_ms"],
            updated_at=value["updated_at"],
            notified=value["notified"],
        )


def write_view(store: Store, view: QueueView) -> None:
    """Replaces a job's view."""
    store.replace_state((JOBS, view.job_id, "queue.state"), canonical_json(view.as_json()))


def read_view(store: Store, job_id: str) -> QueueView | None:
    """A job's view; None for one that no coordinator has seen."""
    data = store.read_state((JOBS, job_id, "queue.state"))
    return None if data is None else QueueView.from_json(json.loads(data))


def find_submitted(store: Store, wanted: str) -> str:
    """The id of a submitted job, by id, start of it, media name or ``last``; also one that no coordinator has seen.

    Raises UsageError when none or several fit.
    """
    from pipeline.jobs import find_job

    waiting = [order for order in pending_orders(store) if order.kind is OrderKind.SUBMIT]
    matches = {order.job_id for order in waiting if wanted and order.job_id.startswith(wanted)}
    matches |= {
        order.job_id
        for order in waiting
        if order.submission and wanted in (order.submission.delivery.media.name, order.submission.delivery.media.stem)
    }
    try:
        folder = find_job(store, wanted)
    except UsageError:
        if len(matches) == 1:
            return matches.pop()
        raise
    return folder.job_id


