"""A store without a coordinator: orders on disk, and views written by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segue_cli import Segue

from cache.store import Store
from jobs.queue_view import QueueView, write_view
from jobs.submissions import OrderKind, file_order, pending_orders
from pipeline.report import JobState


def submit(segue: Segue, media: Path, *more: str) -> str:
    done = segue("submit", media, "--to", "es", "--from", "en", "--out", "out", "--json", *more)
    assert done.code == 0, done.stderr
    (job,) = done.json["jobs"]
    return str(job["id"])


def apply_orders(store: Store) -> list[OrderKind]:
    """What a coordinator does with orders, without doing anything about them."""
    orders = pending_orders(store)
    for order in orders:
        file_order(store, order)
    return [order.kind for order in orders]


def show(store: Store, job_id: str, state: JobState, **changes: object) -> QueueView:
    """The view of a job as a coordinator would write it."""
    from jobs.queue_listing import job_view

    apply_orders(store)
    view = job_view(store, job_id, ())
    assert view is not None
    view = replace(view, state=state, waiting_for="", **changes)  # type: ignore[arg-type]
    write_view(store, view)
    return view
