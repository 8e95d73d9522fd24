"""Price files: what is read, what is refused, and what an import adds."""

from __future__ import annotations

import pickle
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from price_rows import EARS, NOW, ROW, ears, rows

from core.money import Money
from ledger.price_book.price_files import (
    append_rows,
    load_book,
    parse_csv,
    parse_toml,
    read_rows,
    toml_of,
    with_imported,
)
from ledger.price_book.prices import Confidence, Meter, PriceBookError, PriceRow, instant_text


def test_a_row_is_read_as_it_is_written() -> None:
    assert EARS.unit_price == Decimal("0.36")
    assert (EARS.per, EARS.currency, EARS.meter, EARS.confidence) == (3600, "EUR", "audio_second", Confidence.LIST)
    assert instant_text(EARS.effective_from) == "2026-05-01"
    assert EARS.effective_to is None
    assert EARS.price(EARS.billed(4)) == Money(1_000_000, "EUR")  # 10 s x 0.36 / 3600


def test_hours_are_given_and_billed_in_seconds() -> None:
    row = replace(EARS, meter=Meter.NODE_HOUR, per=1, billing_increment=Decimal(60), minimum_quantity=Decimal(0))
    assert row.price(row.billed(61)) == Money(12_000_000, "EUR")  # 120 s of 0.36 an hour


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ('unit_price = "0.36"', "unit_price = 0.36", "unit_price: 0.36 is a float"),
        ('unit_price = "0.36"', 'unit_price = "3.6e-1"', "unit_price: '3.6e-1' is not a rate"),
        ('unit_price = "0.36"', 'unit_price = "-1"', "unit_price: '-1' is not a rate"),
        ('unit_price = "0.36"', "", "'unit_price' is missing"),
        ('per = "3600"', 'per = "0"', "per: '0' is not a whole number above 0"),
        ('currency = "EUR"', 'currency = "euro"', "currency: 'euro' is not a currency"),
        ('meter = "audio_second"', 'meter = "minute"', "meter: 'minute' is none of audio_second"),
        ('confidence = "list"', 'confidence = "sure"', "confidence: 'sure' is none of measured, list, seen"),
        ('effective_from = "2026-05-01"', 'effective_from = "01.05.2026"', "effective_from: '01.05.2026' is not a day"),
        ('effective_from = "2026-05-01"', 'effective_from = "2026-02-30"', "is not a day of the calendar"),
        ('effective_from = "2026-05-01"', 'effective_from = "2026-05-01T00:00:00+02:00"', "is not a day or a UTC time"),
        ('observed_at = "2026-11-20"', "", "'observed_at' is missing"),
        ('observed_at = "2026-11-20"', 'observed_at = "yesterday"', "observed_at: 'yesterday' is not a day"),
        ('source_url = "https://acme.example/prices"', "", "'source_url' is missing"),
        ('source_url = "https://acme.example/prices"', 'source_url = ""', "source_url: '' is not an address"),
        ('id = "acme/ears/2026"', 'id = "two words"', "id: 'two words' is not an id"),
        ('provider = "acme"', 'provider = ""', "provider: is empty"),
        ('stage = "transcribe"', 'colour = "red"', "'colour' is not a field"),
        ('stage = "transcribe"', 'stage = "transcription"', "stage: 'transcription' is none of transcribe, translate"),
        ('stage = "transcribe"', 'spot = "maybe"', "spot: 'maybe' is not true or false"),
        ('stage = "transcribe"', 'note = "a\\u0007bell"', "note: holds what cannot be printed"),
        ('stage = "transcribe"', 'effective_to = "2026-05-01"', "effective_to is not after effective_from"),
        ('stage = "transcribe"', 'tier = "good"', "tier: 'good' is none of large-v3 class, "),
        ('stage = "transcribe"', 'retired_from = "soon"', "retired_from: 'soon' is not a day"),
    ],
)
def test_a_wrong_field_gets_one_clear_line(was: str, becomes: str, problem: str) -> None:
    with pytest.raises(PriceBookError) as refused:
        parse_toml(ROW.replace(was, becomes), "acme.toml", ("transcribe", "translate"))
    assert len(refused.value.problems) == 1
    assert problem in refused.value.problems[0]
    assert refused.value.message.startswith("acme.toml: row 1")


def test_every_problem_is_named_with_its_row() -> None:
    text = ROW + ROW.replace("EUR", "euros").replace("0.36", "much").replace("2026", "2025")
    with pytest.raises(PriceBookError) as refused:
        parse_toml(text, "acme.toml")
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["row 2 (acme/ears/2025)"] * 2
    assert refused.value.message.endswith("(and 1 more)")
    again = pickle.loads(pickle.dumps(refused.value))
    assert again.problems == refused.value.problems


@pytest.mark.parametrize(
    "text", ["price = 3", "[[prices]]\nid='x'", "price = [1]", "[[price]\n", ROW + ROW, "[price]\nid = 'x'"]
)
def test_what_is_not_a_price_file_is_refused(text: str) -> None:
    with pytest.raises(PriceBookError) as refused:
        parse_toml(text, "acme.toml")
    assert "\n" not in refused.value.message


def test_dates_and_whole_numbers_may_be_those_of_toml() -> None:
    text = ROW.replace('"3600"', "3600").replace('"2026-05-01"', "2026-05-01").replace('"2026-11-20"', "2026-11-20")
    assert parse_toml(text, "acme.toml") == (EARS,)
    timed = ROW.replace('"2026-05-01"', "2026-05-01T06:30:00Z")
    assert instant_text(parse_toml(timed, "acme.toml")[0].effective_from) == "2026-05-01T06:30:00Z"


def test_csv_and_toml_say_the_same() -> None:
    fields = {name: str(value) for name, value in EARS.as_json().items()} | {"spot": "false"}
    text = ",".join(fields) + "\n" + ",".join(f'"{value}"' for value in fields.values()) + "\n"
    assert parse_csv(text, "acme.csv") == (EARS,)
    for wrong in ("", "id,sku\na,b,c\n", 'id\n"open\n'):
        with pytest.raises(PriceBookError):
            parse_csv(wrong, "acme.csv")


@given(rows)
def test_a_row_reads_back_as_it_was_written(row: PriceRow) -> None:
    assert parse_toml(toml_of(row), "again.toml") == (row,)


def test_import_appends_and_never_overwrites(tmp_path: Path) -> None:
    own = tmp_path / "home" / "prices.toml"
    own.parent.mkdir()
    own.write_text("# ours, do not touch" + ROW.rstrip("\n"), encoding="utf-8")
    before = own.read_bytes()
    newer = ears("acme/ears/2027", "2026-11-01", note='a "better" price')
    _, new = with_imported(own, [EARS, newer], ("transcribe",))
    assert new == (newer,)
    assert append_rows(own, new) == len(own.read_bytes()) - len(before)
    assert own.read_bytes().startswith(before)
    assert read_rows(own) == (EARS, newer)
    book = load_book(own, ("transcribe",))
    assert book.find("acme", "ears", "audio_second", NOW) == newer
