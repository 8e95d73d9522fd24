"""Orders on disk: what they come to, in which sequence, and that applying them twice changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from job_bench import Bench
from planned_jobs import JobMaker, fake_runtime
from spoken import SPEECH

from cache.store import Store
from core.errors import StoreError, UsageError
from core.keys import canonical_json, digest_value
from jobs.presence import broker_url, coordinator_lives, note_broker, note_coordinator
from jobs.purging import jobs_of_owner, purge
from jobs.queue_listing import NOT_TAKEN_UP, job_view, job_views, latest_order, view_of
from jobs.queue_view import QueueView, read_view
from jobs.submissions import (
    JobOrder,
    OrderKind,
    Priority,
    Submission,
    Wanted,
    close_job,
    file_order,
    filed_orders,
    find_submitted,
    give_order,
    open_jobs,
    order_names,
    pending_orders,
    read_order,
    wanted_of,
    write_view,
)
from jobs.submitting import submission_of
from pipeline.inputs.requests import RunOptions, gather
from pipeline.job import JOB_ID_LENGTH, JobSettings
from pipeline.jobs import JobFolder
from pipeline.outputs.delivery import Delivery
from pipeline.report import FileResult, JobState

SETTINGS = JobSettings("en", ("es",), "", {}, {})


@pytest.fixture
def store(bench: Bench) -> Store:
    return bench.runtime().store


def made(name: str = "a", folder: str = "/out", **changes: object) -> Submission:
    delivery = Delivery(Path(f"/media/{name}.mp4"), Path(folder), name)
    submission = Submission("ann", digest_value(name), SETTINGS, delivery)
    return replace(submission, **changes)  # type: ignore[arg-type]


def submit(store: Store, submission: Submission) -> JobOrder:
    return give_order(store, OrderKind.SUBMIT, submission.job_id, submission)


def apply_all(store: Store) -> list[JobOrder]:
    orders = list(pending_orders(store))
    for order in orders:
        file_order(store, order)
    return orders


def wanted(store: Store, job_id: str) -> Wanted:
    found = wanted_of(filed_orders(store, job_id))
    assert found is not None
    return found


def ended(store: Store, job_id: str, state: JobState) -> QueueView:
    view = view_of(wanted(store, job_id), state)
    write_view(store, view)
    close_job(store, job_id)
    return view


def test_a_submission_survives_the_disk(bench: Bench) -> None:
    runtime = bench.runtime()
    options = RunOptions(targets=("es",), out=bench.out, force=True)
    (request,) = gather([SPEECH], options).requests
    submission = submission_of(request, runtime, Priority.RUSH, {"show": "sands"}, "https://example.org/x")
    submit(runtime.store, submission)
    (order,) = pending_orders(runtime.store)
    assert order.submission is not None
    assert canonical_json(order.submission.as_json()) == canonical_json(submission.as_json())
    assert order.submission.job_id == submission.job_id == order.job_id
    assert order.submission.delivery.force


def test_a_name_of_any_bytes_survives_the_disk(store: Store) -> None:
    submission = made("caf\udce9")
    submit(store, submission)
    apply_all(store)
    assert wanted(store, submission.job_id).submissions == (submission,)


def test_orders_are_applied_once_whatever_is_killed_in_between(store: Store) -> None:
    order = submit(store, made())
    assert file_order(store, order)
    # Killed before the order was removed: it is there again at the next start.
    store.write_once(("queue", "orders", f"{order.id}.json"), canonical_json(order.as_json()))
    assert not file_order(store, order)
    assert order_names(store) == ()
    assert [each.id for each in filed_orders(store, order.job_id)] == [order.id]
    assert open_jobs(store) == (order.job_id,)
    close_job(store, order.job_id)
    close_job(store, order.job_id)
    assert open_jobs(store) == ()


def test_what_was_asked_later_counts(store: Store) -> None:
    job_id = made().job_id
    submit(store, made(labels={"a": "1"}, notify="https://one.example"))
    give_order(store, OrderKind.REPRIORITISE, job_id, priority=Priority.RUSH)
    give_order(store, OrderKind.CANCEL, job_id)
    apply_all(store)
    assert (wanted(store, job_id).priority, wanted(store, job_id).cancelled) == (Priority.RUSH, True)
    retry = give_order(store, OrderKind.RETRY, job_id)
    submit(store, made(folder="/elsewhere", labels={"b": "2"}))
    submit(store, made(folder="/out", labels={"a": "3"}))
    orders = apply_all(store)
    found = wanted(store, job_id)
    assert not found.cancelled
    assert retry.id in found.retries
    assert [each.delivery.folder for each in found.submissions] == [Path("/out"), Path("/elsewhere")]
    assert found.submissions[0].labels == {"a": "3"}
    assert found.labels == {"a": "3", "b": "2"}
    assert found.latest == orders[-1].id


def test_what_is_wanted_at_one_place_is_what_was_wanted_last(store: Store) -> None:
    first = made()
    submit(store, first)
    submit(store, replace(first, delivery=replace(first.delivery, formats=("ass",))))
    apply_all(store)
    (only,) = wanted(store, first.job_id).submissions
    assert only.delivery.formats == ("ass",)


def test_a_clock_that_is_behind_does_not_turn_the_sequence_round(store: Store) -> None:
    submission = made()
    ahead = JobOrder("29991231T235959999999-000000000000", OrderKind.SUBMIT, submission.job_id, "2999", submission)
    store.write_once(("queue", "orders", f"{ahead.id}.json"), canonical_json(ahead.as_json()))
    cancel = give_order(store, OrderKind.CANCEL, submission.job_id, after=latest_order(store, submission.job_id))
    assert cancel.id > ahead.id
    assert [order.kind for order in apply_all(store)] == [OrderKind.SUBMIT, OrderKind.CANCEL]
    assert wanted(store, submission.job_id).cancelled


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b'{"v":2}', b"nothing", b'{"v":1,"id":"x","order":"submit","job":"y","at":""}']
)
def test_an_order_that_cannot_be_read_is_told_and_left_where_it_is(store: Store, content: bytes) -> None:
    store.write_once(("queue", "orders", "20260101T000000000000-00.json"), content)
    submit(store, made())
    with pytest.raises(StoreError):
        read_order(store, "20260101T000000000000-00.json")
    assert len(pending_orders(store)) == 1
    assert len(order_names(store)) == 2


def test_a_retry_is_seen_before_the_coordinator_has_written_its_view(store: Store) -> None:
    order = submit(store, made())
    apply_all(store)
    ended(store, order.job_id, JobState.PARTIAL)
    retry = give_order(store, OrderKind.RETRY, order.job_id)
    for pending in (None, [retry]):
        view = job_view(store, order.job_id, pending)
        assert view is not None
        assert (view.state, view.waiting_for) == (JobState.QUEUED, NOT_TAKEN_UP)
    apply_all(store)
    view = job_view(store, order.job_id)
    assert view is not None
    assert view.state is JobState.QUEUED
    ended(store, order.job_id, JobState.DONE)
    view = job_view(store, order.job_id)
    assert view is not None
    assert view.state is JobState.DONE


def test_a_view_can_be_lost(bench: Bench, store: Store) -> None:
    (request,) = gather([SPEECH], RunOptions(targets=("es",), out=bench.out, source_language="en")).requests
    submission = submission_of(request, bench.runtime(), Priority.NORMAL, {}, "")
    submit(store, submission)
    apply_all(store)
    assert bench.run_one().job_id == submission.job_id
    assert read_view(store, submission.job_id) is None
    (view,) = job_views(store)
    assert (view.job_id, view.state) == (submission.job_id, JobState.DONE)


def test_jobs_are_found_by_id_name_and_last(store: Store) -> None:
    ids = {name: submit(store, made(name)).job_id for name in ("one", "two")}
    for _ in range(2):
        assert find_submitted(store, ids["one"]) == ids["one"]
        assert find_submitted(store, ids["one"][:10]) == ids["one"]
        assert find_submitted(store, "two") == find_submitted(store, "two.mp4") == ids["two"]
        assert find_submitted(store, "/media/one.mp4") == ids["one"]
        with pytest.raises(UsageError):
            find_submitted(store, "three")
        with pytest.raises(UsageError):
            find_submitted(store, "")
        apply_all(store)
    for job_id in ids.values():
        ended(store, job_id, JobState.DONE)
    assert find_submitted(store, "two") == ids["two"]


def test_of_two_jobs_of_one_file_the_last_asked_for_is_meant(bench: Bench, store: Store) -> None:
    assert bench.run_one().job_id is not None
    later = replace(made(), delivery=Delivery(SPEECH, Path("/out"), "tickets"))
    submit(store, later)
    assert find_submitted(store, SPEECH.name) == later.job_id


def test_a_job_of_run_is_not_listed_as_submitted(bench: Bench, store: Store) -> None:
    result = bench.run_one()
    assert isinstance(result, FileResult)
    assert result.job_id is not None
    assert job_views(store) == []
    assert job_view(store, result.job_id) is None


def test_the_broker_is_the_setting_or_the_up_that_runs_here(bench: Bench, store: Store) -> None:
    with pytest.raises(UsageError, match="no broker is known"):
        broker_url(bench.runtime())
    note_broker(store, "unix:///tmp/x/broker.sock")
    assert broker_url(bench.runtime()) == "unix:///tmp/x/broker.sock"
    assert broker_url(bench.runtime(broker_url="redis://there:6379/0")) == "redis://there:6379/0"
    note = store.read_state(("state", "broker.state"))
    assert note is not None
    # Another process has the number of one that has ended.
    store.replace_state(("state", "broker.state"), note.replace(b'"started":"', b'"started":"9'))
    with pytest.raises(UsageError):
        broker_url(bench.runtime())
    note_broker(store, "")
    with pytest.raises(UsageError):
        broker_url(bench.runtime())


def test_a_coordinator_lives_as_long_as_it_gives_signs(store: Store) -> None:
    assert not coordinator_lives(store)
    note_coordinator(store, "rediss://name:secret@host:6380/1?ssl_cert_reqs=none")
    assert coordinator_lives(store)
    note = store.read_state(("state", "coordinator.state"))
    assert note is not None
    assert b"rediss://host:6380/1" in note
    assert b"secret" not in note
    store.replace_state(("state", "coordinator.state"), note.replace(b'"at":"2', b'"at":"1'))
    assert not coordinator_lives(store)


def test_an_order_in_a_hurry_is_applied_before_ten_thousand_others_but_never_before_an_older_one_of_its_job(
    tmp_path: Path,
) -> None:
    maker = JobMaker(fake_runtime(tmp_path / "home"), tmp_path)
    slow = [maker.submit(f"talk{number}", 1) for number in range(3)]
    news = maker.submit("news", 1, priority=Priority.RUSH)
    give_order(maker.store, OrderKind.REPRIORITISE, slow[2], priority=Priority.RUSH)
    orders = [read_order(maker.store, name) for name in order_names(maker.store)]
    assert [(order.job_id, order.kind) for order in orders if order] == [
        (news, OrderKind.SUBMIT),
        *((job, OrderKind.SUBMIT) for job in slow),
        (slow[2], OrderKind.REPRIORITISE),
    ]


def test_purging_an_owner_takes_orders_that_wait_and_refuses_jobs_that_are_in_the_queue(tmp_path: Path) -> None:
    maker = JobMaker(fake_runtime(tmp_path / "home"), tmp_path)
    store = maker.store
    job = maker.submit("talk", 2, owner="leaver")
    assert len(order_names(store)) == 1
    purge(store, jobs_of_owner(store, "leaver"), outputs=True)
    assert order_names(store) == ()
    assert JobFolder(store, job).read_plan() is None
    job = maker.submit("talk", 2, owner="leaver")
    order = read_order(store, order_names(store)[0])
    assert order is not None
    file_order(store, order)
    with pytest.raises(UsageError, match="of 'leaver' is in the queue"):
        purge(store, jobs_of_owner(store, "leaver"), outputs=True)
    close_job(store, job)
    purge(store, jobs_of_owner(store, "leaver"), outputs=True)
    assert filed_orders(store, job) == ()


def test_whose_a_job_is_can_be_read_without_building_its_plan(tmp_path: Path) -> None:
    runtime = fake_runtime(tmp_path / "home")
    folder = JobFolder(runtime.store, JobMaker(runtime, tmp_path).submit("one", 2, owner="ann"))
    plan = folder.read_plan()
    assert plan is not None
    assert folder.read_owner() == plan.owner == "ann"
    assert JobFolder(runtime.store, "0" * JOB_ID_LENGTH).read_owner() is None
    runtime.store.write_once(("jobs", folder.job_id, "plan-2.json"), canonical_json({"plan_version": 0}))
    with pytest.raises(StoreError, match="version 0"):
        folder.read_owner()
