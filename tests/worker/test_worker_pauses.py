"""A full disk, a disk that is away, a broker that is away: a worker waits, and computes nothing in vain."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_bench import WorkerBench, wait_until

from pipeline.jobs import JobFolder


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


def test_a_full_disk_pauses_a_worker_that_keeps_its_claims_and_computes_nothing(small_disk: Path):
    with WorkerBench(small_disk) as bench:
        message = bench.message(bench.plan(8))
        worker = bench.start()
        worker.await_event("serving")
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * (bench.store.free_bytes() - 100_000))
        bench.send(message)
        wait_until(lambda: [card for card in bench.broker.workers() if card["state"] == "paused"], lambda: bench.said)
        held = bench.broker.claimed([ref.key for ref in message.units])
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


def test_a_broker_that_goes_away_and_forgets_everything_stops_no_batch(bench: WorkerBench):
    message = bench.send(bench.message(bench.plan(16)))
    worker = bench.start(fake_delay_ms=200)
    wait_until(lambda: len(bench.missing(message)) < 16, lambda: bench.said)
    bench.server.restart()
    wait_until(lambda: bench.broker.claimed(sorted(bench.missing(message))), lambda: bench.said)
    bench.await_done(message)
    assert set(bench.computed().values()) == {1}
    worker.await_event("batch_done")
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


def test_what_cannot_be_a_worker_says_why_in_one_line(bench: WorkerBench):
    def refusal(**settings: object) -> tuple[int, str]:
        worker = bench.start(**settings)
        return worker.wait(), worker.text

    code, text = refusal(broker_url="")
    assert (code, "no broker is named" in text, "Traceback" in text) == (2, True, False)
    code, text = refusal(transcriber="nobody")
    assert (code, "nobody" in text, "Traceback" in text) == (2, True, False)
    code, text = refusal(fake_faults="burn:1")
    assert (code, "burn" in text, "Traceback" in text) == (3, True, False)
    code, text = refusal(listen="nowhere")
    assert (code, "SEGUE_LISTEN" in text, "Traceback" in text) == (2, True, False)


def test_a_worker_founds_no_store_where_there_is_none(bench: WorkerBench):
    empty = bench.folder / "empty"
    empty.mkdir()
    worker = bench.start(home=empty)
    worker.await_event("waiting")
    assert worker.leave() == 0
    assert os.listdir(empty) == []  # noqa: PTH208 - hidden files count, too
