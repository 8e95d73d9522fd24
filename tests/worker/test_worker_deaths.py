"""Engines that die or hang: a unit is blamed for it only when nothing else can be."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_model_server import OwnModelServer
from worker_bench import WorkerBench, keys_of, struck, wait_until

from accounting.checks.verify import verify_store
from accounting.facts import FactReader
from engines.transcribe.fake import DEATH_STATUS
from journals.facts import ProcessEnded
from journals.lines import EngineTriedLine
from pipeline.jobs import JobFolder


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WorkerBench]:
    with WorkerBench(tmp_path) as bench:
        yield bench


def test_a_unit_that_kills_engines_fails_after_three_deaths_alone_and_the_others_succeed(bench: WorkerBench):
    plan = bench.plan(8, seed=5)
    poison = struck(8, 5, 7)
    assert len(poison) == 1
    message = bench.send(bench.message(plan))
    worker = bench.start(fake_faults="kill:7")
    worker.await_event("batch_done")
    folder = JobFolder(bench.store, plan.job_id)
    (key,) = keys_of(message, poison)
    assert bench.missing(message) == {key}
    (reason,) = folder.failures().values()
    assert f"exit code {DEATH_STATUS}" in reason
    assert "the fake engine was told to die of this one" in reason
    deaths = folder.incidents.deaths()
    assert [death.alone for death in deaths[key]].count(True) == 3
    assert all(not death.alone for other, found in deaths.items() if other != key for death in found)
    assert bench.unleased(message)
    # The next round begins without a blemish: the unit is tried again, alone only after it has killed again.
    folder.clear_failures(order="retry")
    assert folder.incidents.deaths() == {}
    assert worker.leave() == 0


def test_a_worker_whose_engine_always_dies_blames_no_unit_and_leaves(bench: WorkerBench):
    plan = bench.plan(1)
    message = bench.send(bench.message(plan))
    sick = bench.start(fake_faults="die:1")
    assert sick.wait() == 3
    assert JobFolder(bench.store, plan.job_id).failures() == {}
    assert len(bench.missing(message)) == 1
    # It has given the unit back, and a machine that works computes it.
    healthy = bench.start()
    bench.await_done(message)
    assert healthy.leave() == 0


@pytest.mark.long
def test_a_device_that_fails_over_and_over_fails_no_unit_even_when_its_worker_is_started_again(bench: WorkerBench):
    plan = bench.plan(1)
    message = bench.send(bench.message(plan))
    for _ in range(2):
        sick = bench.start(fake_faults="sick:1", batch_size=1)
        assert sick.wait() == 3
        assert "the device failed" in sick.text
    folder = JobFolder(bench.store, plan.job_id)
    assert folder.failures() == {}
    deaths = [death for found in folder.incidents.deaths().values() for death in found]
    assert len({death.worker for death in deaths}) == 2
    assert sum(death.alone for death in deaths) >= 6
    assert all(death.device and death.node for death in deaths)
    healthy = bench.start()
    bench.await_done(message)
    assert healthy.leave() == 0


def test_a_worker_waits_for_a_translator_that_is_away_and_its_machine_is_in_the_books_meanwhile(bench: WorkerBench):
    away = OwnModelServer(0.0)
    settings = {name.removeprefix("SEGUE_").lower(): value for name, value in away.settings.items()}
    with away:
        pass
    worker = bench.start("--stages", "translate", **settings)
    wait_until(lambda: "waiting for it" in worker.text, lambda: worker.text)
    assert "nobody answers at" in worker.text
    assert worker.process.poll() is None
    reader = FactReader(bench.store)
    (session,) = reader.sessions()
    assert reader.node(session).facts
    assert worker.leave() == 0


def test_a_worker_that_only_transcribes_asks_no_translator(bench: WorkerBench):
    message = bench.send(bench.message(bench.plan(1)))
    worker = bench.start("--stages", "transcribe", translator="openai", translator_url="http://127.0.0.1:9/v1")
    bench.await_done(message)
    assert "nobody answers" not in worker.text
    assert worker.leave() == 0


def test_an_engine_that_somebody_kills_is_started_again_and_nothing_fails(bench: WorkerBench):
    plan = bench.plan(8)
    message = bench.send(bench.message(plan))
    worker = bench.start(fake_delay_ms=150)
    wait_until(lambda: len(bench.missing(message)) < 8, lambda: bench.said)
    before = bench.missing(message)
    os.kill(worker.engine_pid(), signal.SIGKILL)
    bench.await_done(message)
    folder = JobFolder(bench.store, plan.job_id)
    assert folder.failures() == {}
    again = {key for key, times in bench.computed().items() if times > 1}
    assert again <= before
    assert len(again) <= 4
    assert all("SIGKILL" in death.reason for found in folder.incidents.deaths().values() for death in found)
    assert folder.incidents.deaths()
    # Its supervisor saw it end: the books know when, and no line of its journal can be cut off unseen.
    reader = FactReader(bench.store)
    ends = [fact for each in reader.sessions() for fact in reader.node(each).facts if isinstance(fact, ProcessEnded)]
    (dead,) = [each for each in reader.processes if each.name == ends[0].process]
    assert len(ends) == 1
    assert dead.last <= ends[0].at
    assert worker.leave() == 0
    found = verify_store(bench.store)
    assert (found.problems, found.unseen) == ((), ())


def test_an_engine_that_hangs_is_ended_and_its_unit_fails_alone(bench: WorkerBench):
    plan = bench.plan(4, seed=11)
    # The last one: nothing is left to compute that could show that the machine works.
    assert struck(4, 11, 4) == [3]
    message = bench.send(bench.message(plan, predicted_ms=100))
    worker = bench.start(fake_faults="hang:4", stall_seconds=1, batch_size=2)
    worker.await_event("batch_done")
    assert bench.missing(message) == keys_of(message, [3])
    (reason,) = JobFolder(bench.store, plan.job_id).failures().values()
    assert "the engine hung" in reason
    assert [line.stage for line in bench.lines(EngineTriedLine)] == ["transcribe"]
    assert worker.process.poll() is None


def test_the_engine_process_dies_with_its_supervisor(bench: WorkerBench):
    message = bench.send(bench.message(bench.plan(8)))
    worker = bench.start(fake_delay_ms=300)
    wait_until(lambda: len(bench.missing(message)) < 8, lambda: bench.said)
    engine = worker.engine_pid()
    worker.signal(signal.SIGKILL)
    worker.wait()
    wait_until(lambda: not _runs(engine))
    assert bench.missing(message)
    assert not bench.unleased(message)
    wait_until(lambda: bench.unleased(message))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
