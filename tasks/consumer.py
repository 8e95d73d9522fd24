"""Takes messages off queues, one at a time, for as long as it is wanted, whatever becomes of the broker meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from celery import Celery
from celery.concurrency.thread import TaskPool
from celery.exceptions import WorkerShutdown
from celery.worker import WorkController
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.asynchronous.hub import set_event_loop
from kombu.exceptions import KombuError

from tasks.address import BrokerAddress
from tasks.app import queue_of
from tasks.envelope import open_envelope
from tasks.messages import BatchMessage, MessageRefusedError, parse_message
from tasks.transport import ADMIT_OPTION

_log = logging.getLogger("segue.broker")
#: Between two attempts to reach a broker that is away.
_RETRY_S = 0.5
#: A line that would say the same as the last one is written again after so long.
_REPEAT_S = 30.0


class Consumer:
    """Takes messages from queues, the first ones first among messages of one priority, for one `run`, which blocks.

    One consumer may run at a time in a process.
    """

    def __init__(
        self,
        app: Celery,
        queues: Sequence[str],
        handle: Callable[[BatchMessage], None],
        *,
        name: str,
        refused: Callable[[str], None],
    ) -> None:
        self.app = app
        self._address: BrokerAddress = app.segue_address
        self._store_id: str = app.segue_store
        self._queues = tuple(queues)
        self._handle = handle
        self._name = name
        self._refused = refused
        self._stopping = threading.Event()
        self._left = False
        self._busy = threading.Event()
        self._failure: Exception | None = None
        self._controller: Any = None
        #: Said, and not yet taken back.
        self._away = False
        self._said = ("", 0.0)

    @property
    def busy(self) -> bool:
        """True while a message is being handled."""
        return self._busy.is_set()

    def run(self) -> None:
        """Blocks until `stop`; then returns when the message in hand has been handled.

        A broker that is away is waited for. Raises what ``handle`` raised, which is a defect of ours.
        """
        app = self.app
        app.conf.task_queues = [queue_of(name) for name in self._queues]
        app.amqp.__dict__.pop("queues", None)
        app.conf.broker_transport_options = {**app.conf.broker_transport_options, ADMIT_OPTION: self._admit}
        app.segue_take = self._take
        # The hub is a global of kombu's; one that an earlier run left behind would be a closed one.
        set_event_loop(None)
        with _one_line_logs():
            self._controller = _Controller(
                app=app,
                hostname=self._name,
                concurrency=1,
                pool_cls=_pool_class(self),
                consumer_cls=_consumer_class(self),
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
                task_events=False,
            )
            try:
                self._controller.start()
            finally:
                self._controller = None
                set_event_loop(None)
                app.pool.force_close_all()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """From any thread: no further message is taken, and `run` returns as soon as it can."""
        self._stopping.set()
        self.wake(self.leave)

    # -- for the classes below -------------------------------------------------------------------------------

    def leave(self) -> None:
        """In the loop's thread: ends the loop when that is wanted."""
        if self._stopping.is_set() and not self._left:
            # Once: what still waits in the loop is called while the loop is being closed.
            self._left = True
            raise WorkerShutdown(0)

    def wake(self, callback: Callable[[], None]) -> None:
        """Has the loop call something now, which also makes it look whether it may take a message."""
        hub = getattr(self._controller, "hub", None)
        if hub is not None:
            hub.call_soon(callback)

    def wait_for_broker(self, connection: Any, errors: tuple[type[Exception], ...]) -> Any:
        """A connection that was established, at last; leaves the loop when the consumer is stopped meanwhile."""
        while True:
            self.leave()
            try:
                connection.connect()
            except errors as error:
                self._say(str(self._address.away(error)))
                connection.close()
                self._stopping.wait(_RETRY_S)
            else:
                if self._away:
                    self._away = False
                    _log.warning("the broker at %s answers again", self._address)
                return connection

    def fail(self, error: Exception) -> None:
        """Stops; `run` raises the error."""
        self._failure = self._failure or error
        self.stop()

    def lost(self, error: BaseException) -> None:
        """The connection broke."""
        self._say(str(self._address.away(error)))

    def _say(self, line: str) -> None:
        now = time.monotonic()
        if line != self._said[0] or now - self._said[1] > _REPEAT_S:
            self._said = (line, now)
            self._away = True
            _log.warning("%s; waiting for it", line)

    def _admit(self, entry: bytes, queue: str) -> dict[str, Any] | None:
        try:
            return open_envelope(entry, self._store_id, queue).payload
        except MessageRefusedError as error:
            self._refuse(f"{error.message}; queue {queue}")
            return None

    def _refuse(self, line: str) -> None:
        _log.warning("%s", line)
        self._refused(line)

    def _take(self, kwargs: dict[str, Any]) -> None:
        """The body of the task: runs in the pool's only thread."""
        self._busy.set()
        try:
            message = parse_message(kwargs, self._store_id)
            self._acknowledge(message)
            self._handle(message)
        except Exception as error:  # noqa: BLE001 - Celery would log it and go on; `run` raises it.
            self.fail(error)
        finally:
            self._busy.clear()

    def _acknowledge(self, message: BatchMessage) -> None:
        """Celery does so, too, but in the loop's thread, and a loop that ends first would put the message back."""
        consumer = getattr(getattr(self._controller, "consumer", None), "task_consumer", None)
        if consumer is not None and consumer.channel is not None:
            # Only a mark in this process, and one that kombu lets any thread make.
            consumer.channel.qos.ack(message.batch)


