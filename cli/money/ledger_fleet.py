"""What a period cost, on one screen: every machine, idle that no job caused included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from accounting.fleet_ledger import FleetLedger
from accounting.report import JobVerdict, unpriced_lines
from cli.money import ledger_tables as tables
from cli.money.exchange_lines import exchange_lines
from cli.money.ledger_groups import Group, unpriced_times
from cli.money.ledger_screen import BUCKET_WORDS, plain_lines, print_verdict, under_way_text
from cli.wording import printable
from core.money import Money
from ledger.entries import WORK_BUCKETS, Bucket, Period
from ledger.totals import Dimension, Sum

_MOST_ROWS = 30
_NOBODY = {
    "job": "(no job)",
    "owner": "(no job)",
    "stage": "(no stage)",
    "language": "(no target language)",
    "engine": "(no engine)",
}


def print_fleet(
    ledger: FleetLedger,
    table: Mapping[Group, Mapping[str, Sum]],
    by: Sequence[str],
    names: Callable[[Sequence[str]], Mapping[str, str]] = lambda _: {},
    verdict: JobVerdict | None = None,
    whose: str = "",
) -> None:
    """The period for people; ``names`` says what the first column's ids are called."""
    console = tables.wide_console()
    of = f", only jobs of {printable(whose)}" if whose else ""
    console.print(Text(f"{period_text(ledger.period)}{of}: {tables.FINALITY[ledger.standing]}", style="bold"))
    if not ledger.totals.cells and not ledger.unpriced_totals:
        console.print(
            "nothing was spent by them"
            if whose
            else "nothing was spent; machines and jobs of other months: --since 2026-01-01"
        )
        return
    tables.print_table(console, _bucket_table(ledger))
    for line in unpriced_lines(ledger.unpriced_totals)[:_MOST_ROWS]:
        console.print(Text(f"UNPRICED {printable(line)}", style="bold red"), soft_wrap=True)
    for hint in tables.price_hints(ledger.unpriced_totals):
        console.print(Text(f"         {hint}", style="red"), soft_wrap=True)
    for line, style in exchange_lines(ledger.exchanged()):
        console.print(Text(printable(line), style=style), soft_wrap=True)
    fake = ledger.totals.whole(fake=True)
    if fake:
        said = ", ".join(f"{tables.amount_text(Money(nano, currency))} {currency}" for currency, nano in fake.items())
        console.print(Text(f"{said} of this went to fake engines", style="yellow"))
    if ledger.under_way is not None:
        console.print(Text(under_way_text(ledger.under_way), style="yellow"))
    if ledger.late:
        said = ", ".join(f"{tables.amount_text(Money(nano, name))} {name}" for name, nano in _sums(ledger).items())
        console.print(f"{said} of this are corrections of closed months")
    console.print("")
    tables.print_table(console, _table(table, by, unpriced_times(ledger, by), names))
    if verdict is not None:
        console.print("")
        print_verdict(verdict, plain_lines(console))
    if not whose:
        console.print(f"\n{_use_text(ledger)}", soft_wrap=True)


def _use_text(ledger: FleetLedger) -> str:
    """How much of what was paid for was at work; the sums say that much, and whose idle the rest was only the lines."""
    times = _missing_by_bucket(ledger)
    for bucket, sums in ledger.by(Dimension.BUCKET).items():
        times[bucket] = times.get(bucket, 0) + sum(one.ms for one in sums.values())
    paid, work = sum(times.values()), sum(times.get(bucket.value, 0) for bucket in WORK_BUCKETS)
    said = f"machines were at work {100 * work / paid:.1f} % of the time that was paid for; " if paid else ""
    return f"{said}whose idle it was, and what being taken away cost: segue ledger fleet"


def _sums(ledger: FleetLedger) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in ledger.late:
        found[entry.currency] = found.get(entry.currency, 0) + entry.nano
    return found


def period_text(period: Period | None) -> str:
    """``2026-11-01 up to 2026-12-01, UTC``."""
    if period is None:
        return "everything"
    first, last = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at) for at in (period.start, period.end))
    return f"{first:%Y-%m-%d} up to {last:%Y-%m-%d}, UTC"


