"""What holds for every test: a package that is missing, a machine that is busy, and which files are begun first."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

#: A busy machine draws and runs an example slowly, which says nothing about what the test is about.
settings.register_profile("segue", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("segue")


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
SLOW_ROOMS = ("tests/fleet/", "tests/crash/", "tests/worker/", "tests/ledger/", "tests/contract/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files of these rooms first; a stable sort, so that tests of one file stay in their order."""
    ranks = {room: rank for rank, room in enumerate(SLOW_ROOMS)}
    items.sort(
        key=lambda item: next((rank for room, rank in ranks.items() if item.nodeid.startswith(room)), len(SLOW_ROOMS))
    )
