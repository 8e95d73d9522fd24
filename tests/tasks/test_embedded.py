"""The broker of one's own: reachable by its owner only, and gone when the owner is gone, however it went."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from broker_server import free_port
from queue_bench import PATIENCE_S, STORE, QueueBench, wait_until

from tasks.address import BrokerAwayError
from tasks.broker import Broker
from tasks.embedded import EmbeddedBroker

_OWNER = """
import signal, sys, time
from tasks.embedded import EmbeddedBroker
broker = EmbeddedBroker()
broker.start()
print(broker.url, flush=True)
sys.stdin.readline()
"""


def _folder(url: str) -> Path:
    return Path(url.removeprefix("unix://")).parent


def _servers_of(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or ()):
            found.append(process)
    return found


def _fill(broker: Broker) -> None:
    for _ in range(100):
        broker.hint({"fact": "x" * 100_000})


def test_it_serves_a_broker_and_a_consumer_on_a_private_socket() -> None:
    with EmbeddedBroker() as embedded:
        folder = _folder(embedded.url)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(embedded.url.removeprefix("unix://")) < 108
        broker = Broker.connect(embedded.url, STORE, 1000)
        with QueueBench(broker, embedded.url) as bench:
            bench.start()
            bench.proves_alive()
        broker.close()
    assert embedded.url == ""
    assert not folder.exists()
    assert _servers_of(folder) == []


def test_it_refuses_writes_rather_than_forget_some() -> None:
    import redis

    with EmbeddedBroker() as embedded:
        client = redis.Redis.from_url(embedded.url)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("port") == {"port": "0"}
        client.config_set("maxmemory", "1mb")
        broker = Broker.connect(embedded.url, STORE, 1000)
        with pytest.raises(BrokerAwayError, match="is full"):
            _fill(broker)
        broker.close()
        client.close()


def test_it_serves_tcp_when_asked_to() -> None:
    embedded = EmbeddedBroker()
    port = free_port()
    for wanted in (port, 0):
        embedded.start(wanted)
        try:
            assert embedded.url.startswith("redis://127.0.0.1:")
            assert wanted in (0, int(embedded.url.split(":")[2].split("/")[0]))
            Broker.connect(embedded.url, STORE, 1000).ping()
        finally:
            embedded.stop()


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        embedded = EmbeddedBroker()
        with pytest.raises(BrokerAwayError, match="does not start") as caught:
            embedded.start(taken.getsockname()[1])
    assert "\n" not in str(caught.value)
    embedded.stop()


def test_another_server_at_the_port_is_not_taken_for_ours() -> None:
    first, second = EmbeddedBroker(), EmbeddedBroker()
    first.start(0)
    try:
        with pytest.raises(BrokerAwayError, match="does not start"):
            second.start(int(first.url.split(":")[2].split("/")[0]))
        Broker.connect(first.url, STORE, 1000).ping()
    finally:
        second.stop()
        first.stop()


def test_stopping_twice_and_starting_again_is_fine() -> None:
    embedded = EmbeddedBroker()
    embedded.stop()
    embedded.start()
    embedded.stop()
    embedded.stop()
    embedded.start()
    Broker.connect(embedded.url, STORE, 1000).ping()
    embedded.stop()


@pytest.mark.parametrize("how", ["exit", "SIGTERM", "SIGKILL"])
def test_no_server_outlives_its_owner(how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdin is not None
            assert owner.stdout is not None
            folder = _folder(owner.stdout.readline().strip())
            assert len(_servers_of(folder)) == 2
            if how == "exit":
                owner.stdin.write("\n")
                owner.stdin.flush()
            else:
                owner.send_signal(signal.Signals[how])
            owner.wait(PATIENCE_S)
        finally:
            owner.kill()
    wait_until(lambda: not folder.exists() and _servers_of(folder) == [])


def test_a_signal_for_the_owners_group_does_not_reach_it() -> None:
    with EmbeddedBroker() as embedded:
        for process in _servers_of(_folder(embedded.url)):
            assert os.getpgid(process.pid) != os.getpgid(0)
