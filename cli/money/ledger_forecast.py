"""``segue ledger forecast``: what this month will have cost at its end, from what has run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cli.context import HomeFlag, JsonFlag, note, open_runtime, print_json
from cli.money.exchange_lines import note_exchange
from cli.money.ledger_options import PriceFlags, currency_of, people_rules, rules_of, with_price_flags
from cli.wording import printable
from core.money import Money

if TYPE_CHECKING:
    from accounting.estimates.forecast import CurrencyForecast, MonthForecast
    from ledger.speed import Spread


@with_price_flags
def forecast_command(*, prices: PriceFlags, home: HomeFlag = None, json: JsonFlag = False) -> None:
    """Show what this month will have cost at its end, as a range, by bucket, without people and with them.

    It rests on the last 28 whole days, or as many as there are since the first machine; from less than 7 there is none.
    """
    from accounting.estimates.forecast import forecast_month, people_of_month
    from accounting.exchange_rates import exchange_of
    from accounting.periods import now_ms

    runtime = open_runtime({"home": home}, in_place=True)
    book, rules = rules_of(runtime, prices)
    now = now_ms()
    rules = replace(rules, now=now, exchange=exchange_of(runtime.settings))
    found = forecast_month(runtime.store, book, rules, now)
    note_exchange(found.exchanged)
    currency = rules.exchange.currency or currency_of(runtime, found.amounts)
    people, unknown = people_of_month(people_rules(runtime), found.month, currency)
    found = replace(found, people=people, people_unknown=unknown)
    if json:
        print_json(found.as_json())
    else:
        _print(found)


def _print(found: MonthForecast) -> None:
    from accounting.periods import month_text
    from cli.money.ledger_tables import wide_console

    console = wide_console()
    basis = found.why_none or f"an estimate from the last {found.days} whole days"
    console.print(
        f"{month_text(found.month.start)}, {float(found.left):.1f} days of it are left: {basis}", style="bold"
    )
    if not found.amounts:
        console.print("nothing with a price has run in this month or the days before it: there is nothing to go by")
    for currency, each in found.amounts.items():
        _print_currency(found, currency, each)
    if found.unpriced_ms or found.unpriced_fees:
        fees = " and requests at an API" if found.unpriced_fees else ""
        console.print(
            f"UNPRICED {found.unpriced_ms / 1000:,.1f} s of machines{fees} have no price and are in no figure",
            style="bold red",
            soft_wrap=True,
        )
    if found.people_unknown:
        note(f"people are in no figure: {printable(found.people_unknown)}")


def _print_currency(found: MonthForecast, currency: str, each: CurrencyForecast) -> None:
    from rich.table import Table

    from cli.money import ledger_tables as tables
    from cli.money.ledger_screen import BUCKET_WORDS
    from ledger.entries import Bucket

    rows = [
        (BUCKET_WORDS[bucket], _cells(each.so_far[bucket.value], each.at_end.get(bucket.value)))
        for bucket in Bucket
        if bucket.value in each.so_far
    ]
    rows.append(("machines and fees", _cells(each.paid, each.whole)))
    if found.people is not None and found.people[0].currency == currency:
        low, high = (end.nano for end in found.people)
        rows.append(("people, the whole month", (None, (low + high) // 2, low, high)))
        rows.append(("all of it", _cells(None, found.with_people(currency))))
    text = tables.aligned(Money(nano, currency) for _, cells in rows for nano in cells if nano is not None)
    table = Table(box=None, pad_edge=False)
    table.add_column(currency, no_wrap=True)
    for heading in ("so far", "at its end", "at least", "at most"):
        tables.number_column(table, heading)
    for name, cells in rows:
        table.add_row(name, *(text(None if nano is None else Money(nano, currency)) for nano in cells))
    tables.print_table(tables.wide_console(), table)


def _cells(so_far: int | None, end: Spread | None) -> tuple[int | None, ...]:
    return (so_far, None, None, None) if end is None else (so_far, end.point, end.low, end.high)
