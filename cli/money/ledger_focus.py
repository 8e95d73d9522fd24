"""``segue ledger --focus FILE``: the FOCUS rows of a period or of a job, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.context import note
from cli.money.ledger_export import safe_cell
from core.errors import UsageError

if TYPE_CHECKING:
    from accounting.fleet_ledger import FleetLedger, PricingRules
    from accounting.focus import FocusSource
    from accounting.report import JobReport
    from accounting.sharing.idle import IdleRule
    from accounting.sharing.people import PeopleRules
    from cache.store import Store
    from ledger.entries import Period
    from ledger.price_book.prices import PriceBook


def write_focus(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Writes the rows; says how many, and how many of them have no price."""
    from accounting.focus import COLUMNS, NUMBERS, VERSION

    written = unpriced = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow({name: text if name in NUMBERS else safe_cell(text) for name, text in row.items()})
                written += 1
                unpriced += bool(row["x_Unpriced"])
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "name a file in a folder of yours") from error
    note(f"wrote {path}: {written:,} {'row' if written == 1 else 'rows'} of FOCUS {VERSION}")
    if unpriced:
        note(f"{unpriced:,} of them are usage without a price: their costs are empty, x_Unpriced says why")


def job_focus(report: JobReport) -> Iterator[dict[str, str]]:
    """The rows of one job."""
    from accounting.focus import FocusMachine, FocusSource, focus_rows

    return focus_rows(
        FocusSource(
            entries=report.entries,
            unpriced=report.unpriced,
            machines={
                node.session: FocusMachine(node.cloud, node.size, node.region, node.spot) for node in report.nodes
            },
            labels={report.job_id: report.labels},
            standing=report.standing.value,
            book=report.book,
            names={report.job_id: ", ".join(report.media)},
            whole=False,
        )
    )


def period_focus(
    store: Store, book: PriceBook, rules: PricingRules, people: tuple[PeopleRules, str], idle: IdleRule, period: Period
) -> Iterator[dict[str, str]]:
    """The rows of a period, month by month: a charge belongs to one month's bill. ``people``: rules and currency."""
    from accounting.focus import focus_rows
    from accounting.months import read_period, with_people
    from accounting.names import media_names
    from accounting.periods import months_of
    from accounting.sharing.idle import with_shared_idle

    for piece in months_of(period):
        ledger, _ = with_people(read_period(store, book, rules, piece), *people)
        ledger = with_shared_idle(ledger, idle)
        names = media_names(store, sorted({entry.job for entry in ledger.entries if entry.job}))
        yield from focus_rows(_source(ledger, names))


def _source(ledger: FleetLedger, names: Mapping[str, str]) -> FocusSource:
    from accounting.facts import openings
    from accounting.focus import FocusMachine, FocusSource

    opened = openings(ledger.facts.facts)
    return FocusSource(
        entries=ledger.entries,
        unpriced=ledger.unpriced,
        machines={name: FocusMachine(one.cloud, one.size, one.region, one.spot) for name, one in opened.items()},
        labels=ledger.labels,
        standing=ledger.standing.value,
        book=ledger.folded.book,
        late=frozenset(entry.id for entry in ledger.late),
        names=names,
    )
