"""Sending and consuming through a real server: order, patience, stopping, and a server that goes away."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading

import pytest
from broker_server import BrokerServer
from celery import Celery
from queue_bench import PATIENCE_S, QUEUE, SPEC, STORE, QueueBench, make_message, wait_until

from jobs.submissions import Priority
from tasks.app import make_app
from tasks.broker import Broker
from tasks.consumer import Consumer
from tasks.messages import BatchMessage
from tasks.queues import queue_name

LOW, NORMAL, RUSH = Priority.LOW, Priority.NORMAL, Priority.RUSH

_OTHER_CONSUMER = """
import sys
from tasks.app import make_app
from tasks.consumer import Consumer
url, store, queue = sys.argv[1:]
consumer = None
def handle(message):
    print(message.batch, flush=True)
    if sys.stdin.readline() == "stop\\n":
        consumer.stop()
consumer = Consumer(make_app(url, store), [queue], handle, name="other", refused=print)
consumer.run()
"""


def test_a_message_arrives_as_it_was_sent(bench: QueueBench) -> None:
    message = make_message(units=3)
    bench.broker.send(QUEUE, message)
    bench.start()
    wait_until(lambda: bench.taken == [message])


def test_rush_is_taken_first_and_low_last(bench: QueueBench) -> None:
    sent = bench.send(NORMAL, LOW, RUSH, NORMAL, RUSH)
    order = [sent[2], sent[4], sent[0], sent[3], sent[1]]
    assert bench.broker.waiting(QUEUE) == order
    bench.start()
    wait_until(lambda: len(bench.taken) == 5)
    assert bench.batches == order
    assert bench.broker.waiting(QUEUE) == []


def test_rush_in_a_later_queue_precedes_normal_in_an_earlier_one(broker: Broker, broker_server: BrokerServer) -> None:
    second = queue_name(STORE, "transcribe", SPEC)
    normal, rush = make_message(), make_message(RUSH)
    broker.send(QUEUE, normal)
    broker.send(second, rush)
    with QueueBench(broker, broker_server.url, (QUEUE, second)) as bench:
        bench.start()
        wait_until(lambda: len(bench.taken) == 2)
        assert bench.batches == [rush.batch, normal.batch]


def test_a_busy_consumer_leaves_messages_to_others(bench: QueueBench, broker_server: BrokerServer) -> None:
    bench.release.clear()
    bench.start()
    first, second, third = bench.send(NORMAL, NORMAL, NORMAL)
    wait_until(lambda: bench.consumer.busy)
    command = [sys.executable, "-c", _OTHER_CONSUMER, broker_server.url, STORE, QUEUE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdin is not None
            assert other.stdout is not None
            # The other is held at its message, and the first is still busy: the third stays in the broker.
            assert other.stdout.readline().strip() == second
            assert bench.broker.waiting(QUEUE) == [third]
            assert bench.batches == [first]
            other.stdin.write("stop\n")
            other.stdin.flush()
            assert other.wait(PATIENCE_S) == 0
        finally:
            other.kill()
    assert bench.broker.waiting(QUEUE) == [third]
    bench.release.set()
    wait_until(lambda: bench.batches == [first, third])


def test_an_idle_consumer_stops_and_leaves_later_messages(bench: QueueBench) -> None:
    bench.start()
    bench.proves_alive()
    bench.consumer.stop()
    bench.join()
    (late,) = bench.send(NORMAL)
    assert bench.broker.waiting(QUEUE) == [late]
    assert bench.errors == []


def test_a_stopped_consumer_returns_when_its_message_is_handled(bench: QueueBench) -> None:
    bench.release.clear()
    bench.start()
    first, second = bench.send(NORMAL, NORMAL)
    wait_until(lambda: bench.consumer.busy)
    bench.consumer.stop()
    assert bench.running
    bench.release.set()
    bench.join()
    assert bench.batches == [first]
    assert bench.broker.waiting(QUEUE) == [second]
    assert not bench.consumer.busy


def test_a_handler_may_stop_its_own_consumer(broker: Broker, broker_server: BrokerServer) -> None:
    taken: list[str] = []

    def handle(message: object) -> None:
        taken.append("one")
        consumer.stop()

    consumer = Consumer(make_app(broker_server.url, STORE), [QUEUE], handle, name="self", refused=taken.append)
    broker.send(QUEUE, make_message())
    broker.send(QUEUE, make_message())
    consumer.run()
    assert taken == ["one"]
    assert len(broker.waiting(QUEUE)) == 1


def test_a_consumer_that_was_stopped_before_it_ran_takes_nothing(bench: QueueBench) -> None:
    bench.send(NORMAL)
    bench.consumer.stop()
    bench.start()
    bench.join()
    assert bench.taken == []
    assert len(bench.broker.waiting(QUEUE)) == 1


def test_a_consumer_can_be_stopped_while_the_broker_is_away(bench: QueueBench, broker_server: BrokerServer) -> None:
    broker_server.stop()
    bench.start()
    bench.consumer.stop()
    bench.join()
    assert bench.errors == []


def test_a_consumer_waits_for_a_broker_that_comes_later(bench: QueueBench, broker_server: BrokerServer) -> None:
    broker_server.stop()
    bench.start()
    broker_server.start()
    bench.proves_alive()


def test_a_consumer_survives_restarts_on_the_same_port(bench: QueueBench, broker_server: BrokerServer) -> None:
    bench.start()
    for _ in range(2):
        bench.proves_alive()
        broker_server.stop()
        threading.Event().wait(1.2)
        broker_server.start()
    bench.proves_alive()
    assert bench.errors == []


def test_a_consumer_survives_a_flush(bench: QueueBench, broker_server: BrokerServer) -> None:
    bench.start()
    bench.proves_alive()
    broker_server.flush()
    bench.proves_alive()


def test_a_restart_during_a_message_neither_repeats_nor_ends_it(bench: QueueBench, broker_server: BrokerServer) -> None:
    bench.release.clear()
    bench.start()
    (first,) = bench.send(NORMAL)
    wait_until(lambda: bench.consumer.busy)
    broker_server.restart()
    (second,) = bench.send(NORMAL)
    # Busy still, although the connection is a new one.
    threading.Event().wait(1.5)
    assert bench.batches == [first]
    assert bench.broker.waiting(QUEUE) == [second]
    bench.release.set()
    wait_until(lambda: bench.batches == [first, second])


def test_a_consumer_survives_a_broker_that_froze(bench: QueueBench, broker_server: BrokerServer) -> None:
    bench.start()
    bench.proves_alive()
    broker_server.pause()
    threading.Event().wait(2)
    broker_server.resume()
    bench.proves_alive()


def _take_one(app: Celery, queue: str) -> BatchMessage:
    taken: list[BatchMessage] = []

    def handle(message: BatchMessage) -> None:
        taken.append(message)
        consumer.stop()

    consumer = Consumer(app, [queue], handle, name="again", refused=lambda line: None)
    consumer.run()
    (message,) = taken
    return message


def test_an_app_serves_again_and_other_queues(broker: Broker, broker_server: BrokerServer) -> None:
    app = make_app(broker_server.url, STORE)
    for queue in (QUEUE, queue_name(STORE, "transcribe", SPEC), QUEUE):
        sent = make_message()
        broker.send(queue, sent)
        assert _take_one(app, queue) == sent
    assert broker.queues() == []


def test_what_a_handler_raises_comes_out_of_run(bench: QueueBench) -> None:
    bench.fail_with = RuntimeError("a defect")
    bench.send(NORMAL, NORMAL)
    bench.start()
    bench.join()
    assert [str(error) for error in bench.errors] == ["a defect"]
    assert len(bench.taken) == 1


def test_celery_neither_takes_signals_nor_logs_nor_prints(
    bench: QueueBench, broker_server: BrokerServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)]
    handlers = list(logging.getLogger().handlers)
    bench.start()
    bench.proves_alive()
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)] == before
    assert logging.getLogger().handlers == handlers
    broker_server.restart()
    bench.proves_alive()
    bench.consumer.stop()
    bench.join()
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert {record.name for record in caplog.records if record.levelno >= logging.WARNING} == {"segue.broker"}
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_nothing_but_our_own_keys_is_left_in_the_broker(bench: QueueBench, broker_server: BrokerServer) -> None:
    bench.start()
    bench.proves_alive()
    bench.consumer.stop()
    bench.join()
    assert [name for name in broker_server.client().scan_iter() if not name.startswith(b"segue")] == []


def test_queues_with_messages_are_listed_and_emptied(bench: QueueBench, broker_server: BrokerServer) -> None:
    bench.send(RUSH, NORMAL, LOW)
    other = Broker.connect(broker_server.url, "f" * 32, 1000)
    assert bench.broker.queues() == [QUEUE]
    assert other.queues() == []
    assert bench.broker.empty(QUEUE) == 3
    assert bench.broker.queues() == []
    assert bench.broker.waiting(QUEUE) == []
    other.close()


def test_sending_goes_on_after_a_restart(bench: QueueBench, broker_server: BrokerServer) -> None:
    bench.send(NORMAL)
    broker_server.restart()
    (batch,) = bench.send(NORMAL)
    assert bench.broker.waiting(QUEUE) == [batch]
