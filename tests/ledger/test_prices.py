"""The price book: which row holds."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from price_rows import EARS, NOW, TODAY, ears, rows

from ledger.price_book.price_checks import check_book
from ledger.price_book.price_files import (
    instant,
)
from ledger.price_book.prices import Meter, PriceBook, PriceBookError, PriceRow, instant_text
from ledger.price_book.tiers import Tier


def test_the_row_of_an_instant_is_found_and_what_is_unknown_is_none() -> None:
    book = PriceBook(((ears("a", "2026-01-01", "2026-03-01"), ears("b", "2026-05-01")),))

    def at(day: str) -> str | None:
        row = book.find("acme", "ears", Meter.AUDIO_SECOND, instant(day))
        return row and row.id

    assert [
        at(day) for day in ("2025-12-31", "2026-01-01", "2026-02-28", "2026-03-01", "2026-05-01", "2030-01-01")
    ] == [
        None,
        "a",
        "a",
        None,
        "b",
        "b",
    ]
    assert book.find("acme", "ears", "input_token", NOW) is None
    assert book.find("acme", "nose", "audio_second", NOW) is None
    assert book.find("nobody", "ears", "audio_second", NOW) is None


def test_a_later_row_closes_the_open_end_of_the_one_before() -> None:
    book = PriceBook(((ears("new", "2026-06-01"), ears("old", "2026-01-01"), ears("end", "2026-08-01", "2026-09-01")),))
    days = ("2026-05-31", "2026-06-01", "2026-08-01", "2026-09-01")
    found = [book.find("acme", "ears", "audio_second", instant(day)) for day in days]
    # What has ended has no price again: the older row is not taken up once more, unsaid.
    assert [row and row.id for row in found] == ["old", "new", "end", None]
    assert check_book(book, TODAY) == []


def test_a_region_has_its_own_price_or_the_general_one_and_spot_only_its_own() -> None:
    everywhere, east = ears("all", "2026-01-01"), ears("east", "2026-01-01", region="eastus")
    book = PriceBook(((everywhere, east),))

    def find(region: str, *, spot: bool = False) -> PriceRow | None:
        return book.find("acme", "ears", "audio_second", NOW, region=region, spot=spot)

    assert (find("eastus"), find("westus"), find("")) == (east, everywhere, everywhere)
    assert find("eastus", spot=True) is None


def test_the_topmost_layer_that_knows_is_asked_first() -> None:
    shipped = PriceBook(()).with_rows([ears("shipped", "2026-01-01")])
    book = shipped.with_rows([ears("project", "2026-06-01", "2026-07-01")]).with_rows([ears("given", "2026-06-15")])
    days = ("2026-05-01", "2026-06-01", "2026-06-20", "2026-12-01")
    found = [book.find("acme", "ears", "audio_second", instant(day)) for day in days]
    assert [row and row.id for row in found] == ["shipped", "project", "given", "given"]
    assert [row.id for row in book.rows] == ["shipped", "project", "given"]
    assert book.row("project") == book.rows[1]
    assert book.row("nothing") is None


def test_an_id_is_never_used_for_another_row() -> None:
    book = PriceBook(()).with_rows([EARS])
    assert book.with_rows([]) is book
    assert book.with_rows([EARS]).rows == (EARS, EARS)
    with pytest.raises(PriceBookError) as refused:
        book.with_rows([replace(EARS, unit_price=Decimal(1))])
    assert EARS.id in refused.value.message


def test_price_steps_are_split_at_every_border() -> None:
    book = PriceBook(((ears("a", "2026-01-01", "2026-01-03"), ears("b", "2026-01-05")),))
    steps = book.steps("acme", "ears", "audio_second", instant("2026-01-02"), instant("2026-01-06"))
    assert [(instant_text(start)[5:], instant_text(end)[5:], row and row.id) for start, end, row in steps] == [
        ("01-02", "01-03", "a"),
        ("01-03", "01-05", None),
        ("01-05", "01-06", "b"),
    ]


@given(st.lists(rows, max_size=8, unique_by=lambda row: row.id), st.randoms())
def test_the_digest_knows_rows_and_layers_but_not_their_order(some: list[PriceRow], random: object) -> None:
    mixed = list(some)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    book = PriceBook((tuple(some),))
    assert PriceBook((tuple(mixed),)).digest == book.digest
    if some:
        assert PriceBook((tuple(some[1:]),)).digest != book.digest
        assert PriceBook((tuple(some[1:]), (some[0],))).digest != book.digest
        noted = replace(some[0], note="another note")
        assert PriceBook(((noted, *some[1:]),)).digest != book.digest


def test_a_column_that_came_later_leaves_the_digests_of_kept_books_as_they_were() -> None:
    # As the build before tiers, ends and copies computed it; closed months name their books by it.
    kept = "cc8ea3726def47797bfb4a0b6f01ed7f748cde10828a01b2c0789b627c16caf9"
    old = replace(EARS, source_url="https://example.com/prices")
    assert PriceBook(((old,),)).digest == kept
    for change in ({"tier": Tier.SMALL}, {"retired_from": NOW}, {"read_in": "a copy of 2026-11-01"}):
        assert PriceBook(((replace(old, **change),),)).digest != kept  # type: ignore[arg-type]
