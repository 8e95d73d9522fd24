"""Admission: orders are applied, and jobs are opened when it is their turn."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from coordinator.active import ActiveJob
from coordinator.defects import JobDefectError, blaming
from coordinator.finalizer import Finalizer
from coordinator.floor import Floor
from coordinator.opening import Opened, Unopened, open_job, restore_views
from coordinator.register import SET_ASIDE_S
from coordinator.views import Views
from core.errors import MediaError, SegueError, StoreError
from core.keys import Key
from jobs.submissions import JobOrder, OrderKind, file_order, filed_orders, open_jobs, order_names, read_order
from pipeline.jobs import JobFolder
from pipeline.plan_queue import PutOffError, StoppedError
from pipeline.stages.stage import Unit
from tasks.broker import BrokerAwayError

#: Jobs that are open at once: their ready units are in memory.
MOST_ACTIVE = 128
#: Jobs that are being planned at once; decoding and speech detection use one core each.
PLANNERS = 2
#: Orders applied in one pass, so that a folder of 10,000 does not keep workers waiting.
ORDERS_A_PASS = 200
#: And for so many seconds at most: each is made durable, which is slow on a network disk.
ORDERS_S = 0.5
#: An order in which a defect was met is tried again after so long, in seconds.
REFUSED_S = 60.0
#: A job that nobody serves is set aside for others when it has been open for so long, in seconds, and so many a pass.
SET_ASIDE_AFTER_S, SET_ASIDE_A_PASS = 10.0, 8


class Admission:
    """Applies orders and opens jobs; opening happens in threads that hand their results to `collect`."""

    def __init__(self, floor: Floor, finalizer: Finalizer, views: Views) -> None:
        self._floor, self._finalizer, self._views = floor, finalizer, views
        self._stop = threading.Event()
        self._opening: set[str] = set()
        self._opened: queue.SimpleQueue[tuple[str, Callable[[], None]]] = queue.SimpleQueue()
        self._planners = ThreadPoolExecutor(PLANNERS, thread_name_prefix="plan")
        #: For jobs in a rush: ten hours of somebody else's sound may be decoded just now.
        self._express = ThreadPoolExecutor(1, thread_name_prefix="plan-rush")
        self._rushing = ""
        #: For files with far more sound than their bytes let expect, one at a time: they hold up one another only.
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="plan-thin")
        self._thin = ""
        #: Orders that may have been filed, and whose consequences have not been drawn.
        self._owed: list[JobOrder] = []
        #: Orders in which a defect was ever met, and when each is tried again; monotonic seconds.
        self._refused: dict[str, float] = {}

    def close(self) -> None:
        """Leaves what is being planned; the next coordinator plans it."""
        self._stop.set()
        self._planners.shutdown(wait=True, cancel_futures=True)
        self._express.shutdown(wait=True, cancel_futures=True)
        self._slow.shutdown(wait=True, cancel_futures=True)

    # -- orders ----------------------------------------------------------------------------------------------

    def apply_orders(self) -> None:
        self._draw_owed()
        until = time.monotonic() + ORDERS_S
        names = [name for name in order_names(self._floor.store) if not self._is_refused(name.removesuffix(".json"))]
        for name in names[:ORDERS_A_PASS]:
            if time.monotonic() > until:
                return
            try:
                order = read_order(self._floor.store, name)
                if order is not None:
                    # Refuses what is no job's id.
                    JobFolder(self._floor.store, order.job_id)
            except (SegueError, ValueError, KeyError, TypeError) as error:
                self._floor.say(f"order {name} is left where it is: {error}")
                continue
            if order is None:
                continue
            # Whichever of the following the disk refuses: an order that is filed must not be forgotten.
            if order not in self._owed:
                self._owed.append(order)
            with self._floor.isolating(order.job_id), self._refusing(order):
                if file_order(self._floor.store, order):
                    self._on_order(order.job_id, order.kind)
                    self._floor.log(order.job_id, "order", str(order.kind), order=order.id)
                self._owed.remove(order)

    def _draw_owed(self) -> None:
        """Orders that an earlier pass filed, or began to, when the disk failed."""
        for order in list(self._owed):
            if self._is_refused(order.id):
                continue
            with self._floor.isolating(order.job_id), self._refusing(order):
                is_filed = any(filed.id == order.id for filed in filed_orders(self._floor.store, order.job_id))
                if is_filed and not self._is_over(order):
                    self._on_order(order.job_id, order.kind)
                self._owed.remove(order)

    def _is_over(self, order: JobOrder) -> bool:
        """True for an order in which a defect was met, and whose job has ended since: nothing is owed to it any more,
        and what has ended must not be begun again."""
        return order.id in self._refused and order.job_id not in open_jobs(self._floor.store)

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
        wanted = self._floor.register.update(job_id)
        if wanted is None:
            self._floor.say(f"job {job_id[:12]} was never submitted; the {kind} order about it changes nothing")
            return
        job = self._floor.active.get(job_id)
        if kind is OrderKind.REPRIORITISE and job is not None:
            job.wanted = replace(job.wanted, priority=wanted.priority)
        elif kind is OrderKind.CANCEL:
            if self._floor.register.is_held(job_id):
                # All of it is computed and being delivered: it ends as done, for its view and its webhook alike.
                return
            if job is not None:
                self.withdraw(job)
            self._finalizer.cancel(wanted, job)
            self._floor.register.drop(job_id)
        elif kind in (OrderKind.SUBMIT, OrderKind.RETRY):
            if job is not None:
                # Opened afresh: another delivery, or another round for what has failed.
                self.withdraw(job)
            self._views.queued(wanted)

    def hold_back(self, job: ActiveJob) -> None:
        """Takes batches with a job's units that nobody has begun out of the queue."""
        for batch in list(self._floor.in_flight.sent.values()):
            mine = [key for key, unit in batch.units.items() if unit.job_id == job.job_id]
            if mine and batch.waiting:
                self._drop_queue(batch.queue)

    def withdraw(self, job: ActiveJob) -> None:
        """Withdraws a job; batches that nobody has begun are taken out of the queue with it."""
        self._floor.active.pop(job.job_id, None)
        self._floor.share.leave(job)
        self.hold_back(job)
        for key in [key for key, unit in self._in_flight() if unit.job_id == job.job_id]:
            self._floor.in_flight.settle(key)

    def _drop_queue(self, name: str) -> None:
        try:
            self._floor.broker.empty(name)
        except BrokerAwayError:
            return
        for batch in list(self._floor.in_flight.sent.values()):
            if batch.queue == name and batch.waiting and not batch.leased:
                self._floor.in_flight.give_back(batch)

    def _in_flight(self) -> list[tuple[Key, Unit]]:
        return [pair for batch in self._floor.in_flight.sent.values() for pair in batch.units.items()]

    # -- opening ---------------------------------------------------------------------------------------------

    def activate(self) -> None:
        room = MOST_ACTIVE - len(self._floor.active) - len(self._opening)
        busy = self._floor.active.keys() | self._opening
        if self._rushing not in self._opening and (urgent := self._floor.register.next_rush(busy)):
            self._rushing = urgent
            self._opening.add(urgent)
            self._express.submit(self._open, urgent)
            busy = busy | {urgent}
        if self._thin not in self._opening and room > 0 and (thin := self._floor.register.next_thin(busy)):
            self._thin = thin
            self._opening.add(thin)
            self._slow.submit(self._open, thin, alone=True)
            busy = busy | {thin}
        opening = sum(not self._floor.register.is_thin(job_id) for job_id in self._opening)
        for job_id in self._floor.register.next(busy, room, PLANNERS * 2 - opening):
            self._opening.add(job_id)
            self._planners.submit(self._open, job_id)

    def make_room(self, unserved: Callable[[ActiveJob], object]) -> None:
        """Sets jobs aside that nobody serves while others wait for their places; they are opened again later."""
        floor = self._floor
        busy = floor.active.keys() | self._opening
        if len(busy) < MOST_ACTIVE or not floor.register.is_due(busy):
            return
        latest = time.monotonic() - SET_ASIDE_AFTER_S
        stuck = []
        for job in floor.active.values():
            with blaming(job.job_id):
                if job.opened < latest and not job.halted and unserved(job):
                    stuck.append(job)
        for job in stuck[:SET_ASIDE_A_PASS]:
            self.withdraw(job)
            floor.register.postpone(job.job_id, SET_ASIDE_S)

    def _open(self, job_id: str, *, alone: bool = False) -> None:
        """In a planning thread: hands what became of it to the loop."""
        try:
            found = open_job(job_id, self._floor.runtime, self._stop.is_set, alone=alone)
        except StoppedError:
            return
        except PutOffError:
            self._opened.put((job_id, lambda: self._on_put_off(job_id)))
        except StoreError as error:
            reason = str(error)
            self._opened.put((job_id, lambda: self._on_unopenable(job_id, reason)))
        except SegueError as error:
            reason = str(error)
            self._opened.put((job_id, lambda: self._on_impossible(job_id, reason)))
        except Exception as error:  # noqa: BLE001 - a defect of ours on one job must not cost the others
            defect = error
            self._opened.put((job_id, lambda: self._on_defect(job_id, defect)))
        else:
            self._opened.put((job_id, lambda: self._on_opened(job_id, found)))

    def collect(self) -> None:
        while not self._opened.empty():
            job_id, draw = self._opened.get()
            with self._floor.isolating(job_id):
                draw()

    def _on_defect(self, job_id: str, error: Exception) -> None:
        self._opening.discard(job_id)
        raise JobDefectError(job_id) from error

    def _on_opened(self, job_id: str, found: Opened | Unopened | None) -> None:
        self._opening.discard(job_id)
        wanted = self._floor.register.wanted(job_id)
        if found is None or wanted is None:
            self._floor.register.drop(job_id)
            return
        if wanted.cancelled:
            # The disk failed when it was to be cancelled.
            self._finalizer.cancel(wanted, None)
            self._floor.register.drop(job_id)
            return
        if wanted.retries != found.wanted.retries or wanted.submissions != found.wanted.submissions:
            return  # Asked for again while it was being opened: the register hands it out once more.
        if isinstance(found, Unopened):
            self._finalizer.known(found)
            self._floor.register.drop(job_id)
            return
        job = ActiveJob(
            replace(found.wanted, priority=wanted.priority),
            found.folder,
            found.request,
            found.work,
            found.round,
            self._floor.store_id,
        )
        # What the disk may refuse comes first: the job is then opened once more.
        self._floor.wants.wanted(job.folder)
        self._floor.share.enter(job, self._floor.active.values())
        self._floor.active[job_id] = job
        self._floor.log(
            job_id, "opened", f"{len(found.work.plan.windows)} windows, {len(found.work.ready())} units ready"
        )

    def _on_put_off(self, job_id: str) -> None:
        self._opening.discard(job_id)
        self._floor.register.note_thin(job_id)
        self._floor.log(
            job_id, "put-off", "planned beside the others: it holds far more sound than its bytes let expect"
        )

    def _on_unopenable(self, job_id: str, reason: str) -> None:
        """The disk, not the job, is to blame: it is tried again."""
        self._opening.discard(job_id)
        self._floor.register.postpone(job_id)
        self._floor.say(f"job {job_id[:12]} waits: {reason}")
        wanted = self._floor.register.wanted(job_id)
        if wanted is not None:
            self._views.waits(wanted, reason)

    def _on_impossible(self, job_id: str, reason: str) -> None:
        self._opening.discard(job_id)
        wanted = self._floor.register.wanted(job_id)
        if wanted is not None:
            self._finalizer.impossible(wanted, reason)
        self._floor.register.drop(job_id)

    def restore_views(self, job_ids: object) -> None:
        for job_id in job_ids if isinstance(job_ids, list) else []:
            job = self._floor.active.get(job_id) if isinstance(job_id, str) else None
            if job is not None and job_id not in self._opening:
                self._opening.add(job.job_id)
                self.withdraw(job)
                thin = self._floor.register.is_thin(job_id)
                (self._slow if thin else self._planners).submit(self._restore, job, alone=thin)

    def _restore(self, job: ActiveJob, *, alone: bool) -> None:
        opened = Opened(job.wanted, job.folder, job.request, job.work, job.round)
        try:
            restored = restore_views(opened, self._stop.is_set, alone=alone)
        except StoppedError:
            return
        except PutOffError:
            self._opened.put((job.job_id, lambda: self._on_put_off(job.job_id)))
        except MediaError as error:
            reason = f"its decoded audio is damaged and cannot be made again: {error.message}"
            self._opened.put((job.job_id, lambda: self._on_impossible(job.job_id, reason)))
        except SegueError as error:
            reason = str(error)
            self._opened.put((job.job_id, lambda: self._on_unopenable(job.job_id, reason)))
        except Exception as error:  # noqa: BLE001 - as in `_open`
            defect = error
            self._opened.put((job.job_id, lambda: self._on_defect(job.job_id, defect)))
        else:
            self._opened.put((job.job_id, lambda: self._on_opened(job.job_id, restored)))
