"""How paid time was used, against the time when work was queued: by hand, each millisecond in one part."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from fleet_simulation import MONTH_EDGE, Fleet, price_book, simulate

from accounting.facts import LedgerFacts
from accounting.fleet.utilization import ms_of, utilization
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from accounting.periods import month_of
from accounting.sharing.month_use import NODE_TIME
from ledger.entries import Bucket, LedgerEntry, Period
from ledger.spans import Spans, length, overlap, union, without
from ledger.spot_saving import added
from ledger.utilization import PaidTime, idle_amounts, time_use

SEEDS, GROUP = 1000, 25
BOOK = price_book()
BEFORE, AFTER = month_of(MONTH_EDGE - 1), month_of(MONTH_EDGE)


def books(fleet: Fleet, period: Period | None) -> FleetLedger:
    embedded = {fact.session: () for fact in fleet.facts if getattr(fact, "session", "") == "embedded"}
    facts = LedgerFacts(tuple(fleet.facts), tuple(fleet.wants), fleet.made_by, fleet.made_at, {}, embedded, {})
    return fold_facts(facts, BOOK, PricingRules(), period)


def test_demand_that_begins_and_ends_inside_idle_stretches_divides_them() -> None:
    # Life 0 to 100, work 20 to 40 and 60 to 80, queued 10 to 90: idle 10-20, 40-60, 80-90 is the fleet's (40),
    # 0-10 and 90-100 the plan's (20), and 7 are billed beyond the life.
    found = time_use((0, 100), 107, ((20, 40), (60, 80)), ((10, 90),))
    assert found == PaidTime(40, 0, 40, 20, 7)
    assert found.paid_ms == 107


def test_work_while_nothing_is_queued_is_said_to_be_that() -> None:
    # An engine that is loaded ahead, 0 to 30, for work that comes at 20.
    assert time_use((0, 50), 50, ((0, 30),), ((20, 50),)) == PaidTime(10, 20, 20, 0, 0)


def test_a_machine_without_a_life_has_no_share() -> None:
    found = time_use((5, 5), 5, (), ((0, 9),))
    assert (found.paid_ms, found.working) == (0, None)


def test_the_cost_of_idle_follows_its_time_to_the_nano_unit() -> None:
    # Free are 0-20, 40-60 and 80-100 of the stretch: 60, of which 10-20, 40-60, 80-90 were queued: 40 of 60 of 100.
    work, queued = ((20, 40), (60, 80)), ((10, 90),)
    assert idle_amounts(100, (0, 100), work, queued) == (67, 33)
    # A correction has no length: nobody saw the fleet at fault.
    assert idle_amounts(-9, (5, 5), work, queued) == (0, -9)


def test_spans_are_sets_of_instants() -> None:
    rng = random.Random(10)

    def drawn() -> tuple[Spans, set[int]]:
        pairs = [sorted((rng.randrange(60), rng.randrange(60))) for _ in range(rng.randrange(6))]
        return union((start, end) for start, end in pairs), {at for start, end in pairs for at in range(start, end)}

    def instants(spans: Spans) -> set[int]:
        assert all(start < end for start, end in spans)
        assert all(one[1] < other[0] for one, other in pairwise(spans))
        return {at for start, end in spans for at in range(start, end)}

    for _ in range(500):
        (first, ours), (second, theirs) = drawn(), drawn()
        assert instants(first) == ours
        assert instants(overlap(first, second)) == ours & theirs
        assert instants(without(first, second)) == ours - theirs
        assert length(overlap(first, second)) + length(without(first, second)) == length(first)


def test_every_millisecond_is_in_one_part() -> None:
    rng = random.Random(11)
    for _ in range(500):
        start, end = sorted((rng.randrange(80), rng.randrange(80)))
        spans = [
            union((a, a + rng.randrange(1, 15)) for a in (rng.randrange(90) for _ in range(rng.randrange(6))))
            for _ in range(2)
        ]
        until = end + rng.randrange(10)
        assert time_use((start, end), until, *spans).paid_ms == until - start


@pytest.mark.parametrize(
    "group", [0, *(pytest.param(group, marks=pytest.mark.long) for group in range(1, SEEDS // GROUP))]
)
def test_a_thousand_fleets_are_used_for_what_their_bills_are_for(group: int) -> None:
    """`make test` takes the first few. In every month and in all: paid time is billed time, and work is its buckets."""
    seen: PaidTime = PaidTime()
    for seed in range(group * GROUP, (group + 1) * GROUP):
        fleet = simulate(seed)
        whole, months = books(fleet, None), [books(fleet, month) for month in (BEFORE, AFTER)]
        found = utilization(whole)
        assert sum((utilization(each).whole for each in months), PaidTime()) == found.whole
        assert found.whole == sum(found.by_kind.values(), PaidTime())
        assert found.whole.paid_ms == sum(bill.billed_until - bill.start for bill in whole.folded.bills)
        times: dict[Bucket, int] = {}
        for line in (*whole.entries, *whole.unpriced):
            if isinstance(line, LedgerEntry) or line.meter == NODE_TIME:
                times[line.bucket] = times.get(line.bucket, 0) + ms_of(line)
        assert found.whole.beyond_ms == times.get(Bucket.UNATTRIBUTED, 0)
        free = times.get(Bucket.IDLE, 0) + times.get(Bucket.BOOT, 0)
        assert found.whole.idle_queued_ms + found.whole.idle_unqueued_ms == free
        for each in (whole, *months):
            use, idle = utilization(each), dict[str, int]()
            for entry in each.entries:
                if entry.bucket in (Bucket.IDLE, Bucket.BOOT):
                    idle[entry.currency] = idle.get(entry.currency, 0) + entry.nano
            assert added(use.idle_queued, use.idle_unqueued) == dict(sorted(idle.items()))
        seen = seen + found.whole
    assert seen.work_queued_ms
    assert seen.idle_queued_ms
    assert seen.idle_unqueued_ms