class _Controller(WorkController):  # type: ignore[misc]
    """Celery's worker, which otherwise logs its own death and returns as if it had been stopped."""

    def start(self) -> None:
        try:
            self.blueprint.start(self)
        except SystemExit as error:
            self.stop(exitcode=error.code)
        except BaseException:
            self.stop(exitcode=1)
            raise


def _consumer_class(owner: Consumer) -> type:
    class PatientConsumer(CeleryConsumer):  # type: ignore[misc]
        """Waits for the broker at an even pace, where Celery's waits longer each time (up to half a minute)."""

        def ensure_connected(self, conn: Any) -> Any:
            self.first_connection_attempt = False
            return owner.wait_for_broker(conn, (*self.connection_errors, *self.channel_errors, KombuError))

        def register_with_event_loop(self, hub: Any) -> None:
            super().register_with_event_loop(hub)
            # A stop that came before there was a loop.
            hub.call_soon(owner.leave)

        def on_connection_error_after_connected(self, exc: BaseException) -> None:
            owner.lost(exc)
            super().on_connection_error_after_connected(exc)

        def on_connection_error_before_connected(self, exc: BaseException) -> None:
            owner.lost(exc)

    return PatientConsumer


def _pool_class(owner: Consumer) -> type:
    class WakingPool(TaskPool):  # type: ignore[misc]
        """Tells the loop when a task has ended; it would look for the next message up to a second later.

        What fails in Celery around the task would otherwise stay in the future, and the worker busy for ever.
        """

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # Celery looks the task up in the app that is current in this thread; ours is not made anybody else's.
            self.executor: ThreadPoolExecutor = ThreadPoolExecutor(1, "segue-batch", initializer=owner.app.set_current)

        def on_apply(self, *args: Any, **kwargs: Any) -> Any:
            result = super().on_apply(*args, **kwargs)
            result.f.add_done_callback(ended)
            return result

    def ended(future: Future[Any]) -> None:
        if not future.cancelled() and isinstance(error := future.exception(), Exception):
            owner.fail(error)
        owner.wake(_nothing)

    return WakingPool


def _nothing() -> None:
    """Only wakes."""


class _OneLine(logging.Handler):
    """Passes on what Celery and kombu have to say, without tracebacks and dumps of messages."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = record.getMessage().strip().splitlines() or [""]
        _log.log(record.levelno, "%s", lines[0][:300])


@contextmanager
def _one_line_logs() -> Iterator[None]:
    handler = _OneLine(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("celery", "kombu")]
    before = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (propagate, level) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate, logger.level = propagate, level
