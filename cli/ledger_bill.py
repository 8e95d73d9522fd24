"""A provider's bill beside the books, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cli.ledger_screen import amount_text, wide_console
from cli.wording import printable
from core.money import Money
from pipeline.books_times import day_text

if TYPE_CHECKING:
    from pipeline.books_bill import MachineCheck, Reconciliation


def print_reconciliation(found: Reconciliation) -> None:
    """Each machine with what was billed, what is booked, and the residual."""
    console = wide_console()
    console.print(f"{day_text(found.period.start)} up to {day_text(found.period.end)}, UTC; bill {found.bill[:16]}")
    table = Table(box=None, pad_edge=False)
    for heading in ("machine", "billed", "in the books", "residual", ""):
        table.add_column(heading, justify="left" if heading in ("machine", "") else "right")
    for each in found.machines:
        billed = None if each.billed is None else Money(each.billed, each.currency)
        residual = None if each.residual is None else Money(each.residual, each.currency)
        booked = Money(each.booked, each.currency) if each.currency else None
        style = "" if each.agrees else "red"
        table.add_row(
            Text(printable(each.machine)),
            f"{amount_text(billed)} {each.currency}".rstrip(),
            amount_text(booked),
            Text(amount_text(residual), style=style),
            Text(_remark(each), style=style),
        )
    console.print(table)
    if found.others:
        console.print(f"{found.others} lines of the bill are for other things than machines, and are not in the books")


def _remark(each: MachineCheck) -> str:
    if each.agrees:
        return "reconciled"
    if each.billed is None:
        return "not on the bill"
    if not each.sessions:
        return "not in the books"
    return "unpriced in the books" if each.unpriced else "differs"
