"""What being taken away cost in a month, and what spot saved: by hand, to the nano-unit."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ledger_journals import Journals, job

from accounting.fleet.preemption import SpotUse, spot_use
from accounting.fleet.what_if import SupposedPrice, totals, what_if
from accounting.fleet_ledger import PricingRules
from accounting.months import read_period
from core.money import Conversion
from ledger.entries import Bucket, Period
from ledger.exchange import NATIVE, Exchange
from ledger.price_book.price_files import parse_toml
from ledger.price_book.prices import PriceBook

ANNA = job("anna")
NOVEMBER = Period.month("2026-11")
FIRST_OF_NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
#: 0.01 USD a second on demand.
BOOK = PriceBook(
    (
        parse_toml(
            """
            [[price]]
            id = "azure/t4/on-demand"
            provider = "azure"
            meter = "node_hour"
            sku = "t4"
            region = "eastus"
            unit_price = "36"
            per = "1"
            currency = "USD"
            billing_increment = "1"
            effective_from = "2026-01-01"
            observed_at = "2026-01-01"
            source_url = "https://prices.example/list"
            confidence = "list"
            """,
            "test",
        ),
    )
)
SPOT: dict[str, Any] = {"cloud": "azure", "size": "t4", "region": "eastus", "spot": True}


def fleet(folder: Path, until: float = 250) -> Journals:
    """A spot machine that is taken at 100 s, two that open after it, and one on demand; work is queued from 15 s."""
    journals = Journals(folder, FIRST_OF_NOVEMBER)
    # 0.001 USD a second, 0 to 100: boots until 10, loads until 20, finishes a from 20 to 50, and is taken over b.
    journals.node("taken", 0, 100, "3.60 USD", reason="azure: Preempt of this VM", **SPOT)
    journals.process("p", 10, "taken")
    journals.loaded("p", 20, "10.000")
    journals.record("a", journals.attempt("p", 20, 30, [("a", 60_000, ANNA)]))
    journals.attempt("p", 60, None, [("b", 60_000, ANNA)])
    # 0.002 USD a second, 120 to 300: boots for 10 s, loads for 10 s what the other had, and another engine for 5 s.
    journals.node("next", 120, 300, "7.20 USD", **SPOT)
    journals.process("q", 130, "next")
    journals.loaded("q", 140, "10.000")
    journals.loaded("q", 205, "5.000", "translate")
    journals.record("b", journals.attempt("q", 140, 60, [("b", 60_000, ANNA)]))
    # The same price, 130 to 300: one death, one machine that makes up for it, and it is not this one.
    journals.node("other", 130, 300, "7.20 USD", **SPOT)
    journals.process("r", 150, "other")
    # On demand, 0.003 a second: does b as well, for 20 s, and is too late.
    journals.node("steady", 0, 300, "10.80 USD", cloud="azure", size="t4", region="eastus", spot=False)
    journals.process("s", 0, "steady")
    journals.attempt("s", 185, 20, [("b", 60_000, ANNA)])
    journals.wanted(ANNA, 15, until, ["a", "b"])
    return journals


def price(
    journals: Journals, book: PriceBook = BOOK, period: Period = NOVEMBER, exchange: Exchange = NATIVE
) -> SpotUse:
    rules = PricingRules(now=journals.ms(10_000), exchange=exchange)
    return spot_use(read_period(journals.store, book, rules, period), period)


def usd(nano: int) -> dict[str, int]:
    return {"USD": nano}


def test_the_price_of_being_taken_and_what_spot_saved_by_hand(tmp_path: Path) -> None:
    found = price(fleet(tmp_path))
    # 40 s at 0.001 lost; 20 s at 0.003 done twice; 10 s of loading and 10 s of boot at 0.002.
    assert found.preemption.by_bucket == {
        Bucket.LOST: usd(40_000_000),
        Bucket.DUPLICATE: usd(60_000_000),
        Bucket.LOAD: usd(20_000_000),
        Bucket.BOOT: usd(20_000_000),
    }
    assert found.preemption.total == usd(140_000_000)
    assert (found.saving.machines, found.preemption.taken, found.preemption.replaced) == (3, 1, 1)
    # 100 s at 0.001, 180 and 170 s at 0.002; on demand the 450 s are 0.01 each.
    assert found.saving.paid == usd(800_000_000)
    assert found.saving.on_demand == usd(4_500_000_000)
    # Where nothing is taken, 40 + 20 s on spot machines are not needed, nor what the steady one did twice:
    # 0.40 + 0.20 + 0.06. So spot saved 4.50 - 0.66 - 0.80.
    assert found.saving.spared == usd(660_000_000)
    assert found.saving.saved == usd(3_040_000_000)
    assert found.saving.unknown == ()


def test_replay_what_if_says_the_same(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    said = what_if(journals.store, "2026-11", BOOK, PricingRules(), SupposedPrice(BOOK))
    found = price(journals)
    assert said.preemption == found.preemption
    # What machines that stay would have cost, less what was paid.
    stays = totals(said.supposed)["USD"] - said.preemption_supposed.total["USD"]
    assert usd(stays - totals(said.paid)["USD"]) == found.saving.saved


def test_halves_of_a_month_sum_to_it(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    edge = journals.ms(80)
    halves = [price(journals, period=each) for each in (Period(NOVEMBER.start, edge), Period(edge, NOVEMBER.end))]
    whole = price(journals)
    for bucket, amounts in whole.preemption.by_bucket.items():
        assert sum(half.preemption.by_bucket[bucket].get("USD", 0) for half in halves) == amounts["USD"], bucket
    for name in ("paid", "on_demand"):
        parts = (getattr(half.saving, name).get("USD", 0) for half in halves)
        assert sum(parts) == getattr(whole.saving, name)["USD"], name
    assert [half.preemption.taken for half in halves] == [0, 1]


def test_a_machine_that_came_after_everything_was_done_takes_nobodys_place(tmp_path: Path) -> None:
    found = price(fleet(tmp_path, until=110)).preemption
    assert (found.taken, found.replaced) == (1, 0)
    assert found.by_bucket[Bucket.LOAD] == found.by_bucket[Bucket.BOOT] == {}


def test_without_a_price_on_demand_what_spot_saved_is_unknown(tmp_path: Path) -> None:
    found = price(fleet(tmp_path), PriceBook(()))
    assert (found.saving.saved, found.saving.on_demand) == (None, {})
    assert found.saving.unknown == ("azure t4 eastus: no price on demand is known (3 machines)",)
    assert found.preemption.total == usd(140_000_000)


def test_a_spot_machine_without_a_price_of_its_own_leaves_it_unknown_too(tmp_path: Path) -> None:
    journals = Journals(tmp_path, FIRST_OF_NOVEMBER)
    journals.node("taken", 0, 100, reason="gcp: preempted", **SPOT)
    journals.process("p", 0, "taken")
    journals.attempt("p", 60, None, [("b", 60_000, ANNA)])
    found = price(journals)
    assert (found.saving.saved, found.preemption.total, found.preemption.unpriced_ms) == (None, {}, 40_000)
    assert found.saving.unknown == ("azure t4 eastus: what it cost is not known",)


def test_what_ends_in_order_or_dies_by_itself_or_lives_was_not_taken(tmp_path: Path) -> None:
    journals = Journals(tmp_path, FIRST_OF_NOVEMBER)
    # Its first process dies at 40 and loses 20 s; then it goes on, and is taken at 100 with 10 s of work.
    journals.node("taken", 0, 100, "3.60 USD", reason="azure: Preempt", **SPOT)
    journals.process("p1", 0, "taken")
    journals.attempt("p1", 20, None, [("a", 60_000, ANNA)])
    journals.process("p2", 40, "taken")
    journals.attempt("p2", 90, None, [("b", 60_000, ANNA)])
    # A person stops this one; nobody knows what that one was, and it died without a word; one lives.
    journals.node("told", 0, 100, "3.60 USD", reason="signal: SIGTERM", **SPOT)
    journals.process("q", 0, "told")
    journals.attempt("q", 50, None, [("c", 60_000, ANNA)])
    journals.node("office", 0, None, "3.60 USD")
    journals.process("r", 0, "office")
    journals.attempt("r", 50, None, [("d", 60_000, ANNA)])
    journals.node("alive", 9_999, None, "3.60 USD", **SPOT)
    journals.process("s", 9_999, "alive")
    found = price(journals).preemption
    assert (found.taken, found.total) == (1, usd(10_000_000))


def test_work_that_failed_on_both_machines_is_not_the_clouds_doing(tmp_path: Path) -> None:
    journals = Journals(tmp_path, FIRST_OF_NOVEMBER)
    journals.node("taken", 0, 100, "3.60 USD", reason="azure: Preempt", **SPOT)
    journals.process("p", 0, "taken")
    journals.attempt("p", 20, 10, [("bad", 60_000, ANNA)])
    journals.node("next", 110, 200, "3.60 USD", **SPOT)
    journals.process("q", 110, "next")
    journals.attempt("q", 120, 10, [("bad", 60_000, ANNA)])
    journals.wanted(ANNA, 10, 150, ["bad"])
    found = price(journals).preemption
    assert (found.replaced, found.total) == (1, {})


def test_both_sides_are_in_the_reports_currency_or_not_set_against_each_other(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    # A dollar is half a euro: everything is half of what it is in dollars.
    half = Conversion("USD", "EUR", Decimal("0.5"), date(2026, 10, 31), "bank")
    found = price(journals, exchange=Exchange("EUR", (half,)))
    assert found.preemption.total == {"EUR": 70_000_000}
    assert found.saving.saved == {"EUR": 1_520_000_000}
    # A spot machine that is paid in euros, and a price book in dollars, without a rate.
    journals.node("euros", 0, 100, "3.60 EUR", **SPOT)
    strange = price(journals).saving
    assert strange.saved is None
    assert strange.unknown == ("azure t4 eastus: EUR and USD cannot be set against each other without a dated rate",)
