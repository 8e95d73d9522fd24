"""A broker for the room's tests, and a coordinator over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import CoordinatorHarness

from coordinator import in_flight
from tasks.embedded import EmbeddedBroker


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    broker = EmbeddedBroker()
    broker.start()
    try:
        yield broker.url
    finally:
        broker.stop()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that nobody leases is lost after a second, as long as leases last here."""
    monkeypatch.setattr(in_flight, "UNLEASED_S", 1.0)


@pytest.fixture
def harness(tmp_path: Path, broker_url: str) -> Iterator[CoordinatorHarness]:
    made = CoordinatorHarness(tmp_path, broker_url)
    try:
        yield made
    finally:
        made.coordinator.close()
        made.broker.close()
