"""Who carries a fleet's idle and a month's people: by hand, to the nano-unit, the same for a job and its month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_journals import Journals, job

from accounting.closing import closed_people
from accounting.fleet_ledger import FleetLedger, PricingRules
from accounting.job import ReportRules, job_report
from accounting.months import close_month, read_period, with_people
from accounting.report import People
from accounting.sharing.expected_use import ExpectedUse, UseUnit
from accounting.sharing.idle import IdleRule, with_shared_idle
from accounting.sharing.people import PeopleRules
from accounting.verdicts.verdict import VerdictInputs, judge
from core.errors import UsageError
from core.money import Money
from ledger.api import Basis, Counterfactual
from ledger.entries import Bucket, Period
from ledger.exchange import Exchange
from ledger.price_book.prices import PriceBook
from ledger.totals import Dimension
from ledger.verdict import CostOutcome

ANNA, BERT, CID = job("anna"), job("bert"), job("cid")
NO_PRICES = PriceBook(())
RULES = PricingRules(now=4_000_000_000_000)
NOVEMBER = Period.month("2026-11")
FIRST_OF_NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def fleet(folder: Path) -> Journals:
    """Two machines in one month, 0.001 and 0.002 USD a second: one works for 30 of its 100 s, one never in its 60 s."""
    journals = Journals(folder, FIRST_OF_NOVEMBER)
    journals.node("busy", 0, 100, "3.60 USD")
    journals.process("p", 0, "busy")
    journals.record("a", journals.attempt("p", 20, 20, [("a", 100_000, ANNA)]))
    journals.record("b", journals.attempt("p", 40, 10, [("b", 50_000, BERT)]))
    journals.node("waiting", 0, 60, "7.20 USD")
    journals.process("q", 0, "waiting")
    return journals


def month(journals: Journals, rule: IdleRule = IdleRule.SHARED, period: Period = NOVEMBER) -> FleetLedger:
    return with_shared_idle(read_period(journals.store, NO_PRICES, RULES, period), rule)


def amounts(books: FleetLedger, dimension: Dimension) -> dict[str, int]:
    return {name: sums["USD"].nano for name, sums in books.by(dimension).items()}


def test_a_months_idle_is_carried_by_its_jobs_by_their_node_time(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    # 70 s of idle at 0.001 and 60 s at 0.002 are 0.19 USD; Anna had 20 of the 30 s, Bert 10:
    # 0.19 x 2/3 = 0.126666666.. and 0.19 / 3 = 0.063333333.., the odd nano-unit to the larger rest.
    # With 0.020 and 0.010 of their own: 0.146666667 + 0.073333333 = 0.22, all that the machines cost.
    shared = month(journals)
    assert amounts(shared, Dimension.JOB) == {"": 0, ANNA: 146_666_667, BERT: 73_333_333}
    assert sum(shared.totals.whole().values()) == 220_000_000
    # Time goes with the money: 130 s of idle, of which Anna carries 86.667 s beside her 20.
    assert shared.by(Dimension.JOB)[ANNA]["USD"].ms == 106_667


def test_the_sums_of_buckets_and_machines_do_not_know_of_the_rule(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    shared, left = month(journals), month(journals, IdleRule.FLEET)
    assert (
        amounts(shared, Dimension.BUCKET)
        == amounts(left, Dimension.BUCKET)
        == {"busy": 30_000_000, "idle": 190_000_000}
    )
    assert amounts(left, Dimension.JOB) == {"": 190_000_000, ANNA: 20_000_000, BERT: 10_000_000}
    machines = amounts(shared, Dimension.NODE)
    assert machines.pop("") == 0
    assert machines == amounts(left, Dimension.NODE)


@pytest.mark.parametrize("rule", IdleRule)
def test_a_job_says_what_its_months_say_of_it(tmp_path: Path, rule: IdleRule) -> None:
    journals = fleet(tmp_path)
    # Over the month's end: 50 s of work of Bert's on either side of it, and a machine that waits for 50 s before.
    edge = (NOVEMBER.end - NOVEMBER.start) // 1000
    journals.node("late", edge - 100, edge + 50, "3.60 USD")
    journals.process("r", edge - 100, "late")
    journals.record("c", journals.attempt("r", edge - 50, 100, [("c", 50_000, BERT)]))
    december = Period.month("2026-12")
    found = [month(journals, rule), month(journals, rule, december)]
    assert sum(sum(books.totals.whole().values()) for books in found) == 220_000_000 + 150_000_000
    for whose in (ANNA, BERT):
        said = job_report(journals.store, whose, NO_PRICES, ReportRules(RULES, idle=rule))
        months = sum(amounts(books, Dimension.JOB).get(whose, 0) for books in found)
        assert said.spent.total.nano == sum(entry.nano for entry in said.entries) == months
        assert bool(said.shared_idle.amounts) is (rule is IdleRule.SHARED)


def test_a_job_that_is_learned_of_late_carries_what_the_open_months_screen_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounting.months.now_ms", lambda: RULES.now)
    journals = fleet(tmp_path)
    edge = (NOVEMBER.end - NOVEMBER.start) // 1000
    close_month(journals.store, "2026-11", NO_PRICES, RULES)
    # A machine's journals of November come after its closing: 300 s of Cid's and 300 s of idle at 0.001 USD, which
    # December's books are given. There Anna had 100 s of a machine's 200 s at 0.002. Idle is 0.3 + 0.2 = 0.5:
    # Cid carries 300 of 400 s of it, 0.375 beside his 0.3, and Anna 0.125 beside her 0.2.
    journals.node("found", 1000, 1600, "3.60 USD")
    journals.process("s", 1000, "found")
    journals.record("d", journals.attempt("s", 1100, 300, [("d", 50_000, CID)]))
    journals.node("next", edge, edge + 200, "7.20 USD")
    journals.process("t", edge, "next")
    journals.record("e", journals.attempt("t", edge + 10, 100, [("e", 50_000, ANNA)]))
    december = month(journals, period=Period.month("2026-12"))
    assert amounts(december, Dimension.JOB) == {"": 0, CID: 675_000_000, ANNA: 325_000_000}
    # 540 USD a month: December's useful time is 300 s of Cid's and 100 s of Anna's.
    people = PeopleRules("6", "90 USD", closed=closed_people(journals.store))
    said = job_report(journals.store, CID, NO_PRICES, ReportRules(RULES, people=people))
    assert said.shared_idle.amounts == {"USD": 375_000_000}
    assert said.people.amount is not None
    assert said.people.amount.point.nano == 405 * 10**9
    assert said.spent.total.nano == 675_000_000 + 405 * 10**9
    # Once December is closed as well, what was entered of it stays there.
    close_month(journals.store, "2026-12", NO_PRICES, RULES)
    assert job_report(journals.store, CID, NO_PRICES, ReportRules(RULES, people=people)).spent == said.spent


def test_a_months_idle_without_any_work_is_nobodys(tmp_path: Path) -> None:
    journals = Journals(tmp_path, FIRST_OF_NOVEMBER)
    journals.node("waiting", 0, 60, "7.20 USD")
    journals.process("q", 0, "waiting")
    assert amounts(month(journals), Dimension.JOB) == {"": 120_000_000}


def test_idle_of_a_machine_without_a_price_is_unpriced_for_the_jobs_too(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    journals.node("free", 0, 30)
    journals.process("s", 0, "free")
    said = job_report(journals.store, ANNA, NO_PRICES, ReportRules(RULES))
    # 20 of 30 s of the work: 20 of the 30 s.
    assert [usage.quantity for usage in said.unpriced] == [20_000]
    left = job_report(journals.store, ANNA, NO_PRICES, ReportRules(RULES, idle=IdleRule.FLEET))
    assert left.unpriced == ()


def test_a_verdict_flips_by_the_idle_that_it_left_out(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    # 0.05 USD at the API. Anna's 20 s are 0.02: cheaper. With her part of the idle it is 0.02 + 0.1267, and half of the
    # idle either way is 0.083 to 0.21: dearer at either end.
    api = Counterfactual(
        "transcribe", "api", "ears", Basis.SPEECH_ONLY, {"requests": 1}, Money(50_000_000, "USD"), ("row",), "", True
    )
    nobody = PeopleRules("0", "90 USD")
    outcomes = {}
    for rule in IdleRule:
        said = job_report(journals.store, ANNA, NO_PRICES, ReportRules(RULES, people=nobody, idle=rule))
        outcomes[rule] = judge(
            VerdictInputs(
                invoices=[api],
                computed=[api],
                entries=[entry for entry in said.entries if entry.bucket is not Bucket.PEOPLE],
                unpriced=(),
                elsewhere=(),
                currency="USD",
                people=said.people,
                against=(),
                finished=True,
                partly_cached=False,
            )
        ).job
    assert outcomes[IdleRule.FLEET] is not None
    assert outcomes[IdleRule.FLEET].outcome is CostOutcome.SELF_HOSTED
    assert outcomes[IdleRule.SHARED] is not None
    assert outcomes[IdleRule.SHARED].outcome is CostOutcome.API


# -- people --------------------------------------------------------------------------------------------------


def clip(folder: Path) -> Journals:
    """One clip on the first of the month: 100 s of speech, 20 s of a machine."""
    journals = Journals(folder, FIRST_OF_NOVEMBER)
    journals.node("node", 0, 100, "3.60 USD")
    journals.process("p", 0, "node")
    journals.record("a", journals.attempt("p", 20, 20, [("a", 100_000, ANNA)]))
    return journals


def people_after(journals: Journals, days: float, expected: str = "") -> tuple[People, int, int]:
    """The job's people so many days into the month; the month's that jobs carry, and all of them."""
    now = NOVEMBER.start + int(timedelta(days=days).total_seconds() * 1000)
    pricing, rules = PricingRules(now=now, exchange=Exchange("USD")), PeopleRules("6", "90 USD", expected)
    said = job_report(journals.store, ANNA, NO_PRICES, ReportRules(pricing, people=rules))
    books, _ = with_people(read_period(journals.store, NO_PRICES, pricing, NOVEMBER), rules, "USD")
    entries = [entry for entry in books.entries if entry.bucket is Bucket.PEOPLE]
    return said.people, sum(entry.nano for entry in entries if entry.job), sum(entry.nano for entry in entries)


def test_the_first_clip_of_a_month_carries_what_it_is_of_the_months_plan(tmp_path: Path) -> None:
    journals = clip(tmp_path)
    # 6 x 90 = 540 USD for 400 hours; 100 s of speech are 1/14,400 of them: 0.0375 USD.
    found, carried, whole = people_after(journals, 0.5, "400 audio hours")
    assert found.amount is not None
    assert found.amount.point.nano == carried == 37_500_000
    assert "which carry 0.0069 % of its people (2026-11 had 0.03 of an expected 400 audio hours so far)" in found.basis
    assert whole == 540 * 10**9
    # 20 s of a machine of a planned 100 h: 1/18,000, 0.03 USD.
    found, carried, _ = people_after(journals, 0.5, "100 machine hours")
    assert found.amount is not None
    assert found.amount.point.nano == carried == 30_000_000
    # A plan that was surpassed is used up: never more than everything.
    assert people_after(journals, 0.5, "0.001 machine hours")[1] == 540 * 10**9


def test_without_a_plan_a_month_is_forecast_from_a_week_of_it_and_not_from_less(tmp_path: Path) -> None:
    journals = clip(tmp_path)
    found, carried, whole = people_after(journals, 3)
    assert (found.amount, carried, whole) == (None, 0, 540 * 10**9)
    assert "too little to forecast" in found.basis
    assert "SEGUE_EXPECTED_USE" in found.basis
    # 10 of 30 days: as much again twice is expected, so that a third of 540 USD is carried.
    found, carried, whole = people_after(journals, 10)
    assert found.amount is not None
    assert (found.amount.point.nano, carried, whole) == (180 * 10**9, 180 * 10**9, 540 * 10**9)
    assert "a forecast from 10 days" in found.basis
    # When the month is over, what ran in it carries all of it; that it was little is said.
    found, carried, whole = people_after(journals, 31)
    assert found.amount is not None
    assert (found.amount.point.nano, carried) == (540 * 10**9, whole)
    assert "20 useful seconds carry all the people of 2026-11" in found.basis


def test_a_plan_is_hours_of_something() -> None:
    assert ExpectedUse.parse("400 audio hours") == ExpectedUse(400 * 3_600_000, UseUnit.AUDIO)
    assert ExpectedUse.parse("0.5 machine hours").describe() == "0.5 machine hours"
    assert ExpectedUse.parse("1400 audio hours").describe() == "1,400 audio hours"
    for text in ("400", "0 audio hours", "-1 audio hours", "many audio hours", "NaN audio hours", "4 hours"):
        with pytest.raises(UsageError, match="400 audio hours"):
            ExpectedUse.parse(text)
