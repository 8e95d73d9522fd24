"""Closing months, pricing them again, checking that nobody touched anything, and a provider's bill beside the books."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from job_bench import Bench
from ledger_journals import Journals, job
from whole_ledger import read_fleet_ledger

from accounting.bills.bill import keep_reconciliation, reconcile, reconciled_sessions
from accounting.bills.bill_file import read_bill
from accounting.checks.verify import verify_store
from accounting.closing import closed_months, closed_people, read_closed
from accounting.fleet_ledger import PricingRules
from accounting.job import ReportRules, job_report
from accounting.months import close_month, read_period, replay_month, with_people
from accounting.report import Finality
from accounting.sharing.people import PeopleRules
from cache.store import Store
from core.errors import UsageError
from journals.chain import Flaw
from journals.facts import parse_instant
from ledger.entries import Bucket, Period
from ledger.exchange import Exchange
from ledger.price_book.prices import PriceBook

NO_PRICES = PriceBook(())
ANNA = job("anna")
OCTOBER = datetime(2026, 10, 10, tzinfo=UTC)
RULES = PricingRules()


def worked(folder: Path) -> Journals:
    """A machine in October, 100 s at 0.001 USD a second, of which 30 s were work."""
    journals = Journals(folder, OCTOBER)
    journals.node("node", 0, 100, "3.60 USD", cloud="azure", size="Standard_X", name="VM-1")
    journals.process("p", 0, "node")
    made = journals.attempt("p", 20, 30, [("a", 10_000, ANNA)])
    journals.record("a", made)
    journals.wanted(ANNA, 5, 60, ["a"])
    return journals


def total(entries: object) -> int:
    return sum(entry.nano for entry in entries)  # type: ignore[attr-defined]


# -- closing -------------------------------------------------------------------------------------------------


def test_a_closed_month_comes_out_the_same_to_the_byte(tmp_path: Path) -> None:
    store = worked(tmp_path).store
    closed = close_month(store, "2026-10", NO_PRICES, RULES)
    assert total(closed.closing.entries.values()) == 100_000_000
    assert closed_months(store) == {Period.month("2026-10").start}
    again = replay_month(store, "2026-10", None)
    assert again.same
    assert again.digest == closed.digest
    assert replay_month(store, "2026-10", None).entries == again.entries


def test_a_month_is_closed_once_and_only_when_it_is_over(tmp_path: Path) -> None:
    store = worked(tmp_path).store
    close_month(store, "2026-10", NO_PRICES, RULES)
    with pytest.raises(UsageError, match="closed already"):
        close_month(store, "2026-10", NO_PRICES, RULES)
    with pytest.raises(UsageError, match="not over"):
        close_month(store, "2199-01", NO_PRICES, RULES)
    with pytest.raises(UsageError, match="not closed"):
        replay_month(store, "2026-09", None)


def test_what_is_learned_of_a_closed_month_goes_into_the_next_open_one(tmp_path: Path) -> None:
    journals = worked(tmp_path)
    closed = close_month(journals.store, "2026-10", NO_PRICES, RULES)
    journals.node("forgotten", 50, 60, "3.60 USD")
    october, november = Period.month("2026-10"), Period.month("2026-11")
    assert total(read_period(journals.store, NO_PRICES, RULES, october).entries) == 100_000_000
    later = read_period(journals.store, NO_PRICES, RULES, november)
    assert total(later.late) == total(later.entries) == 10_000_000
    whole = read_period(journals.store, NO_PRICES, RULES, Period(october.start, november.end))
    assert total(whole.entries) == total(read_fleet_ledger(journals.store, NO_PRICES).entries) == 110_000_000
    assert replay_month(journals.store, "2026-10", None).digest == closed.digest


def test_the_standing_of_a_period_is_that_of_its_months(tmp_path: Path) -> None:
    store = worked(tmp_path).store
    october = Period.month("2026-10")
    assert read_period(store, NO_PRICES, RULES, october).standing is Finality.PROVISIONAL
    close_month(store, "2026-10", NO_PRICES, RULES)
    assert read_period(store, NO_PRICES, RULES, october).standing is Finality.CLOSED
    assert read_period(store, NO_PRICES, RULES, Period.month("2026-11")).standing is Finality.PROVISIONAL


def test_another_rate_prices_a_closed_month_again_and_leaves_it_closed(tmp_path: Path) -> None:
    journals = Journals(tmp_path, OCTOBER)
    journals.node("node", 0, 100, "")
    closed = close_month(journals.store, "2026-10", NO_PRICES, RULES)
    assert closed.closing.entries == {}
    assert len(closed.unpriced) == 1
    again = replay_month(journals.store, "2026-10", NO_PRICES, PricingRules("7.20 USD"))
    assert total(again.entries) == 200_000_000
    assert not again.same
    kept = read_closed(journals.store, "2026-10")
    assert kept is not None
    assert kept.digest == closed.digest


# -- verifying -----------------------------------------------------------------------------------------------


def journal_of(bench: Bench) -> Path:
    (found,) = (bench.folder / "home" / "attempts").iterdir()
    return found


def flaws(bench: Bench) -> set[Flaw]:
    return {problem.flaw for problem in verify_store(Store.open(bench.folder / "home")).problems}


def test_an_untouched_ledger_verifies(bench: Bench) -> None:
    bench.run_one(node_price="0.30 USD")
    found = verify_store(Store.open(bench.folder / "home"))
    assert (found.problems, found.unsealed) == ((), ())
    assert found.referenced == 2
    assert found.lines > 5


def test_a_flipped_byte_a_dropped_line_and_a_missing_file_are_found(bench: Bench) -> None:
    bench.run_one(node_price="0.30 USD")
    path = journal_of(bench)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"audio_ms":', b'"audio_mx":', 1))
    assert flaws(bench)
    lines = whole.split(b"\n\n")
    path.write_bytes(b"\n\n".join(lines[:2] + lines[3:]))
    assert flaws(bench)
    path.write_bytes(b"\n\n".join(lines[:2]) + b"\n")
    assert flaws(bench)
    path.unlink()
    assert Flaw.MISSING in flaws(bench)
    path.write_bytes(whole)
    assert flaws(bench) == set()
    opened = next((bench.folder / "home" / "nodes").glob("*/opened.json"))
    opened.unlink()
    assert flaws(bench) == {Flaw.MISSING}


def test_a_tail_cut_off_after_an_orderly_end_is_found(bench: Bench) -> None:
    bench.run_one(node_price="0.30 USD")
    path = journal_of(bench)
    whole = path.read_bytes()
    lines = whole.split(b"\n\n")
    assert b'"process_ended"' in lines[-1]
    path.write_bytes(b"\n\n".join(lines[:-1]) + b"\n")
    assert flaws(bench) == {Flaw.TRUNCATED}
    path.write_bytes(whole[:-20])
    assert flaws(bench) == {Flaw.TRUNCATED}


def test_an_anchor_that_is_gone_or_changed_is_found(bench: Bench) -> None:
    bench.run_one(node_price="0.30 USD")
    for path in (bench.folder / "home" / "ledger" / "anchors").iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b'"lines":', b'"linez":', 1))
        # The line, the one after it in the anchors' own chain, and the journal, which knows that anchor.
        assert flaws(bench) == {Flaw.DAMAGED, Flaw.BROKEN, Flaw.CHANGED}
        path.unlink()
        assert flaws(bench) == {Flaw.MISSING}
        path.write_bytes(whole)
        assert flaws(bench) == set()


def test_a_repeated_line_of_a_jobs_wants_is_found(bench: Bench) -> None:
    bench.run_one(node_price="0.30 USD")
    (path,) = (bench.folder / "home" / "jobs").glob("*/wants-*")
    whole = path.read_bytes()
    path.write_bytes(whole + whole.split(b"\n\n")[0] + b"\n")
    assert flaws(bench) == {Flaw.REPEATED}


def test_an_anchor_that_a_crash_tore_is_no_problem(bench: Bench) -> None:
    bench.run_one(node_price="0.30 USD")
    for path in (bench.folder / "home" / "ledger" / "anchors").iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole + whole[: len(whole) // 2].split(b"\n\n")[0][:40])
    assert flaws(bench) == set()


def test_journals_from_before_chains_are_named_and_are_no_problem(tmp_path: Path) -> None:
    found = verify_store(worked(tmp_path).store)
    assert found.problems == ()
    assert found.unsealed == ("attempts/p.jsonl", f"jobs/{ANNA}/wants-c.jsonl", "nodes/node/beats-1.jsonl")


def test_a_closing_anchors_the_journals_that_it_rests_on(bench: Bench) -> None:
    bench.run_one(node_price="0.30 USD")
    store = Store.open(bench.folder / "home")
    close_month(store, "2026-10", NO_PRICES, RULES)
    for folder in ("ledger/anchors", "objects"):
        for path in (bench.folder / "home" / folder).rglob("*"):
            if path.is_file():
                path.unlink()
    journal_of(bench).unlink()
    assert Flaw.MISSING in flaws(bench)


def test_a_changed_closing_is_found(tmp_path: Path) -> None:
    store = worked(tmp_path).store
    close_month(store, "2026-10", NO_PRICES, RULES)
    path = tmp_path / "ledger" / "closed-2026-10.json"
    path.write_bytes(path.read_bytes().replace(b'"amount":', b'"amount": ', 1))
    (problem,) = verify_store(store).problems
    assert (problem.file, problem.flaw) == ("ledger/closed-2026-10.json", Flaw.DAMAGED)


# -- a provider's bill ---------------------------------------------------------------------------------------

_VM = "/subscriptions/1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm-1"
_DISK = "/subscriptions/1/resourceGroups/g/providers/Microsoft.Compute/disks/vm-1_OsDisk"


_COLUMNS = "Date,ResourceId,CostInBillingCurrency,BillingCurrencyCode,MeterCategory\n"


def bill(folder: Path, cost: str, *, customer_agreement: bool = False) -> Path:
    """An export with a machine and a disk, as an Enterprise Agreement or a Customer Agreement writes it."""
    header = "SubscriptionId,Date,MeterCategory,Quantity,CostInBillingCurrency,ResourceId,BillingCurrencyCode"
    day = "10/10/2026"
    if customer_agreement:
        header = "subscriptionId,date,meterCategory,quantity,costInBillingCurrency,ResourceId,billingCurrency"
        day = "2026-10-10"
    rows = [
        f"1,{day},Virtual Machines,0.02,{cost},{_VM},USD",
        f"1,{day},Virtual Machines,0.01,1E-2,{_VM.upper()},USD",
        f"1,{day},Storage,0.1,0.004,{_DISK},USD",
    ]
    path = folder / "export.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([header, *rows, ""]).encode())
    return path


@pytest.mark.parametrize("customer_agreement", [False, True])
def test_a_bill_that_agrees_reconciles_its_machines(tmp_path: Path, *, customer_agreement: bool) -> None:
    store = worked(tmp_path / "home").store
    found = reconcile(store, read_bill(bill(tmp_path, "0.09", customer_agreement=customer_agreement)), NO_PRICES, RULES)
    (machine,) = found.machines
    assert (machine.machine, machine.sessions, machine.billed, machine.booked) == (
        "vm-1",
        ("node",),
        100_000_000,
        100_000_000,
    )
    assert machine.residual == 0
    assert found.others == 1
    keep_reconciliation(store, found)
    assert reconciled_sessions(store) == {"node"}
    assert read_period(store, NO_PRICES, RULES, Period.month("2026-10")).standing is Finality.RECONCILED


def test_a_residual_is_shown_and_never_spread(tmp_path: Path) -> None:
    store = worked(tmp_path / "home").store
    found = reconcile(store, read_bill(bill(tmp_path, "0.14")), NO_PRICES, RULES)
    (machine,) = found.machines
    assert machine.residual == 50_000_000
    assert not machine.agrees
    keep_reconciliation(store, found)
    assert reconciled_sessions(store) == frozenset()
    books = read_period(store, NO_PRICES, RULES, Period.month("2026-10"))
    assert total(books.entries) == 100_000_000
    assert books.standing is Finality.PROVISIONAL


def test_machines_on_one_side_only_are_named(tmp_path: Path) -> None:
    journals = worked(tmp_path / "home")
    journals.node("other", 0, 10, "3.60 USD", cloud="azure", name="vm-2")
    path = bill(tmp_path, "0.09")
    path.write_text(
        path.read_text(encoding="utf-8-sig").replace("vm-1", "vm-9").replace("VM-1", "VM-9"), encoding="utf-8"
    )
    found = {each.machine: each for each in reconcile(journals.store, read_bill(path), NO_PRICES, RULES).machines}
    assert found["vm-9"].sessions == ()
    assert found["vm-1"].billed is None
    assert found["vm-2"].booked == 10_000_000
    assert not any(each.agrees for each in found.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "has no column"),
        (_COLUMNS, "no virtual machine"),
        (
            f"{_COLUMNS}1/1/2026,{_VM},x,USD,Virtual Machines\n",
            "is no amount",
        ),
        (
            f"{_COLUMNS}soon,{_VM},1,USD,Virtual Machines\n",
            "is no day",
        ),
    ],
)
def test_a_file_that_is_no_export_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        read_bill(path)


# -- people --------------------------------------------------------------------------------------------------


def people_of(journals: Journals, rules: PeopleRules) -> tuple[int, list[str]]:
    october = Period.month("2026-10")
    rules = replace(rules, closed=closed_people(journals.store))
    books, notes = with_people(read_period(journals.store, NO_PRICES, RULES, october), rules, "USD")
    shown = [entry for entry in books.entries if entry.bucket is Bucket.PEOPLE]
    share = job_report(
        journals.store, ANNA, NO_PRICES, ReportRules(replace(RULES, exchange=Exchange("USD")), rules)
    ).people
    assert (share.amount.point.nano if share.amount else 0) == total(shown)
    return total(shown), [*notes, share.basis]


def test_a_closed_months_people_stay_what_they_were_whatever_is_set_later(tmp_path: Path) -> None:
    journals = worked(tmp_path)
    then, later = PeopleRules("4-8", "90"), PeopleRules("100", "200 USD")
    before, _ = people_of(journals, then)
    assert before == 6 * 90 * 10**9
    assert people_of(journals, later)[0] == 20_000 * 10**9
    closed = close_month(journals.store, "2026-10", NO_PRICES, RULES, lambda _entries: then.frozen("USD"))
    assert closed.people == PeopleRules("4-8", "90 USD")
    for rules in (then, later, PeopleRules(), PeopleRules("1", "5 EUR")):
        found, said = people_of(journals, rules)
        assert found == before
        carried, little, basis = said
        assert carried == "people of 2026-10 (an estimate): jobs carry 100.0 % of them (all that ran in 2026-10)"
        assert "useful seconds carry all the people of 2026-10" in little
        assert basis.startswith("4-8 hours a month at 90 USD: ")


def test_a_period_that_cuts_a_month_says_what_it_does_not_have_of_it(tmp_path: Path) -> None:
    journals = worked(tmp_path)

    def said(period: Period) -> list[str]:
        books = read_period(journals.store, NO_PRICES, RULES, period)
        return [line for line in with_people(books, PeopleRules("6", "90 USD"), "USD")[1] if "in part" in line]

    october, november = Period.month("2026-10"), Period.month("2026-11")
    day = 24 * 3600 * 1000
    assert said(october) == said(Period(october.start, november.end)) == []
    (line,) = said(Period(october.start, november.start - day))
    assert line.startswith("2026-10 is here in part: its people are in no amount")
    both = said(Period(october.start + day, november.end - day))
    assert [line[:7] for line in both] == ["2026-10", "2026-11"]


def test_a_closing_without_hours_takes_those_of_today_and_says_so(tmp_path: Path) -> None:
    journals = worked(tmp_path)
    closed = close_month(journals.store, "2026-10", NO_PRICES, RULES, lambda _entries: PeopleRules("6").frozen("USD"))
    assert closed.people is None
    found, (note, *_, basis) = people_of(journals, PeopleRules("2", "10 USD"))
    assert found == 20 * 10**9
    assert note == "people of 2026-10: the closing has no hours and rate; those of today are taken"
    assert "its closing has no hours: those of today" in basis
    found, (note, _) = people_of(journals, PeopleRules())
    assert found == 0
    assert note == "people are in no amount: what people cost is unknown: no engineering hours and rate given"


def test_instants_of_closings_are_read_back(tmp_path: Path) -> None:
    closed = close_month(worked(tmp_path).store, "2026-10", NO_PRICES, RULES)
    assert parse_instant(closed.at) > Period.month("2026-10").end
