"""The embedded executor: plans, runs and assembles jobs in this process, with nothing but the disk between runs.

Three kinds of thread: one plans (decoding and speech detection), one runs the engines of this machine, and one
those elsewhere. They share a `RunState`; no engine is ever called with its lock held.
Whatever ends the process, the next run reads from disk what is ready.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from cache.faults import BlobDamagedError
from core.conditions import condition_of, reason_of
from core.errors import EngineError, MachineError, MediaError, SegueError, StoreError, UsageError
from engines.engine import Engine
from journals.attempts import AttemptJournal
from journals.demand import DemandLog
from journals.log_ends import EndOfLogRecorder
from journals.node_session import NodeSession, local_facts
from pipeline.batches import Outcome, run_units
from pipeline.budget import Budget, BudgetGate
from pipeline.engines_pool import EnginePool
from pipeline.job_summary import finished_result, note_summary
from pipeline.jobs import JobFolder, note_refused
from pipeline.lifecycle import deliver, open_work, restore_work
from pipeline.outputs.delivery import Delivery
from pipeline.outputs.left_behind import left_by
from pipeline.plan_queue import PlanningStoppedError, PlanQueue, PutOffError
from pipeline.planning import PlanRequest
from pipeline.progress import Watcher
from pipeline.report import FileResult, JobState, RunReport, left_of, tally_of
from pipeline.run_state import EngineNeed, OpenJob, RunState
from pipeline.runtime import Runtime
from pipeline.stages import engine_stages, engines_of_views
from pipeline.stages.stage import Unit

#: Speech that may wait, planned, for the engines: enough to keep them busy, little enough to keep memory flat.
LOOKAHEAD_MS = 30 * 60_000
#: Jobs that may be open at once, whatever their length.
LOOKAHEAD_JOBS = 64


@dataclass(frozen=True)
class Entry:
    """One input file of a run: how to plan it, and where its outputs go."""

    delivery: Delivery
    #: Called in the planning thread; raises MediaError when the file is unusable.
    request: Callable[[], PlanRequest]


class Executor:
    """One run over several inputs. `run` may be called once; `stop` from any thread or signal handler."""

    def __init__(
        self, runtime: Runtime, entries: Sequence[Entry], watcher: Watcher, budget: Budget | None = None
    ) -> None:
        self._runtime, self._entries, self._watcher, self._budget = runtime, entries, watcher, budget
        self._store = runtime.store
        self._journal = (
            AttemptJournal(runtime.store) if budget is None else AttemptJournal(runtime.store, tell=budget.take)
        )
        self._recorder = EndOfLogRecorder(runtime.store, self._journal.session)
        self._demand = DemandLog(self._recorder)
        self._engines = EnginePool(runtime.resources, self._journal.engine_loaded)
        self._state = RunState()
        self._deliverer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="deliver")
        self._results: dict[int, FileResult] = {}
        self._restored: set[str] = set()
        self._queue = PlanQueue([entry.delivery.media for entry in entries])
        self._session: NodeSession | None = None
        self._session_lock = threading.Lock()
        self._stop = threading.Event()
        self._gate = BudgetGate(budget, self.stop)
        self._fatal: BaseException | None = None

    def stop(self) -> None:
        """Takes no more work; what is in flight is finished and committed. Safe in a signal handler."""
        self._stop.set()

    def run(self) -> RunReport:
        """Runs until every input is through, or until `stop`. Raises only for a defect in Segue itself."""
        started = time.monotonic()
        bodies = [self._plan_all, partial(self._run_stages, remote=False)]
        # A second one that never finds work would look through all units each time that one is through.
        if any(self._runtime.is_remote(stage.role) for stage in engine_stages()):
            bodies.append(partial(self._run_stages, remote=True))
        threads = [threading.Thread(target=self._guard, args=(body,), daemon=True) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            # A join without time-out would keep the main thread from ever seeing a signal.
            while thread.is_alive():
                thread.join(0.2)
        self._deliverer.shutdown(wait=True)
        self._want_no_more()
        self._engines.close()
        self._close_session()
        if self._fatal is not None and not isinstance(self._fatal, SegueError):
            raise self._fatal
        over = self._gate.closed and self._fatal is None
        stopped = str(self._fatal or "")
        if over:
            self._close_for_budget()
        self._close_rest(JobState.BUDGET_STOPPED if over else JobState.INTERRUPTED, stopped)
        files = tuple(self._results[number] for number in sorted(self._results))
        held = any(result.state is JobState.BUDGET_STOPPED for result in files)
        return RunReport(
            files=files,
            interrupted=self._stop.is_set() and not over,
            stopped=stopped,
            elapsed_seconds=time.monotonic() - started,
            budget=None if self._budget is None else replace(self._budget.final(), stopped=held),
        )

    def _guard(self, body: Callable[[], None]) -> None:
        """Ends the run when a thread fails: a full disk, a vanished store, a machine's lack, or a defect of ours."""
        try:
            body()
        except BaseException as error:  # noqa: BLE001 - reported or raised again by `run`
            self._fatal = self._fatal or condition_of(error) or error
            self._stop.set()
            self._state.no_more_plans()

    # -- planning --------------------------------------------------------------------------------------------

    def _plan_all(self) -> None:
        self._count_earlier()
        for number in self._queue:
            entry = self._entries[number]
            while self._full() and not self._stop.wait(0.1):
                pass
            if self._stop.is_set():
                break
            try:
                self._plan_one(number, entry)
            except PutOffError:
                self._queue.put_off(number)
            except StoreError:
                raise
            except PlanningStoppedError:
                break
            except SegueError as error:
                self._finish(number, FileResult(entry.delivery.media, JobState.FAILED, reason=str(error)))
            except Exception as error:  # noqa: BLE001 - a defect of ours on one file must not cost the others
                self._finish(number, FileResult(entry.delivery.media, JobState.FAILED, reason=reason_of(error)))
        self._state.no_more_plans()

    def _count_earlier(self) -> None:
        """What earlier runs paid for these inputs is known to the budget before anything new is paid for."""
        if self._budget is None:
            return
        for entry in self._entries:
            if self._stop.is_set():
                return
            # What is wrong with an input is said when it is planned.
            with suppress(MediaError, EngineError, UsageError):
                self._budget.include(entry.request().job_id)

    def _stopped_before(self, need: EngineNeed) -> bool:
        """Before an engine is loaded: True when the budget would not pay for loading it and one unit."""
        units = self._state.take(need, 1)
        self._state.release(units)
        return bool(units) and not self._gate.affordable(units, need.spec, need.remote)

    def _full(self) -> bool:
        return len(self._state.jobs) >= LOOKAHEAD_JOBS or self._state.waiting_ms() > LOOKAHEAD_MS

    def _plan_one(self, number: int, entry: Entry) -> None:
        delivery = entry.delivery
        request = entry.request()
        folder = JobFolder(self._store, request.job_id)
        known = finished_result(folder, delivery)
        if known is not None:
            self._finish(number, replace(known, left_behind=left_by(folder, delivery, known)))
            return
        delivery.check(request.settings, self._store)
        if self._state.join(request.job_id, (number, delivery)):
            return
        hearing = {} if folder.has_plan() else engines_of_views(request.settings)
        for spec in hearing.values():
            if spec in self._state.dead:
                # Decoding what nobody can use in this run would only fill the disk.
                self._finish(number, FileResult(delivery.media, JobState.FAILED, reason=self._state.dead[spec]))
                return
        if hearing:
            # Decoding keeps the machine as well. No engine is loaded meanwhile: whether any unit needs one is known
            # only when the windows are, since their results may be in the store.
            self._open_session()
        folder.clear_failures()
        work = open_work(request, folder, partial(self._on_decoded, number))
        self._watcher.opened(delivery.media, work)
        job = OpenJob(folder, request, work, [(number, delivery)])
        if work.finished:
            self._deliver(job)
        else:
            folder.note_delivery(delivery, work.plan.settings.describe_engines())
            self._demand.wanted(folder)
            self._state.add(job)

    def _on_decoded(self, number: int, done_ms: int, total_ms: int) -> None:
        """Shows progress; leaves a long decoding at once when the run is to stop, or to let others go first."""
        if self._stop.is_set():
            raise PlanningStoppedError
        self._queue.look_at(number, done_ms)
        self._watcher.decoding(self._entries[number].delivery.media, done_ms, total_ms)

    # -- running ---------------------------------------------------------------------------------------------

    def _run_stages(self, *, remote: bool) -> None:
        """Takes batches for engines elsewhere, or for those of this machine, until none can become ready any more."""
        while (need := self._await_need(remote=remote)) is not None:
            try:
                if self._stopped_before(need):
                    break
                self._open_session()
                engine = self._engines.open(need.role, need.spec)
                free = self._state.take(need, engine.batch_size)
                batch = self._gate.affordable(free, engine.spec, engine.remote)
                self._state.release(free[len(batch) :])
                if batch:
                    self._run_batch(batch, engine)
            except EngineError as error:
                self._state.kill(need.spec, str(error))
            except SegueError:
                raise
            except Exception as error:  # noqa: BLE001 - what is finished must still be delivered
                self._state.kill(need.spec, reason_of(error))

    def _await_need(self, *, remote: bool) -> EngineNeed | None:
        state = self._state
        with state.changed:
            while not self._stop.is_set():
                for job in state.take_stuck():
                    self._deliver(job)
                need = state.need(remote=remote)
                if need is not None:
                    return None if self._gate.refuses() else need
                if state.exhausted():
                    state.changed.notify_all()
                    return None
                state.changed.wait(0.2)
        return None

    def _run_batch(self, batch: list[Unit], engine: Engine) -> None:
        # An engine of this machine that can stop between two units asks before each, and so does the account.
        divisible = [] if engine.remote else batch
        gate, spec = self._gate, engine.spec
        try:
            run_units(
                batch,
                lambda job_id: self._state.jobs[job_id].work.plan,
                engine,
                self._store,
                self._journal,
                self._settle,
                lambda: self._stop.is_set() or gate.refuses() or not gate.fits(divisible, spec, False),
            )
        except BlobDamagedError as error:
            self._restore_audio(batch, error)
        finally:
            self._state.release(batch)

    def _restore_audio(self, batch: list[Unit], damage: BlobDamagedError) -> None:
        """Decodes again what turned out to be damaged on disk; the batch is simply ready again afterwards."""
        for job_id in {unit.job_id for unit in batch}:
            job = self._state.jobs.get(job_id)
            if job is None:
                continue
            if job_id in self._restored:
                # A disk that damages it again right away will do so for ever.
                raise damage
            self._restored.add(job_id)
            self._watcher.note(f"{job.request.path.name}: {damage.message}; decoding it again")
            try:
                self._state.replace(job, restore_work(job.request, job.work, job.folder, lambda _done, _total: None))
            except MediaError as error:
                # The media has gone as well: what needs its audio fails, everything else goes on.
                for unit in (unit for unit in batch if unit.job_id == job_id):
                    self._settle(Outcome(unit, None, str(error)))

    def _settle(self, outcome: Outcome) -> None:
        finished = self._state.settle(outcome)
        unit = outcome.unit
        self._watcher.advanced(unit.stage, unit.audio_ms, failed=outcome.record is None)
        if finished is not None:
            self._deliver(finished)

    def _open_session(self) -> None:
        """From the first engine on, this run costs what its machine costs: it is a node session of its own."""
        with self._session_lock:
            if self._session is None:
                price, name = self._runtime.settings.node_price, self._journal.session
                self._session = NodeSession.open(self._store, local_facts(), price, name=name, say=self._watcher.note)
                if self._budget is not None:
                    self._budget.begin()
                # Beside the work: on a network disk it takes a while.
                self._deliverer.submit(self._look_around)

    def _look_around(self) -> None:
        with suppress(StoreError):  # The next run sees them.
            self._recorder.look_around()

    def _want_no_more(self) -> None:
        """A run that was stopped wants nothing more of the jobs that it leaves open: it did not die over them."""
        with suppress(StoreError):  # A disk that is full or gone was reported.
            for job in list(self._state.jobs.values()):
                self._demand.ended(job.folder, job.work.keys)
                note_summary(job.folder, job.work)

    def _close_session(self) -> None:
        with suppress(StoreError):  # Reported as well, and without an end the journal counts as a crash's.
            self._journal.close()
        with suppress(StoreError):
            self._recorder.close()
        if self._session is not None:
            with suppress(StoreError):  # A full or vanished disk was reported; the last beat tells when it ended.
                stopped = str(JobState.BUDGET_STOPPED) if self._gate.closed else "interrupted"
                self._session.close(stopped if self._stop.is_set() else "done")

    # -- ending ----------------------------------------------------------------------------------------------

    def _deliver(self, job: OpenJob) -> None:
        """Assembles on a thread of its own: copying a long video must not keep a GPU waiting."""
        self._deliverer.submit(self._guard, lambda: self._deliver_now(job))

    def _deliver_now(self, job: OpenJob) -> None:
        self._demand.ended(job.folder, job.work.keys)
        without = ""
        if not job.work.finished:
            dead = (self._state.dead.get(unit.spec, "") for unit in job.work.ready())
            without = "; ".join(dict.fromkeys(text for text in dead if text))
        for number, delivery in job.deliveries:
            try:
                (result,) = deliver(job.work, job.folder, [delivery], self._runtime, without)
            except (BlobDamagedError, MachineError) as error:
                # The next run computes a result anew whose blob is in quarantine.
                result = FileResult(delivery.media, JobState.FAILED, job.folder.job_id, str(error))
            self._finish(number, result)

    def _finish(self, number: int, result: FileResult) -> None:
        if result.job_id is None and result.state is JobState.FAILED:
            note_refused(self._store, self._runtime.settings.owner, result)
        self._results[number] = result
        self._watcher.finished(result)

    def _close_for_budget(self) -> None:
        """Notes how the open jobs ended, so that it is known when this process is gone."""
        for job in self._state.jobs.values():
            reason, engines, tally = left_of(job.work), job.work.plan.settings.describe_engines(), tally_of(job.work)
            job_id, state = job.folder.job_id, JobState.BUDGET_STOPPED
            for number, delivery in job.deliveries:
                result = FileResult(delivery.media, state, job_id, reason, tally=tally, engines=engines)
                job.folder.note_result(delivery, result)
                self._finish(number, result)

    def _close_rest(self, state: JobState, reason: str) -> None:
        """Says how the inputs ended that are not through, and why if there is more to say."""
        for job in list(self._state.jobs.values()):
            for number, delivery in job.deliveries:
                if number not in self._results:
                    ended = FileResult(delivery.media, state, job.folder.job_id, reason, tally=tally_of(job.work))
                    self._finish(number, ended)
        for number, entry in enumerate(self._entries):
            if number not in self._results:
                self._finish(number, FileResult(entry.delivery.media, state, reason=reason))
