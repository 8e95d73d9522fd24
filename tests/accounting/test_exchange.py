"""Books in euros with machines and people priced in dollars: by hand, by the rate of the day, the same in every cut."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_journals import Journals, job

from accounting.exchange_rates import parse_rates
from accounting.fleet_ledger import FleetLedger, PricingRules
from accounting.focus import FocusSource, focus_rows
from accounting.job import ReportRules, job_report
from accounting.months import close_month, read_period, replay_month, with_people
from accounting.report import JobReport
from accounting.sharing.idle import IdleRule, with_shared_idle
from accounting.sharing.people import PeopleRules
from core.money import Money
from ledger.entries import Period
from ledger.exchange import Exchange
from ledger.price_book.prices import PriceBook
from ledger.totals import Dimension

ANNA, BERT = job("anna"), job("bert")
NO_PRICES = PriceBook(())
NOW = 4_000_000_000_000
OCTOBER, NOVEMBER = Period.month("2026-10"), Period.month("2026-11")
DAY = 86_400
#: 0.90 until the fifteenth, 0.80 from the sixteenth.
TWO_RATES = "USD EUR 0.90 2026-10-20 ECB; USD EUR 0.80 2026-11-16 ECB"


def euros(rates: str = TWO_RATES, days: int = 60) -> PricingRules:
    return PricingRules(now=NOW, exchange=Exchange("EUR", tuple(parse_rates(rates)), days))


def november(folder: Path) -> Journals:
    return Journals(folder, datetime(2026, 11, 1, tzinfo=UTC))


def work(journals: Journals, name: str, at: float, seconds: float, whose: str, price: str = "3.60 USD") -> None:
    """A machine of 0.001 USD a second that does one unit and is gone."""
    journals.node(name, at, at + seconds, price)
    journals.process(f"p-{name}", at, name)
    journals.record(name, journals.attempt(f"p-{name}", at, seconds, [(name, 60_000, whose)]))


def month(journals: Journals, rules: PricingRules, period: Period = NOVEMBER) -> FleetLedger:
    return with_shared_idle(read_period(journals.store, NO_PRICES, rules, period), IdleRule.SHARED)


def report(journals: Journals, whose: str, rules: PricingRules, people: PeopleRules | None = None) -> JobReport:
    return job_report(journals.store, whose, NO_PRICES, ReportRules(rules, people or PeopleRules()))


def by_job(books: FleetLedger) -> dict[str, dict[str, int]]:
    return {
        name: {currency: each.nano for currency, each in sums.items()} for name, sums in books.by(Dimension.JOB).items()
    }


def focus_sum(books: FleetLedger) -> Decimal:
    rows = focus_rows(FocusSource(books.entries, books.unpriced, {}, {}, "provisional", ""))
    return sum((Decimal(row["EffectiveCost"]) for row in rows if row["BillingCurrency"] == "EUR"), Decimal(0))


def test_the_rate_that_changes_in_mid_month_divides_its_entries(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "before", 9 * DAY, 100, ANNA)
    work(journals, "after", 19 * DAY, 100, ANNA)
    # The tenth: 0.1 USD x 0.90 = 0.09 EUR. The twentieth: 0.1 USD x 0.80 = 0.08 EUR. 0.17 EUR together.
    books = month(journals, euros())
    assert by_job(books) == {ANNA: {"EUR": 170_000_000}}
    assert books.totals.whole() == {"EUR": 170_000_000}
    assert {name: sums["EUR"].nano for name, sums in books.by(Dimension.NODE).items()} == {
        "before": 90_000_000,
        "after": 80_000_000,
    }
    mine = report(journals, ANNA, euros())
    assert (mine.currency, mine.spent.total, mine.spent.elsewhere) == ("EUR", Money.parse("0.17 EUR"), ())
    assert focus_sum(books) == Decimal("0.17")
    told = books.exchanged()
    assert [(use.conversion.rate, use.first, use.last, use.nano) for use in told.rates] == [
        (Decimal("0.90"), date(2026, 11, 10), date(2026, 11, 10), 90_000_000),
        (Decimal("0.80"), date(2026, 11, 20), date(2026, 11, 20), 80_000_000),
    ]
    assert mine.exchanged == told
    assert next(told.lines) == "0.90 EUR per USD of 2026-10-20 (ECB), for 2026-11-10"


def test_work_over_the_midnight_of_a_change_is_cut_there(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "night", 15 * DAY - 60, 180, ANNA)
    # 60 s of the fifteenth: 0.06 USD x 0.90 = 0.054 EUR; 120 s of the sixteenth: 0.12 x 0.80 = 0.096 EUR.
    mine = report(journals, ANNA, euros())
    assert [(entry.nano, entry.unit_ms) for entry in mine.entries] == [(54_000_000, 60_000), (96_000_000, 120_000)]
    assert by_job(month(journals, euros())) == {ANNA: {"EUR": 150_000_000}}
    # The two days asked for one by one sum to both.
    days = [Period(NOVEMBER.start + day * DAY * 1000, NOVEMBER.start + (day + 1) * DAY * 1000) for day in (14, 15)]
    found = [read_period(journals.store, NO_PRICES, euros(), day).totals.whole()["EUR"] for day in days]
    assert found == [54_000_000, 96_000_000]


def test_idle_of_a_machine_that_lives_long_has_each_days_rate(tmp_path: Path) -> None:
    journals = november(tmp_path)
    journals.node("long", 14 * DAY, 16 * DAY, "3.60 USD")
    journals.process("p", 14 * DAY, "long")
    journals.record("a", journals.attempt("p", 14 * DAY, 400, [("a", 60_000, ANNA)]))
    # Two days of 86.4 USD: the fifteenth at 0.90 (77.76 EUR, of which 0.36 are work), the sixteenth at 0.80 (69.12).
    books = month(journals, euros())
    # Anna, the only job of the month, carries the idle: 77.4 + 69.12.
    assert by_job(books) == {"": {"EUR": 0}, ANNA: {"EUR": 146_880_000_000}}
    assert report(journals, ANNA, euros()).spent.total == Money.parse("146.88 EUR")


def test_a_job_over_a_months_end_costs_what_its_months_say(tmp_path: Path) -> None:
    journals = Journals(tmp_path, datetime(2026, 10, 31, tzinfo=UTC))
    journals.node("n", DAY - 70, DAY + 31, "3.60 USD")
    journals.process("p", DAY - 70, "n")
    made = journals.attempt("p", DAY - 70, 101, [("a", 60_000, ANNA), ("b", 60_000, BERT)])
    journals.record("a", made)
    journals.record("b", made)
    rules = euros("USD EUR 0.90 2026-10-20 ECB; USD EUR 0.83 2026-11-01 ECB")
    october, books = month(journals, rules, OCTOBER), month(journals, rules)
    # Each has half of 70 s before midnight, 0.035 USD x 0.90 = 0.0315, and half of 31 s, 0.0155 x 0.83 = 0.012865.
    assert by_job(october) == {ANNA: {"EUR": 31_500_000}, BERT: {"EUR": 31_500_000}}
    assert by_job(books) == {ANNA: {"EUR": 12_865_000}, BERT: {"EUR": 12_865_000}}
    assert by_job(month(journals, rules, Period(OCTOBER.start, NOVEMBER.end)))[ANNA] == {"EUR": 44_365_000}
    assert report(journals, ANNA, rules).spent.total == Money(44_365_000, "EUR")
    # A closed month keeps dollars, and is the same in euros.
    closed = close_month(journals.store, "2026-10", NO_PRICES, rules)
    assert {entry.currency for entry in closed.closing.entries.values()} == {"USD"}
    assert replay_month(journals.store, "2026-10", None).same
    assert by_job(month(journals, rules, OCTOBER)) == by_job(october)


def test_people_are_converted_by_the_months_last_day(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "a", 9 * DAY, 100, ANNA)
    rules = euros(f"{TWO_RATES}; USD EUR 0.95 2026-12-01 ECB")
    people = PeopleRules("10", "90 USD", exchange=rules.exchange)
    # November's last day has the rate of the sixteenth: 90 USD = 72 EUR; 10 hours are 720 EUR. Unless November is not
    # over yet, when it is the rate of today.
    at = min(NOVEMBER.end - 1, people_now())
    rate = rules.exchange.find("USD", at)
    assert rate is not None
    whole = Money(10 * rate.convert(Money.parse("90 USD")).nano, "EUR")
    books, notes = with_people(read_period(journals.store, NO_PRICES, rules, NOVEMBER), people, "EUR")
    assert not [line for line in notes if "in no amount" in line]
    assert books.by(Dimension.BUCKET)["people"]["EUR"].nano == whole.nano
    mine = report(journals, ANNA, rules, people)
    assert mine.people.amount is not None
    assert "90 USD = " in mine.people.basis
    assert by_job(books)[ANNA]["EUR"] == mine.spent.total.nano
    used = {use.conversion.rate for use in mine.exchanged.rates}
    assert used == {use.conversion.rate for use in books.exchanged().rates} == {Decimal("0.90"), rate.rate}


def people_now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def test_people_without_a_rate_are_unknown_and_say_what_to_set(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "a", 9 * DAY, 100, ANNA)
    people = PeopleRules("10", "90 GBP", exchange=euros().exchange)
    mine = report(journals, ANNA, euros(), people)
    assert mine.people.amount is None
    assert "GBP EUR RATE DAY SOURCE" in mine.people.basis


def test_amounts_without_a_rate_stay_apart_and_are_named(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "a", 9 * DAY, 100, ANNA)
    work(journals, "b", 9 * DAY, 100, ANNA, "3.60 GBP")
    books = month(journals, euros())
    assert by_job(books) == {ANNA: {"EUR": 90_000_000, "GBP": 100_000_000}}
    (line,) = books.exchanged().missing
    assert line.startswith("0.1 GBP are in no EUR amount: no exchange rate from GBP to EUR of 2026-11-10 or before")
    mine = report(journals, ANNA, euros())
    assert (mine.spent.total, mine.spent.elsewhere) == (Money.parse("0.09 EUR"), (Money.parse("0.1 GBP"),))
    assert mine.exchanged.missing == (line,)
    assert [row["BillingCurrency"] for row in focus_rows(FocusSource(books.entries, (), {}, {}, "", ""))] == [
        "EUR",
        "GBP",
    ]


def test_a_rate_of_a_later_day_converts_nothing_before_it(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "a", 9 * DAY, 100, ANNA)
    books = month(journals, euros("USD EUR 0.92 2026-11-11 ECB; USD EUR 0.5 2999-01-01 ECB"))
    assert books.totals.whole() == {"USD": 100_000_000}
    (line,) = books.exchanged().missing
    assert "of 2026-11-10 or before is known, the first is of 2026-11-11" in line
    assert not books.exchanged().rates


def test_a_rate_of_the_other_way_round_is_not_turned_round(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "a", 9 * DAY, 100, ANNA)
    books = month(journals, euros("EUR USD 1.25 2026-11-01 ECB"))
    assert books.totals.whole() == {"USD": 100_000_000}
    assert "USD EUR 1/1.25" in books.exchanged().missing[0]
    # Said so, it divides: 0.1 / 1.25 = 0.08.
    assert month(journals, euros("USD EUR 1/1.25 2026-11-01 ECB")).totals.whole() == {"EUR": 80_000_000}


def test_an_old_rate_warns_once(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "a", 9 * DAY, 100, ANNA)
    work(journals, "b", 10 * DAY, 100, ANNA)
    # The eleventh is eight days after the third: one more than seven.
    books = month(journals, euros("USD EUR 0.9 2026-11-03 ECB", 7))
    (line,) = books.exchanged().old
    assert "0.9 EUR per USD of 2026-11-03 is used for 2026-11-11, 8 days later" in line
    assert not month(journals, euros("USD EUR 0.9 2026-11-04 ECB", 7)).exchanged().old


@pytest.mark.parametrize("rule", IdleRule)
def test_every_cut_of_a_converted_month_sums_to_it(tmp_path: Path, rule: IdleRule) -> None:
    journals = november(tmp_path)
    for place in range(7):
        at = place * 3 * DAY - 50 if place else 100
        journals.node(f"n{place}", at, at + 333 + 17 * place, f"{place + 1}.37 USD")
        journals.process(f"p{place}", at, f"n{place}")
        units = [(f"{place}-{each}", 7_000 + each, whose) for each, whose in enumerate((ANNA, BERT))]
        made = journals.attempt(f"p{place}", at + 7, 101, units)
        for unit, _, _ in units:
            journals.record(unit, made)
    rules = euros("USD EUR 0.913 2026-10-20 ECB; USD EUR 0.877 2026-11-09 ECB; USD EUR 1/1.1234567 2026-11-13 ECB")
    books = with_shared_idle(read_period(journals.store, NO_PRICES, rules, NOVEMBER), rule)
    whole = books.totals.whole()
    assert whole.keys() == {"EUR"}
    for dimension in Dimension:
        assert sum(sums["EUR"].nano for sums in books.by(dimension).values()) == whole["EUR"]
    assert focus_sum(books) == Decimal(whole["EUR"]) / 10**9
    for whose in (ANNA, BERT):
        mine = job_report(journals.store, whose, NO_PRICES, ReportRules(rules, idle=rule))
        assert mine.spent.total.nano == by_job(books)[whose]["EUR"]
    assert sum(use.nano for use in books.exchanged().rates) == whole["EUR"]


def test_an_entry_of_several_days_in_an_old_closing_has_the_rate_of_its_last(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "night", 15 * DAY - 60, 180, ANNA)
    (native,) = read_period(journals.store, NO_PRICES, PricingRules(now=NOW), NOVEMBER).entries
    # 0.18 USD x 0.80.
    (entry,) = euros().exchange.entries([native])
    assert (entry.nano, entry.currency) == (144_000_000, "EUR")


def test_people_in_dollars_and_apis_are_converted_where_the_books_agree_on_euros(tmp_path: Path) -> None:
    journals = november(tmp_path)
    work(journals, "a", 9 * DAY, 100, ANNA, "3.60 EUR")
    # Nobody said a currency: the books are in that of their entries, and the rates lead there.
    rules = PricingRules(now=NOW, exchange=Exchange("", tuple(parse_rates("USD EUR 0.50 2020-01-01 ECB"))))
    people = PeopleRules("10", "90 USD", exchange=rules.exchange)
    mine = report(journals, ANNA, rules, people)
    assert (mine.currency, mine.spent.by_bucket["busy"]) == ("EUR", Money.parse("0.1 EUR"))
    # 10 hours of 45 EUR.
    books, notes = with_people(read_period(journals.store, NO_PRICES, rules, NOVEMBER), people, "EUR")
    assert books.by(Dimension.BUCKET)["people"]["EUR"].nano == 450 * 10**9
    assert "90 USD = 45 EUR (0.50 EUR per USD of 2020-01-01, ECB)" in " ".join(notes)
    assert mine.people.amount is not None
    assert mine.spent.by_bucket["people"].nano == by_job(books)[ANNA]["EUR"] - 100_000_000


def test_a_correction_of_a_closed_month_has_the_rate_of_the_month_that_it_is_entered_in(tmp_path: Path) -> None:
    journals = Journals(tmp_path, datetime(2025, 10, 10, tzinfo=UTC))
    october, november = Period.month("2025-10"), Period.month("2025-11")
    rules = euros("USD EUR 0.90 2025-10-01 ECB; USD EUR 0.80 2025-11-01 ECB")
    work(journals, "known", 0, 100, ANNA)
    close_month(journals.store, "2025-10", NO_PRICES, rules)
    work(journals, "late", DAY, 100, ANNA)
    # October stays 0.1 USD x 0.90; what was learned later is entered on the first of November: 0.1 x 0.80.
    assert month(journals, rules, october).totals.whole() == {"EUR": 90_000_000}
    assert month(journals, rules, november).totals.whole() == {"EUR": 80_000_000}
    both = month(journals, rules, Period(october.start, november.end))
    assert both.totals.whole() == {"EUR": 170_000_000}
    assert [(use.conversion.rate, use.nano) for use in both.exchanged().rates] == [
        (Decimal("0.90"), 90_000_000),
        (Decimal("0.80"), 80_000_000),
    ]
