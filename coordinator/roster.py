"""The workers that are alive, as they describe themselves to the broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.broker import Broker


@dataclass(frozen=True)
class Worker:
    """One worker, as it says."""

    id: str
    #: Its machine's session.
    node: str
    #: What its machine costs an hour, as ``0.526 USD``; empty when it does not know.
    price: str
    #: Where its heartbeats are in the store; empty for one that names no place.
    beats: str
    #: Queues that it takes batches from.
    queues: frozenset[str]
    #: It takes no new batch.
    draining: bool


class WorkerRoster:
    """Read from the broker by `refresh`, and by nobody else."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._workers: list[Worker] = []

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers)

    def __len__(self) -> int:
        return len(self._workers)

    def refresh(self) -> None:
        """Reads who is alive now. Raises BrokerAwayError."""
        found = (_read(info) for info in self._broker.workers())
        self._workers = [worker for worker in found if worker is not None]

    def serving(self, queue: str) -> int:
        """Workers that take batches from a queue."""
        return sum(1 for worker in self._workers if not worker.draining and queue in worker.queues)

    def offers(self) -> frozenset[tuple[str, str, str]]:
        """(worker, queue, price) of each queue that is served."""
        return frozenset((worker.id, queue, worker.price) for worker in self._workers for queue in worker.queues)


def _read(info: Mapping[str, Any]) -> Worker | None:
    """None for what no worker has written: whoever reaches the broker can write anything there."""
    serves = info.get("serves")
    if not isinstance(serves, list) or not all(isinstance(each, dict) for each in serves):
        return None
    return Worker(
        id=str(info.get("id") or ""),
        node=str(info.get("node") or ""),
        price=str(info.get("price") or ""),
        beats=str(info.get("beats") or ""),
        queues=frozenset(str(each.get("queue") or "") for each in serves),
        draining=info.get("state") == "draining",
    )
