"""A full disk, a disk that is away, a broker that is away: a worker waits, and computes nothing in vain."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_bench import WorkerBench, wait_until

from core.errors import UsageError
from core.keys import canonical_json
from pipeline.jobs import JobFolder
from pipeline.runtime import Runtime, Settings
from worker.main import WorkerOptions, run_worker


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WorkerBench]:
    with WorkerBench(tmp_path) as bench:
        yield bench


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "segue-test", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_pauses_a_worker_that_keeps_its_leases_and_computes_nothing(small_disk: Path):
    with WorkerBench(small_disk) as bench:
        message = bench.message(bench.plan(8))
        worker = bench.start()
        worker.await_event("serving")
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * (bench.store.free_bytes() - 100_000))
        bench.send(message)
        wait_until(lambda: [info for info in bench.broker.workers() if info["state"] == "paused"], lambda: bench.said)
        held = bench.broker.leased([ref.key for ref in message.units])
        assert len(held) == 8
        assert bench.computed() == {}
        ballast.unlink()
        bench.await_done(message)
        assert set(bench.computed().values()) == {1}
        assert worker.leave() == 0


def test_a_disk_that_is_away_pauses_a_worker_and_its_batch_goes_back(bench: WorkerBench):
    plan = bench.plan(16)
    message = bench.send(bench.message(plan))
    worker = bench.start(fake_delay_ms=60)
    wait_until(lambda: len(bench.missing(message)) < 16, lambda: bench.said)
    away = bench.folder / "away"
    bench.home.rename(away)
    worker.await_event("paused")
    assert not bench.home.exists()
    away.rename(bench.home)
    worker.await_event("resumed")
    bench.await_done(message)
    assert JobFolder(bench.store, plan.job_id).failures() == {}
    assert worker.leave() == 0


def test_a_job_that_a_newer_segue_planned_pauses_a_worker_instead_of_going_round_and_round(bench: WorkerBench):
    plan = bench.plan(4)
    message = bench.message(plan)
    newer = bench.home / "jobs" / plan.job_id / "plan-2.json"
    bench.store.write_once(("jobs", plan.job_id, "plan-2.json"), canonical_json({**plan.as_json(), "plan_version": 99}))
    bench.send(message)
    worker = bench.start()
    worker.await_event("paused", 2)
    (info,) = wait_until(bench.broker.workers)
    assert (info["state"], "version 99" in info["reason"]) == ("paused", True)
    assert bench.computed() == {}
    newer.unlink()
    bench.await_done(message)
    # A batch goes back once for each pause, not hundreds of times a second.
    assert len(worker.events("batch_given_back")) == len(worker.events("paused")) < 8
    assert worker.leave() == 0


def test_a_broker_that_forgets_everything_and_goes_away_stops_no_batch(bench: WorkerBench):
    message = bench.send(bench.message(bench.plan(16)))
    worker = bench.start(fake_delay_ms=150)
    wait_until(lambda: len(bench.missing(message)) < 16, lambda: bench.said)
    bench.server.restart()
    wait_until(lambda: bench.broker.leased(sorted(bench.missing(message))), lambda: bench.said)
    bench.server.stop()
    bench.await_done(message)
    worker.await_event("batch_done")
    assert set(bench.computed().values()) == {1}
    bench.server.start()
    after = bench.send(bench.message(bench.plan(2, seed=2)))
    bench.await_done(after)
    assert worker.leave() == 0


def test_a_worker_waits_for_its_broker_and_says_so_once(bench: WorkerBench):
    bench.server.stop()
    worker = bench.start()
    worker.await_event("waiting")
    bench.server.start()
    worker.await_event("serving")
    message = bench.send(bench.message(bench.plan(2)))
    bench.await_done(message)
    assert len(worker.events("waiting")) == 1
    assert worker.leave() == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"broker_url": ""}, "no broker is"),
        ({"broker_url": "http://127.0.0.1"}, "http"),
        ({"transcriber": "nobody"}, "nobody"),
        ({"listen": "nowhere"}, "SEGUE_LISTEN"),
        ({"preemption": "file"}, "SEGUE_PREEMPTION_FILE"),
    ],
)
def test_what_cannot_be_a_worker_is_refused_in_one_line(bench: WorkerBench, settings: dict[str, str], said: str):
    values = {"home": bench.home, "broker_url": bench.server.url, "transcriber": "fake", "translator": "fake"}
    runtime = Runtime(Settings(**values | {"preemption": "none"} | settings), lambda _line: None)
    with pytest.raises(UsageError) as refusal:
        run_worker(runtime, {}, WorkerOptions())
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_engines_that_cannot_be_opened_end_a_worker_with_their_reason(bench: WorkerBench):
    worker = bench.start(fake_faults="burn:1")
    assert worker.wait() == 3
    assert "burn" in worker.await_event("leaving")["text"]
    assert "Traceback" not in worker.text


def test_a_worker_founds_no_store_where_there_is_none(bench: WorkerBench):
    empty = bench.folder / "empty"
    empty.mkdir()
    worker = bench.start(home=empty)
    worker.await_event("waiting")
    assert worker.leave() == 0
    assert os.listdir(empty) == []  # noqa: PTH208 - hidden files count, too
