"""A real broker for every test that wants one, and consumers that are always stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broker_server import BrokerServer
from queue_bench import STORE, QueueBench

from tasks.broker import Broker


@pytest.fixture
def broker_server() -> Iterator[BrokerServer]:
    """A server of this test's own, on a free port."""
    with BrokerServer() as server:
        yield server


@pytest.fixture
def broker(broker_server: BrokerServer) -> Iterator[Broker]:
    """The test store's part of that server; leases last for a second."""
    found = Broker.connect(broker_server.url, STORE, 1000)
    yield found
    found.close()


@pytest.fixture
def bench(broker: Broker, broker_server: BrokerServer) -> Iterator[QueueBench]:
    """Sends and consumes on that server."""
    with QueueBench(broker, broker_server.url) as found:
        yield found
