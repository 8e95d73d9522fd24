"""Admission: jobs are opened when it is their turn, and make room for others while nobody serves them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from coordinator.active import ActiveJob
from coordinator.active_jobs import ActiveJobs
from coordinator.announcements import Announcements
from coordinator.defects import Defects, JobDefectError, blaming
from coordinator.finalizer import Finalizer
from coordinator.opening import Opened, Unopened, open_job, restore_views
from coordinator.register import SET_ASIDE_S, JobRegister
from coordinator.views import ViewWriter
from core.errors import MediaError, SegueError, StoreError
from journals.demand import DemandLog
from pipeline.plan_queue import PlanningStoppedError, PutOffError
from pipeline.runtime import Runtime

#: Jobs that are open at once: their ready units are in memory.
MOST_ACTIVE = 128
#: Jobs that are being planned at once; decoding and speech detection use one core each.
PLANNERS = 2
#: A job that nobody serves is set aside for others when it has been open for so long, in seconds, and so many a pass.
SET_ASIDE_AFTER_S, SET_ASIDE_A_PASS = 10.0, 8


class Admission:
    """Opens jobs; opening happens in threads that hand their results to `collect`."""

    def __init__(
        self,
        runtime: Runtime,
        jobs: ActiveJobs,
        register: JobRegister,
        defects: Defects,
        demand: DemandLog,
        finalizer: Finalizer,
        views: ViewWriter,
        announcements: Announcements,
    ) -> None:
        self._runtime, self._jobs, self._register, self._defects = runtime, jobs, register, defects
        self._demand, self._finalizer, self._views, self._announcements = demand, finalizer, views, announcements
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

    def close(self) -> None:
        """Leaves what is being planned; the next coordinator plans it."""
        self._stop.set()
        self._planners.shutdown(wait=True, cancel_futures=True)
        self._express.shutdown(wait=True, cancel_futures=True)
        self._slow.shutdown(wait=True, cancel_futures=True)

    def activate(self) -> None:
        room = MOST_ACTIVE - len(self._jobs) - len(self._opening)
        busy = self._jobs.keys() | self._opening
        if self._rushing not in self._opening and (urgent := self._register.next_rush(busy)):
            self._rushing = urgent
            self._opening.add(urgent)
            self._express.submit(self._open, urgent)
            busy = busy | {urgent}
        if self._thin not in self._opening and room > 0 and (thin := self._register.next_thin(busy)):
            self._thin = thin
            self._opening.add(thin)
            self._slow.submit(self._open, thin, alone=True)
            busy = busy | {thin}
        opening = sum(not self._register.is_thin(job_id) for job_id in self._opening)
        for job_id in self._register.next(busy, room, PLANNERS * 2 - opening):
            self._opening.add(job_id)
            self._planners.submit(self._open, job_id)

    def make_room(self, unserved: Callable[[ActiveJob], object]) -> None:
        """Sets jobs aside that nobody serves while others wait for their places; they are opened again later."""
        busy = self._jobs.keys() | self._opening
        if len(busy) < MOST_ACTIVE or not self._register.is_due(busy):
            return
        latest = time.monotonic() - SET_ASIDE_AFTER_S
        stuck = []
        for job in self._jobs.values():
            with blaming(job.job_id):
                if job.opened < latest and not job.halted and unserved(job):
                    stuck.append(job)
        for job in stuck[:SET_ASIDE_A_PASS]:
            self._jobs.withdraw(job)
            self._register.postpone(job.job_id, SET_ASIDE_S)

    def _open(self, job_id: str, *, alone: bool = False) -> None:
        """In a planning thread: hands what became of it to the loop."""
        try:
            found = open_job(job_id, self._runtime, self._stop.is_set, alone=alone)
        except PlanningStoppedError:
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
            with self._defects.isolating(job_id):
                draw()

    def _on_defect(self, job_id: str, error: Exception) -> None:
        self._opening.discard(job_id)
        raise JobDefectError(job_id) from error

    def _on_opened(self, job_id: str, found: Opened | Unopened | None) -> None:
        self._opening.discard(job_id)
        wanted = self._register.wanted(job_id)
        if found is None or wanted is None:
            self._register.drop(job_id)
            return
        if wanted.cancelled:
            # The disk failed when it was to be cancelled.
            self._finalizer.cancel(wanted, None)
            self._register.drop(job_id)
            return
        if wanted.retries != found.wanted.retries or wanted.submissions != found.wanted.submissions:
            return  # Asked for again while it was being opened: the register hands it out once more.
        if isinstance(found, Unopened):
            self._demand.asked(found.folder)
            self._finalizer.known(found)
            self._register.drop(job_id)
            return
        job = ActiveJob(
            replace(found.wanted, priority=wanted.priority),
            found.folder,
            found.request,
            found.work,
            found.round,
            self._runtime.store.identity.id,
        )
        # What the disk may refuse comes first: the job is then opened once more.
        self._demand.wanted(job.folder)
        self._jobs.enter(job)
        self._announcements.log(
            job_id, "opened", f"{len(found.work.plan.windows)} windows, {len(found.work.ready())} units ready"
        )

    def _on_put_off(self, job_id: str) -> None:
        self._opening.discard(job_id)
        self._register.note_thin(job_id)
        self._announcements.log(
            job_id, "put-off", "planned beside the others: it holds far more sound than its bytes let expect"
        )

    def _on_unopenable(self, job_id: str, reason: str) -> None:
        """The disk, not the job, is to blame: it is tried again."""
        self._opening.discard(job_id)
        self._register.postpone(job_id)
        self._announcements.say(f"job {job_id[:12]} waits: {reason}")
        wanted = self._register.wanted(job_id)
        if wanted is not None:
            self._views.waits(wanted, reason)

    def _on_impossible(self, job_id: str, reason: str) -> None:
        self._opening.discard(job_id)
        wanted = self._register.wanted(job_id)
        if wanted is not None:
            self._finalizer.impossible(wanted, reason)
        self._register.drop(job_id)

    def restore_views(self, job_ids: object) -> None:
        for job_id in job_ids if isinstance(job_ids, list) else []:
            job = self._jobs.get(job_id) if isinstance(job_id, str) else None
            if job is not None and job_id not in self._opening:
                self._opening.add(job.job_id)
                self._jobs.withdraw(job)
                thin = self._register.is_thin(job_id)
                (self._slow if thin else self._planners).submit(self._restore, job, alone=thin)

    def _restore(self, job: ActiveJob, *, alone: bool) -> None:
        opened = Opened(job.wanted, job.folder, job.request, job.work, job.round)
        try:
            restored = restore_views(opened, self._stop.is_set, alone=alone)
        except PlanningStoppedError:
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
