"""Fixtures for commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from segue_cli import SegueHere
from spoken import SPEECH

from cache.store import Store
from engines.translate import openai


@pytest.fixture
def segue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> SegueHere:
    return SegueHere(tmp_path, monkeypatch, capsys)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that nobody answers at is asked as often as ever, without the pauses between."""
    retry = replace(openai._FREEZE_PATIENCE.retry, backoff_ms=1)
    monkeypatch.setattr(openai, "_FREEZE_PATIENCE", replace(openai._FREEZE_PATIENCE, retry=retry))


@pytest.fixture
def media(tmp_path: Path) -> Path:
    copied = tmp_path / "talk.flac"
    copied.write_bytes(SPEECH.read_bytes())
    return copied


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home") as opened:
        yield opened
