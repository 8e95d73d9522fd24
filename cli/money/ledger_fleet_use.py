"""``segue ledger fleet``: how well machines were used, what being taken away cost, and what a request cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cli.context import HomeFlag, JsonFlag, note, open_runtime, print_json
from cli.money.exchange_lines import note_exchange
from cli.money.ledger_options import PriceFlags, SinceFlag, UntilFlag, period_of, rules_of, with_price_flags
from cli.wording import printable
from core.money import Money

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from accounting.fleet.fleet_use import FleetUse, RequestCost
    from accounting.fleet.preemption import SpotUse
    from accounting.fleet.utilization import Utilization
    from ledger.entries import Period
    from ledger.utilization import PaidTime
    from pipeline.runtime import Runtime


@with_price_flags
def fleet_command(
    since: SinceFlag = "",
    until: UntilFlag = "",
    *,
    prices: PriceFlags,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Show how well machines were used: at work, idle while work was queued (the fleet's), idle while none was.

    Also what it cost that spot machines were taken away, beside what spot saved against machines on demand, and what a
    successful request cost with everything that was paid.
    """
    runtime = open_runtime({"home": home}, in_place=True)
    found = _read(runtime, period_of(since, until), prices)
    if json:
        print_json(found.as_json())
    else:
        _print(found)


def _read(runtime: Runtime, period: Period, prices: PriceFlags) -> FleetUse:
    from accounting.exchange_rates import exchange_of
    from accounting.fleet.fleet_use import fleet_use
    from accounting.months import read_period, with_people
    from accounting.periods import now_ms
    from cli.money.ledger_options import currency_of, people_rules

    book, rules = rules_of(runtime, prices)
    rules = replace(rules, now=now_ms(), exchange=exchange_of(runtime.settings))
    ledger = read_period(runtime.store, book, rules, period)
    currency = rules.exchange.currency or currency_of(runtime, ledger.totals.whole())
    ledger, notes = with_people(ledger, people_rules(runtime), currency)
    note_exchange(ledger.exchanged())
    for line in (*notes, *ledger.errors):
        note(line)
    return fleet_use(ledger, period)


def _print(found: FleetUse) -> None:
    from cli.money import ledger_tables as tables
    from cli.money.ledger_fleet import period_text

    console = tables.wide_console()
    console.print(period_text(found.period), style="bold")
    if not found.time.whole.paid_ms:
        console.print("no machine was paid for; machines of other months: --since 2026-01-01")
        return
    _print_time(console, found.time)
    console.print("")
    _print_spot(console, found.spot)
    console.print("")
    _print_requests(console, found.requests)


def _print_time(console: Console, found: Utilization) -> None:
    from rich.table import Table

    from cli.money import ledger_tables as tables

    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("Paid machine time", footer="total", overflow="fold")
    columns: tuple[tuple[str, Callable[[PaidTime], int]], ...] = (
        ("at work, work queued", lambda use: use.work_queued_ms),
        ("at work, none queued", lambda use: use.work_unqueued_ms),
        ("idle, work queued", lambda use: use.idle_queued_ms),
        ("idle, none queued", lambda use: use.idle_unqueued_ms),
        ("billed beyond life", lambda use: use.beyond_ms),
    )
    whole = found.whole
    tables.number_column(table, "paid", tables.seconds_text(whole.paid_ms))
    for heading, part in columns:
        tables.number_column(table, heading, _share(part(whole), whole.paid_ms))
    for kind, use in found.by_kind.items():
        shares = [_share(part(use), use.paid_ms) for _, part in columns]
        table.add_row(printable(kind), tables.seconds_text(use.paid_ms), *shares)
    tables.print_table(console, table)
    console.print(
        f"idle while work was queued, boot included, is the fleet's to mend: {_amounts(found.idle_queued)}; "
        f"while none was, the plan's: {_amounts(found.idle_unqueued)}",
        soft_wrap=True,
    )


def _share(ms: int, whole: int) -> str:
    return f"{100 * ms / whole:.1f} %" if whole else "-"


def _print_spot(console: Console, found: SpotUse) -> None:
    from cli.money.ledger_screen import BUCKET_WORDS

    lost, saving = found.preemption, found.saving
    if not saving.machines and not lost.taken:
        console.print("no spot machine was paid for: nothing was taken away")
        return
    unpriced = f" + {lost.unpriced_ms / 1000:,.1f} s without a price" if lost.unpriced_ms else ""
    console.print(
        f"machines taken away {lost.taken}, whose place others took {lost.replaced}; "
        f"that cost {_amounts(lost.total)}{unpriced}, which is in what was paid",
        soft_wrap=True,
    )
    for bucket, amounts in lost.by_bucket.items():
        if amounts:
            console.print(f"  {BUCKET_WORDS[bucket]:<10} {_amounts(amounts)}")
    if saving.saved is None:
        console.print(f"what spot saved is unknown: {'; '.join(map(printable, saving.unknown))}", soft_wrap=True)
    elif saving.machines:
        console.print(
            f"spot machines cost {_amounts(saving.paid)}, the same time on demand {_amounts(saving.on_demand)}, of "
            f"which {_amounts(saving.spared)} would not have been needed: spot saved {_amounts(saving.saved)}",
            soft_wrap=True,
        )


def _print_requests(console: Console, found: RequestCost) -> None:
    if not found.successful:
        console.print("no request of a real engine was successful: there is no cost of one")
        return
    unpriced = " + what has no price" if found.unpriced else ""
    alone, whole = found.each(found.paid), found.each(found.with_people)
    people = f"; with people (an estimate) {_money(whole.values())}{unpriced}" if whole else "; with people unknown"
    console.print(
        f"a successful request cost {_money((alone or {}).values())}{unpriced} "
        f"({found.successful:,} of them, machines and fees){people}",
        soft_wrap=True,
    )


def _amounts(amounts: Mapping[str, int]) -> str:
    return _money(Money(nano, currency) for currency, nano in sorted(amounts.items()) if nano)


def _money(amounts: Iterable[Money]) -> str:
    from cli.money import ledger_tables as tables

    return " and ".join(f"{tables.amount_text(each)} {each.currency}" for each in amounts) or "nothing"
