"""Amounts in tables: aligned, never cut, and never 0 where a price is not known."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from cli.money.ledger_tables import aligned, amount_text, number_column, priced_cell, print_table
from core.money import Money


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
