"""A submitted job with a budget: handed out until it has cost so much, then ended with what is left."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from theatre import Theatre

from jobs.submissions import OrderKind, Priority, give_order, open_jobs
from journals.attempts import AttemptJournal, ProcessCard
from journals.node_session import NodeFacts, NodeSession
from pipeline.jobs import JobFolder
from pipeline.lookup import UnitRef
from pipeline.report import JobState
from pipeline.stages.stage import Unit
from tasks.messages import BatchMessage

#: A unit of currency for each millisecond.
DEAR = "3600000 USD"


def submit(theatre: Theatre, windows: int, budget: str, rate: str = DEAR) -> str:
    """Submits a job of so many windows; again with another budget, if it is there."""
    submission = theatre.maker.submission("talk", (), "tester", Priority.NORMAL, {}, "")
    submission = replace(submission, budget=budget, node_rate=rate)
    folder = JobFolder(theatre.store, submission.job_id)
    if not folder.has_plan():
        folder.write_plan(theatre.maker._plan(submission, windows))
    give_order(theatre.store, OrderKind.SUBMIT, submission.job_id, submission)
    return submission.job_id


def begin(theatre: Theatre, refs: tuple[UnitRef, ...], node: str = "n1") -> tuple[AttemptJournal, str]:
    """What a worker writes before it computes units."""
    journal = AttemptJournal(theatre.store, ProcessCard(node, "w1"))
    units = [Unit(ref.slot, ref.job_id, ref.key, theatre.runtime.engine_spec("transcriber"), 1000) for ref in refs]
    return journal, journal.start("transcribe", units, theatre.runtime.engine_spec("transcriber"), None).attempt


def work(theatre: Theatre, message: BatchMessage, ms: int, *, node: str = "n1") -> None:
    """Takes so long over a batch, and finishes it."""
    journal, attempt = begin(theatre, message.units, node)
    time.sleep(ms / 1000)
    journal.end(attempt, ms / 1000, len(message.units), {})
    theatre.compute(message.units)
    theatre.done(message)


def next_message(theatre: Theatre) -> BatchMessage:
    found: list[BatchMessage] = []
    theatre.until(lambda: found.append(m) if (m := theatre.take()) else found)
    return found[0]


def ended(theatre: Theatre, job: str, state: JobState) -> None:
    theatre.until(lambda: job not in open_jobs(theatre.store) and theatre.view(job).state is state)


def test_a_job_is_stopped_at_its_budget_and_a_higher_one_finishes_it(theatre: Theatre) -> None:
    theatre.show_worker()
    job = submit(theatre, 40, "30 USD")
    first = next_message(theatre)
    work(theatre, first, 40)
    ended(theatre, job, JobState.BUDGET_STOPPED)
    view = theatre.view(job)
    assert view.units["transcribe"] == (40, len(first.units), 0, 0)
    assert "its budget of 30 USD is spent" in view.reason
    assert f"{40 - len(first.units)} of 40 units are left" in view.reason
    assert theatre.take() is None
    assert theatre.sent == 0
    submit(theatre, 40, "1000000 USD")
    computed = list(first.units)

    def over() -> bool:
        while (message := theatre.take()) is not None:
            computed.extend(message.units)
            work(theatre, message, 1)
        return theatre.view(job).state is JobState.DONE

    theatre.until(over)
    assert len({ref.key for ref in computed}) == len(computed) == 40


def test_submitting_the_same_budget_again_stops_at_once_and_a_retry_allows_it_once_more(theatre: Theatre) -> None:
    theatre.show_worker()
    job = submit(theatre, 40, "500 USD")
    work(theatre, next_message(theatre), 510)
    ended(theatre, job, JobState.BUDGET_STOPPED)
    submit(theatre, 40, "500 USD")
    theatre.until(lambda: job in open_jobs(theatre.store))
    ended(theatre, job, JobState.BUDGET_STOPPED)
    assert theatre.take() is None
    give_order(theatre.store, OrderKind.RETRY, job)
    next_message(theatre)
    assert theatre.coordinator.floor.active[job].halted == ""


def test_what_is_in_flight_is_finished_before_the_job_ends(theatre: Theatre) -> None:
    theatre.show_worker("w1")
    measure(theatre, 1)
    job = submit(theatre, 4, "5 USD")
    message = next_message(theatre)
    assert len(message.units) == 4
    keys = [ref.key for ref in message.units]
    session = NodeSession.open(theatre.store, NodeFacts(host="there", boot_id="b"), "", name="n1", worker="w1")
    begin(theatre, message.units)

    def halted() -> bool:
        theatre.broker.renew(keys, "holder")
        return job in theatre.coordinator.floor.active and bool(theatre.coordinator.floor.active[job].halted)

    theatre.until(halted)
    theatre.step(3)
    assert halted()
    session.close("done")
    theatre.compute(message.units)
    theatre.done(message)
    theatre.until(lambda: theatre.view(job).state in (JobState.DONE, JobState.BUDGET_STOPPED))
    # All of its units were in that batch, so nothing was left to stop.
    assert theatre.view(job).state is JobState.DONE


def test_a_worker_whose_machine_nobody_can_price_is_given_nothing_of_a_job_with_a_budget(theatre: Theatre) -> None:
    theatre.show_worker()
    job = submit(theatre, 4, "30 USD", rate="")
    ended(theatre, job, JobState.BUDGET_STOPPED)
    assert "a budget needs a price" in theatre.view(job).reason
    assert "worker w1" in theatre.view(job).reason
    assert theatre.take() is None


def test_a_machine_that_says_its_price_is_counted_by_it(theatre: Theatre) -> None:
    session = NodeSession.open(theatre.store, NodeFacts(host="there", boot_id="b"), DEAR, name="n9", worker="w1")
    serves = [{"stage": "transcribe", "engine": "fake", "queue": theatre.queue()}]
    theatre.broker.beat("w1", {"state": "idle", "serves": serves, "node": "n9", "price": DEAR}, 60_000)
    job = submit(theatre, 40, "20 USD", rate="")
    work(theatre, next_message(theatre), 30, node="n9")
    session.close("done")
    ended(theatre, job, JobState.BUDGET_STOPPED)
    assert "its budget of 20 USD is spent" in theatre.view(job).reason


@pytest.mark.parametrize("budget", ["20 EUR"])
def test_a_budget_in_another_currency_is_never_taken_for_unspent(theatre: Theatre, budget: str) -> None:
    theatre.show_worker()
    job = submit(theatre, 40, budget)
    work(theatre, next_message(theatre), 1)
    ended(theatre, job, JobState.BUDGET_STOPPED)
    assert "the budget in EUR" in theatre.view(job).reason


def test_a_job_without_a_budget_is_never_counted(theatre: Theatre) -> None:
    theatre.show_worker()
    job = submit(theatre, 4, "", rate="")
    work(theatre, next_message(theatre), 1)
    theatre.until(lambda: theatre.view(job).state is JobState.DONE)
    assert theatre.coordinator._budgets._spending is None


def measure(theatre: Theatre, rate: int) -> None:
    """As if this fleet had worked before: so many ms of engine time for 1,000 ms of speech."""
    theatre.coordinator.floor.rates.note(theatre.queue(), 1000, rate)


def drain(theatre: Theatre) -> list[BatchMessage]:
    """What is handed out within a few looks at the account, by nobody begun."""
    found = []
    for _ in range(20):
        theatre.step()
        while (message := theatre.take()) is not None:
            theatre.broker.renew([ref.key for ref in message.units], "holder")
            found.append(message)
    return found


def test_no_more_is_handed_out_than_the_budget_is_expected_to_pay_for(theatre: Theatre) -> None:
    for name in ("w1", "w2", "w3", "w4"):
        theatre.show_worker(name)
    measure(theatre, 1000)
    # A unit is a second of speech, and takes a second at a unit of currency for each ms: 7,500 pay for seven.
    submit(theatre, 40, "7500 USD")
    assert sum(len(message.units) for message in drain(theatre)) == 7


def test_a_worker_that_comes_between_two_looks_is_reckoned_with_before_it_is_given_anything(theatre: Theatre) -> None:
    measure(theatre, 1000)
    submit(theatre, 40, "7500 USD", rate="")
    theatre.until(lambda: theatre.coordinator.floor.active)
    theatre.step(5)
    serves = [{"stage": "transcribe", "engine": "fake", "queue": theatre.queue()}]
    theatre.broker.beat("w1", {"state": "idle", "serves": serves, "node": "n9", "price": DEAR}, 60_000)
    theatre.broker.beat("w2", {"state": "idle", "serves": serves, "node": "n9", "price": DEAR}, 60_000)
    theatre.coordinator.handout._looked = 0.0
    assert sum(len(message.units) for message in drain(theatre)) == 7


def test_a_job_ends_before_a_unit_that_its_budget_does_not_pay_for(theatre: Theatre) -> None:
    theatre.show_worker()
    measure(theatre, 1000)
    job = submit(theatre, 3, "1500 USD")
    message = next_message(theatre)
    assert len(message.units) == 1
    work(theatre, message, 600)
    ended(theatre, job, JobState.BUDGET_STOPPED)
    view = theatre.view(job)
    assert view.units["transcribe"][:2] == (3, 1)
    assert "its budget of 1500 USD: " in view.reason
    assert "of it is left, and what comes next is expected to cost 1000.0000; 2 of 3 units are left" in view.reason


def test_of_a_stage_that_was_never_measured_one_unit_is_handed_out_at_a_time(theatre: Theatre) -> None:
    for name in ("w1", "w2", "w3"):
        theatre.show_worker(name)
    job = submit(theatre, 40, "30000 USD")
    (first,) = drain(theatre)
    assert len(first.units) == 1
    work(theatre, first, 5)
    assert len(next_message(theatre).units) == 1
    assert theatre.coordinator.floor.active[job].halted == ""
