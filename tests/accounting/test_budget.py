"""A run with a budget: it stops at the cap, keeps what is finished, and goes on when it may cost more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from job_bench import Bench
from spoken import SAMPLE, SPEECH

from accounting.budget import RunBudget, budget_of
from accounting.exchange_rates import parse_rates
from accounting.spending import FeeMeter, Prices, Spending
from core.errors import UsageError
from core.keys import Key, digest_value
from core.money import CurrencyError, Money, MoneyError
from core.specs import EngineSpec
from jobs.status import status_of
from journals.attempts import AttemptJournal, read_attempts
from journals.facts import AttemptEnded, AttemptStarted, UnitUse
from journals.lines import AttemptEndedLine, AttemptLine, AttemptStartedLine, UnitLine
from ledger.exchange import Exchange
from ledger.price_book.price_files import parse_toml, shipped_book
from ledger.price_book.prices import PriceBook
from pipeline.budget import BudgetEnd, BudgetGate
from pipeline.executor import Executor
from pipeline.inputs.requests import RunOptions, gather, make_entries
from pipeline.jobs import JobFolder
from pipeline.progress import Silence
from pipeline.report import JobState, RunReport
from pipeline.stages.stage import Slot, Unit

#: A machine so dear that a second of it costs a unit of currency.
DEAR = "3600 USD"
PRICED = """
[[price]]
id = "openai/words/1"
provider = "openai"
meter = "input_token"
sku = "words"
stage = "translate"
unit_price = "1"
per = "1000"
currency = "USD"
effective_from = "2020-01-01"
observed_at = "2026-01-01"
source_url = "https://example.org/prices"
confidence = "list"
"""
OUTPUT = PRICED.replace("words/1", "words/2").replace("input_token", "output_token").replace('"1"', '"2"')


class UnitClock(Silence):
    """A clock by which each unit takes 500 ms and nothing else takes any time."""

    now = 0

    def __call__(self) -> int:
        return self.now

    def advanced(self, stage: str, audio_ms: int, *, failed: bool) -> None:
        self.now += 500_000_000


class ClockedBudget(RunBudget):
    """An account by a clock of its own, which the ledger does not know."""

    def final(self) -> BudgetEnd:
        return self.state()


def run(
    bench: Bench, budget: str, *, media: Path = SAMPLE, rate: str = DEAR, batch_size: int = 1, **changes: Any
) -> RunReport:
    runtime = bench.runtime(node_price=rate, batch_size=batch_size, **changes)
    options = RunOptions(targets=("es",), out=bench.out, source_language="en")
    requests = gather([media], options).requests
    if not budget:
        return Executor(runtime, make_entries(requests, runtime), Silence()).run()
    account = ClockedBudget.open(
        budget_of(budget, rate), runtime, Prices(shipped_book()), ("transcriber", "translator")
    )
    clock = UnitClock()
    account.clock = clock
    return Executor(runtime, make_entries(requests, runtime), clock, account).run()


def test_a_run_stops_at_its_budget_keeps_what_is_finished_and_says_what_is_left(bench: Bench) -> None:
    report = run(bench, "1", fake_delay_ms=600)
    (result,) = report.files
    assert result.state is JobState.BUDGET_STOPPED
    assert not report.interrupted
    assert not report.flawless
    assert report.budget is not None
    assert report.budget.stopped
    assert report.budget.spent < report.budget.cap == Money(10**9, "USD")
    # The second batch would have taken what the first one took, and that is more than what is left.
    assert report.budget.ahead is not None
    assert report.budget.ahead > report.budget.cap
    assert f"0.5000 USD left (another batch would bring it to about {report.budget.ahead.amount(4)} USD)" in (
        report.budget.describe()
    )
    done, total = (sum(count[at] for count in result.tally.units.values()) for at in (1, 0))
    assert (done, total) == (1, 4)
    assert result.reason == f"{total - done} of {total} units are left"
    assert sum(bench.computed().values()) == done
    assert bench.outputs() == {}


def test_a_higher_budget_or_none_goes_on_and_computes_nothing_twice(bench: Bench) -> None:
    run(bench, "1", fake_delay_ms=1100)
    before = sum(bench.computed().values())
    again = run(bench, "1")
    assert again.files[0].state is JobState.BUDGET_STOPPED
    assert again.budget is not None
    assert again.budget.earlier >= again.budget.cap
    assert sum(bench.computed().values()) == before
    more = run(bench, "1000")
    (result,) = more.files
    assert result.state is JobState.DONE
    total = sum(count[0] for count in result.tally.units.values())
    assert sum(bench.computed().values()) == total
    assert more.budget is not None
    assert not more.budget.stopped
    assert more.budget.spent > more.budget.earlier >= Money(10**9, "USD")
    assert run(bench, "").files[0].state is JobState.DONE
    assert sum(bench.computed().values()) == total


def test_a_stopped_job_is_known_as_such_until_it_goes_on(bench: Bench) -> None:
    stopped = run(bench, "1", fake_delay_ms=600).files[0]
    store = bench.runtime().store
    assert stopped.job_id is not None
    found = status_of(JobFolder(store, stopped.job_id))
    assert found is not None
    assert found.state is JobState.BUDGET_STOPPED
    assert "units are left" in found.reason
    run(bench, "")
    found = status_of(JobFolder(store, stopped.job_id))
    assert found is not None
    assert found.state is JobState.DONE
    assert found.reason == ""


def test_a_budget_that_is_never_reached_changes_nothing(bench: Bench) -> None:
    report = run(bench, "5 EUR", media=SPEECH, rate="0.5 EUR")
    assert report.flawless
    assert report.budget is not None
    assert not report.budget.stopped
    assert Money(0, "EUR") < report.budget.spent < report.budget.cap
    assert report.budget.as_json()["currency"] == "EUR"


def test_a_machine_that_costs_nothing_may_be_said_to(bench: Bench) -> None:
    report = run(bench, "0.01", media=SPEECH, rate="0 USD")
    assert report.flawless
    assert report.budget is not None
    assert report.budget.spent.nano == 0


def test_a_budget_without_a_price_is_refused_in_one_line(bench: Bench) -> None:
    with pytest.raises(UsageError, match="a budget needs a price") as refusal:
        run(bench, "2.50", rate="")
    assert "--node-rate" in refusal.value.hint
    assert bench.computed() == {}


def test_a_budget_in_another_currency_than_the_price_is_refused(bench: Bench) -> None:
    with pytest.raises(CurrencyError):
        run(bench, "2.50 EUR", rate="0.5 USD")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "1e3", "2,50", "2.50 eur", "2.50 EUR each", "0.0000000001"])
def test_what_is_no_amount_is_no_budget(text: str) -> None:
    with pytest.raises((MoneyError, UsageError)):
        budget_of(text, DEAR)


def test_a_remote_translator_without_a_price_is_refused_and_with_one_is_not(bench: Bench) -> None:
    runtime = bench.runtime(node_price="0 USD", translator="openai")
    # As if the endpoint had been asked already.
    runtime._specs["translator"] = EngineSpec("openai", "words", "1")
    cap = Money(10**9, "USD")
    with pytest.raises(UsageError, match=r"a budget needs a price: .*input_tokens of openai words") as refusal:
        RunBudget.open(cap, runtime, Prices(PriceBook(())), ("transcriber", "translator"))
    assert "segue prices import" in refusal.value.hint
    RunBudget.open(cap, runtime, priced_book(), ("transcriber", "translator"))
    own = Prices(PriceBook(()), frozenset({"openai words"}))
    RunBudget.open(cap, runtime, own, ("transcriber", "translator"))
    RunBudget.open(cap, runtime, Prices(PriceBook(())), ("transcriber",))


def test_a_call_counts_as_estimated_until_its_usage_is_known(bench: Bench) -> None:
    store = bench.runtime().store
    budget = RunBudget(Money.parse("3 USD"), "0 USD", priced_book(), Spending(store, priced_book()))
    at = "2026-11-21T10:00:00.000+00:00"
    usage = {"requests": 1, "input_tokens": 1000, "output_tokens": 1000}
    call = AttemptStartedLine(
        attempt="a",
        stage="translate",
        at=at,
        engine="openai words",
        provider="openai",
        remote=True,
        estimated=usage,
        units=(UnitLine("k", 1000),),
        jobs=("job",),
    )
    budget.take(call)
    assert budget.exhausted
    assert budget.state().spent == Money.parse("3 USD")
    usage = {"requests": 1, "input_tokens": 500, "output_tokens": 250}
    budget.take(AttemptEndedLine(attempt="a", at=at, engine_seconds="1.000", yielded=1, usage=usage))
    assert not budget.exhausted
    assert budget.state().spent == Money.parse("1 USD")


def test_usage_without_a_price_stops_the_run_instead_of_counting_as_nothing() -> None:
    meter = FeeMeter(PriceBook(()))
    units = (UnitUse("k", 1000, "job"),)
    started = AttemptStarted("a", "p", "translate", 0, "openai words", "openai", False, True, units, {})
    ended = AttemptEnded("a", 1, 1, 1, {"input_tokens": 5})
    amounts, unpriced = meter.charge(started, ended)
    assert amounts == []
    assert unpriced


WHISPER = EngineSpec("whisper", "base", "1")


def windows(count: int, stage: str = "transcribe") -> list[Unit]:
    """Units of a second of speech."""
    return [
        Unit(Slot(stage, number), "job", Key(digest_value({"unit": number})), WHISPER, 1000) for number in range(count)
    ]


def account(bench: Bench, cap: str) -> tuple[RunBudget, UnitClock]:
    """A budget on a machine that costs a unit of currency a second, by a clock that stands still."""
    spending = Spending(bench.runtime().store, Prices(PriceBook(())))
    spending.refresh()
    budget, clock = RunBudget(Money.parse(cap), DEAR, Prices(PriceBook(())), spending), UnitClock()
    budget.clock = clock
    budget.begin()
    return budget, clock


def worked(bench: Bench, stage: str, seconds: float, tell: Callable[[AttemptLine], None]) -> None:
    """A second of speech took so long."""
    journal = AttemptJournal(bench.runtime().store, tell=tell)
    begun = journal.start(stage, windows(1, stage), WHISPER, None)
    journal.end(begun.attempt, seconds, 1, {})


def test_a_batch_is_begun_only_if_it_is_expected_to_end_within_the_cap(bench: Bench) -> None:
    budget, clock = account(bench, "10 USD")
    assert budget.fits("transcribe", windows(1000), WHISPER, remote=False)  # Nothing says what it will take.
    worked(bench, "transcribe", 2, budget.take)
    clock.now = 2 * 10**9
    assert budget.fits("transcribe", windows(4), WHISPER, remote=False)
    assert not budget.fits("transcribe", windows(5), WHISPER, remote=False)
    assert budget.state().ahead == Money.parse("12 USD")


def test_a_batch_that_does_not_fit_is_halved_and_only_one_unit_that_does_not_ends_the_run(bench: Bench) -> None:
    budget, clock = account(bench, "10 USD")
    stops: list[str] = []
    gate, units = BudgetGate(budget, lambda: stops.append("stop")), windows(9)
    worked(bench, "transcribe", 2, budget.take)
    assert gate.affordable(units, WHISPER, False) == units[:4]
    clock.now = 7 * 10**9
    assert gate.affordable(units, WHISPER, False) == units[:1]
    assert not gate.fits(units, WHISPER, False)
    assert (gate.closed, stops) == (False, [])
    clock.now += 10**9 + 1
    assert gate.affordable(units, WHISPER, False) == []
    assert (gate.closed, stops) == (True, ["stop"])
    # What is shown is the unit that was held back, whatever another lane asks later.
    ahead = budget.state().ahead
    assert not gate.fits(windows(50), WHISPER, False)
    assert budget.state().ahead == ahead == Money(10 * 10**9 + 1, "USD")


def test_a_run_whose_full_batch_is_too_dear_does_it_in_halves(bench: Bench, tmp_path: Path) -> None:
    run(bench, "", batch_size=4)
    began = [line for line in read_attempts(bench.runtime().store) if isinstance(line, AttemptStartedLine)]
    speech_ms = sum(unit.audio_ms for line in began if line.stage == "transcribe" for unit in line.units)
    assert [len(line.units) for line in began if line.stage == "transcribe"] == [2]
    # In a store that knows no more than that a second of speech takes a second, a little less than both would cost.
    other = Bench(tmp_path / "other")
    journal, spec = AttemptJournal(other.runtime().store), other.runtime().engine_spec("transcriber")
    journal.end(journal.start("transcribe", windows(1), spec, None).attempt, 1, 1, {})
    report = run(other, f"{Decimal(speech_ms - 1) / 1000}", batch_size=4)
    assert report.files[0].state is JobState.DONE
    assert report.budget is not None
    assert report.budget.spent <= report.budget.cap
    halves = [line for line in read_attempts(other.runtime().store) if isinstance(line, AttemptStartedLine)][1:]
    assert [len(line.units) for line in halves if line.stage == "transcribe"] == [1, 1]


def test_a_translator_on_this_machine_can_be_left_after_each_unit(bench: Bench) -> None:
    budget, clock = account(bench, "10 USD")
    worked(bench, "translate", 2, budget.take)
    clock.now = 8 * 10**9
    assert budget.fits("translate", windows(5, "translate"), WHISPER, remote=False)
    clock.now += 1
    assert not budget.fits("translate", windows(1, "translate"), WHISPER, remote=False)


def test_a_run_that_goes_on_knows_what_loading_and_batches_took_before(bench: Bench) -> None:
    def nobody(_fact: Mapping[str, Any]) -> None:
        """The journal alone is told."""

    worked(bench, "transcribe", 2, nobody)
    loads = AttemptJournal(bench.runtime().store)
    loads.engine_loaded("transcribe", WHISPER, 4)
    budget, _ = account(bench, "5 USD")
    assert not budget.fits("transcribe", windows(1), WHISPER, remote=False)
    assert budget.state().ahead == Money.parse("6 USD")
    loads = AttemptJournal(bench.runtime().store, tell=budget.take)
    loads.engine_loaded("transcribe", WHISPER, 4)
    assert budget.fits("transcribe", windows(1), WHISPER, remote=False)


def test_calls_of_an_api_are_not_begun_where_their_estimate_goes_past_the_cap(bench: Bench) -> None:
    store, spec = bench.runtime().store, EngineSpec("openai", "words", "1")
    units = windows(2, "translate")
    # 400 tokens of instructions for each, at 1 USD for a thousand.
    for cap, fits in (("0.79 USD", False), ("0.80 USD", True)):
        budget = RunBudget(Money.parse(cap), "0 USD", priced_book(), Spending(store, priced_book()))
        assert budget.fits("translate", units, spec, remote=True) is fits


def priced_book() -> Prices:
    return Prices(PriceBook((parse_toml(PRICED + OUTPUT, "test"),)))


def test_a_budget_in_euros_counts_a_machine_and_an_api_in_dollars(bench: Bench) -> None:
    store = bench.runtime().store
    rates = Exchange(conversions=tuple(parse_rates("USD EUR 0.80 2020-01-01 ECB")))
    prices = replace(priced_book(), exchange=rates)
    budget, clock = RunBudget(Money.parse("10 EUR"), DEAR, prices, Spending(store, prices)), UnitClock()
    budget.clock = clock
    budget.begin()
    clock.now = 5 * 10**9
    # Five seconds at a dollar a second: 5 x 0.80.
    assert budget.state().spent == Money.parse("4 EUR")
    usage = {"requests": 1, "input_tokens": 1000, "output_tokens": 1000}
    call = AttemptStartedLine(
        attempt="a",
        stage="translate",
        at="2026-11-21T10:00:00.000+00:00",
        engine="openai words",
        provider="openai",
        remote=True,
        estimated=usage,
        units=(UnitLine("k", 1000),),
        jobs=("job",),
    )
    budget.take(call)
    # A dollar for the tokens in and two for those out: 3 x 0.80 more.
    assert budget.state().spent == Money.parse("6.4 EUR")
    assert budget.trouble == ""


def test_a_budget_without_a_rate_is_refused_and_says_which(bench: Bench) -> None:
    prices = Prices(PriceBook(()), exchange=Exchange(conversions=tuple(parse_rates("EUR USD 1.25 2020-01-01 ECB"))))
    with pytest.raises(CurrencyError, match="the budget is in EUR and the machine's price in USD") as refused:
        RunBudget(Money.parse("10 EUR"), DEAR, prices, Spending(bench.runtime().store, prices))
    assert "USD EUR 1/1.25" in refused.value.hint
