"""A month at another price of its machines, and what preemption cost, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_journals import Journals, job
from machine_rows import machine_row

from accounting.fleet.what_if import SupposedPrice, WhatIf, totals, what_if
from accounting.fleet_ledger import PricingRules
from accounting.months import close_month
from core.errors import UsageError
from ledger.billing import BilledSession, SessionEnd
from ledger.entries import Bucket
from ledger.preemption import NOTICE_MS, replacements
from ledger.price_book.prices import PriceBook

ANNA = job("anna")
RULES = PricingRules()
NO_PRICES = PriceBook(())
#: On demand 0.90 USD an hour: 250,000 nano-units a second. The spot machines say 0.36 USD: 100,000 a second.
ON_DEMAND = machine_row("azure/x/2026-05", "0.90", "2026-05-01")
BOOK = PriceBook(((ON_DEMAND,),))


def october(folder: Path) -> Journals:
    """A spot machine that is taken at work, the one that takes its place, and an office machine that stays.

    gone    0 to 65 s: boot 10, load 10, useful 30, lost 15 (begun at 50, at its speed due at 80: dead in the middle)
    new    70 to 120 s: boot 5, load 10, useful 30, duplicate 2, idle 3
    office  0 to 40 s: idle, 0.18 USD an hour, 50,000 nano-units a second
    """
    journals = Journals(folder, datetime(2026, 10, 10, tzinfo=UTC))
    spot = {"cloud": "azure", "size": "Standard_X", "spot": True}
    journals.node("gone", 0, None, "0.36 USD", **spot)
    journals.process("p", 10, "gone")
    journals.loaded("p", 20, "10.000")
    first = journals.attempt("p", 20, 30, [("a", 10_000, ANNA)])
    journals.attempt("p", 50, None, [("b", 10_000, ANNA)])
    journals.node("new", 70, 120, "0.36 USD", **spot)
    journals.process("q", 75, "new")
    journals.loaded("q", 85, "10.000")
    again = journals.attempt("q", 85, 30, [("b", 10_000, ANNA)])
    journals.attempt("q", 115, 2, [("a", 10_000, ANNA)])
    journals.record("a", first)
    journals.record("b", again)
    journals.wanted(ANNA, 5, 118, ["a", "b"])
    journals.node("office", 0, 40, "0.18 USD", spot=False)
    return journals


def seconds(amounts: object, nano: int) -> dict[str, float]:
    """By bucket, as seconds at so many nano-units a second."""
    return {bucket.value: found["USD"] / nano for bucket, found in amounts.items()}  # type: ignore[attr-defined]


def check(found: WhatIf) -> None:
    # Paid: (65 + 50) s at 100,000, and 40 s at 50,000: 11,500,000 + 2,000,000.
    assert totals(found.paid) == {"USD": 13_500_000}
    # On demand: 115 s at 250,000 = 28,750,000; the office machine is as it was.
    assert totals(found.supposed) == {"USD": 30_750_000}
    useful, idle = {bucket: found.supposed[bucket]["USD"] for bucket in (Bucket.BUSY, Bucket.IDLE)}.values()
    # 60 s useful; 3 s idle on the new machine and 40 s in the office.
    assert (useful, idle) == (60 * 250_000, 3 * 250_000 + 40 * 50_000)
    # Lost 15, duplicate 2; the new machine took the gone one's place: its load 10, its boot 5. 32 s.
    wasted = {"lost": 15.0, "duplicate": 2.0, "load": 10.0, "boot": 5.0}
    assert seconds(found.preemption.by_bucket, 100_000) == wasted
    assert seconds(found.preemption_supposed.by_bucket, 250_000) == wasted
    assert (found.preemption.taken, found.preemption.replaced) == (1, 1)
    assert found.preemption.total == {"USD": 3_200_000}
    # Machines that stay would have cost 30,750,000 - 32 x 250,000 = 22,750,000.
    assert found.preemption_supposed.total == {"USD": 8_000_000}
    assert (found.unpriced, found.unpriced_supposed) == ((), ())


def test_a_month_on_demand_beside_the_spot_prices_that_were_paid(tmp_path: Path) -> None:
    store = october(tmp_path).store
    opened = what_if(store, "2026-10", NO_PRICES, RULES, SupposedPrice(BOOK))
    check(opened)
    close_month(store, "2026-10", NO_PRICES, RULES)
    closed = what_if(store, "2026-10", NO_PRICES, RULES, SupposedPrice(BOOK))
    check(closed)
    assert (opened.closed, closed.closed) == (False, True)


def test_a_rate_that_is_said_is_every_machines(tmp_path: Path) -> None:
    store = october(tmp_path).store
    # (65 + 50 + 40) s at 7.20 USD an hour, 2,000,000 a second.
    found = what_if(store, "2026-10", NO_PRICES, RULES, SupposedPrice(NO_PRICES, "7.20 USD"))
    assert totals(found.supposed) == {"USD": 310_000_000}
    # The office machine is no spot machine, whoever prices it: what preemption cost is the same 32 s.
    assert found.preemption_supposed.total == {"USD": 64_000_000}


def test_a_price_file_is_asked_for_every_machine_of_a_cloud(tmp_path: Path) -> None:
    journals = october(tmp_path)
    journals.node("steady", 0, 10, "0.36 USD", cloud="azure", size="Standard_X", spot=False)
    paid = 13_500_000 + 10 * 100_000
    for everywhere, nano in ((False, 100_000), (True, 250_000)):
        supposed = SupposedPrice(BOOK, everywhere=everywhere)
        found = what_if(journals.store, "2026-10", NO_PRICES, RULES, supposed)
        assert totals(found.paid) == {"USD": paid}
        assert totals(found.supposed) == {"USD": 30_750_000 + 10 * nano}


def test_a_machine_of_which_no_price_on_demand_is_known_is_unpriced_and_not_nothing(tmp_path: Path) -> None:
    found = what_if(october(tmp_path).store, "2026-10", NO_PRICES, RULES, SupposedPrice(NO_PRICES))
    # The office machine alone has a price.
    assert totals(found.supposed) == {"USD": 2_000_000}
    assert {one.session for one in found.unpriced_supposed} == {"gone", "new"}


def test_prices_in_different_currencies_are_not_set_against_each_other(tmp_path: Path) -> None:
    euros = PriceBook(((replace(ON_DEMAND, currency="EUR"),),))
    with pytest.raises(UsageError, match="paid in USD, and are supposed to cost EUR"):
        what_if(october(tmp_path).store, "2026-10", NO_PRICES, RULES, SupposedPrice(euros))


def bill(session: str, start: int, end: int) -> BilledSession:
    return BilledSession(session, start, SessionEnd(end, True), ())


def test_each_machine_takes_the_place_of_one_at_most() -> None:
    gone, other = bill("gone", 0, 500_000), bill("other", 0, 510_000)
    # Begun at the notice; before it; after both; of two that are gone, one was not replaced.
    noticed = bill("noticed", 500_000 - NOTICE_MS + 1, 900_000)
    before, after = bill("before", 500_000 - NOTICE_MS, 900_000), bill("after", 600_000, 900_000)
    always = ((0, 900_000),)
    assert replacements([gone], [gone, before], always) == {}
    assert replacements([gone, other], [gone, other, noticed, before], always) == {"gone": "noticed"}
    both = {"gone": "noticed", "other": "after"}
    assert replacements([gone, other], [gone, other, after, noticed], always) == both
    # What begins once everything was done, or for other work than what waited then, takes nobody's place.
    assert replacements([gone], [gone, after], ((0, 550_000), (580_000, 900_000))) == {}
