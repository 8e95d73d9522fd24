"""A catalogue here and at APIs, by hand: 100 hours, 60 % speech, four languages, 30 % dubbed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from ledger_journals import Journals, job

from accounting.estimates.catalogue import CatalogueRules, estimate_catalogue
from accounting.estimates.catalogue_report import Catalogue
from accounting.fleet.utilization import useful_share
from accounting.fleet_ledger import PricingRules
from accounting.months import read_period
from accounting.sharing.people import PeopleRules
from accounting.spending import Prices
from core.money import Conversion, Money
from core.specs import EngineSpec
from ledger.catalogue import CatalogueWork
from ledger.entries import Period
from ledger.exchange import NATIVE, Exchange
from ledger.price_book.price_files import parse_toml
from ledger.price_book.prices import PriceBook
from ledger.speed import Spread
from ledger.verdict import CostOutcome
from pipeline.runtime import Runtime, Settings

HOUR = 3_600_000
NANO = 10**9
T4 = {"cloud": "azure", "gpu_names": ("Tesla T4",)}
LLAMA = {"engine": "llama small", "provider": "llama"}
WORK = CatalogueWork(Decimal(100), 4, Fraction(60, 100), Fraction(30, 100))
NOVEMBER = Period.month("2026-11")


def row(name: str, meter: str, price: str, per: str, stage: str, currency: str = "USD") -> str:
    return f"""
