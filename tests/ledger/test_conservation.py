"""A thousand fleets, each with kills, zombies, price steps and month edges: nothing is lost, nothing is there twice.

`make test` takes the first hundred.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from fleet_oracle import expected_bill, possible_ends
from fleet_simulation import MONTH_EDGE, VLLM, Fleet, price_book, row, simulate

from journals.facts import AttemptEnded, AttemptStarted, EngineLoaded, EngineTried, Fact, ProcessStarted
from ledger.entries import Bucket, Period
from ledger.fold import FoldRules, Ledger, fold
from ledger.price_book.prices import Meter
from ledger.timeline import gather
from ledger.totals import Dimension, LedgerTotals

BOOK = price_book()
RULES = FoldRules(own_engines=frozenset({VLLM}))
FOREVER = 10**15
SEEDS, GROUP = 1000, 50


def books_of(
    fleet: Fleet, facts: list[Fact] | None = None, period: Period | None = None, *, timed: bool = True
) -> Ledger:
    told = fleet.facts if facts is None else facts
    return fold(told, fleet.made_by, fleet.wants, BOOK, period, RULES, fleet.made_at if timed else None)


def last_facts(fleet: Fleet, *, timed: bool) -> dict[str, int]:
    """Last sign of life of each machine, beside beats: facts, and the records of attempts that never ended."""
    timelines = gather(fleet.facts).timelines
    signs = {name: max(each.last_fact.values(), default=each.opening().at) for name, each in timelines.items()}
    homes = {fact.process: fact.session or fact.process for fact in fleet.facts if isinstance(fact, ProcessStarted)}
    ended = {fact.attempt for fact in fleet.facts if isinstance(fact, AttemptEnded)}
    for key, attempt in fleet.made_by.items():
        if timed and attempt not in ended:
            home = homes[attempt.partition("/")[0]]
            signs[home] = max(signs[home], fleet.made_at[key])
    return signs


def check_bills(fleet: Fleet, books: Ledger, *, timed: bool) -> None:
    amounts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    times: Counter[str] = Counter()
    priced: Counter[str] = Counter()
    for entry in books.entries:
        if entry.bucket is not Bucket.API_FEE:
            amounts[entry.session][entry.currency] += entry.nano
            times[entry.session] += entry.unit_ms
            priced[entry.session] += entry.unit_ms
    for usage in books.unpriced:
        if usage.meter == "node_ms":
            times[usage.session] += usage.quantity
    last = last_facts(fleet, timed=timed)
    ends = {bill.session: bill.end.at for bill in books.bills}
    for machine in fleet.machines:
        session = machine.opened.session
        earliest, latest = possible_ends(machine, last[session])
        assert earliest <= ends[session] <= latest
        sums, billed, with_price = expected_bill(machine, ends[session])
        assert dict(amounts[session]) == sums, session
        assert times[session] == billed
        assert priced[session] == with_price


def check_parts(books: Ledger) -> None:
    names = [entry.id for entry in books.entries] + [usage.id for usage in books.unpriced]
    assert len(names) == len(set(names)), "an entry is there twice"
    whole = books.totals.whole()
    assert whole == dict(sorted(LedgerTotals.of(books.entries).whole().items()))
    for dimension in Dimension:
        parts: Counter[str] = Counter()
        for sums in books.totals.by(dimension).values():
            for currency, line in sums.items():
                parts[currency] += line.nano
        assert dict(parts) == whole, dimension


def check_periods(fleet: Fleet, books: Ledger, rng: random.Random) -> None:
    """Any cut of time: the parts of every cell sum to the cell."""
    edges = sorted({0, FOREVER, MONTH_EDGE, *(MONTH_EDGE + rng.randint(-3_000_000, 3_000_000) for _ in range(2))})
    totals = LedgerTotals()
    unpriced: Counter[tuple[str, str, str, str]] = Counter()
    names: set[str] = set()
    for start, end in pairwise(edges):
        part = books_of(fleet, period=Period(start, end))
        totals.merge(part.totals)
        for entry in part.entries:
            assert entry.id not in names
            names.add(entry.id)
            assert start <= entry.start <= entry.end <= end
        for usage in part.unpriced:
            unpriced[usage.session, usage.attempt, usage.job, usage.meter] += usage.quantity
    assert totals.cells == books.totals.cells
    whole: Counter[tuple[str, str, str, str]] = Counter()
    for usage in books.unpriced:
        whole[usage.session, usage.attempt, usage.job, usage.meter] += usage.quantity
    assert unpriced == whole


def check_order(fleet: Fleet, books: Ledger, rng: random.Random) -> None:
    """Facts in another order and told again, jobs in another order and told again, machines folded one by one."""
    facts = fleet.facts + rng.sample(fleet.facts, rng.randint(0, len(fleet.facts)))
    rng.shuffle(facts)
    wants = rng.sample(fleet.wants, len(fleet.wants)) + fleet.wants[:1]
    again = fold(facts, fleet.made_by, wants, BOOK, None, RULES, fleet.made_at)
    assert again.entries == books.entries
    assert again.unpriced == books.unpriced
    assert again == books
    assert LedgerTotals.of(rng.sample(books.entries, len(books.entries))) == books.totals


def parts_of(fleet: Fleet) -> list[list[Fact]]:
    """The facts by machine."""
    homes = {fact.process: fact.session or fact.process for fact in fleet.facts if isinstance(fact, ProcessStarted)}
    of_attempt = {f.attempt: homes[f.process] for f in fleet.facts if isinstance(f, AttemptStarted)}
    parts: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in fleet.facts:
        home = getattr(fact, "session", "") or homes.get(getattr(fact, "process", ""), "")
        parts[home or of_attempt[getattr(fact, "attempt", "")]].append(fact)
    return list(parts.values())


@pytest.mark.parametrize(
    "group", [0, 1, *(pytest.param(group, marks=pytest.mark.long) for group in range(2, SEEDS // GROUP))]
)
def test_entries_of_every_fleet_sum_to_the_bills(group: int) -> None:
    for seed in range(group * GROUP, (group + 1) * GROUP):
        rng = random.Random(seed)
        fleet = simulate(seed)
        books = books_of(fleet)
        assert books.errors == ()
        check_bills(fleet, books, timed=True)
        check_parts(books)
        check_periods(fleet, books, rng)
        check_order(fleet, books, rng)
        check_bills(fleet, books_of(fleet, timed=False), timed=False)


def test_machines_folded_one_by_one_make_the_same_books() -> None:
    for seed in range(60):
        fleet = simulate(seed)
        assert Ledger.merge(books_of(fleet, part) for part in parts_of(fleet)) == books_of(fleet)


def test_the_fleets_hold_every_misfortune() -> None:
    """What the other tests rest on: each kind of trouble is really there, many times."""
    seen: Counter[str] = Counter()
    for seed in range(200):
        fleet = simulate(seed)
        books = books_of(fleet)
        seen.update(entry.bucket.value for entry in books.entries)
        seen.update(f"rule {entry.price_row.partition('#')[2]}" for entry in books.entries)
        seen.update(f"currency {currency}" for currency in books.totals.whole())
        seen.update("unpriced node" for usage in books.unpriced if usage.meter == "node_ms")
        seen.update("unpriced fee" for usage in books.unpriced if usage.meter != "node_ms")
        seen.update("estimated" for bill in books.bills if bill.end.estimated)
        seen.update("several lines" for bill in books.bills if len(bill.segments) > 1)
        seen.update("fake" for entry in books.entries if entry.fake)
        seen.update("shared" for entry in books.entries if 0 < entry.unit_ms < entry.end - entry.start)
        seen.update("month edge" for m in fleet.machines if m.opened.at < MONTH_EDGE < m.death)
        seen.update(type(fact).__name__ for fact in fleet.facts)
    wanted = [bucket.value for bucket in Bucket if bucket is not Bucket.PEOPLE]
    wanted += ["rule aws-first-hour", "currency EUR", "currency USD", "unpriced node", "unpriced fee", "estimated"]
    wanted += ["several lines", "fake", "shared", "month edge", EngineLoaded.__name__, EngineTried.__name__]
    wanted += ["PriceChanged", "ProcessEnded", "SessionClosed"]
    assert {name: seen[name] for name in wanted if seen[name] < 20} == {}


def test_unpriced_usage_never_lowers_a_total() -> None:
    """With the machines that have no price, every amount is at least what it is without them."""
    for seed in range(60):
        fleet = simulate(seed)
        books = books_of(fleet)
        unknown = {usage.session for usage in books.unpriced if usage.meter == "node_ms"}
        unknown -= {entry.session for entry in books.entries if entry.bucket is not Bucket.API_FEE}
        parts = [part for part in parts_of(fleet) if not _sessions(part) & unknown]
        before = books_of(fleet, [fact for part in parts for fact in part])
        after = books.totals.whole()
        assert all(after.get(currency, 0) >= amount for currency, amount in before.totals.whole().items())
        assert set(before.entries) <= set(books.entries)


def _sessions(facts: list[Fact]) -> set[str]:
    return {str(getattr(fact, "session", "")) or str(getattr(fact, "process", "")) for fact in facts}


def test_pricing_what_was_unpriced_moves_no_other_amount() -> None:
    more = BOOK.with_rows(
        [
            row(
                "hetzner/gex/old", "hetzner", Meter.NODE_HOUR, "GEX44", "0.31", currency="EUR", effective_to=MONTH_EDGE
            ),
            row("openai/tomorrow", "openai", Meter.AUDIO_SECOND, "model-of-tomorrow", "0.001"),
        ]
    )
    priced = 0
    for seed in range(60):
        fleet = simulate(seed)
        books = books_of(fleet)
        richer = fold(fleet.facts, fleet.made_by, fleet.wants, more, None, RULES, fleet.made_at)
        assert set(books.entries) <= set(richer.entries)
        assert set(richer.unpriced) <= set(books.unpriced)
        priced += len(books.unpriced) - len(richer.unpriced)
    assert priced > 100
