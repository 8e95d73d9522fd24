"""Work that takes far longer than any time-out is done once, as long as its worker lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from broker_server import BrokerServer
from fleet import Fleet
from fleet_leases import await_holder, idle_workers
from planned_work import PlannedWork
from queue_bench import QUEUE, STORE, QueueBench, wait_until
from segue_process import ROOT

from jobs.submissions import Priority
from tasks.broker import Broker

#: Lease periods, and as many time-outs of a message, that the work takes.
PERIODS = (4, pytest.param(10, marks=pytest.mark.long))
SETTINGS = {
    "SEGUE_LEASE_SECONDS": "1",
    "SEGUE_FAKE_DELAY_MS": "1100",
    "SEGUE_BATCH_SIZE": "16",
    "SEGUE_BATCH_SECONDS": "60",
}
#: A consumer in a process of its own, with the same settings of the queue: it prints the batches that it takes.
OTHER_CONSUMER = """
import sys
from queue_bench import QUEUE, STORE
from tasks.app import make_app
from tasks.consumer import Consumer

app = make_app(sys.argv[1], STORE)
app.conf.broker_transport_options = {**app.conf.broker_transport_options, "visibility_timeout": 1}
print("ready", flush=True)
Consumer(app, (QUEUE,), lambda message: print(message.batch, flush=True), name="other", refused=print).run()
"""


@pytest.mark.parametrize("periods", PERIODS)
def test_a_batch_of_many_lease_periods_runs_once_beside_an_idle_worker(tmp_path: Path, periods: int) -> None:
    with Fleet(tmp_path / "fleet", SETTINGS) as fleet:
        work = PlannedWork(fleet, tmp_path)
        fleet.start(2)
        fleet.until(lambda: len(idle_workers(fleet)) == 2, "two workers are ready")
        job = work.submit("long", periods)
        held = await_holder(fleet, units=periods)
        books = work.finish(job, "long", periods)
        assert set(books.attempts[0].units) == set(held.keys)
        assert len(books.attempts) == 1
        assert books.recomputed_units() == 0


@pytest.mark.parametrize("periods", PERIODS)
def test_a_message_in_hand_is_nobody_elses_however_long_it_takes(tmp_path: Path, periods: int) -> None:
    with BrokerServer() as server:
        broker = Broker.connect(server.url, STORE, 1000)
        with QueueBench(broker, server.url) as bench:
            options = bench.consumer.app.conf.broker_transport_options
            bench.consumer.app.conf.broker_transport_options = {**options, "visibility_timeout": 1}
            bench.release.clear()
            bench.start()
            (batch,) = bench.send(Priority.NORMAL)
            wait_until(lambda: bench.batches == [batch])
            log = tmp_path / "other.txt"
            others = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))}
            with log.open("wb") as out:
                other = subprocess.Popen([sys.executable, "-c", OTHER_CONSUMER, server.url], stdout=out, env=others)
            try:
                wait_until(lambda: log.read_text().startswith("ready"))
                # A visibility time-out is a second.
                time.sleep(periods)
                assert broker.waiting(QUEUE) == []
                assert not [name for name in server.client().scan_iter() if name.startswith(b"unacked")]
                (second,) = bench.send(Priority.NORMAL)
                wait_until(lambda: second in log.read_text())
                assert log.read_text().split() == ["ready", second]
            finally:
                other.kill()
                other.wait()
            assert bench.batches == [batch]
            bench.release.set()
        broker.close()
