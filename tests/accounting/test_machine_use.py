"""How the machines of a month were used, from journals: by hand, and the sums are what was paid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ledger_journals import Journals, job

from accounting.fleet.utilization import Utilization, utilization
from accounting.fleet_ledger import PricingRules
from accounting.months import read_period
from ledger.entries import Period
from ledger.price_book.prices import PriceBook
from ledger.utilization import PaidTime

ANNA, BERT = job("anna"), job("bert")
NOVEMBER = Period.month("2026-11")
FIRST_OF_NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
T4 = {"cloud": "azure", "size": "Standard_NC4as_T4_v3", "spot": True, "gpu_names": ("Tesla T4",)}
KIND = "1 x Tesla T4, azure Standard_NC4as_T4_v3 spot"


def used(journals: Journals, period: Period = NOVEMBER, now: float = 10_000) -> Utilization:
    return utilization(read_period(journals.store, PriceBook(()), PricingRules(now=journals.ms(now)), period))


def fleet(folder: Path) -> Journals:
    """Two machines. Work is queued from 30 to 150 s and from 400 to 450 s."""
    journals = Journals(folder, FIRST_OF_NOVEMBER)
    # 0.001 USD a second, 0 to 500: loads 10-20, works 40-100 and 400-450.
    journals.node("t4", 0, 500, "3.60 USD", **T4)
    journals.process("p", 0, "t4")
    journals.loaded("p", 20, "10.000")
    journals.attempt("p", 40, 60, [("a", 60_000, ANNA)])
    journals.attempt("p", 400, 50, [("c", 60_000, BERT)])
    # 0.002 USD a second, 50 to 200: boots until 110 while work waits, works 120-150.
    journals.node("cpu", 50, 200, "7.20 USD")
    journals.process("q", 110, "cpu")
    journals.attempt("q", 120, 30, [("b", 60_000, ANNA)])
    journals.wanted(ANNA, 30, 150, ["a", "b"])
    journals.wanted(BERT, 400, 450, ["c"])
    return journals


def test_two_machines_by_hand(tmp_path: Path) -> None:
    found = used(fleet(tmp_path))
    # The T4: at work 60 + 50 of queued time and 10 s of loading ahead; idle while queued 30-40 and 100-150, 60 s;
    # idle while not: 0-10, 20-30, 150-400, 450-500, 320 s. Together 500.
    t4 = PaidTime(110_000, 10_000, 60_000, 320_000, 0)
    # The other: at work 30; 50-120 it boots and waits while work is queued, 70 s; from 150 nothing is. Together 150.
    cpu = PaidTime(30_000, 0, 70_000, 50_000, 0)
    assert found.by_kind == {KIND: t4, "cpu": cpu}
    assert found.whole == t4 + cpu
    assert found.whole.paid_ms == 650_000
    # 60 s at 0.001 and 70 s at 0.002 are 0.20 USD; 320 s and 50 s are 0.42 USD.
    assert found.idle_queued == {"USD": 200_000_000}
    assert found.idle_unqueued == {"USD": 420_000_000}


def test_a_job_that_only_puts_its_results_together_wants_no_work(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    # Bert's only unit is there at 450, and his job is over at 480; a unit of Anna's has no record.
    journals.wanted(BERT, 400, 480, ["c"], writer="late")
    assert used(journals).whole.idle_queued_ms == 160_000
    journals.store.put(journals.made("c", "p/transcribe/2", 450))
    assert used(journals).whole.idle_queued_ms == 130_000


def test_a_period_cuts_the_time_and_its_parts_sum(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    edge = journals.ms(130)
    parts = [used(journals, Period(NOVEMBER.start, edge)), used(journals, Period(edge, NOVEMBER.end))]
    assert parts[0].whole + parts[1].whole == used(journals).whole
    assert parts[0].whole.paid_ms == 130_000 + 80_000


def test_a_runs_own_machine_is_no_place_for_the_fleets_work_nor_the_fleet_for_the_runs(tmp_path: Path) -> None:
    journals = Journals(tmp_path, FIRST_OF_NOVEMBER)
    journals.node("run", 0, 100, "3.60 USD")
    journals.process("run", 0)
    journals.attempt("run", 20, 30, [("a", 60_000, ANNA)])
    journals.wanted(ANNA, 10, 100, ["a"], writer="run")
    journals.node("fleet", 0, 100, "3.60 USD")
    journals.process("p", 0, "fleet")
    journals.wanted(BERT, 60, 80, ["b"])
    # The run: 30 at work, 60 idle while its job wanted more (10-20, 50-100), 10 before. The fleet: 20 of 100 s queued.
    assert used(journals).whole == PaidTime(30_000, 0, 60_000 + 20_000, 10_000 + 80_000, 0)


def test_of_a_purged_job_what_it_did_was_wanted(tmp_path: Path) -> None:
    journals = Journals(tmp_path, FIRST_OF_NOVEMBER)
    journals.node("node", 0, 100, "3.60 USD")
    journals.process("p", 0, "node")
    journals.attempt("p", 20, 30, [("a", 60_000, ANNA)])
    assert used(journals).whole == PaidTime(30_000, 0, 0, 70_000, 0)


def test_a_machine_that_runs_is_paid_up_to_now_and_a_job_that_runs_waits_up_to_now(tmp_path: Path) -> None:
    journals = Journals(tmp_path, FIRST_OF_NOVEMBER)
    journals.node("node", 0, None, "3.60 USD")
    journals.process("p", 0, "node")
    journals.wanted(ANNA, 4, None, ["a"])
    # Its last beat was at 0 s; at 15 s it has not missed enough to be taken for dead.
    assert used(journals, now=15).whole == PaidTime(0, 0, 11_000, 4_000, 0)


def test_nothing_paid_is_no_share(tmp_path: Path) -> None:
    found = used(Journals(tmp_path, FIRST_OF_NOVEMBER))
    assert (found.whole.paid_ms, found.whole.working, found.by_kind) == (0, None, {})
