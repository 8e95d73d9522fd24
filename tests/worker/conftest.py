"""Shorter pauses within this process: what is tested is that one waits, not for how long."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.notices.watcher._JOIN_S", 0.05)
    monkeypatch.setattr("worker.notices.watcher._LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr("worker.notices.metadata._TRY_AGAIN_S", 0.02)
    monkeypatch.setattr("worker.emulator._STARTED_S", 0.5)
