"""Whatever a stranger puts into the broker is refused, told in one line, and harms nothing."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from broker_server import BrokerServer
from celery import Celery
from queue_bench import QUEUE, STORE, QueueBench, make_message, wait_until

from jobs.submissions import Priority
from tasks.envelope import batch_of
from tasks.messages import MAX_MESSAGE_BYTES
from tasks.queues import step_keys

Change = Callable[[dict[str, Any]], None]


def _entry(bench: QueueBench, server: BrokerServer) -> dict[str, Any]:
    """One of our own messages, taken out of the broker again."""
    bench.send(Priority.RUSH)
    entry: dict[str, Any] = json.loads(server.client().lpop(QUEUE))
    return entry


def _body(entry: dict[str, Any], change: Callable[[list[Any]], object]) -> None:
    body = json.loads(base64.b64decode(entry["body"]))
    change(body)
    entry["body"] = base64.b64encode(json.dumps(body).encode()).decode()


class _Trap:
    """Unpickling this would end the process."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os._exit, (77,)


def _pickled(entry: dict[str, Any]) -> None:
    entry["body"] = base64.b64encode(pickle.dumps(([], _Trap(), {}))).decode()
    entry["content-type"] = "application/x-python-serialize"
    entry["content-encoding"] = "binary"


def _pickled_as_json(entry: dict[str, Any]) -> None:
    entry["body"] = base64.b64encode(pickle.dumps(([], _Trap(), {}))).decode()


_CHANGES: dict[str, Change] = {
    "pickled": _pickled,
    "pickled, called JSON": _pickled_as_json,
    "yaml": lambda entry: entry.update({"content-type": "application/x-yaml"}),
    "another task": lambda entry: entry["headers"].update(task="celery.chord_unlock"),
    "a task of Celery": lambda entry: entry["headers"].update(task="celery.starmap"),
    "task is no text": lambda entry: entry["headers"].update(task={"a": 1}),
    "no task": lambda entry: entry["headers"].pop("task"),
    "no headers": lambda entry: entry.pop("headers"),
    "no properties": lambda entry: entry.pop("properties"),
    "no body": lambda entry: entry.pop("body"),
    "body of a number": lambda entry: entry.update(body=5),
    "body not base64": lambda entry: entry.update(body="%%%"),
    "body not utf-8": lambda entry: entry.update(body=base64.b64encode(b"\xff\xfe").decode()),
    "body encoding": lambda entry: entry["properties"].update(body_encoding="utf-8"),
    "compressed": lambda entry: entry["headers"].update(compression="application/x-gzip"),
    "run later": lambda entry: entry["headers"].update(eta="2999-01-01T00:00:00+00:00"),
    "expires": lambda entry: entry["headers"].update(expires="2000-01-01T00:00:00+00:00"),
    "another id": lambda entry: entry["headers"].update(id="d" * 32),
    "positional": lambda entry: _body(entry, lambda body: body[0].append(1)),
    "another store": lambda entry: _body(entry, lambda body: body[1].update(store="f" * 32)),
    "another version": lambda entry: _body(entry, lambda body: body[1].update(v=1)),
    "path in a job id": lambda entry: _body(entry, lambda body: body[1]["units"][0].__setitem__(0, "../../etc")),
    "callbacks": lambda entry: _body(entry, lambda body: body[2].update(callbacks=[{"task": "celery.map"}])),
    "chain": lambda entry: _body(entry, lambda body: body[2].update(chain=[{"task": "celery.map"}])),
    "body is a list": lambda entry: _body(entry, lambda body: body.clear()),
    "old protocol": lambda entry: entry.update(
        headers={}, body=base64.b64encode(b'{"task": "segue.batch", "id": "1", "kwargs": {}}').decode()
    ),
}

_RAW: dict[str, bytes] = {
    "garbage": b"\xff\xfe\x00garbage",
    "empty": b"",
    "a number": b"5",
    "null": b"null",
    "a list": b"[1, 2]",
    "half a message": b'{"body": "W10=", "headers": {"task": "segue.ba',
    "deep": b"[" * 200_000,
    "a long number": b'{"headers": ' + b"9" * 10_000 + b"}",
    "huge": b'{"body": "' + b"A" * (MAX_MESSAGE_BYTES + 1) + b'"}',
    "pickle": pickle.dumps(_Trap()),
}


def test_every_hostile_entry_is_refused_once_and_the_consumer_goes_on(
    bench: QueueBench, broker_server: BrokerServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = broker_server.client()
    count = 0
    for change in _CHANGES.values():
        entry = _entry(bench, broker_server)
        change(entry)
        client.lpush(QUEUE, json.dumps(entry))
        count += 1
    for number, raw in enumerate(_RAW.values()):
        client.lpush(step_keys(QUEUE)[number % 3], raw)
        count += 1
    (good,) = bench.send(Priority.LOW)
    bench.start()
    wait_until(lambda: bench.batches == [good])
    assert len(bench.refused) == count
    assert all(line.startswith("message refused: ") and QUEUE in line for line in bench.refused)
    assert all("\n" not in line and len(line) < 250 and line.isascii() for line in bench.refused)
    assert [record.getMessage() for record in caplog.records if record.name == "segue.broker"] == bench.refused
    assert bench.running
    assert client.keys("segue*") == []


def test_what_another_celery_sends_into_our_queue_is_refused(bench: QueueBench, broker_server: BrokerServer) -> None:
    with Celery("stranger", broker=broker_server.url, set_as_current=False) as stranger:
        stranger.conf.task_default_queue = QUEUE
        stranger.send_task("segue.batch", args=[1], kwargs={})
        stranger.send_task("shop.order", kwargs={"n": 1})
        stranger.send_task("segue.batch", kwargs=make_message().as_kwargs(), serializer="pickle")
    bench.start()
    bench.proves_alive()
    wait_until(lambda: len(bench.refused) == 3)


@pytest.mark.parametrize("name", sorted(_RAW))
def test_foreign_entries_are_not_counted_as_waiting(name: str) -> None:
    assert batch_of(_RAW[name]) is None


def test_hostile_entries_do_not_hide_ours_from_the_coordinator(bench: QueueBench, broker_server: BrokerServer) -> None:
    (first,) = bench.send(Priority.RUSH)
    for raw in _RAW.values():
        broker_server.client().lpush(QUEUE, raw)
    (second,) = bench.send(Priority.RUSH)
    assert bench.broker.waiting(QUEUE) == [first, second]
    assert bench.broker.empty(QUEUE) == len(_RAW) + 2


def test_a_list_that_was_replaced_by_something_else_is_mended(bench: QueueBench, broker_server: BrokerServer) -> None:
    broker_server.client().set(step_keys(QUEUE)[1], "no list")
    assert bench.broker.waiting(QUEUE) == []
    bench.start()
    wait_until(lambda: len(bench.refused) == 1)
    bench.proves_alive()


def test_a_replaced_list_can_be_emptied(bench: QueueBench, broker_server: BrokerServer) -> None:
    broker_server.client().set(step_keys(QUEUE)[1], "no list")
    assert bench.broker.empty(QUEUE) == 0
    assert bench.send(Priority.NORMAL) == bench.broker.waiting(QUEUE)


def test_queues_of_strangers_are_not_listed(bench: QueueBench, broker_server: BrokerServer) -> None:
    broker_server.client().lpush("celery", "x")
    broker_server.client().lpush(f"segue1.{STORE[:11]}", "x")
    assert bench.broker.queues() == []
