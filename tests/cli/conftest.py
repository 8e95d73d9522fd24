"""Fixtures for commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from segue_cli import Segue


@pytest.fixture
def segue(tmp_path: Path) -> Segue:
    return Segue(tmp_path)
