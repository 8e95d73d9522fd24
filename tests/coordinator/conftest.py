"""A broker for the room's tests, and a coordinator over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from theatre import Theatre

from coordinator import dispatch
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
    """A message that nobody claims is lost after a second, as long as claims last here."""
    monkeypatch.setattr(dispatch, "UNCLAIMED_S", 1.0)


@pytest.fixture
def theatre(tmp_path: Path, broker_url: str) -> Iterator[Theatre]:
    made = Theatre(tmp_path, broker_url)
    try:
        yield made
    finally:
        made.coordinator.close()
        made.broker.close()
