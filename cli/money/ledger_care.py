"""``segue ledger verify|replay|close|reconcile``: whether the books can be trusted, and keeping them so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import HomeFlag, JsonFlag, note, open_runtime, print_json
from cli.exits import Exit
from cli.money.exchange_lines import note_exchange
from cli.money.ledger_options import PriceFlags, currency_of, open_books, people_rules, rules_of, with_price_flags
from cli.wording import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accounting.checks.verify import PricesNow
    from accounting.months import Replay
    from ledger.entries import LedgerEntry
    from ledger.exchange import Exchanged
    from pipeline.runtime import Runtime, Settings

MonthArgument = Annotated[str, typer.Argument(metavar="MONTH", help="A month, UTC, such as 2026-10.")]
_SHOW_AT_MOST = 50


def verify_command(home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Check that nobody has changed, dropped, repeated or cut off a line of the ledger, or taken a file away.

    Each journal is compared with its own chain, with the heads that were noted elsewhere, with the records that its
    attempts made, and with what closed months knew of it; jobs' plans and orders (owners, labels) with who wanted them;
    price rows with how they were used or imported. Nothing is changed.
    """
    from accounting.checks.verify import verify_store
    from cache.store import Store
    from journals.chain import Flaw, LogProblem
    from ledger.price_book.prices import PriceBookError

    runtime = open_runtime({"home": home})
    settings = runtime.settings
    unreadable: tuple[LogProblem, ...] = ()
    try:
        prices = _prices_now(runtime)
    except PriceBookError as error:
        prices, unreadable = None, (LogProblem(_price_file(settings), 0, Flaw.DAMAGED, error.message),)
    found = verify_store(Store.look(settings.home), prices)
    found = replace(found, problems=(*found.problems, *unreadable))
    if json:
        print_json(
            {
                "ok": not found.problems,
                "problems": [
                    {"file": one.file, "line": one.line, "flaw": one.flaw.value, "detail": one.detail}
                    for one in found.problems
                ],
                "files": found.files,
                "lines": found.lines,
                "referenced": found.referenced,
                "torn": found.torn,
                "unsealed": list(found.unsealed),
                "unseen": list(found.unseen),
                "unbound": list(found.unbound),
            }
        )
        return Exit.INCOMPLETE if found.problems else Exit.DONE
    for one in found.problems[:_SHOW_AT_MOST]:
        print(f"wrong  {printable(str(one))}")
    if len(found.problems) > _SHOW_AT_MOST:
        print(f"and {len(found.problems) - _SHOW_AT_MOST} more, in --json")
    if found.unsealed:
        note(
            f"{len(found.unsealed)} journals were written before lines were chained: their checksums hold, "
            "a dropped line would not be seen"
        )
    if found.unseen:
        note(
            f"{len(found.unseen)} journals of processes whose end is not recorded: lines missing at their end, "
            "after the last anchor, would not be noticed"
        )
    if found.unbound:
        note(
            f"{len(found.unbound)} plans or orders of jobs that nobody took up since they were written: "
            "a change to their labels would not be noticed"
        )
    torn = f"; crashes left {found.torn} unfinished pieces, which count for nothing" if found.torn else ""
    checked = f"{found.files} files, {found.lines} chained lines, {found.referenced} attempts known by records"
    if found.problems:
        print(f"{len(found.problems)} things are wrong in {checked}{torn}")
        return Exit.INCOMPLETE
    print(f"nothing was touched: {checked}{torn}")
    return Exit.DONE


def _price_file(settings: Settings) -> str:
    """Where people keep their own price rows."""
    from ledger.price_book.price_files import PROJECT_FILE

    return str(settings.price_file or PROJECT_FILE)


def _prices_now(runtime: Runtime) -> PricesNow:
    """The price book that the settings name, and the rules by which a period is shown. Raises PriceBookError."""
    from accounting.checks.verify import PricesNow
    from accounting.exchange_rates import exchange_of

    book, rules = rules_of(runtime, PriceFlags())
    rules = replace(rules, exchange=exchange_of(runtime.settings))
    return PricesNow(book, _price_file(runtime.settings), rules)


