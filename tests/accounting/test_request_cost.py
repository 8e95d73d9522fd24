"""What a successful request cost in a month: by hand, with what is known of people and without."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ledger_journals import Journals, job

from accounting.fleet.fleet_use import RequestCost, request_cost
from accounting.fleet_ledger import PricingRules
from accounting.months import read_period, with_people
from accounting.sharing.people import PeopleRules
from core.money import Money
from ledger.entries import Period
from ledger.price_book.prices import PriceBook

ANNA = job("anna")
NOVEMBER = Period.month("2026-11")
DAY = 86_400


def month(folder: Path) -> Journals:
    """Three units in 100 s of a machine at 0.001 USD a second: two have a record, one came to nothing."""
    journals = Journals(folder, datetime(2026, 11, 1, tzinfo=UTC))
    journals.node("node", 0, 100, "3.60 USD")
    journals.process("p", 0, "node")
    for unit, began in (("a", 10), ("b", 30)):
        journals.record(unit, journals.attempt("p", began, 10, [(unit, 60_000, ANNA)]))
    journals.attempt("p", 50, 10, [("c", 60_000, ANNA)])
    journals.wanted(ANNA, 0, 100, ["a", "b", "c"])
    return journals


def cost(journals: Journals, days: float, rules: PeopleRules | None = None) -> RequestCost:
    pricing = PricingRules(now=journals.ms(days * DAY))
    books = read_period(journals.store, PriceBook(()), pricing, NOVEMBER)
    return request_cost(with_people(books, rules or PeopleRules("6", "90 USD"), "USD")[0], NOVEMBER)


def each(found: RequestCost) -> dict[str, Money] | None:
    return found.each(found.with_people)


def test_everything_that_was_paid_over_what_was_successful(tmp_path: Path) -> None:
    journals = month(tmp_path)
    # The month is over: 0.10 for the machine, what failed included, and 540 USD of people, for two.
    over = cost(journals, 31)
    assert over.successful == 2
    assert over.each(over.paid) == {"USD": Money(50_000_000, "USD")}
    assert each(over) == {"USD": Money(270_050_000_000, "USD")}
    # A third of it is over: the work carries a third of the people, 180 USD.
    assert each(cost(journals, 10)) == {"USD": Money(90_050_000_000, "USD")}
    # From three days nothing is forecast, and without hours nothing is known.
    assert each(cost(journals, 3)) is None
    assert each(cost(journals, 31, PeopleRules())) is None


def test_without_a_request_there_is_no_cost_of_one(tmp_path: Path) -> None:
    journals = Journals(tmp_path, datetime(2026, 11, 1, tzinfo=UTC))
    journals.node("node", 0, 100, "3.60 USD")
    found = cost(journals, 31)
    assert (found.successful, found.each(found.paid)) == (0, None)
    assert found.as_json()["cost"] is None


def test_fake_work_is_no_request_and_a_price_that_is_missing_is_said(tmp_path: Path) -> None:
    journals = month(tmp_path)
    journals.record("d", journals.attempt("p", 70, 10, [("d", 60_000, ANNA)], fake=True))
    journals.node("free", 0, 10)
    found = cost(journals, 31)
    # 10 of the 100 s went to a fake.
    assert (found.successful, found.paid, found.unpriced) == (2, {"USD": 90_000_000}, True)
