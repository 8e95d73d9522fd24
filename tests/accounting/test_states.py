"""What the ledger says while work is under way, and after stops that nobody has to be praised for."""

from __future__ import annotations

from pathlib import Path

from job_bench import Bench
from ledger_journals import Journals, job
from spoken import SAMPLE

from accounting.budget import RunBudget, budget_of
from accounting.fleet_ledger import PricingRules
from accounting.job import ReportRules, job_report
from accounting.spending import Prices
from cache.store import Store
from journals.lines import BeatLine
from ledger.price_book.prices import PriceBook
from pipeline.executor import Executor
from pipeline.inputs.requests import RunOptions, gather, make_entries
from pipeline.progress import Silence

ANNA = job("anna")
NO_PRICES = PriceBook(())


def at_work(folder: Path) -> Journals:
    """A machine for 0.001 USD a second, ten seconds into a batch that nobody knows the end of."""
    journals = Journals(folder)
    journals.node("node", 0, None, "3.60 USD")
    journals.process("p", 0, "node")
    done = journals.attempt("p", 0, 5, [("a", 1000, ANNA)])
    journals.record("a", done)
    journals.attempt("p", 5, None, [("b", 1000, ANNA)])
    journals.wanted(ANNA, 0, None, ["a", "b"])
    journals.store.append(("nodes", "node", "beats-1.jsonl"), [BeatLine(at=journals.at(15), worker="w-node").entry()])
    return journals


def asked_at(journals: Journals, seconds: float) -> ReportRules:
    return ReportRules(PricingRules(now=journals.ms(seconds)))


def test_a_batch_under_way_is_named_and_counts_as_useful_only_until_its_worker_is_silent(tmp_path: Path) -> None:
    journals = at_work(tmp_path)
    report = job_report(journals.store, ANNA, NO_PRICES, asked_at(journals, 20))
    assert report.under_way is not None
    assert (report.under_way.batches, report.under_way.node_ms) == (1, 15_000)
    assert report.under_way.amounts == {"USD": 15_000_000}
    assert report.spent.ms_by_bucket == {"busy": 20_000}
    value = report.as_json()
    assert value["under_way"] == {"batches": 1, "node_ms": 15_000, "amounts": {"USD": 15_000_000}}
    late = job_report(journals.store, ANNA, NO_PRICES, asked_at(journals, 100))
    assert late.under_way is None
    assert late.spent.ms_by_bucket["busy"] == 5000
    assert late.spent.ms_by_bucket["lost"] > 0


def test_nothing_is_under_way_once_a_batch_has_ended(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    journals.node("node", 0, 10, "3.60 USD")
    journals.process("p", 0, "node")
    journals.record("a", journals.attempt("p", 0, 5, [("a", 1000, ANNA)]))
    journals.wanted(ANNA, 0, 10, ["a"])
    report = job_report(journals.store, ANNA, NO_PRICES, asked_at(journals, 11))
    assert report.under_way is None
    assert report.as_json()["under_way"] is None


def test_going_on_after_a_budget_stopped_a_run_avoided_nothing(bench: Bench) -> None:
    rate = "3600 USD"
    for budget in ("1", "100000"):
        runtime = bench.runtime(node_price=rate, batch_size=1, fake_delay_ms=1100)
        requests = gather([SAMPLE], RunOptions(targets=("es",), out=bench.out, source_language="en")).requests
        account = RunBudget.open(budget_of(budget, rate), runtime, Prices(NO_PRICES), ("transcriber", "translator"))
        report = Executor(runtime, make_entries(requests, runtime), Silence(), account).run()
        (result,) = report.files
        assert report.budget is not None
        assert report.budget.stopped is (budget == "1")
    assert result.job_id is not None
    found = job_report(Store.open(bench.folder / "home"), result.job_id, NO_PRICES)
    assert len(found.nodes) == 2
    assert "resume" not in {one.kind for one in found.avoided}
