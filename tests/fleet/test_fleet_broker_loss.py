"""The broker goes away, forgets, loses a message, delivers one twice: jobs complete, and nothing is computed twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Fleet
from fleet_leases import await_holder
from planned_work import PlannedWork

LEASE_S = 2
SETTINGS = {
    "SEGUE_LEASE_SECONDS": str(LEASE_S),
    "SEGUE_FAKE_DELAY_MS": "100",
    "SEGUE_BATCH_SECONDS": "2",
    "SEGUE_BATCH_SIZE": "4",
}


@pytest.fixture(scope="module")
def work(scratch: Path) -> Iterator[PlannedWork]:
    with Fleet(scratch / "fleet", SETTINGS) as fleet:
        fleet.start(2)
        yield PlannedWork(fleet, scratch)


def waiting_messages(fleet: Fleet) -> dict[str, list[bytes]]:
    """Messages that no worker has taken, by list, as they are in the broker."""
    client = fleet.broker.client()
    lists = {name.decode(): client.lrange(name, 0, -1) for name in client.scan_iter(match="segue1.*")}
    return {name: messages for name, messages in lists.items() if messages}


@pytest.mark.long
def test_the_broker_is_away_for_longer_than_leases_last(work: PlannedWork) -> None:
    job = work.submit("away", 60, ("es",))
    await_holder(work.fleet, spare=False)
    work.fleet.broker.stop()
    time.sleep(2 * LEASE_S)
    work.fleet.broker.start()
    assert work.finish(job, "away", 60, ("es",)).recomputed_units() == 0


def test_the_broker_forgets_everything(work: PlannedWork) -> None:
    job = work.submit("flushed", 60)
    for _ in range(2):
        await_holder(work.fleet, spare=False)
        work.fleet.broker.flush()
    assert work.finish(job, "flushed", 60).recomputed_units() == 0


@pytest.mark.long
def test_a_message_comes_several_times(work: PlannedWork) -> None:
    job = work.submit("twice", 60)
    seen: set[tuple[str, bytes]] = set()
    client = work.fleet.broker.client()

    def duplicate() -> None:
        """Every message that is seen waiting is there twice more, now and once again when others have come."""
        new = {(name, raw) for name, messages in waiting_messages(work.fleet).items() for raw in messages} - seen
        for name, raw in new:
            client.lpush(name, raw, raw)
        if new:
            for name, raw in seen:
                client.lpush(name, raw)
        seen.update(new)

    work.fleet.wait([job], tick=duplicate)
    assert seen
    for name, raw in seen:
        client.lpush(name, raw)
    work.fleet.until(lambda: not waiting_messages(work.fleet), "late copies are taken, too")
    assert work.finish(job, "twice", 60).recomputed_units() == 0


@pytest.mark.long
def test_messages_vanish_from_the_queue(work: PlannedWork) -> None:
    job = work.submit("lost", 60)
    client = work.fleet.broker.client()
    lost: list[str] = []

    def lose() -> None:
        for name in waiting_messages(work.fleet):
            if len(lost) < 3:
                lost.append(name)
                client.delete(name)

    work.fleet.wait([job], tick=lose)
    assert lost
    assert work.finish(job, "lost", 60).recomputed_units() == 0