def _missing_by_bucket(ledger: FleetLedger) -> dict[str, int]:
    return {name: ms for (name,), ms in unpriced_times(ledger, [Dimension.BUCKET.value]).items()}


def _bucket_table(ledger: FleetLedger) -> Table:
    found = ledger.by(Dimension.BUCKET)
    missing = _missing_by_bucket(ledger)
    whole = ledger.totals.whole()
    currencies = sorted(whole) or [""]
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("Paid", footer="total", no_wrap=True)
    texts = _texts(found, currencies, whole)
    for currency in currencies:
        known = Money(whole[currency], currency) if currency in whole else None
        footer = tables.priced_cell(
            texts[currency](known), known=known is not None, missing=bool(ledger.unpriced_totals)
        )
        tables.number_column(table, currency, footer)
    time = sum(sums.ms for each in found.values() for sums in each.values()) + sum(missing.values())
    tables.number_column(table, "node time", tables.seconds_text(time))
    for bucket in Bucket:
        if bucket.value in found or bucket.value in missing:
            cells = _cells(found.get(bucket.value, {}), texts, missing.get(bucket.value))
            table.add_row(BUCKET_WORDS[bucket], *cells)
    return table


def _table(
    table: Mapping[Group, Mapping[str, Sum]],
    by: Sequence[str],
    missing: Mapping[Group, int],
    names: Callable[[Sequence[str]], Mapping[str, str]],
) -> Table:
    currencies = sorted({currency for sums in table.values() for currency in sums}) or [""]
    texts = _texts(table, currencies, {})
    rows = {name: table.get(name, {}) for name in {*table, *missing}}

    def place(name: Group) -> tuple[int, int, Group]:
        return -max((sums.nano for sums in rows[name].values()), default=0), -missing.get(name, 0), name

    ordered = sorted(rows, key=place)
    known = names([name[0] for name in ordered[:_MOST_ROWS] if name[0]])
    shown = Table(box=None, pad_edge=False)
    # An id is copied: it is not broken.
    shown.add_column(f"by {by[0]}", overflow="fold", no_wrap=bool(known))
    for field in by[1:]:
        shown.add_column(field, overflow="fold")
    for currency in currencies:
        tables.number_column(shown, currency)
    tables.number_column(shown, "node time")
    if known:
        shown.add_column("", overflow="fold", min_width=10)
    for name in ordered[:_MOST_ROWS]:
        titles = [Text(printable(row_name(value, field))) for value, field in zip(name, by, strict=True)]
        cells = [*titles, *_cells(rows[name], texts, missing.get(name))]
        shown.add_row(*cells, *([Text(printable(known.get(name[0], "")))] if known else []))
    if len(ordered) > _MOST_ROWS:
        shown.add_row(f"and {len(ordered) - _MOST_ROWS} more in --json")
    return shown


def row_name(name: str, by: str) -> str:
    """What a row of a table is called, by what it sums."""
    if by == Dimension.BUCKET.value and name:
        return BUCKET_WORDS[Bucket(name)]
    return name or _NOBODY.get(by.partition(":")[0], "(none)")


def _texts(
    table: Mapping[Any, Mapping[str, Sum]], currencies: Sequence[str], whole: Mapping[str, int]
) -> dict[str, Callable[[Money | None], str]]:
    """How amounts of each currency's column are written."""
    found = {}
    for currency in currencies:
        amounts = [sums[currency].nano for sums in table.values() if currency in sums]
        amounts += [whole[currency]] if currency in whole else []
        found[currency] = tables.aligned(Money(nano, currency) for nano in amounts)
    return found


def _cells(
    sums: Mapping[str, Sum], texts: Mapping[str, Callable[[Money | None], str]], missing: int | None
) -> list[str | Text]:
    """``missing``: node time without a price; None where everything has one."""
    amounts: list[str | Text] = []
    for currency, text in texts.items():
        known = Money(sums[currency].nano, currency) if currency in sums else None
        amounts.append(tables.priced_cell(text(known), known=bool(sums), missing=missing is not None))
    time = sum(one.ms for one in sums.values()) + (missing or 0)
    return [*amounts, tables.seconds_text(time) if time else ""]