@with_price_flags
def close_command(
    month: MonthArgument,
    prices: PriceFlags,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Freeze a month that is over: its entries stay as they are, and later facts go into the first open month."""
    from accounting.months import close_month

    runtime, book, rules = open_books(home, prices)
    people = people_rules(runtime)
    closed = close_month(
        runtime.store,
        month,
        book,
        rules,
        lambda entries: people.frozen(currency_of(runtime, (entry.currency for entry in entries))),
    )
    totals = _totals(closed.closing.entries.values())
    shown, exchanged = _converted(runtime, closed.closing.entries.values())
    note_exchange(exchanged)
    if json:
        print_json(
            {
                "month": closed.month,
                "at": closed.at,
                "digest": closed.digest,
                "price_book": closed.closing.book,
                "entries": len(closed.closing.entries),
                "late": len(closed.late),
                "unpriced": len(closed.unpriced),
                "total": totals,
                "shown": shown,
                "exchange": exchanged.as_json(),
                "people": None if closed.people is None else {"hours": closed.people.hours, "rate": closed.people.rate},
            }
        )
        return Exit.DONE
    if closed.people is None:
        note("people's hours and rate are not set, so they are not frozen: those of the day of reading are taken")
    if closed.unpriced:
        note(f"{len(closed.unpriced)} lines of usage have no price, and stay without one in this month")
    print(f"{month} is closed: {len(closed.closing.entries)} entries, {_amounts(totals)}; digest {closed.digest}")
    _print_converted(shown, exchanged)
    print("keep the digest somewhere else: whoever can change this disk can change the closing, too")
    return Exit.DONE


@with_price_flags
def replay_command(
    month: MonthArgument,
    prices: PriceFlags,
    what_if: Annotated[
        bool,
        typer.Option("--what-if", help="Show the month beside the same month at another price of its machines."),
    ] = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Price a closed month again: under its own price book, which must give the same bytes, or under another.

    Another book is meant with --price-file or --node-rate; then the two totals are shown beside each other. Machines
    that said their price keep it. With --what-if they do not: each machine costs what --node-rate says, or what
    --price-file says of it on demand; with neither, spot machines cost what they do on demand. The month need not be
    closed then, and what it cost that machines were taken away is shown as well.
    """
    from accounting.months import replay_month
    from ledger.billing import OWN_PRICE

    runtime = open_runtime({"home": home})
    if what_if:
        return _show_what_if(runtime, month, prices, json=json)
    own = prices.unsaid
    book, rules = (None, None) if own else rules_of(runtime, prices)
    found = replay_month(runtime.store, month, book, rules)
    kept = {entry.session for entry in found.entries if entry.price_row.partition("#")[0] == OWN_PRICE}
    if kept and not own:
        note(f"{len(kept)} machines said what they cost, and keep that price; --what-if prices them anew")
    shown, exchanged = _converted(runtime, found.entries)
    note_exchange(exchanged)
    if json:
        print_json({**_replay_json(found, own=own), "shown": shown, "exchange": exchanged.as_json()})
    else:
        _print_replay(found, own=own)
        _print_converted(shown, exchanged)
    return Exit.INCOMPLETE if own and not found.same else Exit.DONE


def _show_what_if(runtime: Runtime, month: str, prices: PriceFlags, *, json: bool) -> int:
    from accounting.exchange_rates import exchange_of
    from accounting.fleet.what_if import SupposedPrice, what_if
    from cli.money.ledger_what_if import print_what_if, what_if_json

    book, rules = rules_of(runtime, PriceFlags())
    other, _ = rules_of(runtime, prices)
    supposed = SupposedPrice(other, prices.node_rate, everywhere=prices.price_file is not None)
    rules = replace(rules, exchange=exchange_of(runtime.settings))
    found = what_if(runtime.store, month, book, rules, supposed)
    note_exchange(found.exchanged)
    if json:
        print_json(what_if_json(found))
        return Exit.DONE
    words = "its spot machines had been on demand"
    if prices.price_file is not None:
        words = f"its machines had cost what {prices.price_file} says on demand"
    if prices.node_rate:
        words = f"each machine had cost {prices.node_rate} an hour"
    print_what_if(found, words)
    return Exit.DONE


def _replay_json(found: Replay, *, own: bool) -> dict[str, object]:
    return {
        "month": found.month.month,
        "own_book": own,
        "same": found.same,
        "digest": found.digest,
        "closed_digest": found.month.digest,
        "price_book": found.book,
        "total": _totals(found.entries),
        "closed_total": _totals(found.month.closing.entries.values()),
    }


def _print_replay(found: Replay, *, own: bool) -> None:
    before, now = _totals(found.month.closing.entries.values()), _totals(found.entries)
    if found.same:
        print(f"{found.month.month} came out the same to the byte: {_amounts(now)}; digest {found.digest}")
        return
    if own:
        other = "the same sum in other buckets or of other jobs" if now == before else _amounts(now)
        print(f"{found.month.month} came out otherwise: closed as {_amounts(before)}, now {other}")
        print("records or jobs that it rests on were removed or changed since; the closing stays as it is")
        return
    print(f"{found.month.month} under the price book {found.book[:16]}: {_amounts(now)}, closed as {_amounts(before)}")


@with_price_flags
def reconcile_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV of Azure's actual costs, or FOCUS 1.x.")],
    prices: PriceFlags,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Compare a provider's bill with the ledger, machine by machine. A difference is shown, and never shared out."""
    from accounting.bills.bill import keep_reconciliation, reconcile
    from accounting.bills.bill_file import read_bill

    runtime, book, rules = open_books(home, prices)
    found = reconcile(runtime.store, read_bill(file), book, rules)
    keep_reconciliation(runtime.store, found)
    apart = [each for each in found.machines if not each.agrees]
    if json:
        print_json({**found.as_json(), "agree": not apart})
        return Exit.INCOMPLETE if apart else Exit.DONE
    from cli.money.ledger_bill import print_reconciliation

    print_reconciliation(found)
    return Exit.INCOMPLETE if apart else Exit.DONE


def _converted(runtime: Runtime, entries: Iterable[LedgerEntry]) -> tuple[dict[str, int], Exchanged]:
    """What the entries come to in the currency of reports, and by which rates; the closing stays in that of prices."""
    from accounting.exchange_rates import exchange_of
    from accounting.periods import now_ms

    exchange = exchange_of(runtime.settings)
    found = tuple(exchange.entries(entries))
    return _totals(found), exchange.told(found, now_ms())


def _print_converted(shown: dict[str, int], exchanged: Exchanged) -> None:
    if exchanged.rates:
        print(f"that is {_amounts(shown)}")
        for line in exchanged.lines:
            print(f"rate     {line}")


def _totals(entries: Iterable[LedgerEntry]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in entries:
        found[entry.currency] = found.get(entry.currency, 0) + entry.nano
    return dict(sorted(found.items()))


def _amounts(totals: dict[str, int]) -> str:
    from core.money import Money

    return ", ".join(str(Money(nano, currency)) for currency, nano in totals.items()) or "nothing"
