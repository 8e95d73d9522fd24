"""What a period cost, on one screen: every machine, idle that no job caused included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rich.table import Table
from rich.text import Text

from cli.ledger_screen import BUCKET_WORDS, amount_text, seconds_text, wide_console
from cli.wording import printable
from core.errors import UsageError
from core.money import Money
from ledger.entries import Bucket, Period
from ledger.totals import Dimension, Sum
from pipeline.books import FleetBooks
from pipeline.books_report import unpriced_lines

_LABEL = "label"
_MOST_ROWS = 30
_NOBODY = {
    "job": "(no job caused it)",
    "owner": "(no job caused it)",
    "stage": "(no stage)",
    "language": "(no target language)",
    "engine": "(no engine)",
}


def table_of(books: FleetBooks, by: str) -> dict[str, dict[str, Sum]]:
    """Sums of the period by ``by``. Raises UsageError for what it cannot be asked by."""
    kind, _, name = by.partition(":")
    if kind == _LABEL and name:
        return books.by_label(name)
    if by == _LABEL:
        return books.by_labels()
    try:
        return books.by(Dimension(by))
    except ValueError:
        known = ", ".join([*(each.value for each in Dimension), _LABEL, "label:NAME"])
        raise UsageError(f"the ledger cannot be summed by '{by}'", f"choose from {known}") from None


def print_fleet(books: FleetBooks, table: dict[str, dict[str, Sum]], by: str) -> None:
    """The period for people."""
    console = wide_console()
    console.print(Text(f"{_period_text(books.period)}  {books.standing}", style="bold"))
    if not books.entries and not books.unpriced:
        console.print("nothing was spent; machines and jobs of other months: --since 2026-01-01")
        return
    console.print(_bucket_table(books))
    for line in unpriced_lines(books.unpriced)[:_MOST_ROWS]:
        console.print(Text(f"UNPRICED {printable(line)}", style="bold red"), soft_wrap=True)
    fake = books.totals.whole(fake=True)
    if fake:
        said = ", ".join(f"{amount_text(Money(nano, currency))} {currency}" for currency, nano in fake.items())
        console.print(Text(f"{said} of this went to fake engines", style="yellow"))
    if books.late:
        said = ", ".join(f"{amount_text(Money(nano, name))} {name}" for name, nano in _sums(books).items())
        console.print(f"{said} of this are corrections of closed months")
    console.print("")
    console.print(_table(table, by))


def _sums(books: FleetBooks) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in books.late:
        found[entry.currency] = found.get(entry.currency, 0) + entry.nano
    return found


def _period_text(period: Period | None) -> str:
    if period is None:
        return "everything"
    first, last = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at) for at in (period.start, period.end))
    return f"{first:%Y-%m-%d} up to {last:%Y-%m-%d}, UTC"


def _bucket_table(books: FleetBooks) -> Table:
    found = books.by(Dimension.BUCKET)
    currencies = sorted(books.totals.whole())
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("Paid", footer="total")
    whole = books.totals.whole()
    for currency in currencies:
        table.add_column(currency, justify="right", footer=amount_text(Money(whole[currency], currency)))
    time = sum(sums.ms for each in found.values() for sums in each.values())
    table.add_column("node time", justify="right", footer=seconds_text(time))
    for bucket in Bucket:
        sums = found.get(bucket.value)
        if sums:
            table.add_row(BUCKET_WORDS[bucket], *_cells(sums, currencies))
    return table


def _table(table: dict[str, dict[str, Sum]], by: str) -> Table:
    currencies = sorted({currency for sums in table.values() for currency in sums})
    shown = Table(box=None, pad_edge=False)
    shown.add_column(f"by {by}")
    for currency in currencies:
        shown.add_column(currency, justify="right")
    shown.add_column("node time", justify="right")
    ordered = sorted(table.items(), key=lambda row: (-max((sums.nano for sums in row[1].values()), default=0), row[0]))
    for name, sums in ordered[:_MOST_ROWS]:
        shown.add_row(Text(printable(name or _NOBODY.get(by.partition(":")[0], "(none)"))), *_cells(sums, currencies))
    if len(ordered) > _MOST_ROWS:
        shown.add_row(f"and {len(ordered) - _MOST_ROWS} more in --json")
    return shown


def _cells(sums: dict[str, Sum], currencies: list[str]) -> list[str]:
    amounts = [amount_text(Money(sums[each].nano, each)) if each in sums else "-" for each in currencies]
    return [*amounts, seconds_text(sum(one.ms for one in sums.values()))]
