"""A submitted job with a budget: handed out until it has cost so much, then ended with what is left."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from harness import CoordinatorHarness

from accounting.exchange_rates import parse_rates
from accounting.spending import Prices
from jobs.submissions import OrderKind, Priority, give_order, open_jobs
from journals.attempts import AttemptJournal, ProcessOrigin
from journals.node_session import NodeFacts, NodeSession
from ledger.exchange import Exchange
from ledger.price_book.prices import PriceBook
from pipeline.jobs import JobFolder
from pipeline.lookup import UnitRef
from pipeline.report import JobState
from pipeline.stages.stage import Unit
from tasks.messages import BatchMessage

#: A unit of currency for each millisecond.
DEAR = "3600000 USD"


def submit(harness: CoordinatorHarness, windows: int, budget: str, rate: str = DEAR) -> str:
    """Submits a job of so many windows; again with another budget, if it is there."""
    submission = harness.maker.submission("talk", (), "tester", Priority.NORMAL, {}, "")
    submission = replace(submission, budget=budget, node_rate=rate)
    folder = JobFolder(harness.store, submission.job_id)
    if not folder.has_plan():
        folder.write_plan(harness.maker._plan(submission, windows))
    give_order(harness.store, OrderKind.SUBMIT, submission.job_id, submission)
    return submission.job_id


def begin(harness: CoordinatorHarness, refs: tuple[UnitRef, ...], node: str = "n1") -> tuple[AttemptJournal, str]:
    """What a worker writes before it computes units."""
    journal = AttemptJournal(harness.store, ProcessOrigin(node, "w1"))
    units = [Unit(ref.slot, ref.job_id, ref.key, harness.runtime.engine_spec("transcriber"), 1000) for ref in refs]
    return journal, journal.start("transcribe", units, harness.runtime.engine_spec("transcriber"), None).attempt


def work(harness: CoordinatorHarness, message: BatchMessage, ms: int, *, node: str = "n1") -> None:
    """Takes so long over a batch, and finishes it."""
    journal, attempt = begin(harness, message.units, node)
    time.sleep(ms / 1000)
    journal.end(attempt, ms / 1000, len(message.units), {})
    harness.compute(message.units)
    harness.done(message)


def next_message(harness: CoordinatorHarness) -> BatchMessage:
    found: list[BatchMessage] = []
    harness.until(lambda: found.append(m) if (m := harness.take()) else found)
    return found[0]


def ended(harness: CoordinatorHarness, job: str, state: JobState) -> None:
    harness.until(lambda: job not in open_jobs(harness.store) and harness.view(job).state is state)


def test_a_job_is_stopped_at_its_budget_and_a_higher_one_finishes_it(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    job = submit(harness, 40, "30 USD")
    first = next_message(harness)
    work(harness, first, 40)
    ended(harness, job, JobState.BUDGET_STOPPED)
    view = harness.view(job)
    assert view.units["transcribe"] == (40, len(first.units), 0, 0)
    assert "its budget of 30 USD is spent" in view.reason
    assert f"{40 - len(first.units)} of 40 units are left" in view.reason
    assert harness.take() is None
    assert harness.sent == 0
    submit(harness, 40, "1000000 USD")
    computed = list(first.units)

    def over() -> bool:
        while (message := harness.take()) is not None:
            computed.extend(message.units)
            work(harness, message, 1)
        return harness.view(job).state is JobState.DONE

    harness.until(over)
    assert len({ref.key for ref in computed}) == len(computed) == 40


def test_submitting_the_same_budget_again_stops_at_once_and_a_retry_allows_it_once_more(
    harness: CoordinatorHarness,
) -> None:
    harness.show_worker()
    job = submit(harness, 40, "500 USD")
    work(harness, next_message(harness), 510)
    ended(harness, job, JobState.BUDGET_STOPPED)
    submit(harness, 40, "500 USD")
    harness.until(lambda: job in open_jobs(harness.store))
    ended(harness, job, JobState.BUDGET_STOPPED)
    assert harness.take() is None
    give_order(harness.store, OrderKind.RETRY, job)
    next_message(harness)
    assert harness.coordinator.jobs[job].halted == ""


def test_what_is_in_flight_is_finished_before_the_job_ends(harness: CoordinatorHarness) -> None:
    harness.show_worker("w1")
    measure(harness, 1)
    job = submit(harness, 4, "5 USD")
    message = next_message(harness)
    assert len(message.units) == 4
    keys = [ref.key for ref in message.units]
    session = NodeSession.open(harness.store, NodeFacts(host="there", boot_id="b"), "", name="n1", worker="w1")
    begin(harness, message.units)

    def halted() -> bool:
        harness.broker.renew(keys, "holder")
        return job in harness.coordinator.jobs and bool(harness.coordinator.jobs[job].halted)

    harness.until(halted)
    harness.step(3)
    assert halted()
    session.close("done")
    harness.compute(message.units)
    harness.done(message)
    harness.until(lambda: harness.view(job).state in (JobState.DONE, JobState.BUDGET_STOPPED))
    # All of its units were in that batch, so nothing was left to stop.
    assert harness.view(job).state is JobState.DONE


def test_a_worker_whose_machine_nobody_can_price_is_given_nothing_of_a_job_with_a_budget(
    harness: CoordinatorHarness,
) -> None:
    harness.show_worker()
    job = submit(harness, 4, "30 USD", rate="")
    ended(harness, job, JobState.BUDGET_STOPPED)
    assert "a budget needs a price" in harness.view(job).reason
    assert "worker w1" in harness.view(job).reason
    assert harness.take() is None


def test_a_machine_that_says_its_price_is_counted_by_it(harness: CoordinatorHarness) -> None:
    session = NodeSession.open(harness.store, NodeFacts(host="there", boot_id="b"), DEAR, name="n9", worker="w1")
    serves = [{"stage": "transcribe", "engine": "fake", "queue": harness.queue()}]
    harness.broker.beat("w1", {"state": "idle", "serves": serves, "node": "n9", "price": DEAR}, 60_000)
    job = submit(harness, 40, "20 USD", rate="")
    work(harness, next_message(harness), 30, node="n9")
    session.close("done")
    ended(harness, job, JobState.BUDGET_STOPPED)
    assert "its budget of 20 USD is spent" in harness.view(job).reason


@pytest.mark.parametrize("budget", ["20 EUR"])
def test_a_budget_in_another_currency_is_never_taken_for_unspent(harness: CoordinatorHarness, budget: str) -> None:
    harness.show_worker()
    job = submit(harness, 40, budget)
    ended(harness, job, JobState.BUDGET_STOPPED)
    assert "the budget in EUR" in harness.view(job).reason
    assert harness.take() is None


def test_a_budget_in_another_currency_is_counted_by_the_days_rate(
    harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = Exchange(conversions=tuple(parse_rates("USD EUR 0.5 2020-01-01 ECB")))
    prices = Prices(PriceBook(()), exchange=rates)
    monkeypatch.setattr(Prices, "of", lambda *_: prices)
    harness.show_worker()
    # A machine of a dollar a millisecond is half a euro: 30 EUR are 60 ms of it.
    job = submit(harness, 40, "30 EUR")
    work(harness, next_message(harness), 70)
    ended(harness, job, JobState.BUDGET_STOPPED)
    assert "its budget of 30 EUR is spent" in harness.view(job).reason


def test_a_job_without_a_budget_is_never_counted(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    job = submit(harness, 4, "", rate="")
    work(harness, next_message(harness), 1)
    harness.until(lambda: harness.view(job).state is JobState.DONE)
    assert harness.coordinator._budgets._spending is None


def measure(harness: CoordinatorHarness, rate: int) -> None:
    """As if this fleet had worked before: so many ms of engine time for 1,000 ms of speech."""
    harness.coordinator.rates.note(harness.queue(), 1000, rate)


def drain(harness: CoordinatorHarness) -> list[BatchMessage]:
    """What is handed out within a few looks at the account, by nobody begun."""
    found = []
    for _ in range(20):
        harness.step()
        while (message := harness.take()) is not None:
            harness.broker.renew([ref.key for ref in message.units], "holder")
            found.append(message)
    return found


def test_no_more_is_handed_out_than_the_budget_is_expected_to_pay_for(harness: CoordinatorHarness) -> None:
    for name in ("w1", "w2", "w3", "w4"):
        harness.show_worker(name)
    measure(harness, 1000)
    # A unit is a second of speech, and takes a second at a unit of currency for each ms: 7,500 pay for seven.
    submit(harness, 40, "7500 USD")
    assert sum(len(message.units) for message in drain(harness)) == 7


def test_a_worker_that_comes_between_two_looks_is_reckoned_with_before_it_is_given_anything(
    harness: CoordinatorHarness,
) -> None:
    measure(harness, 1000)
    submit(harness, 40, "7500 USD", rate="")
    harness.until(lambda: harness.coordinator.jobs)
    harness.step(5)
    serves = [{"stage": "transcribe", "engine": "fake", "queue": harness.queue()}]
    harness.broker.beat("w1", {"state": "idle", "serves": serves, "node": "n9", "price": DEAR}, 60_000)
    harness.broker.beat("w2", {"state": "idle", "serves": serves, "node": "n9", "price": DEAR}, 60_000)
    harness.coordinator.dispatcher._looked = 0.0
    assert sum(len(message.units) for message in drain(harness)) == 7


def test_a_job_ends_before_a_unit_that_its_budget_does_not_pay_for(harness: CoordinatorHarness) -> None:
    harness.show_worker()
    measure(harness, 1000)
    job = submit(harness, 3, "1500 USD")
    message = next_message(harness)
    assert len(message.units) == 1
    work(harness, message, 600)
    ended(harness, job, JobState.BUDGET_STOPPED)
    view = harness.view(job)
    assert view.units["transcribe"][:2] == (3, 1)
    assert "its budget of 1500 USD: " in view.reason
    assert "of it is left, and what comes next is expected to cost 1000.0000; 2 of 3 units are left" in view.reason


def test_of_a_stage_that_was_never_measured_one_unit_is_handed_out_at_a_time(harness: CoordinatorHarness) -> None:
    for name in ("w1", "w2", "w3"):
        harness.show_worker(name)
    job = submit(harness, 40, "30000 USD")
    (first,) = drain(harness)
    assert len(first.units) == 1
    work(harness, first, 5)
    assert len(next_message(harness).units) == 1
    assert harness.coordinator.jobs[job].halted == ""
