"""This month's end from what has run: by hand, from a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from ledger_journals import Journals, job

from accounting.estimates.forecast import MonthForecast, forecast_month
from accounting.fleet_ledger import PricingRules
from accounting.months import close_month
from core.money import Money
from ledger.price_book.prices import PriceBook
from ledger.speed import Spread

ANNA = job("anna")
NO_PRICES = PriceBook(())
DAY = 86_400


def fleet(folder: Path, first: datetime, days: int, price: str = "3.60 USD") -> Journals:
    """From ``first`` on, each day a machine for 100 s at 0.001 USD a second from 06:00: useful 30 and 50 s by turns."""
    journals = Journals(folder, first)
    for day in range(days):
        at, useful = day * DAY + 21_600, (30, 50)[day % 2]
        journals.node(f"node{day}", at, at + 100, price)
        journals.process(f"p{day}", at, f"node{day}")
        journals.record(f"u{day}", journals.attempt(f"p{day}", at + 10, useful, [(f"u{day}", 60_000, ANNA)]))
    return journals


def forecast(journals: Journals, at: datetime) -> MonthForecast:
    now = round(at.timestamp() * 1000)
    return forecast_month(journals.store, NO_PRICES, PricingRules(now=now), now)


def test_a_months_end_by_bucket_from_the_days_so_far(tmp_path: Path) -> None:
    # From the 17th at 06:00 on; on the 28th at midnight ten whole days are over, and three of November are left.
    journals = fleet(tmp_path, datetime(2026, 11, 17, tzinfo=UTC), 11)
    found = forecast(journals, datetime(2026, 11, 28, tzinfo=UTC))
    assert (found.days, found.left, found.why_none) == (10, 3, "")
    usd = found.amounts["USD"]
    # 0.1 USD a day, useful 6 x 0.03 + 5 x 0.05 = 0.43 so far, idle 0.67.
    assert usd.so_far == {"busy": 430_000_000, "idle": 670_000_000}
    # All days cost the same: 1.10 so far and 0.30 more, for certain.
    assert usd.whole == Spread(1_400_000_000, 1_400_000_000, 1_400_000_000)
    # Useful: 0.04 on average of the whole days, 0.12 more. Variance 10 x 0.01^2 / 9, for three days x (3 + 9/10); twice
    # its root: 2 x sqrt(0.0001 x 10/9 x 3.9) = 0.04163332 either way.
    assert usd.at_end["busy"] == Spread(508_366_680, 550_000_000, 591_633_320)
    assert usd.at_end["idle"].point == 850_000_000
    # A month's people are all of it, not what was there of them so far: 2 to 4 hours at 90.
    people = Money(180 * 10**9, "USD"), Money(360 * 10**9, "USD")
    both = MonthForecast(found.month, found.now, found.days, found.amounts, people)
    assert both.with_people("USD") == Spread(181_400_000_000, 271_400_000_000, 361_400_000_000)
    assert found.with_people("USD") is None


def test_the_days_before_the_month_count_as_history(tmp_path: Path) -> None:
    # On the 2nd of November at noon: 12 days since the 20th of October, 1 of them in the month, and 28.5 to come.
    journals = fleet(tmp_path, datetime(2026, 10, 20, tzinfo=UTC), 14)
    at = datetime(2026, 11, 2, 12, tzinfo=UTC)
    opened = forecast(journals, at)
    assert opened.days == 12
    # The machine at six in the morning of the 20th began that history: its first whole day is the 21st.
    assert opened.amounts["USD"].paid == 200_000_000
    assert opened.amounts["USD"].whole is not None
    # 0.2 and 28.5 x 0.1.
    assert opened.amounts["USD"].whole.point == 3_050_000_000
    # That October is closed changes nothing.
    close_month(journals.store, "2026-10", NO_PRICES, PricingRules())
    assert forecast(journals, at) == opened


def test_no_figure_from_less_than_a_week(tmp_path: Path) -> None:
    journals = fleet(tmp_path, datetime(2026, 11, 1, tzinfo=UTC), 7)
    found = forecast(journals, datetime(2026, 11, 7, 23, tzinfo=UTC))
    assert found.why_none == "5 whole days of history are too few for a forecast, which takes 7"
    assert found.amounts["USD"].whole is None
    assert found.amounts["USD"].paid == 700_000_000
    assert found.as_json()["amounts"]["USD"]["at_end"] is None


def test_time_over_midnight_is_of_both_days(tmp_path: Path) -> None:
    journals = fleet(tmp_path, datetime(2026, 11, 1, tzinfo=UTC), 1)
    # 200 s of the 8th and 100 s of the 9th, all idle.
    journals.node("late", 8 * DAY - 200, 8 * DAY + 100, "3.60 USD")
    found = forecast(journals, datetime(2026, 11, 9, tzinfo=UTC) + timedelta(hours=12))
    # Seven whole days, the 2nd to the 8th, of which the last cost 0.2: 0.2/7 a day for 21.5 days, after 0.4 in all.
    assert found.days == 7
    whole = found.amounts["USD"].whole
    assert whole is not None
    assert whole.point == 400_000_000 + round(Fraction(200_000_000, 7) * Fraction(43, 2))


def test_what_has_no_price_is_in_no_figure_and_said(tmp_path: Path) -> None:
    journals = fleet(tmp_path, datetime(2026, 11, 18, tzinfo=UTC), 10, price="")
    found = forecast(journals, datetime(2026, 11, 28, tzinfo=UTC))
    assert (found.amounts, found.unpriced_ms) == ({}, 1_000_000)


@pytest.mark.parametrize("day", [1, 30])
def test_a_store_in_which_nothing_ran_has_no_forecast(tmp_path: Path, day: int) -> None:
    found = forecast(Journals(tmp_path), datetime(2026, 11, day, 12, tzinfo=UTC))
    assert (found.days, found.amounts) == (0, {})
