"""What is missing skips a test on somebody's machine, and fails it in continuous integration."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Processes that tests start do not each compile Segue again where nobody may write beside its sources."""
    if "PYTHONDONTWRITEBYTECODE" in os.environ and hasattr(config, "cache") and config.cache is not None:
        os.environ["PYTHONPYCACHEPREFIX"] = str(config.cache.mkdir("bytecode"))
        del os.environ["PYTHONDONTWRITEBYTECODE"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A package that `make setup` installs has to be there when CI runs, or its tests would be skipped unseen."""
    report = yield
    if report.skipped and os.environ.get("CI") and "not installed" in str(report.longrepr):
        report.outcome = "failed"
    return report


#: Rooms whose files take longest: begun first, so that no worker is left alone with one of them at the end.
LONG = ("tests/fleet/", "tests/crash/", "tests/worker/", "tests/ledger/", "tests/contract/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the long files first; a stable sort, so that tests of one file stay in their order."""
    ranks = {room: rank for rank, room in enumerate(LONG)}
    items.sort(key=lambda item: next((rank for room, rank in ranks.items() if item.nodeid.startswith(room)), len(LONG)))
