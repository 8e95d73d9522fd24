"""A thousand fleets, each with its idle shared and left: no sum over the fleet knows of the rule, and none leaks.

`make test` takes the first fifty.
"""

from __future__ import annotations

from collections import Counter

import pytest
from fleet_simulation import MONTH_EDGE, VLLM, Fleet, price_book, simulate

from accounting.facts import LedgerFacts
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from accounting.periods import month_of
from accounting.sharing.idle import IdleRule, with_shared_idle
from accounting.sharing.month_use import month_uses
from ledger.entries import Bucket, Period
from ledger.totals import Dimension, LedgerTotals, Sum

BOOK = price_book()
RULES = PricingRules(own_engines=frozenset({VLLM}))
SEEDS, GROUP = 1000, 50
BEFORE, AFTER = month_of(MONTH_EDGE - 1), month_of(MONTH_EDGE)


def ledger(fleet: Fleet, period: Period | None) -> FleetLedger:
    embedded = {fact.session: () for fact in fleet.facts if getattr(fact, "session", "") == "embedded"}
    facts = LedgerFacts(tuple(fleet.facts), tuple(fleet.wants), fleet.made_by, fleet.made_at, {}, embedded, {})
    return fold_facts(facts, BOOK, RULES, period)


def above_zero(ledger: FleetLedger, dimension: Dimension) -> dict[tuple[str, str], Sum]:
    """What jobs carry and its reversal may leave a line of nothing where there was no line."""
    found = {(name, currency): one for name, sums in ledger.by(dimension).items() for currency, one in sums.items()}
    return {place: one for place, one in found.items() if one.nano or one.ms}


def check(left: FleetLedger, shared: FleetLedger) -> None:
    assert shared.totals == LedgerTotals.of(shared.entries)
    names = [entry.id for entry in shared.entries]
    assert len(names) == len(set(names))
    for dimension in (Dimension.BUCKET, Dimension.ENGINE, Dimension.LANGUAGE):
        assert above_zero(shared, dimension) == above_zero(left, dimension), dimension
    whole = shared.totals.whole()
    assert whole == left.totals.whole()
    for dimension in Dimension:
        parts: Counter[str] = Counter()
        for sums in shared.by(dimension).values():
            for currency, line in sums.items():
                parts[currency] += line.nano
        assert dict(parts) == whole, dimension
    assert sum(usage.quantity for usage in shared.unpriced) == sum(usage.quantity for usage in left.unpriced)
    for use in month_uses(left).values():
        if any(ms > 0 for ms in use.fleet.values()):
            assert all(pool.amount >= 0 for pool in use.idle.values())


@pytest.mark.parametrize(
    "group", [0, *(pytest.param(group, marks=pytest.mark.long) for group in range(1, SEEDS // GROUP))]
)
def test_shared_and_left_idle_sum_to_the_same(group: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(group * GROUP, (group + 1) * GROUP):
        fleet = simulate(seed)
        carried: Counter[tuple[str, str]] = Counter()
        for month in (BEFORE, AFTER):
            left = ledger(fleet, month)
            shared = with_shared_idle(left, IdleRule.SHARED)
            check(left, shared)
            assert with_shared_idle(left, IdleRule.FLEET) is left
            for entry in shared.entries:
                if not entry.session and entry.job:
                    carried[entry.job, entry.currency] += entry.nano
                    seen["carried"] += 1
                seen[entry.bucket.value] += bool(entry.nano and not entry.session)
        # Over both months at once it is what the months say, one by one.
        whole = with_shared_idle(ledger(fleet, None), IdleRule.SHARED)
        together: Counter[tuple[str, str]] = Counter()
        for entry in whole.entries:
            if not entry.session and entry.job:
                together[entry.job, entry.currency] += entry.nano
        assert together == carried
    assert seen["carried"] > GROUP
    assert seen[Bucket.IDLE.value]
    assert seen[Bucket.UNATTRIBUTED.value] or seen[Bucket.BOOT.value]
