"""Properties that hold for any fleet, any order and any cut, searched for by Hypothesis."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from fleet_simulation import HOUR, MONTH_EDGE, VLLM, Fleet, price_book, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import split
from ledger.billing import NodeTerms
from ledger.entries import LedgerEntry, Period
from ledger.fold import FoldRules, Ledger, fold
from ledger.sweep import Sharing
from ledger.totals import LedgerTotals

BOOK = price_book()
RULES = FoldRules(own_engines=frozenset({VLLM}))
SEEDS = st.integers(0, 10**6)
SEARCH = settings(max_examples=60)


def books_of(fleet: Fleet, period: Period | None = None) -> Ledger:
    return fold(fleet.facts, fleet.made_by, fleet.wants, BOOK, period, RULES, fleet.made_at)


@SEARCH
@given(SEEDS, st.lists(st.integers(MONTH_EDGE - 2 * HOUR, MONTH_EDGE + 2 * HOUR), max_size=4))
def test_the_parts_of_any_cut_sum_to_the_whole_for_everybody(seed: int, cuts: list[int]) -> None:
    fleet = simulate(seed, machines=2, minutes=20)
    totals = LedgerTotals()
    for start, end in pairwise([0, *sorted(cuts), 10**15]):
        totals.merge(books_of(fleet, Period(start, end)).totals)
    assert {cell: sums for cell, sums in totals.cells.items() if any(sums)} == {
        cell: sums for cell, sums in books_of(fleet).totals.cells.items() if any(sums)
    }


@SEARCH
@given(SEEDS, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_make_the_same_books(seed: int, rng: object) -> None:
    fleet = simulate(seed, machines=2, minutes=20)
    books = books_of(fleet)
    for told in (fleet.facts, fleet.wants):
        told += told[: len(told) // 2]  # type: ignore[operator]
        rng.shuffle(told)  # type: ignore[attr-defined]
    assert books_of(fleet) == books


@SEARCH
@given(SEEDS, st.randoms(use_true_random=False))
def test_names_of_jobs_mean_nothing_but_whose_amount_it_is(seed: int, rng: object) -> None:
    """Each attempt costs the same whoever shares it."""

    def by_attempt(entries: tuple[LedgerEntry, ...]) -> Counter[tuple[str, str, str]]:
        found: Counter[tuple[str, str, str]] = Counter()
        for entry in entries:
            found[entry.session, entry.attempt, entry.currency] += entry.nano
        return +found

    fleet = simulate(seed, machines=2, minutes=20)
    before = by_attempt(books_of(fleet).entries)
    rng.shuffle(fleet.wants)  # type: ignore[attr-defined]
    del fleet.wants[len(fleet.wants) // 2 :]
    assert by_attempt(books_of(fleet).entries) == before


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)).map(sorted), max_size=12),
    st.lists(st.integers(0, 500), max_size=4),
)
def test_shares_and_free_time_sum_to_time(spans: list[list[int]], cuts: list[int]) -> None:
    given_spans = [(start, end) for start, end in spans if start < end]
    sharing = Sharing(given_spans, {0, 500, *cuts})
    shared = sum(sharing.weight(start, end) for start, end in given_spans)
    assert shared + sharing.free(0, 500) == 500 * sharing.scale
    parts = split(10**9 + 7, [sharing.weight(start, end) for start, end in given_spans] + [sharing.free(0, 500)])
    assert sum(parts) == 10**9 + 7


@given(st.integers(0, 10**9), st.integers(1, 10**7), st.integers(0, 10**7))
def test_a_billed_life_is_the_shortest_that_covers_it_in_whole_steps(lived: int, step: int, minimum: int) -> None:
    billed = NodeTerms(step, minimum).billed_ms(lived)
    if lived == 0:
        assert billed == 0
    elif billed == minimum:
        assert lived <= minimum
    else:
        assert billed % step == 0
        assert lived <= billed < lived + step
