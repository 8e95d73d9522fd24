"""Leaving: told by a signal, by a file, by having nothing to do; frozen and thawed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_bench import WorkerBench, wait_until

from journals.lines import AttemptEndedLine, AttemptStartedLine
from pipeline.jobs import JobFolder
from worker.emulator import MetadataEmulator
from worker.notices.metadata import Cloud


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WorkerBench]:
    with WorkerBench(tmp_path) as bench:
        yield bench


def test_a_worker_that_is_told_to_go_hands_its_batch_to_another_at_once(bench: WorkerBench):
    plan = bench.plan(24)
    message = bench.send(bench.message(plan))
    leaving = bench.start(fake_delay_ms=500)
    wait_until(lambda: len(bench.missing(message)) < 24, lambda: bench.said)
    staying = bench.start(fake_delay_ms=10)
    staying.await_event("serving")
    assert leaving.leave() == 0, bench.said
    bench.await_done(message)
    assert leaving.await_event("batch_given_back")["batch"] == message.batch
    assert staying.await_event("batch_done")["batch"] == message.batch
    again = {key for key, times in bench.computed().items() if times > 1}
    assert len(again) <= 4
    assert JobFolder(bench.store, plan.job_id).failures() == {}
    hints = {hint["fact"] for hint in bench.broker.hints(1.0)}
    assert {"worker_up", "worker_down", "batch_given_back", "batch_done", "units_done"} <= hints


def test_a_file_is_a_notice_and_what_the_engine_yields_before_the_deadline_is_kept(bench: WorkerBench):
    notice = bench.folder / "go"
    message = bench.send(bench.message(bench.plan(8)))
    worker = bench.start(fake_delay_ms=100, preemption="file", preemption_file=notice, batch_size=8)
    wait_until(lambda: bench.lines(AttemptStartedLine), lambda: bench.said)
    notice.touch()
    assert worker.wait() == 0, worker.text
    # The chunk in flight was finished, and only then did the worker go.
    assert bench.missing(message) == set()
    assert bench.lines(AttemptEndedLine)[0].yielded == 8
    assert bench.broker.waiting(bench.queue(message.stage)) == [message.batch]


def test_an_engine_that_yields_nothing_does_not_keep_a_worker_past_its_deadline(bench: WorkerBench):
    message = bench.send(bench.message(bench.plan(2)))
    worker = bench.start(fake_faults="hang:1", grace_seconds=2)
    wait_until(lambda: bench.lines(AttemptStartedLine), lambda: bench.said)
    assert worker.leave() == 0, worker.text
    assert len(bench.missing(message)) == 2
    assert bench.broker.waiting(bench.queue(message.stage)) == [message.batch]


def test_a_worker_without_work_leaves_when_it_was_told_to(bench: WorkerBench):
    message = bench.send(bench.message(bench.plan(2)))
    worker = bench.start("--exit-when-idle", "0.5")
    assert worker.wait() == 0
    assert bench.missing(message) == set()
    assert "nothing to do" in worker.await_event("leaving")["text"]


def test_a_frozen_worker_that_wakes_up_finds_its_work_taken_over_and_adds_nothing(bench: WorkerBench):
    plan = bench.plan(12)
    message = bench.send(bench.message(plan))
    zombie = bench.start(fake_delay_ms=150)
    wait_until(lambda: len(bench.missing(message)) < 12, lambda: bench.said)
    zombie.signal(signal.SIGSTOP)
    wait_until(lambda: bench.unleased(message))
    other = bench.start(fake_delay_ms=60)
    bench.send(message)
    wait_until(lambda: bench.broker.leased(sorted(bench.missing(message))), lambda: bench.said)
    zombie.signal(signal.SIGCONT)
    bench.await_done(message)
    zombie.await_event("batch_done")
    other.await_event("batch_done")
    # What the zombie had in flight was computed twice, and nothing else; each unit has one record.
    assert sum(bench.computed().values()) <= 12 + 4
    assert zombie.leave() == other.leave() == 0


def test_azure_is_told_that_a_machine_may_go_once_its_worker_has_drained(bench: WorkerBench):
    message = bench.send(bench.message(bench.plan(8)))
    with MetadataEmulator(Cloud.AZURE) as azure:
        worker = bench.start(fake_delay_ms=60, preemption="azure", metadata_url=azure.url)
        wait_until(lambda: len(bench.missing(message)) < 8, lambda: bench.said)
        (info,) = wait_until(lambda: [info for info in bench.broker.workers() if info["batch"]])
        assert (info["cloud"], info["size"], info["spot"]) == ("azure", azure.node.facts.size, True)
        assert info["jobs"] == [message.units[0].job_id]
        event = azure.preempt(20.0)
        assert worker.wait() == 0, worker.text
        assert azure.acknowledged == [event]
    (beats,) = bench.store.children(("nodes", info["node"]))[:1]
    last = bench.store.read_journal(("nodes", info["node"], beats)).entries[-1]
    assert (last["fact"], last["worker"]) == ("session_closed", worker.name)
    assert "azure" in last["reason"]


def test_a_hint_that_a_machine_may_be_taken_changes_nothing(bench: WorkerBench):
    message = bench.message(bench.plan(4))
    with MetadataEmulator(Cloud.AWS) as aws:
        worker = bench.start(preemption="aws", metadata_url=aws.url)
        worker.await_event("serving")
        aws.recommend_rebalance()
        worker.await_event("rebalance")
        bench.send(message)
        bench.await_done(message)
        assert worker.leave() == 0
