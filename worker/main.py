"""`segue worker`: from checking the machine to leaving it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

from core.conditions import reason_of
from core.errors import SettingsError, StoreError, UsageError
from core.version import VERSION
from jobs.checkup import CheckResult, CheckStatus, examine_worker
from jobs.presence import broker_url
from journals.node_session import NodeFacts, NodeSession
from pipeline.runtime import Runtime
from pipeline.stages import main_stages, stage_named, with_parts
from pipeline.stages.stage import Stage
from tasks.broker import Broker, BrokerAwayError
from worker.context import WorkerContext
from worker.departure import Departure, WorkerEnd
from worker.engine_host import EngineHost, HurriedError, SickError
from worker.engine_link import EngineStarter
from worker.journal import WorkerLog
from worker.lease_renewer import LeaseRenewer
from worker.metrics import MetricsServer, WorkerMetrics
from worker.node import read_node
from worker.notices import open_watcher, signal_notice
from worker.supervisor import BEAT_SECONDS, Supervisor, served_info

if TYPE_CHECKING:
    from cache.store import Store
    from tasks.consumer import Consumer
    from worker.notices.watcher import NoticeWatcher

_POLL_SECONDS = 0.1
_BROKER_PAUSE_S = 1.0
#: So long is waited at most for a broker that takes a batch back.
_GIVE_BACK_SECONDS = 20.0
_COURIER_SECONDS = 2.0
#: So long is waited at most for the engine process to be gone, whose end is then noted.
_LAST_WORDS_S = 0.5
#: A consumer that ended by itself is started again after so long.
_CONSUMER_PAUSE_S = 2.0


@dataclass(frozen=True)
class WorkerOptions:
    """What the command line says."""

    stages: tuple[str, ...] = field(default_factory=lambda: parse_stages(""))
    #: Seconds without a message after which the worker leaves; None to stay.
    exit_when_idle: float | None = None
    #: Exit code of a second Ctrl-C.
    interrupted_code: int = 75


def parse_stages(text: str, usual: Collection[Stage] = ()) -> tuple[str, ...]:
    """``transcribe,translate`` as stages, each with what prepares it. Raises UsageError.

    An empty text means the ``usual`` ones, and all that need no switch where there are none.
    """
    known = [stage.name for stage in main_stages()]
    named = [part for part in (each.strip() for each in text.split(",")) if part]
    for name in named:
        if name not in known:
            raise UsageError(f"there is no stage {name!r}", f"use {', '.join(known)}, or several with commas between")
    return tuple(
        dict.fromkeys(
            stage.name
            for name in named or [stage.name for stage in usual or main_stages() if usual or not stage.switch]
            for stage in with_parts(name)
        )
    )


def run_worker(runtime: Runtime, flags: Mapping[str, Any], options: WorkerOptions) -> WorkerEnd:
    """Works until it is told to go; ``flags`` are what the command line said, for the engine process.

    Raises SettingsError, StoreError or EngineError when this machine cannot be a worker at all.
    """
    url = named_broker(runtime)
    worker = make_worker_id()
    log = WorkerLog(worker)
    check_machine(runtime, options.stages, log)
    with ExitStack() as stack:
        stack.enter_context(log.hearing("segue.broker"))
        return _Life(runtime, flags, options, worker, log, stack).live(url)


def named_broker(runtime: Runtime) -> str:
    """The broker's address, looked up without founding a store. Raises SettingsError when nobody names one."""
    said = runtime.settings.broker_url.get_secret_value()
    if said:
        return said
    if not (runtime.settings.home / "store.json").exists():
        raise SettingsError("no broker is named", "set SEGUE_BROKER_URL=redis://HOST:6379/0, or start 'segue up' here")
    return broker_url(runtime)


def make_worker_id() -> str:
    """An id that no other worker ever had: host, process and chance."""
    host = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:24].strip("-")
    return f"{host or 'host'}-{os.getpid()}-{os.urandom(3).hex()}"


def check_machine(runtime: Runtime, stages: Sequence[str], log: WorkerLog) -> None:
    """What `segue doctor` says of the disk and of the engines that are needed. Raises UsageError for what is broken.

    An endpoint that does not answer is waited for later, when the node's session is open and its rent is noted.
    """
    roles = dict.fromkeys(stage_named(name).role for name in stages)
    for finding in examine_worker(runtime, tuple(roles)):
        if finding.health is CheckStatus.BROKEN and not finding.passing:
            raise UsageError(_line(finding), finding.fix)
        if finding.health is not CheckStatus.OK:
            log.say(_line(finding), "checkup", "warning")


def _line(finding: CheckResult) -> str:
    return f"{finding.name}: {finding.detail}"


