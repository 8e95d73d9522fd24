"""A period's ledger as one page: opens without a network, in light, dark and print; no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounting.fleet_ledger import FleetLedger
from accounting.owner_budgets import OwnerBudget
from accounting.report import JobVerdict, unpriced_lines
from cli.money.exchange_lines import exchange_lines
from cli.money.ledger_fleet import period_text, row_name
from cli.money.ledger_groups import table_of, unpriced_times
from cli.money.ledger_tables import FINALITY, aligned, price_hints, seconds_text
from cli.rendering import render
from core.money import Money
from core.version import VERSION
from ledger.entries import Bucket
from ledger.totals import Sum

#: Rows of a table; `--json` has all.
_MOST_ROWS = 200
_TITLES = {"bucket": "Paid", "owner": "By owner", "stage": "By stage", "job": "By job"}
_ORDER = [bucket.value for bucket in Bucket]


@dataclass(frozen=True)
class PeriodPage:
    """What stands on the page."""

    #: The books, people and shared idle in them.
    ledger: FleetLedger
    #: Which was cheaper.
    verdict: JobVerdict
    #: Owners' budgets.
    budgets: Sequence[OwnerBudget] = ()
    #: What a reader must know, a line each.
    notes: Sequence[str] = ()
    #: What jobs are called, by id.
    names: Callable[[Sequence[str]], Mapping[str, str]] = field(default=lambda _: {})


@dataclass(frozen=True)
class _Row:
    """One line of a table."""

    what: str
    #: An amount for each currency; empty where there is none.
    cells: tuple[str, ...]
    #: Whether some of it has no price.
    partly: bool
    #: Node time.
    time: str
    #: What it is called.
    name: str = ""
    #: Whether it is the sum of the others.
    sum: bool = False


@dataclass(frozen=True)
class _Sums:
    """What was paid, by one dimension."""

    title: str
    currencies: tuple[str, ...]
    rows: tuple[_Row, ...]
    #: Rows that are not shown.
    more: int


def render_period(page: PeriodPage) -> str:
    """The page, as HTML in UTF-8 with everything in it. Pure: the same books are the same page."""
    ledger, found = page.ledger, page.verdict.found
    line = page.verdict.line
    undecided = (page.verdict.why_none,) if found is None else found.job.undecided_because
    notes = [*page.notes, *(text for text, _ in exchange_lines(ledger.exchanged()))]
    notes += [f"price book {ledger.book.digest}", f"made by Segue {VERSION}"]
    by_stage = {} if found is None or len(found.by_stage) < 2 else found.by_stage
    return render(
        "month_page.html",
        title=period_text(ledger.period),
        standing=ledger.standing.value,
        finality=FINALITY[ledger.standing],
        fake=bool(ledger.totals.whole(fake=True)),
        unpriced=unpriced_lines(ledger.unpriced_totals),
        price_hints=price_hints(ledger.unpriced_totals),
        errors=ledger.errors,
        line=line[:1].upper() + line[1:],
        undecided_because=undecided,
        without_people="" if found is None else found.without_people.line,
        by_stage=[f"{stage}: {one.line}" for stage, one in by_stage.items()],
        rests_on=() if found is None else found.job.rests_on,
        budgets=[budget.line for budget in page.budgets],
        tables=[_sums(page, by) for by in _TITLES],
        notes=notes,
    )


def _sums(page: PeriodPage, by: str) -> _Sums:
    ledger = page.ledger
    found = {name: sums for (name,), sums in table_of(ledger, [by]).items()}
    missing = {name: ms for (name,), ms in unpriced_times(ledger, [by]).items()}
    currencies = tuple(sorted(ledger.totals.whole())) or ("",)
    rows = {name: found.get(name, {}) for name in {*found, *missing}}

    def place(name: str) -> tuple[Any, ...]:
        if by == "bucket":
            return (_ORDER.index(name),)
        return -max((one.nano for one in rows[name].values()), default=0), -missing.get(name, 0), name

    ordered = sorted(rows, key=place)
    shown = ordered[:_MOST_ROWS]
    texts = {
        currency: aligned(Money(sums[currency].nano, currency) for sums in found.values() if currency in sums)
        for currency in currencies
    }

    def row(what: str, sums: Mapping[str, Sum], unpriced: int | None, **more: Any) -> _Row:
        cells = tuple(
            text(Money(sums[currency].nano, currency)) if currency in sums else "" for currency, text in texts.items()
        )
        time = sum(one.ms for one in sums.values()) + (unpriced or 0)
        return _Row(what, cells, unpriced is not None, seconds_text(time) if time else "", **more)

    known = page.names([name for name in shown if name]) if by == "job" else {}
    made = [row(row_name(name, by), rows[name], missing.get(name), name=known.get(name, "")) for name in shown]
    whole: dict[str, Sum] = {}
    for sums in found.values():
        for currency, one in sums.items():
            held = whole.get(currency, Sum(0, 0))
            whole[currency] = Sum(held.nano + one.nano, held.ms + one.ms)
    made.append(row("together", whole, sum(missing.values()) if missing else None, sum=True))
    return _Sums(_TITLES[by], currencies, tuple(made), len(ordered) - len(shown))
