"""Hostile media in the queue: files that would be decoded for hours hold up one another only."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from harness import CoordinatorHarness

from jobs.submissions import Priority
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.planning import PlanRequest, plan_job
from pipeline.report import JobState

HOUR_MS = 3_600_000


def test_files_with_far_more_sound_than_bytes_do_not_hold_up_other_people_s_jobs(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_are_open = threading.Event()
    at_once: list[int] = []
    lock = threading.Lock()
    decoding: set[str] = set()

    def plan_slowly(request: PlanRequest, folder: JobFolder, on_decoded: Callable[[int, int], None]) -> Plan:
        """Of the few bytes of a hostile file, an hour of sound comes, and then more."""
        if request.path.stem.startswith("hostile"):
            on_decoded(HOUR_MS, 48 * HOUR_MS)
            with lock:
                decoding.add(folder.job_id)
                at_once.append(len(decoding))
            while not others_are_open.wait(0.01):
                on_decoded(HOUR_MS, 48 * HOUR_MS)
            with lock:
                decoding.discard(folder.job_id)
        return plan_job(request, folder, on_decoded)

    monkeypatch.setattr("pipeline.lifecycle.plan_job", plan_slowly)
    harness.show_worker()
    hostile = [
        harness.maker.submit(f"hostile{number}", 1, owner=f"attacker{number}", priority=priority)
        for number, priority in enumerate([Priority.RUSH] * 3 + [Priority.NORMAL] * 9)
    ]
    others = [
        harness.maker.submit(f"talk{number}", 1, priority=priority)
        for number, priority in enumerate([Priority.RUSH, Priority.NORMAL, Priority.NORMAL, Priority.LOW])
    ]

    def work_off() -> None:
        while (message := harness.take()) is not None:
            harness.compute(message.units)
            harness.done(message)

    def done(jobs: list[str]) -> bool:
        work_off()
        return all(harness.view(job).state is JobState.DONE for job in jobs)

    harness.until(lambda: done(others))
    assert not any(harness.view(job).ended for job in hostile)
    others_are_open.set()
    harness.until(lambda: done(hostile))
    assert set(at_once) == {1}


def test_a_coordinator_that_ends_leaves_a_hostile_file_in_the_middle(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def plan_for_ever(request: PlanRequest, folder: JobFolder, on_decoded: Callable[[int, int], None]) -> Plan:
        while True:
            on_decoded(HOUR_MS, 48 * HOUR_MS)
            begun.set()
            begun.wait(0.01)

    monkeypatch.setattr("pipeline.lifecycle.plan_job", plan_for_ever)
    harness.show_worker()
    harness.maker.submit("hostile", 1)
    harness.until(begun.is_set)
    harness.coordinator.close()
    assert not any(thread.name.startswith("plan-thin") for thread in threading.enumerate())
