"""What a finished minute of media cost, by hand."""

from __future__ import annotations

from accounting.verdicts.unit_costs import MinuteCosts, minute_costs
from core.money import Money

USD = "USD"


def test_a_finished_minute_is_the_whole_over_its_minutes_with_people_and_without() -> None:
    # 90 s are 1.5 minutes: 0.30 / 1.5 = 0.20; with 3 USD of people 3.30 / 1.5 = 2.20; 0.06 of Spanish is 0.04.
    found = minute_costs(90_000, Money(300_000_000, USD), Money(3 * 10**9, USD), {"es": 60_000_000, "": 240_000_000})
    assert found.without_people == Money(200_000_000, USD)
    assert found.with_people == Money(2_200_000_000, USD)
    assert found.by_language == {"es": Money(40_000_000, USD)}
    # Rounded once, half to even: 1 nano-unit over 2 minutes is 0.
    assert minute_costs(120_000, Money(1, USD), None, {}).without_people == Money(0, USD)


def test_unknown_people_are_not_free_and_nothing_is_divided_by_nothing() -> None:
    assert minute_costs(60_000, Money(5, USD), None, {}) == MinuteCosts(Money(5, USD), None, {})
    for unfinished in (None, 0):
        assert minute_costs(unfinished, Money(5, USD), Money(0, USD), {"es": 5}) == MinuteCosts(None, None, {})
