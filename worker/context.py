"""What a worker computes with: its disk, its broker, its engine, and what it says of itself."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from cache.store import Store
from core.errors import SegueError
from tasks.broker import Broker
from worker.engine_host import EngineHost
from worker.journal import WorkerLog
from worker.lease_renewer import LeaseRenewer
from worker.metrics import WorkerMetrics
from worker.poison import Health

#: Bytes that are believed to be enough for what a unit leaves on the disk.
UNIT_BYTES = 64 * 1024


class AsyncSender:
    """Tells the broker things later, in turn: an engine must not wait for a broker that is away."""

    def __init__(self) -> None:
        self._errands: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        # A daemon: at the end nobody waits for a broker that does not answer.
        self._thread = threading.Thread(target=self._work, name="sender", daemon=True)
        self._thread.start()

    def post(self, tell: Callable[..., object], *values: object) -> None:
        """Has ``tell`` called with these values soon; it must not raise."""
        self._errands.put(lambda: tell(*values))

    def close(self, seconds: float) -> None:
        """Waits so long at most until everything posted is told."""
        self._errands.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while (errand := self._errands.get()) is not None:
            errand()


@dataclass
class WorkerContext:
    """What a worker computes with; one a process."""

    worker: str
    store: Store
    broker: Broker
    engine: EngineHost
    leases: LeaseRenewer
    metrics: WorkerMetrics
    log: WorkerLog
    stall_seconds: int
    #: The machine's session.
    node: str = ""
    health: Health = field(default_factory=Health)
    sender: AsyncSender = field(default_factory=AsyncSender)
    _chunks: int = 0

    def next_chunk(self) -> int:
        """A number that no chunk of this process ever had."""
        self._chunks += 1
        return self._chunks


def has_room(store: Store, worker: str, needed: int) -> bool:
    """True when so many bytes can be written, shown by writing some: free space alone knows no quotas or inodes."""
    parts = ("queue", f"room-{worker}.state")
    try:
        store.require_space(needed)
        store.replace_state(parts, b" " * UNIT_BYTES)
        store.remove(parts)
    except SegueError:
        return False
    return True
