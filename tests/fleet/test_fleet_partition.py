"""Two hosts on one disk and one broker: one of them loses sight of the broker, or of the disk, and comes back.

Each worker reaches the broker over a wire of its own, one of them in a network namespace where this process may make
one. Each has a mount table of its own, too, where that is allowed, so that the disk can be taken from one alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleet import Fleet, FleetBooks, worker_infos
from fleet_leases import HeldBatch, RecordWatch, attempt_owners, await_holder, idle_workers, session_of
from link_proxy import LinkProxy
from net_host import NetHost, may_network
from planned_work import PlannedWork
from private_mount import PRIVATE, PrivateMount, may_mount
from segue_process import COMMAND, SegueProcess

#: Every test waits until a host that was cut off works again.
pytestmark = pytest.mark.long
LEASE_S = 2
SETTINGS = {
    "SEGUE_LEASE_SECONDS": str(LEASE_S),
    "SEGUE_FAKE_DELAY_MS": "500",
    "SEGUE_BATCH_SIZE": "2",
    "SEGUE_BATCH_SECONDS": "10",
}


@dataclass
class Hosts:
    """A fleet whose workers are hosts: each with a wire to the broker and a mount of the disk."""

    fleet: Fleet
    work: PlannedWork
    #: Process id -> its wire.
    wires: dict[int, LinkProxy | NetHost]

    def add(self, wire: LinkProxy | NetHost) -> None:
        settings = {**self.fleet.environment, "SEGUE_BROKER_URL": wire.url()}
        place = wire.prefix if isinstance(wire, NetHost) else ()
        command = (*place, *(PRIVATE if may_mount() else ()), *COMMAND)
        worker = SegueProcess(["worker"], self.fleet.place, settings, command=command)
        self.fleet.workers.append(worker)
        self.wires[worker.pid] = wire

    def attempts_of(self, name: str) -> list[str]:
        """Attempts of a worker so far."""
        with self.fleet.store() as store:
            owners = attempt_owners(store)
        return [attempt.id for attempt in self.fleet.attempts() if owners.get(session_of(attempt.id)) == name]

    def state_of(self, name: str) -> str:
        """What a worker's info says."""
        return next((str(info["state"]) for info in worker_infos(self.fleet) if info["id"] == name), "")

    def await_work_of(self, name: str, jobs: Iterator[str]) -> None:
        """Submits jobs, each second one while a worker has its hands full, until this worker begins a unit of them."""
        before = len(self.attempts_of(name))
        end = time.monotonic() + 60
        while time.monotonic() < end:
            first, second = next(jobs), next(jobs)
            job = self.work.submit(first, 4)
            await_holder(self.fleet, spare=False)
            other = self.work.submit(second, 2)
            self.work.finish(job, first, 4)
            self.work.finish(other, second, 2)
            if len(self.attempts_of(name)) > before:
                return
        raise AssertionError(self.fleet.report(f"{name} does not work any more"))


@pytest.fixture(scope="module")
def hosts(scratch: Path) -> Iterator[Hosts]:
    with ExitStack() as stack:
        fleet = stack.enter_context(Fleet(scratch / "fleet", SETTINGS))
        hosts = Hosts(fleet, PlannedWork(fleet, scratch), {})
        fleet.start_coordinator()
        port = fleet.broker.port
        wires = (NetHost(port) if may_network() else LinkProxy(port), LinkProxy(port))
        for wire in wires:
            hosts.add(stack.enter_context(wire))
        fleet.until(lambda: len(idle_workers(fleet)) == 2, "two workers are ready")
        yield hosts


def more_jobs(start: str) -> Iterator[str]:
    """Names of jobs, as many as are wanted."""
    number = 0
    while True:
        number += 1
        yield f"{start}{number}"


def disturb(hosts: Hosts, name: str, cut: Callable[[HeldBatch], Callable[[], None]]) -> None:
    """A worker is cut off in the middle of a batch, the other finishes the job, and the first comes back."""
    job, windows = hosts.work.submit(name, 16), 16
    held = await_holder(hosts.fleet, units=3, spare=False)
    with hosts.fleet.store() as store:
        watch = RecordWatch.over(store)
        before = set(FleetBooks.read(store).made)
        at = time.time()
        heal = cut(held)
        try:
            hosts.fleet.until(lambda: hosts.state_of(held.name) == "paused", "the worker without a disk pauses")
            books = hosts.work.finish(job, name, windows)
            assert hosts.attempts_of(held.name)[-1] in {each.id for each in hosts.fleet.attempts() if each.at <= at}
            keys = list(books.made)
            assert watch.look(keys) == []
            owners = attempt_owners(store)
            left = [key for key in held.keys if key not in before]
            makers = {owners[session_of(books.made[key][0])] for key in left}
            assert makers - {held.name}, "what it held was computed elsewhere"
        finally:
            heal()
        hosts.await_work_of(held.name, more_jobs(name))
        assert watch.look(keys) == []
        assert {key: FleetBooks.read(store).made[key][0] for key in keys} == {k: books.made[k][0] for k in keys}
        assert FleetBooks.read(store).computed_again() == []
    assert held.worker.running


@pytest.mark.parametrize("host", ["network namespace", "wire"])
def test_a_host_without_the_broker_keeps_what_it_made_and_makes_nothing_twice(hosts: Hosts, host: str) -> None:
    if host == "network namespace" and not may_network():
        pytest.skip("needs root, for a network namespace")
    name = f"broker {host}"
    job = hosts.work.submit(name, 24)
    victim = hosts.fleet.workers[0 if host == "network namespace" else 1]
    held = await_holder(hosts.fleet, units=6, spare=False, worker=victim)
    with hosts.fleet.store() as store:
        watch = RecordWatch.over(store)
        wire = hosts.wires[held.worker.pid]
        wire.cut()
        try:
            books = hosts.work.finish(job, name, 24)
            keys = list(books.made)
            assert watch.look(keys) == []
            owners = attempt_owners(store)
            others = {k for each in books.attempts if owners[session_of(each.id)] != held.name for k in each.units}
            assert others & set(held.keys), "its units were given to another"
        finally:
            wire.heal()
        hosts.await_work_of(held.name, more_jobs(name))
        assert watch.look(keys) == []
        after = FleetBooks.read(store)
        assert {key: after.made[key][0] for key in keys} == {key: books.made[key][0] for key in keys}
        assert after.computed_again() == []
    assert held.worker.running


@pytest.mark.skipif(not may_mount(), reason="needs root, for mounts that one worker alone sees")
def test_a_host_whose_disk_refuses_writes_pauses_until_it_takes_them_again(hosts: Hosts) -> None:
    def cut(held: HeldBatch) -> Callable[[], None]:
        mount = PrivateMount(held.worker.pid, hosts.fleet.place.home)
        mount.make_read_only()
        return mount.give_back

    disturb(hosts, "read-only", cut)


@pytest.mark.skipif(not may_mount(), reason="needs root, for mounts that one worker alone sees")
def test_a_host_whose_disk_is_gone_pauses_until_it_is_back(hosts: Hosts) -> None:
    def cut(held: HeldBatch) -> Callable[[], None]:
        mount = PrivateMount(held.worker.pid, hosts.fleet.place.home)
        mount.take_away()
        return mount.give_back

    disturb(hosts, "gone", cut)
