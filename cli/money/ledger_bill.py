"""A provider's bill beside the ledger, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from accounting.periods import day_text
from cli.money.ledger_tables import amount_text, wide_console
from cli.wording import printable
from core.money import Money, settle

if TYPE_CHECKING:
    from rich.console import Console

    from accounting.bills.bill import MachineCheck, Reconciliation
    from accounting.bills.bill_file import OtherCost


def print_reconciliation(found: Reconciliation) -> None:
    """Each machine with what was billed, what is booked, and the residual; then what else the bill has."""
    console = wide_console()
    console.print(f"{day_text(found.period.start)} up to {day_text(found.period.end)}, UTC; bill {found.bill[:16]}")
    table = Table(box=None, pad_edge=False)
    for heading in ("machine", "billed", "in the ledger", "residual", ""):
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
    _print_others(console, found)


def _print_others(console: Console, found: Reconciliation) -> None:
    """Costs of other things, which are no residual of a machine."""
    if not found.others:
        return
    console.print("\nOther costs on the bill, which are not in the ledger:")
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("left", "right", "right"):
        table.add_column(justify=justify)
    for each in found.other_costs:
        place = each.group or each.account
        what = f"{each.category or 'of no name'}, beside the machines in {place}" if place else each.category
        table.add_row(Text(printable(what)), _cost_text(each), _lines_text(each.lines))
    for each in found.elsewhere:
        table.add_row("everything elsewhere", _cost_text(each), _lines_text(each.lines))
    console.print(table)


def _cost_text(other: OtherCost) -> str:
    return f"{amount_text(Money(settle(1, other.cost), other.currency))} {other.currency}"


def _lines_text(lines: int) -> str:
    return f"{lines} line" if lines == 1 else f"{lines} lines"


def _remark(each: MachineCheck) -> str:
    notes = [_standing(each)]
    if each.refunds:
        notes.append(f"{amount_text(Money(each.refunds, each.currency))} of it refunds and corrections")
    if len(each.resources) > 1:
        notes.append(f"{len(each.resources)} machines of this name")
    return "; ".join(notes)


def _standing(each: MachineCheck) -> str:
    if each.agrees:
        return "reconciled"
    if each.billed is None:
        return "not on the bill"
    if not each.sessions:
        return "not in the ledger"
    return "unpriced in the ledger" if each.unpriced else "differs"