class _Life:
    """One worker process from here on; every part is closed by the stack, in reverse."""

    def __init__(
        self,
        runtime: Runtime,
        flags: Mapping[str, Any],
        options: WorkerOptions,
        worker: str,
        log: WorkerLog,
        stack: ExitStack,
    ) -> None:
        self._runtime, self._flags, self._options = runtime, flags, options
        self._worker, self._log, self._stack = worker, log, stack
        self._supervisor: Supervisor | None = None
        self._consumer: Consumer | None = None
        #: A departure that came before there was a supervisor.
        self._early: Departure | None = None
        self._metrics = WorkerMetrics()
        self._retired = threading.Event()

    def live(self, url: str) -> WorkerEnd:
        """Boots, works, leaves."""
        settings = self._runtime.settings
        self._stack.enter_context(_signals(self._on_signal, self._options.interrupted_code))
        store = self._open_store()
        if store is None:
            return WorkerEnd.TOLD
        broker = Broker.connect(url, store.identity.id, settings.lease_seconds * 1000)
        self._stack.callback(broker.close)
        watcher = open_watcher(
            settings.preemption,
            url=settings.metadata_url,
            file=settings.preemption_file,
            grace_seconds=settings.grace_seconds,
            say=self._log.say,
        )
        # Looking for the cloud takes seconds on a machine that has none: the watcher has just done it.
        cloud = str(watcher.cloud or "none")
        facts = read_node(cloud, settings.metadata_url, self._log.say)
        session = NodeSession.open(store, facts, settings.node_price, worker=self._worker, say=self._log.say)
        self._log.say(f"worker {self._worker} on {facts.describe()}, store {store.identity.id[:12]}", "started")
        reason = "crashed"
        try:
            supervisor = self._assemble(store, broker, facts, session)
            self._serve_metrics(session)
            self._stack.callback(watcher.stop)
            watcher.start(self._on_notice)
            reason = self._work(url, supervisor)
            session.close(reason)
            self._acknowledge(supervisor, watcher, session)
            return supervisor.departure.end if supervisor.departure else WorkerEnd.TOLD
        finally:
            with suppress(StoreError):
                session.close(reason)

    # -- boot ------------------------------------------------------------------------------------------------

    def _open_store(self) -> Store | None:
        """The store, which a worker never founds: an empty mount point must not become one. None when told to go."""
        home, said = self._runtime.settings.home, False
        while not (home / "store.json").exists() and not (home / "store.json.copy").exists():
            if not said:
                self._log.say(f"there is no store in {home} yet; waiting for the disk or the coordinator", "waiting")
            said = True
            if self._told(_BROKER_PAUSE_S):
                return None
        return self._runtime.store

    def _assemble(self, store: Store, broker: Broker, facts: NodeFacts, session: NodeSession) -> Supervisor:
        settings, log = self._runtime.settings, self._log
        leases = LeaseRenewer(broker, settings.lease_seconds, self._metrics.leases_lost.inc, log.say)
        self._stack.callback(leases.close)
        starter = EngineStarter(self._flags, self._worker, session)
        engine = EngineHost(starter, self._options.stages, self._tick, self._leaving, log.say)
        self._stack.callback(engine.kill)
        place = WorkerContext(
            worker=self._worker,
            store=store,
            broker=broker,
            engine=engine,
            leases=leases,
            metrics=self._metrics,
            log=log,
            stall_seconds=settings.stall_seconds,
            node=facts.session_id,
        )
        self._context = place
        info = {
            "id": self._worker,
            "node": facts.session_id,
            "beats": session.beats,
            "host": facts.host,
            "pid": os.getpid(),
            "version": VERSION,
            "cloud": facts.cloud,
            "size": facts.size,
            "zone": facts.zone,
            "spot": facts.spot,
            "gpu": list(facts.gpu_names),
            "price": settings.node_price,
            "serves": [],
        }
        self._supervisor = Supervisor(place, info, self._stop_consuming)
        if self._early is not None:
            self._supervisor.depart(self._early)
        return self._supervisor

    def _serve_metrics(self, session: NodeSession) -> None:
        listen = self._runtime.settings.listen
        if listen:
            server = MetricsServer(listen, self._metrics, self._health)
            self._stack.callback(server.close)
            self._log.say(f"metrics at port {server.port}", "metrics")
        threading.Thread(target=self._beat, args=(session,), name="beats", daemon=True).start()

    def _health(self) -> dict[str, Any]:
        return {} if self._supervisor is None else self._supervisor.info()

    def _beat(self, session: NodeSession) -> None:
        supervisor = self._supervisor
        assert supervisor is not None
        while not self._retired.is_set():
            supervisor.stirred.clear()
            supervisor.beat()
            used = session.sample().util_percent
            if used is not None:
                self._metrics.gpu.set(used)
            supervisor.stirred.wait(BEAT_SECONDS)

    # -- work ------------------------------------------------------------------------------------------------

    def _work(self, url: str, supervisor: Supervisor) -> str:
        """Opens engines, takes messages until there is a reason to leave; returns that reason."""
        broker = self._context.broker
        try:
            self._context.engine.start()
            self._await_broker(broker)
            serves = served_info(self._context, self._context.engine.served)
            supervisor.advertise(serves)
            self._hint("worker_up")
            names = ", ".join(f"{each['stage']} by {each['engine']}" for each in serves)
            self._log.say(f"serving {names}", "serving")
            self._consume(url, [each["queue"] for each in reversed(serves)], supervisor)
        except HurriedError:
            pass
        except SickError as error:
            supervisor.depart(Departure(WorkerEnd.SICK, str(error)))
        if self._early is not None:
            # It came at the very moment when there began to be a supervisor.
            supervisor.depart(self._early)
        departure = supervisor.departure
        assert departure is not None
        # Whoever told us may still be giving the batch back.
        supervisor.leaving.wait(min(_GIVE_BACK_SECONDS, departure.deadline - time.monotonic()))
        self._retired.set()
        self._context.sender.close(_COURIER_SECONDS)
        with suppress(BrokerAwayError):
            broker.retire(self._worker)
        self._hint("worker_down")
        self._context.engine.kill()
        self._context.engine.await_end(min(_LAST_WORDS_S, max(departure.deadline - time.monotonic(), 0.0)))
        return departure.reason

    def _acknowledge(self, supervisor: Supervisor, watcher: NoticeWatcher, session: NodeSession) -> None:
        """Tells the cloud, last of all, that nothing is lost any more when the machine goes.

        It would go at once, so the last worker of the machine says it.
        """
        notice = supervisor.departure.notice if supervisor.departure else None
        if notice is not None and session.others() == 0 and watcher.acknowledge(notice):
            self._log.say("told the cloud that this machine may go", "acknowledged")

    def _await_broker(self, broker: Broker) -> None:
        said = False
        while not self._leaving():
            try:
                broker.ping()
            except BrokerAwayError as error:
                if not said:
                    self._log.say(f"{error}; waiting for it", "waiting", "warning")
                said = True
                self._told(_BROKER_PAUSE_S)
            else:
                return

    def _consume(self, url: str, queues: Sequence[str], supervisor: Supervisor) -> None:
        """Runs the consumer in a thread of its own: this one has to see signals."""
        from tasks.app import make_app
        from tasks.consumer import Consumer

        app = make_app(url, self._context.store.identity.id)
        while not self._leaving():
            consumer = Consumer(app, queues, supervisor.handle, name=self._worker, refused=supervisor.refuse)
            self._consumer = consumer
            thread = threading.Thread(target=self._guard, args=(consumer,), name="consume", daemon=True)
            thread.start()
            while thread.is_alive():
                if self._leaving():
                    consumer.stop()
                self._leave_when_idle(supervisor)
                thread.join(_POLL_SECONDS)
                departure = supervisor.departure
                if departure is not None and time.monotonic() > departure.deadline:
                    return
            if not self._leaving():
                self._told(_CONSUMER_PAUSE_S)

    def _guard(self, consumer: Consumer) -> None:
        try:
            consumer.run()
        except Exception as error:  # noqa: BLE001 - said, and the consumer is started again
            self._log.say(f"the consumer ended: {reason_of(error)}", "consumer", "error")

    def _leave_when_idle(self, supervisor: Supervisor) -> None:
        patience = self._options.exit_when_idle
        if patience is not None and supervisor.departure is None and supervisor.idle_seconds() >= patience:
            supervisor.depart(Departure(WorkerEnd.IDLE, f"nothing to do for {patience:g} s"))

    # -- leaving ---------------------------------------------------------------------------------------------

    def _on_signal(self) -> None:
        """In the main thread, between any two of its instructions: so the work of it is done elsewhere."""
        notice = signal_notice(self._runtime.settings.grace_seconds)
        threading.Thread(target=self._on_notice, args=(notice,), name="signal", daemon=True).start()

    def _on_notice(self, notice: Any) -> None:
        if self._supervisor is not None:
            self._supervisor.on_notice(notice)
        else:
            self._early = Departure(WorkerEnd.TOLD, f"{notice.source}: {notice.detail}", notice.deadline, notice)

    def _stop_consuming(self) -> None:
        if self._consumer is not None:
            self._consumer.stop()

    def _leaving(self) -> bool:
        return self._early is not None or (self._supervisor is not None and self._supervisor.departure is not None)

    def _told(self, seconds: float) -> bool:
        """Waits so long, or until it is told to leave; True for the latter."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._leaving():
            time.sleep(_POLL_SECONDS)
        return self._leaving()

    def _tick(self) -> None:
        if self._supervisor is not None:
            self._supervisor.tick()

    def _hint(self, fact: str) -> None:
        with suppress(BrokerAwayError):
            self._context.broker.hint({"fact": fact, "worker": self._worker})


@contextmanager
def _signals(on_signal: Callable[[], None], interrupted_code: int) -> Iterator[None]:
    """SIGTERM and Ctrl-C are notices; a second Ctrl-C leaves at once, which loses the chunk in flight and no more."""
    asked = False

    def handler(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            os._exit(interrupted_code)
        asked = True
        on_signal()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
