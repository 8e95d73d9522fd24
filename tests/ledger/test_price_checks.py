"""What a price book has to pass, and that the shipped rows pass it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from price_rows import EARS, NOW, TODAY, ears

from ledger.price_book.price_checks import check_book, ending_models, stale_rows
from ledger.price_book.price_crosscheck import catalogue_price, crosscheck
from ledger.price_book.price_files import (
    instant,
    shipped_book,
)
from ledger.price_book.prices import TERMS, Meter, PriceBook, PriceRow
from ledger.price_book.tiers import PRICED_AHEAD, Tier
from pipeline.stages import priced_names

#: When the shipped rows were looked at last.
LOOKED = max(row.observed_at for row in shipped_book().rows)
T4 = replace(EARS, id="t4", meter=Meter.NODE_HOUR, sku="t4", stage="", per=1)


@given(st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(1, 20))), max_size=8))
def test_a_book_that_passes_the_gate_has_one_price_at_any_instant(spans: list[tuple[int, int | None]]) -> None:
    made = tuple(
        replace(EARS, id=f"row{place}", effective_from=since, effective_to=None if lasts is None else since + lasts)
        for place, (since, lasts) in enumerate(spans)
    )
    book = PriceBook((made,))
    if check_book(book):
        return
    starts = sorted(row.effective_from for row in made)
    assert len(set(starts)) == len(starts)
    for at in range(62):
        holding = [row for row in made if row.holds(at) and row.effective_to is not None]
        found = book.find("acme", "ears", "audio_second", at)
        assert len(holding) <= 1
        assert not holding or found == holding[0]
        latest = max((row for row in made if row.effective_from <= at), key=lambda r: r.effective_from, default=None)
        assert found in (latest, None)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ([ears("a", "2026-01-01"), ears("b", "2026-01-01")], "a and b price the same thing from the same day"),
        ([ears("a", "2026-01-01", "2026-06-01"), ears("b", "2026-05-01")], "a ends on 2026-06-01, after b has begun"),
        ([ears("a", "2026-01-01", source_url="")], "a: has no source"),
        ([ears("a", "2026-01-01", observed_at=date(2027, 1, 1))], "a: was seen on 2027-01-01, which is to come"),
        ([ears("a", "2026-01-01", unit_price=Decimal(0))], "a: has the price 0"),
        ([ears("a", "2026-01-01", spot=True)], "a: only machines are spot"),
        ([ears("a", "2026-01-01", currency="XQZ")], "a: is in XQZ, which is no currency of ISO 4217"),
        (
            [ears("a", "2026-01-01", source_url="https://example.com/prices")],
            "a: says list, but https://example.com/prices is no https address of acme, and read_in names no copy with "
            'a day up to 2026-11-20; give one of them, or say confidence = "seen"',
        ),
        ([ears("a", "2026-01-01", tier=Tier.CLASSIC_MT)], "a: is of the classic MT, which does the work of the stage"),
        ([replace(T4, tier=Tier.SMALL)], "t4: is of the small class, which does the work of the stage transcribe"),
        ([ears("a", "2026-01-01", retired_from=instant("2026-01-01"))], "a: its model ended on 2026-01-01, before"),
        (
            [ears("a", "2026-01-01"), ears("b", "2026-05-01", retired_from=instant("2027-01-01"))],
            "a and b are of one model, and say two days of its end",
        ),
        ([ears("a", "2026-01-01"), ears("b", "2026-05-01", tier=Tier.SMALL)], "one model, and of two tiers"),
    ],
)
def test_the_gate_finds_what_is_wrong(bad: list[PriceRow], problem: str) -> None:
    problems = check_book(PriceBook((tuple(bad),)), TODAY)
    assert len(problems) == 1
    assert problem in problems[0]


def test_rows_of_two_layers_may_price_the_same_thing() -> None:
    assert check_book(PriceBook(((ears("a", "2026-01-01"),), (ears("b", "2026-01-01"),))), TODAY) == []


def test_an_old_price_that_still_holds_warns() -> None:
    old = ears("old", "2026-01-01", observed_at=TODAY - timedelta(days=181))
    ended = ears("ended", "2025-01-01", "2026-01-01", observed_at=TODAY - timedelta(days=400))
    fresh = ears("fresh", "2026-01-01", observed_at=TODAY - timedelta(days=180), sku="nose")
    warnings = stale_rows(PriceBook(((ended, old, fresh),)), TODAY)
    assert len(warnings) == 1
    assert warnings[0].startswith("old was seen on 2026-05-25, 181 days ago")


def test_models_that_have_ended_or_end_soon_are_named_once() -> None:
    def ending(name: str, day: str, meter: Meter = Meter.AUDIO_SECOND) -> PriceRow:
        return ears(f"{name}/{meter}", "2026-01-01", sku=name, meter=meter, retired_from=instant(day))

    # TODAY is 2026-11-22: today, tomorrow, 90 and 91 days later, and long ago where no price is left either.
    rows = [ending("now", "2026-11-22"), ending("soon", "2026-11-23"), ending("far", "2027-02-20")]
    rows += [ending("beyond", "2027-02-21"), ending("soon", "2026-11-23", Meter.REQUEST), ears("stays", "2026-01-01")]
    rows.append(replace(ending("gone", "2026-03-01"), effective_to=instant("2026-03-01")))
    book = PriceBook((tuple(rows),))
    assert check_book(book, TODAY) == []
    assert ending_models(book, TODAY) == [
        "acme/now ended on 2026-11-22; work from then on is not compared with it",
        "acme/soon ends on 2026-11-23, in 1 day; choose another for later work",
        "acme/far ends on 2027-02-20, in 90 days; choose another for later work",
    ]


def test_a_models_end_is_not_its_prices_end() -> None:
    ended = ears("a", "2026-01-01", retired_from=instant("2026-06-01"))
    book = PriceBook(((ended,),))
    for day, retired in (("2026-05-31", False), ("2026-06-01", True), ("2026-11-01", True)):
        assert book.find("acme", "ears", "audio_second", instant(day)) == ended
        assert ended.retired(instant(day)) is retired


def test_the_shipped_rows_pass_the_gate() -> None:
    book = shipped_book()
    assert check_book(book, LOOKED) == []
    assert all(row.source_url.startswith("https://") and row.effective_from > 0 for row in book.rows)
    assert len({row.id for row in book.rows}) == len(book.rows)
    assert stale_rows(book, LOOKED) == []
    assert set(priced_names()) <= {row.stage for row in book.rows} <= {"", *priced_names(), *PRICED_AHEAD}


def test_a_shipped_row_never_charges_anything_else_and_is_never_taken_out() -> None:
    """`shipped_terms.txt` is only added to, by what this test prints; a line changes where an open price is ended."""
    terms = (*TERMS, "request_limit", "effective_to")
    kept = (Path(__file__).parent / "shipped_terms.txt").read_text(encoding="utf-8").splitlines()
    told = [(row.id, row.as_json()) for row in shipped_book().rows]
    lines = {" ".join([name, *(f"{term}={row[term]}" for term in terms if row[term])]) for name, row in told}
    assert (sorted(set(kept) - lines), sorted(lines - set(kept))) == ([], [])


@pytest.mark.parametrize(
    ("provider", "sku", "region", "spot", "day", "price"),
    [
        ("azure", "Standard_NC4as_T4_v3", "eastus", False, "2026-09-15", "0.526"),
        ("azure", "Standard_NC4as_T4_v3", "eastus", True, "2026-05-15", "0.204"),
        ("azure", "Standard_NC4as_T4_v3", "eastus", True, "2026-09-15", "0.149"),
        ("azure", "Standard_NC40ads_H100_v5", "eastus", False, "2026-11-20", "6.98"),
        ("aws", "g4dn.xlarge", "us-east-1", False, "2026-11-20", "0.526"),
        ("gcp", "g2-standard-4", "us-central1", False, "2026-11-20", "0.70683228"),
        ("lambda", "gpu_1x_a10", "us-east-1", False, "2026-11-20", "1.29"),
    ],
)
def test_machines_are_priced_by_place_kind_and_day(
    provider: str, sku: str, region: str, spot: bool, day: str, price: str
) -> None:
    row = shipped_book().find(provider, sku, "node_hour", instant(day), region=region, spot=spot)
    assert row is not None
    assert (str(row.unit_price), row.per) == (price, 1)


def test_the_shipped_rows_agree_with_genai_prices() -> None:
    pytest.importorskip("genai_prices")
    compared, apart = crosscheck(shipped_book(), instant(LOOKED.isoformat()))
    assert apart == []
    assert {"openai/whisper-1/2023-03", "groq/whisper-large-v3/2026-05", "openai/gpt-4o-mini/in/2024-07"} <= set(
        compared
    )


def test_over_five_percent_apart_needs_a_waiver() -> None:
    pytest.importorskip("genai_prices")
    row = next(row for row in shipped_book().rows if row.id == "openai/whisper-1/2023-03")
    near = replace(row, unit_price=Decimal("0.0063"))
    far = replace(row, unit_price=Decimal("0.00631"))
    assert crosscheck(PriceBook(((near,),)), NOW) == ([row.id], [])
    _, apart = crosscheck(PriceBook(((far,),)), NOW)
    assert len(apart) == 1
    assert "0.006" in apart[0]
    assert crosscheck(PriceBook(((replace(far, waiver="our contract"),),)), NOW) == ([row.id], [])


def test_a_catalogue_that_does_not_know_says_nothing() -> None:
    pytest.importorskip("genai_prices")
    row = next(row for row in shipped_book().rows if row.id == "openai/whisper-1/2023-03")
    for unknown in (
        replace(row, sku="whisper-99"),
        replace(row, provider="nobody"),
        replace(row, currency="EUR"),
        replace(row, meter=Meter.CHARACTER),
        # It has this model, priced by tokens, and would bill its minutes as 0.
        replace(row, sku="gpt-4o-mini-transcribe"),
    ):
        assert catalogue_price(unknown, NOW) is None
