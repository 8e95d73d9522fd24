"""Amounts in tables: aligned, never cut, and never 0 where a price is not known."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console
from rich.table import Table

from cli.money.ledger_export import print_csv
from cli.money.ledger_tables import aligned, amount_text, number_column, priced_cell, print_table
from core.money import Money
from ledger.entries import Bucket, LedgerEntry, Quality, Unpriced


def usd(text: str) -> Money:
    return Money.parse(f"{text} USD")


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_narrow_terminal_cuts_no_number(width: int) -> None:
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("", overflow="fold")
    for heading in ("transcribe", "translate", "all"):
        number_column(table, heading, "26.208974 USD")
    table.add_row("whisper-large-v3-turbo", "0.000818", "22.802565", "22.803383")
    written = io.StringIO()
    print_table(Console(file=written, width=width, highlight=False), table)
    text = written.getvalue()
    for figure in ("0.000818", "22.802565", "22.803383", "transcribe", "translate"):
        assert figure in text
    assert text.count("26.208974 USD") == 3
    assert "…" not in text


def test_a_column_has_the_decimals_that_its_smallest_amount_needs() -> None:
    text = aligned([usd("26.2"), usd("0.000114"), None])
    assert [text(usd("26.2")), text(usd("0.000114")), text(None)] == ["26.200000", "0.000114", "-"]
    assert aligned([usd("120"), usd("5")])(usd("120")) == "120.0000"
    assert amount_text(usd("120.555")) == "120.56"
    assert aligned([])(usd("0")) == "0.000000"


def test_what_has_no_price_is_said_and_is_no_zero() -> None:
    assert priced_cell("0.5", known=True, missing=False).plain == "0.5"
    assert priced_cell("0.5", known=True, missing=True).plain == "0.5 + ?"
    assert priced_cell("-", known=False, missing=True).plain == "unpriced"


def test_the_csv_says_times_and_amounts_as_people_and_spreadsheets_read_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # 2026-11-01T00:00:00Z is day 20,758 after 1970: 20,758 x 86,400,000 = 1,793,491,200,000 ms.
    start, end = 1_793_491_200_000, 1_793_491_201_250
    common = {"session": "s", "attempt": "a", "stage": "transcribe", "engine": "=x", "job": "j", "owner": "anna"}
    priced = {"language": "es", "unit_ms": 1_250, "currency": "EUR", "price_row": "r", "quality": Quality.MEASURED}
    entries = [
        LedgerEntry(id=name, bucket=Bucket.BUSY, start=start, end=end, nano=nano, fake=False, **common, **priced)
        # 1 nano-unit, a reversal of 0.5, and more than a float holds exactly.
        for name, nano in (("1", 1), ("2", -500_000_000), ("3", 12_345_678_901_234_567_891))
    ]
    unknown = Unpriced(
        id="4",
        bucket=Bucket.BUSY,
        meter="node_ms",
        quantity=9,
        start=start,
        end=end,
        why="no price",
        fake=False,
        **common,
    )
    print_csv(entries, [unknown])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["cost"] for row in rows] == ["0.000000001", "-0.5", "12345678901.234567891", ""]
    assert [row["amount"] for row in rows] == ["1", "-500000000", "12345678901234567891", ""]
    for row in rows:
        assert (row["from_utc"], row["until_utc"]) == ("2026-11-01T00:00:00.000Z", "2026-11-01T00:00:01.250Z")
        assert datetime.fromisoformat(row["from_utc"]) == datetime(2026, 11, 1, tzinfo=UTC)
        assert (row["start"], row["end"], row["engine"]) == (str(start), str(end), "'=x")
    assert sum(Decimal(row["cost"] or 0) for row in rows) * 10**9 == sum(entry.nano for entry in entries)
