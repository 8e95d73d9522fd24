"""Sends messages and consumes them in a thread, for tests of the queues."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from core.keys import Key
from core.specs import EngineSpec
from jobs.submissions import Priority
from pipeline.lookup import UnitRef
from pipeline.stages.stage import Slot
from tasks.app import make_app
from tasks.broker import Broker
from tasks.consumer import Consumer
from tasks.messages import BatchMessage, make_batch_id
from tasks.queues import engine_digest, queue_name

STORE = "0123456789abcdef" * 2
SPEC = EngineSpec("fake", "tiny", "r1")
QUEUE = queue_name(STORE, "detect", SPEC)
#: A test that waits for so long has failed; nothing is asserted about times below it.
PATIENCE_S = 30.0


def make_message(priority: Priority = Priority.NORMAL, store: str = STORE, units: int = 1) -> BatchMessage:
    """A message that names units which nobody has."""
    refs = tuple(UnitRef("b" * 24, Slot("detect", number), Key("c" * 64), 0, 1000) for number in range(units))
    return BatchMessage(store, make_batch_id(), "detect", engine_digest(SPEC), priority, refs, 500)


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; fails the test when it never does."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class QueueBench:
    """One consumer in a thread of this process. A context manager that always stops it."""

    def __init__(self, broker: Broker, url: str, queues: tuple[str, ...] = (QUEUE,)) -> None:
        self.broker = broker
        self.taken: list[BatchMessage] = []
        self.refused: list[str] = []
        self.errors: list[BaseException] = []
        #: While it is clear, the consumer is busy with the message it has.
        self.release = threading.Event()
        self.release.set()
        self.fail_with: Exception | None = None
        self.consumer = Consumer(make_app(url, STORE), queues, self._handle, name="bench", refused=self.refused.append)
        self._thread = threading.Thread(target=self._run)

    @property
    def batches(self) -> list[str]:
        """Ids of the batches that were handled, in order."""
        return [message.batch for message in self.taken]

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def send(self, *priorities: Priority) -> list[str]:
        """Sends a message for each; returns the ids of the batches."""
        messages = [make_message(priority) for priority in priorities]
        for message in messages:
            self.broker.send(QUEUE, message)
        return [message.batch for message in messages]

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Waits until `Consumer.run` has returned."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the consumer does not stop"

    def proves_alive(self) -> None:
        """Passes when a message that is sent now is handled."""
        (batch,) = self.send(Priority.NORMAL)
        wait_until(lambda: batch in self.batches)

    def _handle(self, message: BatchMessage) -> None:
        self.taken.append(message)
        if self.fail_with is not None:
            raise self.fail_with
        self.release.wait(PATIENCE_S)

    def _run(self) -> None:
        try:
            self.consumer.run()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.errors.append(error)

    def __enter__(self) -> QueueBench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self.consumer.stop()
        if self._thread.ident is not None:
            self.join()
