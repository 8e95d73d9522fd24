"""What the coordinator hands out, to whom, and when it takes work for lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness import CoordinatorHarness

from cache.envelope import Record
from core.text import Word
from engines.transcribe.interface import Transcript
from engines.translate.interface import TranslatedLine, Translation
from jobs.submissions import OrderKind, Priority, give_order, open_jobs, order_names
from pipeline.lookup import UnitLookup
from pipeline.report import JobState
from pipeline.stages import stage_named
from pipeline.stages.stage import Slot


def finish_everything(harness: CoordinatorHarness, *jobs: str) -> None:
    """Works off every message until these jobs have ended."""

    def over() -> bool:
        while (message := harness.take()) is not None:
            harness.compute(message.units)
            harness.done(message)
        return all(harness.view(job).state is JobState.DONE for job in jobs)

    harness.until(over)


def test_a_submitted_job_is_handed_out_computed_and_delivered(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 30)
    finish_everything(harness, job)
    assert (harness.folder / "out" / "talk.json").is_file()
    assert harness.view(job).units["transcribe"] == (30, 30, 0, 0)
    harness.until(lambda: open_jobs(harness.store) == ())
    assert order_names(harness.store) == ()


def test_a_job_that_nobody_serves_is_not_handed_out_and_says_so(harness: CoordinatorHarness) -> None:
    harness.show_worker("translator", "translate")
    job = harness.maker.submit("talk", 3)
    harness.until(lambda: harness.coordinator.jobs)
    harness.until(lambda: harness.view(job).waiting_for)
    assert "no worker serves fake" in harness.view(job).waiting_for
    assert harness.take() is None
    harness.show_worker("transcriber", "transcribe")
    harness.until(lambda: harness.take())


@pytest.mark.usefixtures("soon")
def test_a_message_that_vanished_is_sent_again(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    harness.maker.submit("talk", 4)
    harness.until(lambda: harness.sent)
    harness.broker.empty(harness.queue())
    lost = set(harness.coordinator.in_flight.taken)
    harness.until(lambda: harness.coordinator.dispatcher.requeued)
    harness.until(lambda: harness.broker.waiting(harness.queue()))
    assert set(harness.coordinator.in_flight.taken) == lost


@pytest.mark.usefixtures("soon")
def test_a_batch_is_handed_out_again_when_its_leases_run_out_and_not_before(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    harness.maker.submit("talk", 4)
    harness.until(lambda: harness.sent)
    message = harness.take()
    assert message is not None
    keys = [ref.key for ref in message.units]
    # Held for far longer than any grace.
    end = time.monotonic() + 3
    while time.monotonic() < end:
        harness.broker.renew(keys, "holder")
        harness.step()
    assert harness.coordinator.dispatcher.requeued == 0
    harness.until(lambda: harness.coordinator.dispatcher.requeued)
    again = None
    while again is None or not {ref.key for ref in again.units} & set(keys):
        harness.step()
        again = harness.take()


@pytest.mark.usefixtures("soon")
def test_the_broker_losing_its_memory_costs_nothing_but_a_lease_period(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 40)
    harness.until(lambda: harness.sent)
    held = harness.take()
    assert held is not None
    keys = [ref.key for ref in held.units]
    harness.broker.renew(keys, "holder")
    harness.step()
    harness.broker._redis.flushall()
    harness.broker.renew(keys, "holder")
    harness.show_worker()
    harness.until(lambda: any("lost its memory" in line for line in harness.said))
    end = time.monotonic() + 3
    while time.monotonic() < end:
        # The holder renews all the time: what it holds must not be handed out to anybody else.
        harness.broker.renew(keys, "holder")
        harness.step()
        other = harness.take()
        if other is not None:
            assert not {ref.key for ref in other.units} & set(keys)
            harness.compute(other.units)
            harness.done(other)
    harness.compute(held.units)
    harness.broker.release(keys, "holder")
    harness.done(held)
    finish_everything(harness, job)


def test_a_new_coordinator_goes_on_from_the_disk(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 20)
    harness.until(lambda: harness.sent)
    message = harness.take()
    assert message is not None
    harness.compute(message.units)
    harness.coordinator.close()
    harness.begin()
    finish_everything(harness, job)
    assert harness.view(job).units["transcribe"][2] == len(message.units)


def test_a_rush_job_is_taken_next_behind_many_others(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    for number in range(40):
        harness.maker.submit(f"talk{number}", 20)
    harness.until(lambda: len(harness.coordinator.jobs) == 40 and harness.sent)
    rush = harness.maker.submit("news", 3, priority=Priority.RUSH)
    harness.until(lambda: rush in harness.coordinator.jobs)
    harness.step(150)
    message = harness.take()
    assert message is not None
    assert {ref.job_id for ref in message.units} == {rush}


def test_small_jobs_get_their_turn_beside_a_long_one(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    long = harness.maker.submit("long", 3000)
    harness.until(lambda: harness.sent)
    small = [harness.maker.submit(f"small{number}", 5) for number in range(3)]
    harness.until(lambda: len(harness.coordinator.jobs) == 4)
    finish_everything(harness, *small)
    assert harness.view(long).state is not JobState.DONE
    harness.until(lambda: harness.view(long).units)
    assert harness.view(long).units["transcribe"][1] < 1500


def test_owners_share_however_many_jobs_each_has(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    for number in range(12):
        harness.maker.submit(f"many{number}", 40, owner="many")
    few = harness.maker.submit("few", 40, owner="few")
    harness.until(lambda: len(harness.coordinator.jobs) == 13)
    served: list[str] = []
    for _ in range(6000):
        harness.step()
        if (message := harness.take()) is not None:
            served.extend("few" if ref.job_id == few else "many" for ref in message.units)
            harness.compute(message.units)
            harness.done(message)
        if served.count("few") == 40:
            break
    assert served.count("few") == 40
    assert served.count("many") < 120


def test_one_batch_mixes_units_of_several_short_jobs(harness: CoordinatorHarness) -> None:
    for number in range(20):
        harness.maker.submit(f"clip{number}", 1)
    harness.until(lambda: len(harness.coordinator.jobs) == 20)
    harness.show_worker()
    harness.until(lambda: harness.sent)
    message = harness.take()
    assert message is not None
    assert len({ref.job_id for ref in message.units}) > 1


def test_batches_shrink_towards_the_end_of_the_work_but_not_below_what_fills_an_engine(
    tmp_path: Path, broker_url: str
) -> None:
    harness = CoordinatorHarness(tmp_path, broker_url, settings={"lease_seconds": 1, "batch_seconds": 30})
    harness.show_worker("w1")
    harness.show_worker("w2")
    # Before anything was measured, a second of speech counts as half a second of engine time.
    job = harness.maker.submit("talk", 400)
    sizes: list[int] = []

    def over() -> bool:
        message = harness.take()
        if message is not None:
            sizes.append(len(message.units))
            harness.compute(message.units)
            harness.done(message)
        return bool(sizes) and harness.view(job).state is JobState.DONE

    try:
        harness.until(over)
    finally:
        harness.coordinator.close()
        harness.broker.close()
    assert sum(sizes) == 400
    assert sizes[0] == 60
    assert min(sizes[:-1]) == 10


def test_a_cancelled_job_leaves_the_queue_and_can_be_taken_up_again(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 50)
    harness.until(lambda: harness.sent)
    give_order(harness.store, OrderKind.CANCEL, job)
    harness.until(lambda: harness.view(job).state is JobState.CANCELLED)
    assert harness.view(job).reason == "by 'segue cancel'"
    harness.step(50)
    assert harness.take() is None
    assert open_jobs(harness.store) == ()
    give_order(harness.store, OrderKind.RETRY, job)
    finish_everything(harness, job)


def test_a_priority_can_be_changed_while_the_job_waits(harness: CoordinatorHarness) -> None:
    first = harness.maker.submit("first", 200)
    second = harness.maker.submit("second", 200)
    harness.until(lambda: len(harness.coordinator.jobs) == 2)
    give_order(harness.store, OrderKind.REPRIORITISE, second, priority=Priority.RUSH)
    harness.until(lambda: harness.coordinator.jobs[second].wanted.priority is Priority.RUSH)
    harness.show_worker()
    harness.until(lambda: harness.sent)
    message = harness.take()
    assert message is not None
    assert {ref.job_id for ref in message.units} == {second}
    assert first in harness.coordinator.jobs


def test_a_failed_unit_leaves_a_gap_and_retry_closes_it(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    job = harness.maker.submit("talk", 6)
    harness.until(lambda: harness.sent)
    bad = ""
    for _ in range(6000):
        harness.step()
        message = harness.take()
        if message is None:
            if bad and harness.view(job).state in (JobState.PARTIAL, JobState.FAILED):
                break
            continue
        for ref in message.units:
            if not bad:
                bad = ref.key
                work = harness.coordinator.jobs[job].work
                unit = next(unit for unit in work.ready() if unit.key == bad)
                harness.folder_of(job).note_failure(unit, "three deaths alone", ref.round, "w1")
        harness.compute(tuple(ref for ref in message.units if ref.key != bad))
        harness.done(message)
    assert harness.view(job).units["transcribe"][3] == 1
    assert "three deaths alone" in harness.view(job).reason
    give_order(harness.store, OrderKind.RETRY, job)
    harness.until(lambda: harness.view(job).state is JobState.QUEUED or harness.sent)
    finish_everything(harness, job)


def test_a_job_with_speech_that_nobody_wrote_down_ends_once_and_is_not_computed_again(
    harness: CoordinatorHarness,
) -> None:
    harness.maker.score = 800
    harness.show_worker()
    job = harness.maker.submit("talk", 6)
    computed = []

    def ended() -> bool:
        while (message := harness.take()) is not None:
            computed.extend(ref.key for ref in message.units)
            harness.compute(message.units)
            harness.done(message)
        return harness.view(job).ended and open_jobs(harness.store) == ()

    harness.until(ended)
    first = harness.view(job)
    assert (first.state, len(computed)) == (JobState.FAILED, 6)
    assert first.reason.startswith("6 s of speech have no subtitle")
    give_order(harness.store, OrderKind.RETRY, job)
    harness.until(lambda: not harness.view(job).ended or harness.view(job).order != first.order)
    harness.until(ended)
    again = harness.view(job)
    assert (again.state, again.reason, len(computed)) == (first.state, first.reason, 6)
    (result,) = [result for _, result in harness.folder_of(job).results()]
    assert (result.state, result.tally.missed_ms) == (JobState.FAILED, 6_000)


@pytest.mark.usefixtures("soon")
def test_workers_that_return_nothing_do_not_keep_a_unit_going_round_for_ever(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.results.FRUITLESS_S", 0.0)
    harness.show_worker()
    job = harness.maker.submit("talk", 1)
    given = 0
    for _ in range(6000):
        harness.step()
        if (message := harness.take()) is not None:
            given += 1
            harness.done(message)
        if open_jobs(harness.store) == () and given:
            break
    assert given == 5
    assert harness.view(job).state is JobState.FAILED
    assert "versions" in harness.view(job).reason


def test_media_that_changed_since_they_were_submitted_fail_by_name(harness: CoordinatorHarness) -> None:
    job = harness.maker.submit("talk", 3)
    with (harness.folder / "media" / "talk.wav").open("ab") as media:
        media.write(b"something else")
    harness.until(lambda: order_names(harness.store) == () and harness.view(job).state is JobState.FAILED)
    assert "has changed since it was submitted" in harness.view(job).reason


def test_the_same_content_in_two_jobs_is_computed_once(harness: CoordinatorHarness, tmp_path: Path) -> None:
    harness.show_worker()
    first = harness.maker.submit("talk", 8)
    harness.until(lambda: harness.sent)
    plan = harness.folder_of(first).read_plan()
    assert plan is not None
    other = harness.maker.submission("copy", (), "someone", Priority.NORMAL, {}, "")
    from dataclasses import replace

    harness.folder_of(other.job_id).write_plan(
        replace(plan, job_id=other.job_id, owner="someone", settings=other.settings)
    )
    give_order(harness.store, OrderKind.SUBMIT, other.job_id, other)
    keys: list[str] = []

    def over() -> bool:
        while (message := harness.take()) is not None:
            keys.extend(ref.key for ref in message.units)
            harness.compute(message.units)
            harness.done(message)
        return not open_jobs(harness.store) and order_names(harness.store) == ()

    harness.until(over)
    assert len(keys) == len(set(keys)) == 8
    assert harness.view(other.job_id).state is JobState.DONE


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("lose", ["truncate", "remove"])
def test_a_record_that_was_lost_after_it_was_settled_is_computed_again(harness: CoordinatorHarness, lose: str) -> None:
    """Workers find no unit that reads it; the coordinator, who had read it before, looks at the disk again."""
    harness.show_worker()
    job = harness.maker.submit("talk", 3, targets=("es",))
    transcript = stage_named("transcribe").encode(Transcript((Word(0, 500, "hello", 900),)))
    translation = stage_named("translate").encode(Translation((TranslatedLine("", "hola"),)))
    lost: list[str] = []

    def lose_one(key: str) -> None:
        lost.append(key)
        path = harness.store.home / "objects" / key[:2] / key
        if lose == "remove":
            path.unlink()
        else:
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-20])

    def ended() -> bool:
        for stage, payload in (("transcribe", transcript), ("translate", translation)):
            while (message := harness.take(stage)) is not None:
                if stage == "translate" and not lost:
                    units = harness.coordinator.jobs[job].work.units
                    lose_one(units[Slot("transcribe", 0)])
                found = [unit.key for unit in UnitLookup(harness.store).find(message.units) if unit is not None]
                harness.store.put_many([Record(key, stage, payload) for key in found])
                harness.done(message)
        return open_jobs(harness.store) == () and bool(lost)

    harness.until(ended)
    view = harness.view(job)
    assert (view.state, view.reason) == (JobState.DONE, "")
    assert harness.store.has(lost[0])
