"""Tables of amounts for people: aligned decimals, whole numbers in any terminal, unknown prices said to be unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from accounting.report import Finality, JobVerdict
from accounting.sharing.month_use import NODE_TIME
from core.money import Money
from ledger.entries import Bucket, Unpriced
from ledger.totals import UnpricedSum

_NANO = 10**9
_PIPE_WIDTH = 240
UNPRICED = "unpriced"
#: How final amounts are, in words.
FINALITY = {
    Finality.PROVISIONAL: "not final, its months are still open",
    Finality.CLOSED: "closed",
    Finality.RECONCILED: "checked against the provider's bill",
}


def wide_console() -> Console:
    """As wide as the terminal; where there is none, wide enough that no row is broken."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=_PIPE_WIDTH)


def print_table(console: Console, table: Table) -> None:
    """Prints it as wide as its numbers need: a terminal that is too narrow breaks lines, and never cuts a number."""
    wide = console.options.update(width=_PIPE_WIDTH)
    for column in table.columns:
        if column.no_wrap:
            parts = (column.header, column.footer, *column.cells)
            column.min_width = max(Measurement.get(console, wide, part).maximum for part in parts)
    least = Measurement.get(console, wide, table).minimum
    console.print(table, width=max(least, console.width), crop=False, no_wrap=True, overflow="ignore")


def number_column(table: Table, heading: str, footer: str | Text = "") -> None:
    """Adds a column of numbers, which are never cut."""
    table.add_column(heading, justify="right", no_wrap=True, footer=footer)


def places_of(nano: int) -> int:
    """Two decimals from 100 up, four from 1 up, else six: a minute of work costs thousandths."""
    size = abs(nano)
    return 2 if size >= 100 * _NANO else 4 if size >= _NANO else 6


def amount_text(money: Money | None) -> str:
    """With `places_of`; ``-`` for none."""
    return "-" if money is None else money.amount(places_of(money.nano))


def sides_line(verdict: JobVerdict) -> str:
    """The two amounts that a verdict compares, people not in them; empty where one of them is not known."""
    without = None if verdict.found is None else verdict.found.without_people
    if without is None or without.difference is None:
        return ""
    ours = [found.point for found in verdict.paid.values()]
    paid = sum(ours[1:], start=ours[0])
    unpriced = without.even_without or any(why.startswith("unpriced") for why in without.undecided_because)
    least = "at least " if unpriced else ""
    there = amount_text(paid + without.difference.point)
    return f"{least}{amount_text(paid)} {paid.currency} here, people not included; {there} {paid.currency} by the API"


def aligned(amounts: Iterable[Money | None]) -> Callable[[Money | None], str]:
    """As `amount_text`, with as many decimals for all of one column as its smallest amount needs."""
    known = [money.nano for money in amounts if money is not None]
    places = max((places_of(nano) for nano in known if nano), default=6)
    return lambda money: "-" if money is None else money.amount(places)


def seconds_text(ms: int) -> str:
    """``12.3 s``; below ten seconds to the hundredth."""
    return f"{ms / 1000:,.2f} s" if abs(ms) < 10_000 else f"{ms / 1000:,.1f} s"


def price_hints(unpriced: Iterable[Unpriced | UnpricedSum]) -> list[str]:
    """What to do about usage without a price."""
    found = list(unpriced)
    hints = []
    if any(one.meter == NODE_TIME for one in found):
        hints.append(
            'give the machine\'s price: --node-rate "0.30 USD", or SEGUE_NODE_PRICE (node_price in segue.toml)'
        )
    if any(one.bucket is Bucket.API_FEE for one in found):
        hints.append("add a price row (segue prices import), or name the engine in SEGUE_OWN_ENGINES if it is yours")
    return hints


def priced_cell(text: str, *, known: bool, missing: bool) -> Text:
    """The amount; ``unpriced`` where nobody knows any price, and a plus where some of it has none."""
    if not missing:
        return Text(text)
    return Text.assemble(text, (" + ?", "bold red")) if known else Text(UNPRICED, style="bold red")
