"""Leases, the register, hints, the leader and the epoch on a real server."""

from __future__ import annotations

import threading
import time

from broker_server import BrokerServer
from queue_bench import STORE, wait_until

from tasks.broker import Broker

KEYS = ["a" * 64, "b" * 64, "c" * 64]


def test_a_leased_unit_is_not_given_to_a_second_token(broker: Broker) -> None:
    assert broker.lease(KEYS[:2], "one") == set(KEYS[:2])
    assert broker.lease(KEYS, "two") == {KEYS[2]}
    assert broker.leased([*KEYS, "d" * 64]) == {KEYS[0]: "one", KEYS[1]: "one", KEYS[2]: "two"}


def test_leasing_what_is_ours_already_counts(broker: Broker) -> None:
    broker.lease(KEYS[:1], "one")
    assert broker.lease(KEYS, "one") == set(KEYS)


def test_a_lease_that_nobody_renews_becomes_free(broker: Broker) -> None:
    broker.lease(KEYS, "one")
    wait_until(lambda: not broker.leased(KEYS))
    assert broker.lease(KEYS, "two") == set(KEYS)


def test_a_renewed_lease_outlives_its_time(broker: Broker) -> None:
    broker.lease(KEYS, "one")
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert broker.renew(KEYS, "one") == set(KEYS)
        assert broker.lease(KEYS, "two") == set()
        time.sleep(0.1)


def test_renewal_after_a_flush_sets_the_leases_again(broker: Broker, broker_server: BrokerServer) -> None:
    broker.lease(KEYS, "one")
    broker_server.flush()
    assert broker.renew(KEYS, "one") == set(KEYS)
    assert broker.lease(KEYS, "two") == set()


def test_renewal_after_a_restart_sets_the_leases_again(broker: Broker, broker_server: BrokerServer) -> None:
    broker.lease(KEYS, "one")
    broker_server.restart()
    assert broker.renew(KEYS, "one") == set(KEYS)


def test_a_zombie_cannot_renew_or_release_what_another_holds_now(broker: Broker) -> None:
    broker.lease(KEYS, "zombie")
    wait_until(lambda: not broker.leased(KEYS))
    broker.lease(KEYS[:2], "next")
    assert broker.renew(KEYS, "zombie") == {KEYS[2]}
    broker.release(KEYS, "zombie")
    assert broker.leased(KEYS) == {KEYS[0]: "next", KEYS[1]: "next"}


def test_released_leases_are_free_at_once(broker: Broker) -> None:
    broker.lease(KEYS, "one")
    broker.release(KEYS[:2], "one")
    assert broker.lease(KEYS, "two") == set(KEYS[:2])


def test_thousands_of_keys_are_leased_and_seen(broker: Broker) -> None:
    keys = [f"{number:064x}" for number in range(4096)]
    assert broker.lease(keys, "one") == set(keys)
    assert len(broker.leased(keys)) == 4096
    broker.release(keys, "one")
    assert broker.leased(keys) == {}


def test_no_keys_are_no_work(broker: Broker) -> None:
    assert broker.lease([], "one") == set()
    assert broker.leased([]) == {}
    broker.release([], "one")


def test_racing_tokens_never_hold_the_same_unit(broker: Broker) -> None:
    keys = [f"{number:064x}" for number in range(300)]
    held: dict[str, set[str]] = {}

    def race(token: str) -> None:
        held[token] = set().union(*(broker.lease(keys[start : start + 7], token) for start in range(0, 300, 7)))

    threads = [threading.Thread(target=race, args=(f"token-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(some) for some in held.values()) == 300
    assert set().union(*held.values()) == set(keys)


def test_stores_do_not_see_each_other(broker: Broker, broker_server: BrokerServer) -> None:
    other = Broker.connect(broker_server.url, "f" * 32, 1000)
    broker.lease(KEYS, "one")
    broker.hint({"fact": "worker_up"})
    broker.beat("w1", {}, 5000)
    assert other.lease(KEYS, "two") == set(KEYS)
    assert other.hints(0) == []
    assert other.workers() == []
    other.close()


def test_workers_that_beat_are_listed_with_their_cards(broker: Broker) -> None:
    broker.beat("w2", {"state": "idle", "id": "lies"}, 60_000)
    broker.beat("w1", {"state": "busy", "host": "Zürich"}, 60_000)
    workers = broker.workers()
    assert [(info["id"], info["state"]) for info in workers] == [("w1", "busy"), ("w2", "idle")]
    assert all(0 <= info["beat_age_s"] < 30 for info in workers)
    broker.retire("w1")
    assert [info["id"] for info in broker.workers()] == ["w2"]


def test_a_silent_worker_leaves_the_register(broker: Broker, broker_server: BrokerServer) -> None:
    broker.beat("w1", {}, 50)
    wait_until(lambda: broker.workers() == [])
    assert broker_server.client().zcard(f"segue:{STORE[:12]}:workers") == 0


def test_a_strangers_card_and_hint_are_left_out(broker: Broker, broker_server: BrokerServer) -> None:
    broker.beat("w1", {}, 60_000)
    broker.beat("w2", {}, 60_000)
    client = broker_server.client()
    client.set(f"segue:{STORE[:12]}:worker:w1", b"\xff[")
    client.rpush(f"segue:{STORE[:12]}:done", b"\xff", b"[1]", b'{"fact": "units_done"}')
    assert [info["id"] for info in broker.workers()] == ["w2"]
    assert broker.hints(0) == [{"fact": "units_done"}]


def test_hints_arrive_once_and_in_order(broker: Broker) -> None:
    for number in range(5):
        broker.hint({"fact": "units_done", "number": number})
    assert [hint["number"] for hint in broker.hints(1)] == [0, 1, 2, 3, 4]
    assert broker.hints(0) == []


def test_waiting_for_hints_ends_with_the_first(broker: Broker) -> None:
    timer = threading.Timer(0.2, broker.hint, [{"fact": "batch_done"}])
    timer.start()
    assert broker.hints(30) == [{"fact": "batch_done"}]
    timer.join()


def test_hints_that_nobody_reads_do_not_pile_up(broker: Broker, broker_server: BrokerServer) -> None:
    name = f"segue:{STORE[:12]}:done"
    broker_server.client().rpush(name, *[b'{"fact": "old"}'] * 10_000)
    broker.hint({"fact": "new"})
    assert broker_server.client().llen(name) == 10_000
    assert broker.hints(0)[-1] == {"fact": "new"}


def test_one_leads_until_it_steps_down_or_is_silent(broker: Broker) -> None:
    assert broker.lead("one", 60_000)
    assert broker.lead("one", 60_000)
    assert not broker.lead("two", 60_000)
    broker.step_down("two")
    assert not broker.lead("two", 60_000)
    broker.step_down("one")
    assert broker.lead("two", 50)
    wait_until(lambda: broker.lead("one", 60_000))


def test_the_epoch_changes_when_the_broker_loses_its_memory(broker: Broker, broker_server: BrokerServer) -> None:
    first = broker.epoch()
    assert broker.epoch() == first
    broker_server.flush()
    second = broker.epoch()
    assert second != first
    broker_server.restart()
    assert broker.epoch() not in {first, second}
