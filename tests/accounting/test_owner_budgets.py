"""Budgets of owners and months: by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_journals import Journals

from accounting.fleet_ledger import FleetLedger, PricingRules
from accounting.months import read_period
from accounting.owner_budgets import BudgetState, OwnerBudget, caps_of, owner_budgets
from core.errors import UsageError
from core.money import Money
from ledger.entries import Bucket, LedgerEntry, Period, Quality, Unpriced
from ledger.price_book.prices import PriceBook

NOVEMBER = Period.month("2026-11")
ABOUT = {"session": "s", "attempt": "", "bucket": Bucket.BUSY, "stage": "transcribe", "engine": "e", "job": "j"}
SPAN = {"start": NOVEMBER.start, "end": NOVEMBER.start + 1000}


def entry(owner: str, amount: str) -> LedgerEntry:
    paid = Money.parse(amount)
    more = {"language": "", "unit_ms": 1000, "price_row": "session", "quality": Quality.MEASURED, "fake": False}
    return LedgerEntry(id="i", owner=owner, nano=paid.nano, currency=paid.currency, **ABOUT, **SPAN, **more)  # type: ignore[arg-type]


def free(owner: str) -> Unpriced:
    more = {"meter": "node_ms", "quantity": 1500, "why": "no price", "fake": False}
    return Unpriced(id="u", owner=owner, **ABOUT, **SPAN, **more)  # type: ignore[arg-type]


def books(folder: Path, *entries: LedgerEntry, unpriced: tuple[Unpriced, ...] = ()) -> FleetLedger:
    empty = read_period(Journals(folder).store, PriceBook(()), PricingRules(), NOVEMBER)
    return empty.adding(entries, unpriced)


def budget(ledger: FleetLedger, text: str, alert: int = 80) -> OwnerBudget:
    (found,) = owner_budgets(ledger, caps_of({"anna": text}, "USD"), alert)
    return found


def test_an_alert_is_at_its_share_to_the_nano_unit(tmp_path: Path) -> None:
    # 80 % of 200 is 160; all entries of the owner count, others' do not.
    below = books(tmp_path, entry("anna", "100 USD"), entry("anna", "59.999999999 USD"), entry("bert", "999 USD"))
    assert budget(below, "200").state is BudgetState.WITHIN
    at = below.adding([entry("anna", "0.000000001 USD")])
    assert budget(at, "200").state is BudgetState.ALERT
    assert "160 USD of 200 USD spent (80.0 %), at or over the alert at 80 %" in budget(at, "200").line
    assert budget(at, "200", alert=81).state is BudgetState.WITHIN
    assert budget(at, "160 USD").state is BudgetState.SPENT
    assert budget(at, "160.000000001 USD").state is BudgetState.ALERT


def test_what_has_no_price_or_no_rate_is_named_and_is_not_nothing(tmp_path: Path) -> None:
    unpriced = books(tmp_path, entry("anna", "1 USD"), unpriced=(free("anna"), free("bert")))
    found = budget(unpriced, "200 USD")
    assert (found.state, found.unknown) == (BudgetState.UNKNOWN, ("1.5 s of node time without a price",))
    foreign = budget(books(tmp_path, entry("anna", "1 EUR")), "200 USD")
    assert (foreign.state, foreign.spent.nano) == (BudgetState.UNKNOWN, 0)
    assert "without a rate to USD" in foreign.line
    # What is known is enough for an alert already.
    assert budget(books(tmp_path, entry("anna", "170 USD"), unpriced=(free("anna"),)), "200").state is BudgetState.ALERT


def test_an_owner_without_any_work_has_spent_nothing(tmp_path: Path) -> None:
    assert budget(books(tmp_path), "200 USD").as_json() == {
        "budget": 200 * 10**9,
        "spent": 0,
        "currency": "USD",
        "per_cent": 0.0,
        "alert_per_cent": 80,
        "state": "within",
        "not_counted": [],
    }


@pytest.mark.parametrize("said", [{"anna": "much"}, {"anna": "0 USD"}, {"anna": ""}, {"": "5 USD"}, {"anna": "-1 USD"}])
def test_a_budget_that_is_none_is_refused_with_its_owner(said: dict[str, str]) -> None:
    with pytest.raises(UsageError) as refusal:
        caps_of(said, "USD")
    assert "budget" in refusal.value.message
