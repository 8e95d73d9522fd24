"""Stores to test with."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cache.store import Record, Store
from core.keys import make_key


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small states are written there."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="store-test-", dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home(scratch: Path) -> Path:
    return scratch / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home) as opened:
        yield opened


@pytest.fixture
def make_record() -> Callable[..., Record]:
    def make(number: int, size: int = 200) -> Record:
        payload = (hashlib.sha256(b"%d" % number).hexdigest() * (size // 64 + 1))[:size].encode()
        return Record(make_key("test", 1, number=number), "test", payload, {"attempt": f"attempt-{number}"})

    return make
