"""A stranger puts values of any type under the names of a fleet, before it starts and while it runs: jobs are done."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet
from planned_jobs import fake_runtime
from planned_work import PlannedWork

from pipeline.runtime import Runtime
from pipeline.stages import engine_stages
from tasks.queues import STORE_DIGITS, queue_name, step_keys

SETTINGS = {
    "SEGUE_LEASE_SECONDS": "2",
    "SEGUE_FAKE_DELAY_MS": "60",
    "SEGUE_BATCH_SECONDS": "2",
    "SEGUE_BATCH_SIZE": "4",
}
PUT: tuple[Callable[[Any, str], object], ...] = (
    lambda client, name: client.set(name, b"\xff a stranger's"),
    lambda client, name: client.rpush(name, "a stranger's"),
    lambda client, name: client.sadd(name, "a stranger's"),
    lambda client, name: client.hset(name, "a", "stranger's"),
    lambda client, name: client.zadd(name, {"a stranger's": 1.0}),
    lambda client, name: client.xadd(name, {"a": "stranger's"}),
)


def fixed_names(runtime: Runtime) -> set[str]:
    """Names that a store has in the broker whatever its fleet does."""
    store_id = runtime.store.identity.id
    queues = [queue_name(store_id, stage.name, runtime.engine_spec(stage.role)) for stage in engine_stages()]
    return {
        *(f"segue:{store_id[:STORE_DIGITS]}:{name}" for name in ("leader", "epoch", "done", "workers")),
        *(name for queue in queues for name in step_keys(queue)),
    }


def spoil(client: Any, names: set[str], turn: int) -> None:
    """Puts a value of some type under each name; another one each turn."""
    for place, name in enumerate(sorted(names)):
        client.delete(name)
        PUT[(place + turn) % len(PUT)](client, name)


@pytest.mark.long
def test_a_fleet_replaces_whatever_a_stranger_puts_under_its_names(tmp_path: Path) -> None:
    with Fleet(tmp_path / "fleet", SETTINGS) as fleet:
        client = fleet.broker.client()
        names = fixed_names(fake_runtime(fleet.place.home))
        spoil(client, names, 0)
        work = PlannedWork(fleet, tmp_path)
        job = work.submit("spoiled", 60, ("es",))
        fleet.start(2)
        fleet.until(lambda: client.keys("segue:*:lease:*"), "work is begun")
        for turn in range(len(PUT)):
            # Leases and worker infos as well, whosever they are by now.
            spoil(client, names | {name.decode() for name in client.scan_iter(match="segue*")}, turn)
            if turn % 3 == 0:
                shown = fleet.segue("workers")
                assert shown.code == 0, shown.err
            time.sleep(0.3)
        assert fleet.segue("jobs").code == 0
        work.finish(job, "spoiled", 60, ("es",))
        assert {name.decode() for name in client.scan_iter()} <= names | set(map(bytes.decode, client.keys("segue:*")))
        for process in (*fleet.coordinators, *fleet.workers):
            assert process.running
            assert "Traceback" not in process.words()
            assert "defect" not in process.words()
