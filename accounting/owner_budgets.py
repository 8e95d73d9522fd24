"""What owners may spend a month, and how far they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from accounting.budget import parse_budget
from accounting.fleet_ledger import FleetLedger
from core.errors import UsageError
from core.money import Money, MoneyError
from ledger.totals import Dimension


class BudgetState(StrEnum):
    """How far a budget is spent."""

    WITHIN = "within"
    #: The alert share is reached.
    ALERT = "alert"
    #: All of it is spent, or more.
    SPENT = "spent"
    #: What is known is below the alert share, and some of what was used has no price, or no rate.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class OwnerBudget:
    """One owner's budget of a month, and what the owner's jobs were charged in it."""

    #: Owner.
    owner: str
    #: The budget.
    cap: Money
    #: What is known to be spent, in the budget's currency: machines, fees, shared idle and people carried.
    spent: Money
    #: What is in no amount, one line each.
    unknown: tuple[str, ...]
    #: Per cent of the budget from which it is an alert.
    alert: int

    @property
    def share(self) -> Fraction:
        """Spent, as a part of the budget."""
        return Fraction(self.spent.nano, self.cap.nano)

    @property
    def state(self) -> BudgetState:
        """How far it is spent."""
        if self.share >= 1:
            return BudgetState.SPENT
        if self.share * 100 >= self.alert:
            return BudgetState.ALERT
        return BudgetState.UNKNOWN if self.unknown else BudgetState.WITHIN

    @property
    def line(self) -> str:
        """``budget of anna: 170 of 200 USD spent (85.0 %), over the alert at 80 %``."""
        percent = f"{float(self.share * 100):.1f} %"
        words = {
            BudgetState.WITHIN: "",
            BudgetState.UNKNOWN: "",
            BudgetState.ALERT: f", at or over the alert at {self.alert} %",
            BudgetState.SPENT: ", all of it or more",
        }
        lacks = f"; not counted: {'; '.join(self.unknown)}" if self.unknown else ""
        return f"budget of {self.owner}: {self.spent} of {self.cap} spent ({percent}){words[self.state]}{lacks}"

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units."""
        return {
            "budget": self.cap.nano,
            "spent": self.spent.nano,
            "currency": self.cap.currency,
            "per_cent": round(float(self.share * 100), 2),
            "alert_per_cent": self.alert,
            "state": self.state.value,
            "not_counted": list(self.unknown),
        }


def caps_of(budgets: Mapping[str, str], currency: str) -> dict[str, Money]:
    """Budgets by owner; amounts without a currency are in ``currency``. Raises UsageError."""
    found = {}
    for owner, text in budgets.items():
        if not owner:
            raise UsageError(f"the budget '{text}' names no owner", "write it as anna=200 USD")
        try:
            found[owner] = parse_budget(text, currency)
        except (MoneyError, UsageError) as error:
            raise UsageError(f"the budget of {owner}: {error.message}", "write it as anna=200 USD") from error
    return found


def owner_budgets(ledger: FleetLedger, caps: Mapping[str, Money], alert: int) -> tuple[OwnerBudget, ...]:
    """How far each budget is spent in the month that these books are of, by owner."""
    by_owner = ledger.by(Dimension.OWNER)
    found = []
    for owner, cap in sorted(caps.items()):
        sums = by_owner.get(owner, {})
        spent = sums[cap.currency].nano if cap.currency in sums else 0
        others = [Money(one.nano, name) for name, one in sums.items() if name != cap.currency and one.nano]
        unknown = [f"{amount} without a rate to {cap.currency}" for amount in others]
        found.append(OwnerBudget(owner, cap, Money(spent, cap.currency), (*unknown, *_unpriced(ledger, owner)), alert))
    return tuple(found)


def _unpriced(ledger: FleetLedger, owner: str) -> Iterator[str]:
    mine = [one for one in ledger.unpriced_totals if one.owner == owner]
    ms = sum(one.quantity for one in mine if one.meter == "node_ms")
    if ms:
        yield f"{ms / 1000:,.1f} s of node time without a price"
    if any(one.meter != "node_ms" for one in mine):
        yield "fees without a price"