[[price]]
id = "{name}/2026"
provider = "{name.partition("/")[0]}"
sku = "{name.partition("/")[2]}"
meter = "{meter}"
stage = "{stage}"
unit_price = "{price}"
per = "{per}"
currency = "{currency}"
effective_from = "2026-01-01"
observed_at = "2026-01-01"
source_url = "https://prices.example/list"
confidence = "list"
"""


EARS = row("acme/ears", "audio_second", "0.50", "3600", "transcribe")
DEAR_EARS = row("other/ears", "audio_second", "5.00", "3600", "transcribe")
WORDS = row("acme/words", "character", "20", "1000000", "translate")
VOICES = row("acme/voices", "dubbed_second", "0.33", "60", "dub")


def store(folder: Path, *stages: str) -> Journals:
    """A machine on for 100 s: 100 s of speech took Whisper 10 s, and the translator 5 s."""
    journals = Journals(folder, datetime(2026, 11, 1, tzinfo=UTC))
    journals.node("t4", 0, 100, **T4)
    journals.process("p", 0, "t4")
    if "transcribe" in stages:
        journals.record("a", journals.attempt("p", 10, 10, [("a", 100_000, job("anna"))]))
    if "translate" in stages:
        journals.record("b", journals.attempt("p", 30, 5, [("b", 100_000, job("anna"))], "translate", **LLAMA))
    journals.wanted(job("anna"), 5, 90, ["a", "b"])
    return journals


def estimate(
    journals: Journals,
    work: CatalogueWork = WORK,
    rows: str = EARS + WORDS + VOICES,
    rate: str = "1.20 USD",
    **rules: Any,
) -> Catalogue:
    runtime = Runtime(Settings(home=journals.store.home, node_price=rate), lambda _line: None)
    runtime._specs.update(
        transcriber=EngineSpec("faster-whisper", "base", "r1", "int8"), translator=EngineSpec("llama", "small", "r1")
    )
    asked = CatalogueRules(
        prices=Prices(PriceBook((parse_toml(rows, "test"),))),
        exchange=NATIVE.into("USD"),
        currency="USD",
        people=PeopleRules("2-4", "90 USD"),
        now=journals.ms(1_000),
        hardware="Tesla T4",
        useful=Fraction(60, 100),
    )
    return estimate_catalogue(work, runtime, replace(asked, **rules))


def usd(amount: str) -> int:
    return int(Decimal(amount) * NANO)


def test_a_catalogue_by_hand(tmp_path: Path) -> None:
    found = estimate(store(tmp_path, "transcribe", "translate"))
    # One batch each: from half to twice. 60 h of speech at 10 %: 6 h; 240 h to translate at 5 %: 12 h.
    assert [stage.engine_ms for stage in found.here.stages] == [
        Spread(3 * HOUR, 6 * HOUR, 12 * HOUR),
        Spread(6 * HOUR, 12 * HOUR, 24 * HOUR),
    ]
    # 18 h of which 60 % of paid time are: 30 h, at 1.20 USD 36; 18 h are 21.60, so that 14.40 are idle.
    assert found.here.machine_ms == Spread(15 * HOUR, 30 * HOUR, 60 * HOUR)
    assert found.here.paid == Spread(usd("18"), usd("36"), usd("72"))
    assert (found.here.idle, found.here.machines, found.here.unknown) == (usd("14.40"), 1, ())
    # 60 h at 0.50; 864,000 s of speech at 10, 14 and 20 characters and 20 USD a million.
    ears, words = (each.cheapest for each in found.apis)
    assert ears is not None
    assert words is not None
    assert ears.amount == Spread(usd("30"), usd("30"), usd("30"))
    assert words.amount == Spread(usd("172.80"), usd("241.92"), usd("345.60"))
    # 30 h of media in four languages at 0.33 a minute. It is on no side of the verdict.
    assert [offer.amount for offer in found.dubs] == [Money(usd("2376"), "USD")]
    (said,) = found.verdicts
    assert said.api is not None
    assert said.api.point.nano == usd("271.92")
    # Without people: 202.80 - 72, 271.92 - 36, 375.60 - 18.
    by = said.without_people.difference
    assert said.without_people.outcome is CostOutcome.SELF_HOSTED
    assert by is not None
    assert [end.nano for end in (by.low, by.point, by.high)] == [usd("130.80"), usd("235.92"), usd("357.60")]
    # People are 180 to 360 USD a month: 202.80 - 432 to 375.60 - 198.
    assert said.with_people.outcome is CostOutcome.UNDECIDED
    # In two months they are 360 to 720, and the API wins: 375.60 is less than 378.
    slow = estimate(store(tmp_path / "slow", "transcribe", "translate"), replace(WORK, months=Decimal(2)))
    assert slow.verdicts[0].with_people.outcome is CostOutcome.API
    assert slow.verdicts[0].without_people.difference == by
    # Nobody read these prices at their source.
    assert said.against == "the cheapest known API of each stage"


def test_an_api_that_is_named_stands_beside_the_cheapest(tmp_path: Path) -> None:
    found = estimate(store(tmp_path, "transcribe", "translate"), rows=EARS + DEAR_EARS + WORDS, against=("other/ears",))
    assert [each.api.point.nano for each in found.verdicts if each.api] == [usd("271.92"), usd("541.92")]
    assert (found.dubs, found.dub) == ((), None)


def test_at_equal_quality_the_same_class_is_compared(tmp_path: Path) -> None:
    # Whisper base is of the tiny class, and the translator a model that nobody has classed.
    ears, dear = (each + f'tier = "{tier}"\n' for each, tier in ((EARS, "large-v3 class"), (DEAR_EARS, "tiny class")))
    plain = CatalogueWork(Decimal(100), 0, Fraction(60, 100))
    found = estimate(store(tmp_path, "transcribe"), plain, ears + dear)
    first, same = found.verdicts
    assert first.classes == ("transcribe: NOT of the same class: here a tiny class, there a large-v3 class",)
    # 60 h at 0.50, and at 5 of the same class.
    assert [each.api.point.nano for each in (first, same) if each.api] == [usd("30"), usd("300")]
    assert same.classes == ()
    unclassed = estimate(store(tmp_path / "words", "transcribe", "translate"), rows=ears + dear + WORDS)
    assert len(unclassed.verdicts) == 1
    assert unclassed.verdicts[0].classes[1] == "translate: whether both models are of one class is not known"


def test_what_was_never_measured_is_not_guessed(tmp_path: Path) -> None:
    found = estimate(store(tmp_path, "transcribe"))
    assert found.here.stages[1].engine_ms is None
    assert found.here.unknown == ("translate by llama small was never measured here",)
    # How many machines that takes is not known either.
    assert found.here.machines is None
    # 6 h at 60 % and 1.20: what is known is 12 USD, and what is not could turn the verdict.
    assert found.here.paid == Spread(usd("6"), usd("12"), usd("24"))
    (said,) = found.verdicts
    assert {said.without_people.outcome, said.with_people.outcome} == {CostOutcome.UNDECIDED}
    # Where the API is cheaper than what is known (3 months of people and 6 USD), it wins whatever the rest is.
    dear = estimate(store(tmp_path / "dear", "transcribe"), replace(WORK, months=Decimal(3)))
    assert dear.verdicts[0].with_people.outcome is CostOutcome.API
    assert "even without" in dear.verdicts[0].with_people.line


def test_unknown_idle_people_or_price_leave_it_undecided(tmp_path: Path) -> None:
    journals = store(tmp_path, "transcribe", "translate")
    idle = estimate(journals, useful=None)
    assert (idle.here.machine_ms, idle.here.idle, idle.here.machines) == (None, None, None)
    # 18 h at 1.20 is what is known.
    assert idle.here.paid == Spread(usd("10.80"), usd("21.60"), usd("43.20"))
    assert "idle, boot and loading" in idle.verdicts[0].without_people.line
    people = estimate(journals, people=PeopleRules())
    assert people.here.people is None
    assert people.verdicts[0].with_people.outcome is CostOutcome.UNDECIDED
    assert people.verdicts[0].without_people.outcome is CostOutcome.SELF_HOSTED
    price = estimate(journals, rate="")
    assert price.here.unknown == ("what a machine costs an hour is not known: --node-rate '0.526 USD'",)
    assert price.verdicts[0].without_people.outcome is CostOutcome.UNDECIDED
    unsold = estimate(journals, rows=EARS)
    assert "the API's price is not known" in unsold.verdicts[0].without_people.line


def test_the_useful_share_is_measured_on_machines_without_fakes(tmp_path: Path) -> None:
    journals = store(tmp_path, "transcribe", "translate")
    # A machine on which a fake worked says nothing.
    journals.node("fake", 0, 1_000)
    journals.process("q", 0, "fake")
    journals.record("c", journals.attempt("q", 0, 900, [("c", 100_000, job("bert"))], fake=True))
    journals.wanted(job("bert"), 0, 900, ["c"])
    books = read_period(journals.store, PriceBook(()), PricingRules(now=journals.ms(2_000)), NOVEMBER)
    # 15 of 100 s.
    assert useful_share(books) == Fraction(15, 100)
    measured = estimate(journals, useful=None, measured=Fraction(15, 100))
    assert measured.here.machine_ms == Spread(60 * HOUR, 120 * HOUR, 240 * HOUR)


def test_prices_in_another_currency_are_converted_or_refused(tmp_path: Path) -> None:
    journals = store(tmp_path, "transcribe", "translate")
    half = Conversion("EUR", "USD", Decimal("2"), datetime(2026, 10, 31, tzinfo=UTC).date(), "bank")
    euros = row("acme/ears", "audio_second", "0.25", "3600", "transcribe", "EUR")
    found = estimate(journals, rows=euros + WORDS, rate="0.60 EUR", exchange=Exchange("USD", (half,)))
    assert found.here.paid.point == usd("36")
    assert found.verdicts[0].api is not None
    assert found.verdicts[0].api.point.nano == usd("271.92")
    alone = estimate(journals, rows=euros + WORDS, rate="0.60 EUR")
    assert alone.verdicts[0].api is None
    assert "no exchange rate from EUR to USD" in alone.here.unknown[0]


def test_only_transcripts_need_no_translator(tmp_path: Path) -> None:
    found = estimate(store(tmp_path, "transcribe"), CatalogueWork(Decimal(100), 0, Fraction(60, 100)))
    assert [stage.stage for stage in found.here.stages] == ["transcribe"]
    assert found.here.unknown == ()
