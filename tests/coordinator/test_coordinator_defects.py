"""A defect over one job is that job's: the others go on, and everybody is told."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from typing import Any

import pytest
from harness import CoordinatorHarness

from cache.store import Store
from coordinator import admission, budgets, quarantine
from coordinator.active import ActiveJob
from coordinator.main import MOST_BROKEN, _lead, _Leadership
from coordinator.snapshot import StatusBoard
from coordinator.views import ViewWriter
from core.errors import StoreError
from core.keys import canonical_json
from jobs.history import read_job_log
from jobs.queue_listing import job_view
from jobs.submissions import OrderKind, Priority, Wanted, give_order, open_jobs, read_view
from journals.demand import DemandLog
from pipeline.jobs import JobFolder
from pipeline.report import JobState
from pipeline.work import JobWork

NO_PAUSES = (0.05, 0.05, 0.05)


def work_off(harness: CoordinatorHarness) -> None:
    while (message := harness.take()) is not None:
        harness.compute(message.units)
        harness.done(message)


def finish(harness: CoordinatorHarness, *jobs: str) -> None:
    def happened() -> bool:
        work_off(harness)
        return all(job not in open_jobs(harness.store) for job in jobs)

    harness.until(happened)


def _named(subject: Any) -> str:
    plan = getattr(subject, "plan", None)
    return subject if isinstance(subject, str) else getattr(plan or subject, "job_id", "")


def poison(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, job_id: str, kind: type[Exception] = ZeroDivisionError
) -> list[str]:
    """Makes a function fail for one job, which one of its first two arguments or that one's plan names."""
    whole, met = getattr(where, name), []

    def poisoned(subject: Any, *rest: Any, **more: Any) -> Any:
        if job_id in {_named(each) for each in (subject, *rest[:1])}:
            met.append(name)
            raise kind("a defect in this job")
        return whole(subject, *rest, **more)

    monkeypatch.setattr(where, name, poisoned)
    return met


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (admission, "open_job"),
        (admission, "ActiveJob"),
        (DemandLog, "wanted"),
        (JobWork, "ready"),
        (JobWork, "settle"),
        (DemandLog, "ended"),
    ],
)
def test_a_defect_over_one_job_sets_it_aside_and_the_others_end(
    harness: CoordinatorHarness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: Any,
    name: str,
) -> None:
    harness.show_worker()
    bad, good = harness.maker.submit("bad", 3), harness.maker.submit("good", 3)
    met = poison(monkeypatch, where, name, bad)
    with caplog.at_level(logging.ERROR, "segue.coordinator"):
        finish(harness, good)
        harness.until(lambda: met and "set aside" in harness.view(bad).waiting_for)
    assert harness.view(good).state is JobState.DONE
    assert bad in open_jobs(harness.store)
    shown = job_view(harness.store, bad)
    assert shown is not None
    assert "a defect in Segue (ZeroDivisionError: a defect in this job); tried again at" in shown.waiting_for
    assert any(line["event"] == "defect" and line["level"] == "error" for line in read_job_log(harness.store, bad))
    assert [record.exc_info is not None for record in caplog.records] == [True]
    # Its pause is not over: nothing of it is met again, whatever else happens.
    met.clear()
    harness.step(20)
    assert met == []


def test_a_job_that_was_set_aside_goes_on_when_its_defect_has_gone(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "PAUSES_S", NO_PAUSES)
    harness.show_worker()
    job = harness.maker.submit("talk", 3)
    with monkeypatch.context() as patch:
        met = poison(patch, JobWork, "ready", job)
        harness.until(lambda: met)
    finish(harness, job)
    assert harness.view(job).state is JobState.DONE


