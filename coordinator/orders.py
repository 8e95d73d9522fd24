"""Orders: what people ask of jobs is taken from the store, filed with its job, and acted upon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cache.store import Store
from coordinator.active_jobs import ActiveJobs
from coordinator.announcements import Announcements
from coordinator.defects import Defects, JobDefectError, blaming
from coordinator.finalizer import Finalizer
from coordinator.register import JobRegister
from coordinator.views import ViewWriter
from core.errors import SegueError
from jobs.submissions import JobOrder, OrderKind, file_order, filed_orders, open_jobs, order_names, read_order
from pipeline.jobs import JobFolder

#: Orders applied in one pass, so that a folder of 10,000 does not keep workers waiting.
ORDERS_A_PASS = 200
#: And for so many seconds at most: each is made durable, which is slow on a network disk.
ORDERS_S = 0.5
#: An order in which a defect was met is tried again after so long, in seconds.
REFUSED_S = 60.0


class OrderProcessor:
    """Applies orders. An order that was filed is acted upon, however often the disk fails between the two."""

    def __init__(
        self,
        store: Store,
        views: ViewWriter,
        announcements: Announcements,
        jobs: ActiveJobs,
        register: JobRegister,
        defects: Defects,
        finalizer: Finalizer,
    ) -> None:
        self._store, self._jobs, self._register, self._defects = store, jobs, register, defects
        self._finalizer, self._views, self._announcements = finalizer, views, announcements
        #: Orders that may have been filed, and whose consequences have not been drawn.
        self._owed: list[JobOrder] = []
        #: Orders in which a defect was ever met, and when each is tried again; monotonic seconds.
        self._refused: dict[str, float] = {}

    def apply(self) -> None:
        self._draw_owed()
        until = time.monotonic() + ORDERS_S
        names = [name for name in order_names(self._store) if not self._is_refused(name.removesuffix(".json"))]
        for name in names[:ORDERS_A_PASS]:
            if time.monotonic() > until:
                return
            try:
                order = read_order(self._store, name)
                if order is not None:
                    # Refuses what is no job's id.
                    JobFolder(self._store, order.job_id)
            except (SegueError, ValueError, KeyError, TypeError) as error:
                self._announcements.say(f"order {name} is left where it is: {error}")
                continue
            if order is None:
                continue
            # Whichever of the following the disk refuses: an order that is filed must not be forgotten.
            if order not in self._owed:
                self._owed.append(order)
            with self._defects.isolating(order.job_id), self._refusing(order):
                if file_order(self._store, order):
                    self._on_order(order.job_id, order.kind)
                    self._announcements.log(order.job_id, "order", str(order.kind), order=order.id)
                self._owed.remove(order)

    def _draw_owed(self) -> None:
        """Orders that an earlier pass filed, or began to, when the disk failed."""
        for order in list(self._owed):
            if self._is_refused(order.id):
                continue
            with self._defects.isolating(order.job_id), self._refusing(order):
                is_filed = any(filed.id == order.id for filed in filed_orders(self._store, order.job_id))
                if is_filed and not self._is_over(order):
                    self._on_order(order.job_id, order.kind)
                self._owed.remove(order)

    def _is_over(self, order: JobOrder) -> bool:
        """True for an order in which a defect was met, and whose job has ended since: nothing is owed to it any more,
        and what has ended must not be begun again."""
        return order.id in self._refused and order.job_id not in open_jobs(self._store)

    @contextmanager
    def _refusing(self, order: JobOrder) -> Iterator[None]:
        """An order in which a defect is met is let alone for a while, and so are its consequences."""
        try:
            with blaming(order.job_id):
                yield
        except JobDefectError:
            self._refused[order.id] = time.monotonic() + REFUSED_S
            raise

    def _is_refused(self, order: str) -> bool:
        return self._refused.get(order, 0.0) > time.monotonic()

    def _on_order(self, job_id: str, kind: OrderKind) -> None:
        wanted = self._register.update(job_id)
        if wanted is None:
            self._announcements.say(f"job {job_id[:12]} was never submitted; the {kind} order about it changes nothing")
            return
        job = self._jobs.get(job_id)
        if kind is OrderKind.REPRIORITISE and job is not None:
            job.wanted = replace(job.wanted, priority=wanted.priority)
        elif kind is OrderKind.CANCEL:
            if self._register.is_held(job_id):
                # All of it is computed and being delivered: it ends as done, for its view and its webhook alike.
                return
            if job is not None:
                self._jobs.withdraw(job)
            self._finalizer.cancel(wanted, job)
            self._register.drop(job_id)
        elif kind in (OrderKind.SUBMIT, OrderKind.RETRY):
            if job is not None:
                # Opened afresh: another delivery, or another round for what has failed.
                self._jobs.withdraw(job)
            self._views.queued(wanted)
