"""Whatever stands in the broker under a name of ours, every call works: what is no value of ours is replaced."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from broker_server import BrokerServer
from queue_bench import QUEUE, STORE, make_message

from tasks.broker import Broker
from tasks.queues import step_keys

PREFIX = f"segue:{STORE[:12]}:"
KEY = "a" * 64
WORKER = "w1"
#: How a value of each type is put somewhere.
PUT: dict[str, Callable[[Any, str], object]] = {
    "string": lambda client, name: client.set(name, "a stranger's"),
    "list": lambda client, name: client.rpush(name, "a stranger's"),
    "set": lambda client, name: client.sadd(name, "a stranger's"),
    "hash": lambda client, name: client.hset(name, "a", "stranger's"),
    "zset": lambda client, name: client.zadd(name, {"a stranger's": 1.0}),
    "stream": lambda client, name: client.xadd(name, {"a": "stranger's"}),
}


def _beat(broker: Broker) -> None:
    broker.beat(WORKER, {"state": "idle"}, 60_000)


def _is_registered(broker: Broker) -> bool:
    return [info["id"] for info in broker.workers()] == [WORKER]


def _registers(broker: Broker) -> bool:
    _beat(broker)
    return _is_registered(broker)


def _retires(broker: Broker) -> bool:
    broker.retire(WORKER)
    return broker.workers() == []


def _steps_down(broker: Broker) -> bool:
    broker.step_down("one")
    return broker.lead("two", 5000)


def _releases(broker: Broker) -> bool:
    broker.release([KEY], "one")
    return broker.lease([KEY], "two") == {KEY}


def _hints(broker: Broker) -> bool:
    broker.hint({"fact": "units_done"})
    return broker.hints(1) == [{"fact": "units_done"}]


def _sends(broker: Broker) -> bool:
    message = make_message()
    broker.send(QUEUE, message)
    return broker.waiting(QUEUE) == [message.batch]


#: Every name that Segue has in a broker, its type there, and every call that touches it: it works, whatever is there.
KEYS: dict[str, tuple[str, tuple[Callable[[Broker], bool], ...]]] = {
    f"{PREFIX}lease:{KEY}": (
        "string",
        (
            lambda broker: broker.lease([KEY], "one") == {KEY},
            lambda broker: broker.renew([KEY], "one") == {KEY},
            lambda broker: broker.leased([KEY]) == {},
            _releases,
        ),
    ),
    f"{PREFIX}leader": ("string", (lambda broker: broker.lead("one", 5000), _steps_down)),
    f"{PREFIX}epoch": ("string", (lambda broker: broker.epoch() == broker.epoch() != "a stranger's",)),
    f"{PREFIX}done": ("list", (lambda broker: broker.hints(0) == [], lambda broker: broker.hints(0.05) == [], _hints)),
    f"{PREFIX}workers": ("zset", (lambda broker: broker.workers() == [], _registers, _retires)),
    f"{PREFIX}worker:{WORKER}": ("string", (_registers, _retires)),
    **{
        name: ("list", (lambda broker: broker.waiting(QUEUE) == [], _sends, lambda broker: broker.empty(QUEUE) == 0))
        for name in step_keys(QUEUE)
    },
}


def test_every_call_works_whatever_type_of_value_stands_under_a_name_of_ours(
    broker: Broker, broker_server: BrokerServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = broker_server.client()
    for name, (kind, calls) in KEYS.items():
        for foreign, put in PUT.items():
            if foreign == kind:
                continue
            for call in calls:
                client.flushall()
                put(client, name)
                assert call(broker), (name, foreign)
                assert client.type(name).decode() in (kind, "none") or name in step_keys(QUEUE), (name, foreign)
    said = [record.getMessage() for record in caplog.records if record.name == "segue.broker"]
    assert said
    assert all("\n" not in line and "a stranger's" in line for line in said)


def test_a_value_that_was_replaced_is_said_in_one_line(
    broker: Broker, broker_server: BrokerServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "segue.broker")
    PUT["hash"](broker_server.client(), f"{PREFIX}done")
    assert broker.hints(0) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"the broker held a stranger's hash as {PREFIX}done; it is removed"
    ]


def test_one_foreign_lease_among_thousands_is_taken(broker: Broker, broker_server: BrokerServer) -> None:
    keys = [f"{number:064x}" for number in range(2000)]
    PUT["list"](broker_server.client(), f"{PREFIX}lease:{keys[1777]}")
    assert broker.lease(keys, "one") == set(keys)
    assert set(broker.leased(keys).values()) == {"one"}


def test_a_lease_that_never_ends_is_nobodys(broker: Broker, broker_server: BrokerServer) -> None:
    client = broker_server.client()
    for value, more in (("x", {}), (b"\xff\x00" * 500_000, {}), ("one", {}), ("x", {"ex": 86_400}), ("", {})):
        for name in (f"{PREFIX}lease:{KEY}", f"{PREFIX}leader"):
            client.set(name, value, **more)
        assert broker.leased([KEY]) == {}
        assert broker.lease([KEY], "one") == {KEY}
        assert broker.lead("one", 5000)
        assert 0 < client.pttl(f"{PREFIX}lease:{KEY}") <= 1000
        broker.release([KEY], "one")
        broker.step_down("one")


@pytest.mark.parametrize("value", [b"\xff\xfe\x00", b"x" * 3_000_000, b"", b"\n"])
def test_a_strangers_epoch_is_one_like_any_other_or_is_replaced(
    broker: Broker, broker_server: BrokerServer, value: bytes
) -> None:
    broker_server.client().set(f"{PREFIX}epoch", value)
    first = broker.epoch()
    assert broker.epoch() == first
    assert len(first) <= 64


HOSTILE_JSON = {
    "not JSON": b"{",
    "binary": b"\xff\xfe\x00",
    "a number": b"5",
    "a long number": b"9" * 10_000,
    "null": b"null",
    "a list": b"[1]",
    "deep": b"[" * 200_000,
    "deep in an object": b'{"a": ' * 100_000,
    "huge": b'{"fact": "' + b"x" * 2_000_000 + b'"}',
}


def test_hints_that_are_none_of_ours_are_left_out(broker: Broker, broker_server: BrokerServer) -> None:
    client = broker_server.client()
    for value in HOSTILE_JSON.values():
        client.rpush(f"{PREFIX}done", value)
    client.rpush(f"{PREFIX}done", json.dumps({"fact": "units_done"}))
    assert broker.hints(0) == [{"fact": "units_done"}]
    for value in HOSTILE_JSON.values():
        client.rpush(f"{PREFIX}done", value)
    assert broker.hints(0) == []
    assert client.llen(f"{PREFIX}done") == 0


def test_of_any_number_of_hints_the_latest_are_taken(broker: Broker, broker_server: BrokerServer) -> None:
    client = broker_server.client()
    client.rpush(f"{PREFIX}done", *[b'{"fact": "old"}'] * 30_000, b'{"fact": "new"}')
    found = broker.hints(0)
    assert (len(found), found[-1]) == (10_000, {"fact": "new"})
    assert broker.hints(0) == []


@pytest.mark.parametrize("name", sorted(HOSTILE_JSON))
def test_a_card_that_is_none_of_ours_is_left_out(broker: Broker, broker_server: BrokerServer, name: str) -> None:
    _beat(broker)
    client = broker_server.client()
    broker.beat("other", {}, 60_000)
    client.set(f"{PREFIX}worker:other", HOSTILE_JSON[name])
    workers = {info["id"]: info for info in broker.workers()}
    assert WORKER in workers
    assert set(workers) <= {WORKER, "other"}
    assert name == "huge" or set(workers) == {WORKER}


def test_members_of_the_register_that_no_worker_entered_hide_none(broker: Broker, broker_server: BrokerServer) -> None:
    client = broker_server.client()
    client.zadd(f"{PREFIX}workers", {f"junk-{number}": number for number in range(20_000)})
    client.zadd(f"{PREFIX}workers", {b"\xff\xfe": 5.0, "x" * 100_000: 6.0, "": 7.0})
    for member, score in (("never", float("-inf")), ("always", float("inf")), ("old", 1.0), ("future", 1e15)):
        client.zadd(f"{PREFIX}workers", {member: score})
        client.set(f"{PREFIX}worker:{member}", "{}")
    _beat(broker)
    assert _is_registered(broker)
    assert json.loads(json.dumps(broker.workers(), allow_nan=False))