@pytest.mark.parametrize("kind", [OSError, MemoryError])
def test_what_the_coordinators_machine_lacks_never_fails_a_job(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    monkeypatch.setattr(quarantine, "PAUSES_S", NO_PAUSES)
    harness.show_worker()
    job = harness.maker.submit("talk", 3)
    with monkeypatch.context() as patch:
        met = poison(patch, JobWork, "ready", job, kind)
        harness.until(lambda: len(met) > 2 * len(NO_PAUSES))
        assert "set aside" in harness.view(job).waiting_for
        assert "a defect in Segue" not in harness.view(job).waiting_for
    finish(harness, job)
    assert harness.view(job).state is JobState.DONE


def test_a_job_that_meets_its_defect_again_and_again_fails_and_can_be_retried(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "PAUSES_S", NO_PAUSES)
    harness.show_worker()
    job = harness.maker.submit("talk", 3)
    with monkeypatch.context() as patch:
        met = poison(patch, admission, "ActiveJob", job)
        finish(harness, job)
        assert len(met) == 1 + len(NO_PAUSES)
    assert harness.view(job).state is JobState.FAILED
    assert "met 4 times; please report it" in harness.view(job).reason
    give_order(harness.store, OrderKind.RETRY, job)
    harness.until(lambda: job in open_jobs(harness.store))
    finish(harness, job)
    assert harness.view(job).state is JobState.DONE


def test_a_job_that_has_ended_is_not_begun_again_by_an_order_in_which_a_defect_was_met(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "PAUSES_S", NO_PAUSES)
    harness.show_worker()
    job = harness.maker.submit("talk", 3)
    met: list[str] = []

    def broken(_views: ViewWriter, wanted: Wanted) -> None:
        met.append(wanted.job_id)
        raise ZeroDivisionError(wanted.job_id)

    monkeypatch.setattr(ViewWriter, "queued", broken)
    harness.until(lambda: met)
    finish(harness, job)
    ended, tries = harness.view(job).state, len(met)
    assert ended is JobState.DONE
    refused = harness.coordinator.orders._refused
    refused.update(dict.fromkeys(refused, 0.0))
    harness.until(lambda: not harness.coordinator.orders._owed)
    harness.step(5)
    assert len(met) == tries
    assert harness.view(job).state is ended


def test_a_set_aside_job_can_be_cancelled_at_once(harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 3)
    met = poison(monkeypatch, admission, "open_job", job)
    harness.until(lambda: met)
    give_order(harness.store, OrderKind.CANCEL, job)
    harness.until(lambda: job not in open_jobs(harness.store))
    assert harness.view(job).state is JobState.CANCELLED


def test_orders_that_make_no_sense_stop_neither_a_new_coordinator_nor_other_jobs(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.show_worker()
    bad = harness.maker.submit("bad", 3)
    harness.until(lambda: bad in harness.coordinator.jobs)
    harness.store.append(("jobs", bad, "orders.jsonl"), [{"v": 1, "id": "x", "order": "dance"}])
    harness.coordinator.close()
    harness.begin()
    good = harness.maker.submit("good", 3)
    # An order about the job whose orders make no sense is applied when they do, and costs nobody anything until then.
    give_order(harness.store, OrderKind.RETRY, bad)
    finish(harness, good)
    assert harness.view(good).state is JobState.DONE
    assert bad in open_jobs(harness.store)
    view = read_view(harness.store, bad)
    assert view is not None
    assert "set aside" in view.waiting_for


def test_an_order_of_a_newer_segue_among_a_running_job_s_orders_stalls_nobody(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    newer = harness.maker.submit("newer", 3)
    harness.until(lambda: newer in harness.coordinator.jobs)
    entry = harness.store.read_journal(("jobs", newer, "orders.jsonl")).entries[0]
    harness.store.append(("jobs", newer, "orders.jsonl"), [{**entry, "v": 99, "id": "later"}])
    give_order(harness.store, OrderKind.RETRY, newer)
    good = harness.maker.submit("good", 3)
    finish(harness, good)
    assert harness.view(good).state is JobState.DONE
    assert any("cannot be read by this Segue" in line for line in harness.said)


def test_the_disk_s_troubles_are_no_job_s_defect(harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 2)

    def away(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is away", "")

    harness.until(lambda: harness.sent)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "missing", away)
        with pytest.raises(StoreError):
            harness.until(lambda: work_off(harness), 20)
    finish(harness, job)
    assert harness.view(job).state is JobState.DONE
    assert not any("set aside" in line for line in harness.said)


def test_a_want_that_the_disk_refuses_is_noted_before_anything_of_the_job_is_computed(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 2)

    def full(*_: Any) -> None:
        raise StoreError("the disk is full", "make room")

    with monkeypatch.context() as patch:
        patch.setattr(DemandLog, "wanted", full)
        with pytest.raises(StoreError):
            harness.until(lambda: harness.sent)
    finish(harness, job)
    assert harness.view(job).state is JobState.DONE
    (name,) = (each for each in harness.store.children(("jobs", job)) if each.startswith("wants-"))
    facts = [entry["fact"] for entry in harness.store.read_journal(("jobs", job, name)).entries]
    assert facts == ["job_wanted", "job_ended"]


def test_a_defect_of_no_job_is_waited_out_and_ends_the_process_when_it_stays(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    passes: list[int] = []

    def broken(*_: Any) -> None:
        passes.append(1)
        raise ZeroDivisionError("everybody's")

    monkeypatch.setattr(budgets.Budgets, "enforce", broken)
    monkeypatch.setattr(harness.broker, "hints", lambda _wait_s: [])
    monkeypatch.setattr("coordinator.main._LONGEST_PAUSE_S", 0.01)
    leadership = _Leadership(harness.broker, threading.Event(), harness.said.append)
    with pytest.raises(ZeroDivisionError):
        _lead(harness.runtime, harness.broker, leadership, StatusBoard(), harness.said.append)
    assert len(passes) == MOST_BROKEN


def test_a_view_that_makes_no_sense_is_written_anew(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 3)
    poison(monkeypatch, admission, "open_job", job)
    harness.store.replace_state(("jobs", job, "queue.state"), canonical_json({"id": job}))
    harness.until(lambda: any("set aside" in line for line in harness.said))
    assert "set aside" in harness.view(job).waiting_for


def test_a_defect_in_the_account_of_one_job_s_budget_is_that_job_s(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.show_worker()
    given = harness.maker.submission("bad", (), "tester", Priority.NORMAL, {}, "")
    JobFolder(harness.store, given.job_id).write_plan(harness.maker._plan(given, 2))
    limited = replace(given, budget="5 USD", node_rate="1 USD")
    give_order(harness.store, OrderKind.SUBMIT, given.job_id, limited)
    good = harness.maker.submit("good", 2)

    def broken(_budgets: budgets.Budgets, job: ActiveJob, *_: Any) -> None:
        raise ZeroDivisionError(job.job_id)

    monkeypatch.setattr(budgets.Budgets, "_judge", broken)
    finish(harness, good)
    harness.until(lambda: "set aside" in harness.view(given.job_id).waiting_for)
    assert harness.view(good).state is JobState.DONE


def test_what_the_machine_lacks_is_waited_for_and_called_no_defect(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    passes: list[int] = []
    leadership = _Leadership(harness.broker, threading.Event(), harness.said.append)

    def lacking(*_: Any) -> None:
        passes.append(1)
        if len(passes) > MOST_BROKEN + 3:
            leadership.yield_to("enough")
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(budgets.Budgets, "enforce", lacking)
    monkeypatch.setattr(harness.broker, "hints", lambda _wait_s: [])
    monkeypatch.setattr("coordinator.main._STANDBY_S", 0.01)
    leadership.lost.clear()
    _lead(harness.runtime, harness.broker, leadership, StatusBoard(), harness.said.append)
    assert len(passes) > MOST_BROKEN
    assert [line for line in harness.said if "too many files are open" in line] == [
        line for line in harness.said if line.startswith("waiting: ")
    ]
    assert sum("too many files" in line for line in harness.said) == 1
    assert not any("defect" in line for line in harness.said)
