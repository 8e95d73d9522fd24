"""Batches through a real broker and real processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from worker_bench import WorkerBench, keys_of, struck, wait_until

from core.keys import Key
from journals.lines import AttemptStartedLine, EngineLoadedLine, ProcessStartedLine
from pipeline.job import SPEECH
from pipeline.jobs import JobFolder


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WorkerBench]:
    with WorkerBench(tmp_path) as bench:
        yield bench


def test_a_message_is_computed_from_end_to_end(bench: WorkerBench):
    plan = bench.plan(10, ("es",))
    first = bench.send(bench.message(plan))
    worker = bench.start()
    bench.await_done(first)
    info = wait_until(lambda: [info for info in bench.broker.workers() if info["serves"]])[0]
    assert [each["queue"] for each in info["serves"] if each["stage"] == "transcribe"] == [bench.queue("transcribe")]
    second = bench.send(bench.message(plan))
    bench.await_done(second)
    assert second.units[0].slot.language == "es"
    worker.await_event("batch_done", 2)
    assert worker.leave() == 0, worker.text
    assert set(bench.computed().values()) == {1}
    assert bench.unleased(first)
    assert bench.broker.workers() == []
    # The books say whose process it was, and how long its engines took to load.
    (process,) = bench.lines(ProcessStartedLine)
    assert (process.worker, process.node) == (worker.name, info["node"])
    assert {(line.stage, line.fake) for line in bench.lines(EngineLoadedLine)} == {
        ("transcribe", True),
        ("translate", True),
    }
    assert {line.attempt.split("/")[0] for line in bench.lines(AttemptStartedLine)} == {process.session}


def test_a_duplicated_message_is_computed_once(bench: WorkerBench):
    plan = bench.plan(16)
    workers = [bench.start(fake_delay_ms=60) for _ in range(2)]
    for worker in workers:
        worker.await_event("serving")
    message = bench.message(plan)
    for _ in range(3):
        bench.send(message)
    bench.await_done(message)
    wait_until(lambda: sum(len(worker.events("batch_done")) for worker in workers) == 3, lambda: bench.said)
    assert bench.computed() == dict.fromkeys((ref.key for ref in message.units), 1)
    assert [worker.leave() for worker in workers] == [0, 0]


def test_units_that_another_worker_took_over_are_left_to_it(bench: WorkerBench):
    plan = bench.plan(12)
    message = bench.send(bench.message(plan))
    worker = bench.start(fake_delay_ms=150, listen="127.0.0.1:0")
    wait_until(lambda: len(bench.missing(message)) < 12, lambda: bench.said)
    stolen = sorted(bench.missing(message))[-4:]
    for key in stolen:
        bench.steal(key)
    worker.await_event("batch_done")
    assert bench.missing(message)
    assert bench.missing(message) <= set(stolen)
    assert set(bench.broker.leased(stolen).values()) == {"another"}
    assert "segue_leases_lost_total 0.0" not in bench.metrics(worker)


def test_failures_are_noted_in_their_round_and_not_tried_again(bench: WorkerBench):
    plan = bench.plan(12, seed=4)
    folder = JobFolder(bench.store, plan.job_id)
    folder.clear_failures(order="first")
    message = bench.send(bench.message(plan))
    worker = bench.start(fake_faults="fail:3", listen="127.0.0.1:0")
    worker.await_event("batch_done")
    failed = keys_of(message, struck(12, 4, 3))
    assert 0 < len(failed) < 12
    assert bench.missing(message) == failed
    assert folder.failures() == dict.fromkeys(failed, "ValueError: the fake transcriber was told to fail on this clip")
    bench.send(message)
    assert "12 not wanted here" in worker.await_event("batch_done", 2)["text"]
    (line,) = folder.incidents.read_log()
    assert (line["event"], line["units"], line["by"]) == ("batch", 12 - len(failed), worker.name)
    metrics = bench.metrics(worker)
    assert f'segue_units_total{{outcome="failed",stage="transcribe"}} {float(len(failed))}' in metrics
    assert "segue_commit_seconds_count" in metrics
    folder.clear_failures(order="second")
    folder.clear_failures(order="second")
    assert (folder.round(), folder.failures()) == (2, {})


def test_messages_of_another_store_or_of_no_known_job_harm_nothing(bench: WorkerBench):
    plan = bench.plan(2)
    good = bench.message(plan)
    lost = replace(good, units=tuple(replace(unit, job_id="f" * 24, key=Key("e" * 64)) for unit in good.units))
    worker = bench.start(listen="127.0.0.1:0")
    worker.await_event("serving")
    bench.send(replace(good, store="0" * 32))
    bench.send(replace(good, engine="d" * 64))
    bench.send(lost)
    bench.send(good)
    bench.await_done(good)
    assert len(worker.events("message_refused")) == 2
    metrics = bench.metrics(worker)
    assert 'segue_messages_refused_total{reason="store"} 1.0' in metrics
    assert 'segue_messages_refused_total{reason="engine"} 1.0' in metrics
    assert 'segue_units_total{outcome="stale",stage="transcribe"} 2.0' in metrics
    assert JobFolder(bench.store, "f" * 24).failures() == {}


def test_damaged_audio_is_reported_and_other_jobs_go_on(bench: WorkerBench):
    damaged, sound = bench.plan(3, seed=1), bench.plan(3, seed=2)
    path = bench.home / "blobs" / damaged.view(SPEECH)
    data = bytearray(path.read_bytes())
    data[1000:1010] = b"\0" * 10
    path.write_bytes(data)
    message = bench.send(bench.message(damaged, sound))
    worker = bench.start(batch_size=6)
    worker.await_event("batch_done")
    left = {ref.job_id for ref in message.units if ref.key in bench.missing(message)}
    assert left == {damaged.job_id}
    hints = bench.broker.hints(1.0)
    assert [hint["jobs"] for hint in hints if hint["fact"] == "audio_damaged"] == [[damaged.job_id]]
    assert bench.unleased(message)
    assert JobFolder(bench.store, damaged.job_id).failures() == {}
