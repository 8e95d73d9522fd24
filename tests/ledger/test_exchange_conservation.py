"""A thousand fleets over a month's end, whose rate changes there: every cut of the converted books sums to the whole.

`make test` takes the first fifty.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from fleet_simulation import MONTH_EDGE, VLLM, Fleet, price_book, simulate

from accounting.facts import LedgerFacts
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from accounting.periods import month_of
from accounting.sharing.idle import IdleRule, with_shared_idle
from core.money import Conversion
from ledger.entries import LedgerEntry, Period
from ledger.exchange import Exchange, day_of
from ledger.totals import Dimension

BOOK = price_book()
CHANGE = day_of(MONTH_EDGE)
RATES = (
    Conversion("USD", "GBP", Decimal("0.7613"), CHANGE - timedelta(days=9), "test"),
    Conversion("USD", "GBP", Decimal("1.2987"), CHANGE, "test", inverse=True),
    Conversion("EUR", "GBP", Decimal("0.8557"), CHANGE - timedelta(days=1), "test"),
)
NATIVE_RULES = PricingRules(own_engines=frozenset({VLLM}))
RULES = replace(NATIVE_RULES, exchange=Exchange("GBP", RATES))
SEEDS, GROUP = 1000, 50


def ledger(fleet: Fleet, rules: PricingRules, period: Period | None = None) -> FleetLedger:
    embedded = {fact.session: () for fact in fleet.facts if getattr(fact, "session", "") == "embedded"}
    facts = LedgerFacts(tuple(fleet.facts), tuple(fleet.wants), fleet.made_by, fleet.made_at, {}, embedded, {})
    return fold_facts(facts, BOOK, rules, period)


def by_job(entries: tuple[LedgerEntry, ...]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for entry in entries:
        assert entry.currency == "GBP"
        found[entry.job] += entry.nano
    return dict(found)


@pytest.mark.parametrize(
    "group", [0, *(pytest.param(group, marks=pytest.mark.long) for group in range(1, SEEDS // GROUP))]
)
def test_converted_books_sum_to_the_same_along_every_cut(group: int) -> None:
    seen: Counter[str] = Counter()
    months = month_of(MONTH_EDGE - 1), month_of(MONTH_EDGE)
    for seed in range(group * GROUP, (group + 1) * GROUP):
        fleet = simulate(seed)
        native, by_day = ledger(fleet, NATIVE_RULES), ledger(fleet, replace(NATIVE_RULES, by_day=True))
        for dimension in (Dimension.BUCKET, Dimension.NODE, Dimension.ENGINE):
            # Cutting at midnight moves no amount and no time.
            assert by_day.by(dimension) == native.by(dimension)
        for rule in IdleRule:
            whole = with_shared_idle(ledger(fleet, RULES), rule)
            assert len({entry.id for entry in whole.entries}) == len(whole.entries)
            total = sum(entry.nano for entry in whole.entries)
            for dimension in Dimension:
                assert sum(sums["GBP"].nano for sums in whole.by(dimension).values()) == total
            parts: Counter[str] = Counter()
            for month in months:
                parts.update(by_job(with_shared_idle(ledger(fleet, RULES, month), rule).entries))
            assert dict(parts) == by_job(whole.entries)
            # Each entry has the rate of its own day, and is within half a nano-unit of it.
            for entry in whole.entries:
                seen[entry.price_row.rpartition(" of ")[2]] += 1
        exact = sum(RULES.exchange.price(entry.nano, entry.currency, entry.end - 1) or 0 for entry in by_day.entries)
        assert abs(exact - sum(entry.nano for entry in ledger(fleet, RULES).entries)) <= len(by_day.entries) / 2
    assert seen[str(CHANGE - timedelta(days=9))]
    assert seen[str(CHANGE)]
