"""Fixtures for whole jobs, for the conftest of each folder that needs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from job_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
