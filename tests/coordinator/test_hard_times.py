"""The coordinator when others misbehave: strangers in the broker, disks that refuse, jobs that nobody serves."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from harness import CoordinatorHarness

from cache.store import Store
from coordinator import admission, register
from coordinator.main import LEAD_MS, _Leadership
from core.errors import StoreError
from core.keys import canonical_json
from jobs.presence import other_coordinator
from jobs.submissions import OrderKind, Priority, give_order, open_jobs
from jobs.webhooks import OUTBOX
from pipeline.report import JobState


def finish(harness: CoordinatorHarness, *jobs: str) -> None:
    def happened() -> bool:
        if (message := harness.take()) is not None:
            harness.compute(message.units)
            harness.done(message)
        return all(job not in open_jobs(harness.store) for job in jobs)

    harness.until(happened)


def test_a_stranger_s_cards_and_hints_end_nothing_and_teach_nothing(harness: CoordinatorHarness) -> None:
    harness.broker.beat("evil1", {"state": "idle", "serves": 5}, 60_000)
    harness.broker.beat("evil2", {"state": ["x"], "serves": ["a", None]}, 60_000)
    harness.show_worker()
    queue = harness.queue()
    harness.broker.hint({"fact": "batch_done", "queue": "evil", "audio_ms": 1, "engine_ms": 5})
    harness.broker.hint({"fact": "batch_done", "queue": queue, "audio_ms": 1, "engine_ms": 10**30})
    harness.broker.hint({"fact": "batch_done", "queue": queue, "audio_ms": 10**30, "engine_ms": 0})
    harness.broker.hint({"fact": "batch_done", "queue": [queue], "audio_ms": 1, "engine_ms": 1, "batch": {}})
    harness.broker.hint({"fact": "audio_damaged", "jobs": [["x"], 5, None]})
    job = harness.maker.submit("talk", 4)
    finish(harness, job)
    assert harness.view(job).state is JobState.DONE
    kept = json.loads(harness.store.read_state(("state", "speeds.state")) or b"{}")
    assert "evil" not in kept
    # Whatever was leased, a batch of it is one that workers accept.
    assert all(0 <= engine_ms <= audio_ms * 1_000 and audio_ms < 10**8 for engine_ms, audio_ms in kept[queue])
    assert harness.coordinator.rates.predict(queue, "transcribe", 1) <= 1_000


def test_jobs_that_nobody_serves_do_not_keep_others_from_being_opened(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MOST_ACTIVE", 2)
    monkeypatch.setattr(admission, "SET_ASIDE_AFTER_S", 0.0)
    monkeypatch.setattr(admission, "SET_ASIDE_S", 0.2)
    jobs = [harness.maker.submit(f"spoken{number}", 2) for number in range(5)]
    harness.until(lambda: len(harness.coordinator.jobs) >= 2)
    seen: set[str] = set()

    def all_had_a_place() -> bool:
        seen.update(harness.coordinator.jobs)
        return seen >= set(jobs)

    harness.until(all_had_a_place)
    assert harness.coordinator.snapshot().queue_age_s > 0
    harness.show_worker()
    finish(harness, *jobs)
    assert {harness.view(job).state for job in jobs} == {JobState.DONE}


def test_an_owner_with_nothing_open_gets_a_place_beside_one_who_has_them_all(harness: CoordinatorHarness) -> None:
    for number in range(4):
        harness.maker.submit(f"many{number}", 1, owner="many")
    late = harness.maker.submit("late", 1, owner="late")
    found = register.JobRegister(harness.store)
    for name in (order.job_id for order in open_orders(harness)):
        found.update(name)
    busy = {job for job in found._entries if job != late}
    assert found.next(busy, room=0, most=4) == [late]


def test_an_owner_who_once_had_the_fleet_alone_is_level_with_others_later(harness: CoordinatorHarness) -> None:
    from coordinator.fairness import FairShare

    share, jobs = FairShare(), {}
    for owner in ("early", "late"):
        harness.maker.submit(f"of-{owner}", 1, owner=owner)
    harness.until(lambda: len(harness.coordinator.jobs) == 2)
    for job in harness.coordinator.jobs.values():
        jobs[job.owner] = job
    share.enter(jobs["early"], ())
    share.charge(jobs["early"], 10**9)
    share.leave(jobs["early"])
    share.enter(jobs["late"], ())
    share.charge(jobs["late"], 1000)
    share.enter(jobs["early"], [jobs["late"]])
    share.charge(jobs["late"], 1)
    assert share.order(jobs.values())[0].owner == "early"


def open_orders(harness: CoordinatorHarness) -> list[Any]:
    from jobs.submissions import file_order, pending_orders

    orders = list(pending_orders(harness.store))
    for order in orders:
        file_order(harness.store, order)
    return orders


def test_a_rush_job_is_planned_while_every_planner_decodes(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    gate = threading.Event()
    opened = admission.open_job

    def slow(job_id: str, *rest: Any, **how: Any) -> Any:
        if job_id not in urgent:
            gate.wait(30)
        return opened(job_id, *rest, **how)

    urgent: set[str] = set()
    monkeypatch.setattr(admission, "open_job", slow)
    for number in range(6):
        harness.maker.submit(f"long{number}", 1)
    harness.until(lambda: len(harness.coordinator.admission._opening) == 4)
    urgent.add(harness.maker.submit("urgent", 1, priority=Priority.RUSH))
    try:
        harness.until(lambda: urgent <= harness.coordinator.jobs.keys())
        assert harness.coordinator.jobs.keys() == urgent
    finally:
        gate.set()


@pytest.mark.parametrize("kind", [OrderKind.SUBMIT, OrderKind.CANCEL])
def test_an_order_is_not_forgotten_when_the_disk_fails_in_the_middle_of_it(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch, kind: OrderKind
) -> None:
    if kind is OrderKind.CANCEL:
        job = harness.maker.submit("talk", 2)
        harness.until(lambda: job in harness.coordinator.jobs)
        give_order(harness.store, OrderKind.CANCEL, job)
    else:
        job = harness.maker.submit("talk", 2)
    failing = True
    replace_state = Store.replace_state

    def full(store: Store, parts: Any, payload: bytes, **how: Any) -> None:
        if failing and parts[-1] == "queue.state":
            raise StoreError("no space left", "")
        replace_state(store, parts, payload, **how)

    monkeypatch.setattr(Store, "replace_state", full)
    for _ in range(3):
        with pytest.raises(StoreError):
            harness.until(lambda: False, 10)
    failing = False
    if kind is OrderKind.CANCEL:
        harness.until(lambda: job not in open_jobs(harness.store))
        assert harness.view(job).state is JobState.CANCELLED
    else:
        harness.until(lambda: job in harness.coordinator.jobs)


def test_a_job_whose_end_the_disk_refuses_at_first_is_delivered_later(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 2)
    refusals = []
    append = Store.append

    def full(store: Store, parts: Any, entries: Any, *, durable: bool = True) -> None:
        if parts[-1].startswith("wants-") and any(entry["fact"] == "job_ended" for entry in entries) and not refusals:
            refusals.append(parts)
            raise StoreError("no space left", "")
        append(store, parts, entries, durable=durable)

    monkeypatch.setattr(Store, "append", full)
    with pytest.raises(StoreError):
        finish(harness, job)
    finish(harness, job)
    assert harness.view(job).state is JobState.DONE


def test_a_job_that_is_cancelled_while_it_is_delivered_ends_as_done_for_everybody(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from pipeline import lifecycle

    gate, began, deliver = threading.Event(), threading.Event(), lifecycle.deliver_job

    def slow(*values: Any) -> Any:
        began.set()
        gate.wait(30)
        return deliver(*values)

    monkeypatch.setattr(lifecycle, "deliver_job", slow)
    harness.show_worker()
    job = harness.maker.submit("talk", 2, notify="http://127.0.0.1:9/hook")

    def delivering() -> bool:
        if (message := harness.take()) is not None:
            harness.compute(message.units)
            harness.done(message)
        return began.is_set()

    harness.until(delivering)
    give_order(harness.store, OrderKind.CANCEL, job)
    harness.step(3)
    gate.set()
    harness.until(lambda: job not in open_jobs(harness.store))
    harness.step(3)
    assert harness.view(job).state is JobState.DONE
    notes = [
        harness.store.read_document((*OUTBOX, name)) for name in harness.store.children(OUTBOX) if name.endswith("json")
    ]
    assert [json.loads(note or b"")["body"]["data"]["state"] for note in notes] == ["done"]


def test_a_unit_does_not_fail_because_the_disk_shows_its_record_late(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 1)
    given = 0

    def computed_elsewhere() -> bool:
        nonlocal given
        if (message := harness.take()) is not None:
            given += 1
            if given == 8:
                harness.compute(message.units)
            harness.done(message)
        return job not in open_jobs(harness.store) and given > 0

    harness.until(computed_elsewhere)
    assert given == 8
    assert harness.view(job).state is JobState.DONE


def test_a_leader_out_of_the_broker_s_reach_gives_way_to_one_that_noted_itself(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading
    import time

    leadership = _Leadership(harness.broker, threading.Event(), harness.said.append)
    assert leadership.gain()
    assert not leadership.is_doubtful
    now = time.monotonic()
    monkeypatch.setattr("coordinator.main.time.monotonic", lambda: now + LEAD_MS / 1000 + 1)
    assert leadership.is_doubtful
    leadership.yield_to("somebody else leads")
    assert leadership.over
    leadership.give_up()


def test_only_a_fresh_note_of_somebody_else_counts_as_another_coordinator(harness: CoordinatorHarness) -> None:
    from datetime import UTC, datetime, timedelta

    def note(host: str, age_s: float) -> None:
        at = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat(timespec="milliseconds")
        value = {"at": at, "pid": os.getpid(), "host": host, "url_of_broker": ""}
        harness.store.replace_state(("state", "coordinator.state"), canonical_json(value))

    import socket

    assert other_coordinator(harness.store) is None
    note(socket.gethostname(), 1)
    assert other_coordinator(harness.store) is None
    note("elsewhere", 600)
    assert other_coordinator(harness.store) is None
    note("elsewhere", 1)
    other = other_coordinator(harness.store)
    assert other is not None
    assert other.host == "elsewhere"


def test_an_order_of_a_newer_segue_keeps_its_own_job_waiting_and_no_other(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    newer = harness.maker.submit("newer", 3)
    harness.until(lambda: newer in harness.coordinator.jobs)
    entry = harness.store.read_journal(("jobs", newer, "orders.jsonl")).entries[0]
    harness.store.append(("jobs", newer, "orders.jsonl"), [{**entry, "v": 99, "id": "later"}])
    harness.coordinator.close()
    harness.begin()
    job = harness.maker.submit("talk", 3)
    harness.until(lambda: job in harness.coordinator.jobs)
    assert newer not in harness.coordinator.jobs
    assert any("cannot be read by this Segue" in line for line in harness.said)
