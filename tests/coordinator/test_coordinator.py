"""What the coordinator hands out, to whom, and when it takes work for lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from theatre import Theatre

from jobs.submissions import OrderKind, Priority, give_order, open_jobs, order_names
from pipeline.report import JobState


def finish_everything(theatre: Theatre, *jobs: str) -> None:
    """Works off every message until these jobs have ended."""

    def over() -> bool:
        while (message := theatre.take()) is not None:
            theatre.compute(message.units)
            theatre.done(message)
        return all(theatre.view(job).state is JobState.DONE for job in jobs)

    theatre.until(over)


def test_a_submitted_job_is_handed_out_computed_and_delivered(theatre: Theatre) -> None:
    theatre.show_worker()
    job = theatre.maker.submit("talk", 30)
    finish_everything(theatre, job)
    assert (theatre.folder / "out" / "talk.json").is_file()
    assert theatre.view(job).units["transcribe"] == (30, 30, 0, 0)
    theatre.until(lambda: open_jobs(theatre.store) == ())
    assert order_names(theatre.store) == ()


def test_a_job_that_nobody_serves_is_not_handed_out_and_says_so(theatre: Theatre) -> None:
    theatre.show_worker("translator", "translate")
    job = theatre.maker.submit("talk", 3)
    theatre.until(lambda: theatre.coordinator.floor.active)
    theatre.until(lambda: theatre.view(job).waiting_for)
    assert "no worker serves fake" in theatre.view(job).waiting_for
    assert theatre.take() is None
    theatre.show_worker("transcriber", "transcribe")
    theatre.until(lambda: theatre.take())


@pytest.mark.usefixtures("soon")
def test_a_message_that_vanished_is_sent_again(theatre: Theatre) -> None:
    theatre.show_worker()
    theatre.maker.submit("talk", 4)
    theatre.until(lambda: theatre.sent)
    theatre.broker.empty(theatre.queue())
    lost = set(theatre.coordinator.floor.desk.taken)
    theatre.until(lambda: theatre.coordinator.handout.requeued)
    theatre.until(lambda: theatre.broker.waiting(theatre.queue()))
    assert set(theatre.coordinator.floor.desk.taken) == lost


@pytest.mark.usefixtures("soon")
def test_a_batch_is_handed_out_again_when_its_claims_run_out_and_not_before(theatre: Theatre) -> None:
    theatre.show_worker()
    theatre.maker.submit("talk", 4)
    theatre.until(lambda: theatre.sent)
    message = theatre.take()
    assert message is not None
    keys = [ref.key for ref in message.units]
    # Held for far longer than any grace.
    end = time.monotonic() + 3
    while time.monotonic() < end:
        theatre.broker.renew(keys, "holder")
        theatre.step()
    assert theatre.coordinator.handout.requeued == 0
    theatre.until(lambda: theatre.coordinator.handout.requeued)
    again = None
    while again is None or not {ref.key for ref in again.units} & set(keys):
        theatre.step()
        again = theatre.take()


@pytest.mark.usefixtures("soon")
def test_the_broker_losing_its_memory_costs_nothing_but_a_claim_period(theatre: Theatre) -> None:
    theatre.show_worker()
    job = theatre.maker.submit("talk", 40)
    theatre.until(lambda: theatre.sent)
    held = theatre.take()
    assert held is not None
    keys = [ref.key for ref in held.units]
    theatre.broker.renew(keys, "holder")
    theatre.step()
    theatre.broker._redis.flushall()
    theatre.broker.renew(keys, "holder")
    theatre.show_worker()
    theatre.until(lambda: any("lost its memory" in line for line in theatre.said))
    end = time.monotonic() + 3
    while time.monotonic() < end:
        # The holder renews all the time: what it holds must not be handed out to anybody else.
        theatre.broker.renew(keys, "holder")
        theatre.step()
        other = theatre.take()
        if other is not None:
            assert not {ref.key for ref in other.units} & set(keys)
            theatre.compute(other.units)
            theatre.done(other)
    theatre.compute(held.units)
    theatre.broker.release(keys, "holder")
    theatre.done(held)
    finish_everything(theatre, job)


def test_a_new_coordinator_goes_on_from_the_disk(theatre: Theatre) -> None:
    theatre.show_worker()
    job = theatre.maker.submit("talk", 20)
    theatre.until(lambda: theatre.sent)
    message = theatre.take()
    assert message is not None
    theatre.compute(message.units)
    theatre.coordinator.close()
    theatre.begin()
    finish_everything(theatre, job)
    assert theatre.view(job).units["transcribe"][2] == len(message.units)


def test_a_rush_job_is_taken_next_behind_many_others(theatre: Theatre) -> None:
    theatre.show_worker()
    for number in range(40):
        theatre.maker.submit(f"talk{number}", 20)
    theatre.until(lambda: len(theatre.coordinator.floor.active) == 40 and theatre.sent)
    rush = theatre.maker.submit("news", 3, priority=Priority.RUSH)
    theatre.until(lambda: rush in theatre.coordinator.floor.active)
    theatre.step(150)
    message = theatre.take()
    assert message is not None
    assert {ref.job_id for ref in message.units} == {rush}


def test_small_jobs_get_their_turn_beside_a_long_one(theatre: Theatre) -> None:
    theatre.show_worker()
    long = theatre.maker.submit("long", 3000)
    theatre.until(lambda: theatre.sent)
    small = [theatre.maker.submit(f"small{number}", 5) for number in range(3)]
    theatre.until(lambda: len(theatre.coordinator.floor.active) == 4)
    finish_everything(theatre, *small)
    assert theatre.view(long).state is not JobState.DONE
    theatre.until(lambda: theatre.view(long).units)
    assert theatre.view(long).units["transcribe"][1] < 1500


def test_owners_share_however_many_jobs_each_has(theatre: Theatre) -> None:
    theatre.show_worker()
    for number in range(12):
        theatre.maker.submit(f"many{number}", 40, owner="many")
    few = theatre.maker.submit("few", 40, owner="few")
    theatre.until(lambda: len(theatre.coordinator.floor.active) == 13)
    served: list[str] = []
    for _ in range(6000):
        theatre.step()
        if (message := theatre.take()) is not None:
            served.extend("few" if ref.job_id == few else "many" for ref in message.units)
            theatre.compute(message.units)
            theatre.done(message)
        if served.count("few") == 40:
            break
    assert served.count("few") == 40
    assert served.count("many") < 120


def test_one_batch_mixes_units_of_several_short_jobs(theatre: Theatre) -> None:
    for number in range(20):
        theatre.maker.submit(f"clip{number}", 1)
    theatre.until(lambda: len(theatre.coordinator.floor.active) == 20)
    theatre.show_worker()
    theatre.until(lambda: theatre.sent)
    message = theatre.take()
    assert message is not None
    assert len({ref.job_id for ref in message.units}) > 1


def test_batches_shrink_towards_the_end_of_the_work_but_not_below_what_fills_an_engine(
    tmp_path: Path, broker_url: str
) -> None:
    theatre = Theatre(tmp_path, broker_url, settings={"claim_seconds": 1, "batch_seconds": 30})
    theatre.show_worker("w1")
    theatre.show_worker("w2")
    # Before anything was measured, a second of speech counts as half a second of engine time.
    job = theatre.maker.submit("talk", 400)
    sizes: list[int] = []

    def over() -> bool:
        message = theatre.take()
        if message is not None:
            sizes.append(len(message.units))
            theatre.compute(message.units)
            theatre.done(message)
        return bool(sizes) and theatre.view(job).state is JobState.DONE

    try:
        theatre.until(over)
    finally:
        theatre.coordinator.close()
        theatre.broker.close()
    assert sum(sizes) == 400
    assert sizes[0] == 60
    assert min(sizes[:-1]) == 10


def test_a_cancelled_job_leaves_the_queue_and_can_be_taken_up_again(theatre: Theatre) -> None:
    theatre.show_worker()
    job = theatre.maker.submit("talk", 50)
    theatre.until(lambda: theatre.sent)
    give_order(theatre.store, OrderKind.CANCEL, job)
    theatre.until(lambda: theatre.view(job).state is JobState.CANCELLED)
    assert theatre.view(job).reason == "by 'segue cancel'"
    theatre.step(50)
    assert theatre.take() is None
    assert open_jobs(theatre.store) == ()
    give_order(theatre.store, OrderKind.RETRY, job)
    finish_everything(theatre, job)


def test_a_priority_can_be_changed_while_the_job_waits(theatre: Theatre) -> None:
    first = theatre.maker.submit("first", 200)
    second = theatre.maker.submit("second", 200)
    theatre.until(lambda: len(theatre.coordinator.floor.active) == 2)
    give_order(theatre.store, OrderKind.REPRIORITISE, second, priority=Priority.RUSH)
    theatre.until(lambda: theatre.coordinator.floor.active[second].wanted.priority is Priority.RUSH)
    theatre.show_worker()
    theatre.until(lambda: theatre.sent)
    message = theatre.take()
    assert message is not None
    assert {ref.job_id for ref in message.units} == {second}
    assert first in theatre.coordinator.floor.active


def test_a_failed_unit_leaves_a_gap_and_retry_closes_it(theatre: Theatre) -> None:
    theatre.show_worker()
    job = theatre.maker.submit("talk", 6)
    theatre.until(lambda: theatre.sent)
    bad = ""
    for _ in range(6000):
        theatre.step()
        message = theatre.take()
        if message is None:
            if bad and theatre.view(job).state in (JobState.PARTIAL, JobState.FAILED):
                break
            continue
        for ref in message.units:
            if not bad:
                bad = ref.key
                work = theatre.coordinator.floor.active[job].work
                unit = next(unit for unit in work.ready() if unit.key == bad)
                theatre.folder_of(job).note_failure(unit, "three deaths alone", ref.round, "w1")
        theatre.compute(tuple(ref for ref in message.units if ref.key != bad))
        theatre.done(message)
    assert theatre.view(job).units["transcribe"][3] == 1
    assert "three deaths alone" in theatre.view(job).reason
    give_order(theatre.store, OrderKind.RETRY, job)
    theatre.until(lambda: theatre.view(job).state is JobState.QUEUED or theatre.sent)
    finish_everything(theatre, job)


def test_a_job_with_speech_that_nobody_wrote_down_ends_once_and_is_not_computed_again(theatre: Theatre) -> None:
    theatre.maker.score = 800
    theatre.show_worker()
    job = theatre.maker.submit("talk", 6)
    computed = []

    def ended() -> bool:
        while (message := theatre.take()) is not None:
            computed.extend(ref.key for ref in message.units)
            theatre.compute(message.units)
            theatre.done(message)
        return theatre.view(job).ended and open_jobs(theatre.store) == ()

    theatre.until(ended)
    first = theatre.view(job)
    assert (first.state, len(computed)) == (JobState.FAILED, 6)
    assert first.reason.startswith("6 s of speech have no subtitle")
    give_order(theatre.store, OrderKind.RETRY, job)
    theatre.until(lambda: not theatre.view(job).ended or theatre.view(job).order != first.order)
    theatre.until(ended)
    again = theatre.view(job)
    assert (again.state, again.reason, len(computed)) == (first.state, first.reason, 6)
    (result,) = [result for _, result in theatre.folder_of(job).results()]
    assert (result.state, result.tally.missed_ms) == (JobState.FAILED, 6_000)


@pytest.mark.usefixtures("soon")
def test_workers_that_return_nothing_do_not_keep_a_unit_going_round_for_ever(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.results.FRUITLESS_S", 0.0)
    theatre.show_worker()
    job = theatre.maker.submit("talk", 1)
    given = 0
    for _ in range(6000):
        theatre.step()
        if (message := theatre.take()) is not None:
            given += 1
            theatre.done(message)
        if open_jobs(theatre.store) == () and given:
            break
    assert given == 5
    assert theatre.view(job).state is JobState.FAILED
    assert "versions" in theatre.view(job).reason


def test_media_that_changed_since_they_were_submitted_fail_by_name(theatre: Theatre) -> None:
    job = theatre.maker.submit("talk", 3)
    with (theatre.folder / "media" / "talk.wav").open("ab") as media:
        media.write(b"something else")
    theatre.until(lambda: order_names(theatre.store) == () and theatre.view(job).state is JobState.FAILED)
    assert "has changed since it was submitted" in theatre.view(job).reason


def test_the_same_content_in_two_jobs_is_computed_once(theatre: Theatre, tmp_path: Path) -> None:
    theatre.show_worker()
    first = theatre.maker.submit("talk", 8)
    theatre.until(lambda: theatre.sent)
    plan = theatre.folder_of(first).read_plan()
    assert plan is not None
    other = theatre.maker.submission("copy", (), "someone", Priority.NORMAL, {}, "")
    from dataclasses import replace

    theatre.folder_of(other.job_id).write_plan(
        replace(plan, job_id=other.job_id, owner="someone", settings=other.settings)
    )
    give_order(theatre.store, OrderKind.SUBMIT, other.job_id, other)
    keys: list[str] = []

    def over() -> bool:
        while (message := theatre.take()) is not None:
            keys.extend(ref.key for ref in message.units)
            theatre.compute(message.units)
            theatre.done(message)
        return not open_jobs(theatre.store) and order_names(theatre.store) == ()

    theatre.until(over)
    assert len(keys) == len(set(keys)) == 8
    assert theatre.view(other.job_id).state is JobState.DONE
