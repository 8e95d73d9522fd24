"""``segue ledger``: what a job, or everything in a period, cost; and the care of the books."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.completion import complete_job
from cli.context import HomeFlag, JsonFlag, note, open_runtime, print_json
from cli.default_command import DefaultCommandGroup
from cli.exits import Exit
from cli.money import ledger_care, ledger_fleet_use, ledger_forecast
from cli.money.budgets import exit_of
from cli.money.exchange_lines import note_exchange
from cli.money.ledger_options import (
    AgainstFlag,
    FocusFlag,
    PriceFlags,
    SinceFlag,
    UntilFlag,
    period_of,
    rules_of,
    with_price_flags,
)
from cli.money.uncollected import uncollected
from cli.queue.queue_options import parse_labels
from cli.wording import printable
from core.errors import UsageError

if TYPE_CHECKING:
    from accounting.owner_budgets import OwnerBudget
    from accounting.report import JobVerdict
    from cache.store import Store
    from ledger.entries import Period
    from pipeline.runtime import Runtime

_SHOW = "show"


class LedgerGroup(DefaultCommandGroup):
    """``segue ledger JOB`` is ``segue ledger show JOB``."""

    default_command = _SHOW

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; it makes and keeps millions of facts where there are so many."""
        with uncollected():
            return super().invoke(ctx)


app = typer.Typer(
    cls=LedgerGroup,
    help=(
        "What a job cost, what it avoided, and what APIs would charge. 'show' may be left out: segue ledger JOB, "
        "segue ledger --since 2026-11-01 --by owner."
    ),
)


@app.command(_SHOW)
@with_price_flags
def show_command(
    job: Annotated[
        str,
        typer.Argument(
            metavar="[JOB]",
            help="A job's id, the start of one, a media file's name, or 'last'; without one, everything in a period.",
            autocompletion=complete_job,
            show_default=False,
        ),
    ] = "",
    since: SinceFlag = "",
    until: UntilFlag = "",
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="WHAT",
            help=(
                "Sum a period by bucket, job, owner, label (or label:NAME), stage, node, language or engine; twice for "
                "one below the other."
            ),
            show_default=False,
        ),
    ] = None,
    owner: Annotated[
        str, typer.Option("--owner", help="Of a period only the jobs of this owner.", show_default=False)
    ] = "",
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="NAME=TEXT",
            help="Of a period only the jobs with this label; may be repeated.",
            show_default=False,
        ),
    ] = None,
    *,
    prices: PriceFlags,
    against: AgainstFlag = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print the entries as CSV: UTC times and decimal amounts first.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write the ledger of the job, or of the period, as one page.",
            show_default=False,
        ),
    ] = None,
    focus: FocusFlag = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Exit with 4 where an owner's budget is at its alert or over it, with 3 where nobody can say.",
        ),
    ] = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Show what a job cost, what it avoided, what APIs would charge and which was cheaper; or what a period cost.

    The word 'show' may be left out, unless a job is called like one of the other commands.
    """
    if json and csv:
        raise UsageError("--json and --csv cannot both be printed", "choose one of them")
    runtime = open_runtime({"home": home}, in_place=True)
    if job:
        if since or until or by or owner or label:
            raise UsageError(
                "a job has one ledger, whatever the period", "leave out --since, --until, --by, --owner and --label"
            )
        if check:
            raise UsageError("--check is of the owners' budgets of a month", "leave out the job")
        _show_job(runtime, job, prices, against or [], _Form(json, csv, html, focus))
        return Exit.DONE
    asked = _Asked(period_of(since, until), by or ["job"], owner, parse_labels(label), against or [])
    budgets = _show_period(runtime, asked, prices, _Form(json, csv, html, focus))
    return exit_of(budgets) if check else Exit.DONE


@dataclass(frozen=True)
class _Asked:
    """What of a period is asked for."""

    #: The period.
    period: Period
    #: What it is summed by: one thing, or two.
    by: Sequence[str]
    #: Only jobs of this owner; empty: everything.
    owner: str
    #: Only jobs with these labels.
    labels: Mapping[str, str]
    #: APIs for the verdict.
    against: Sequence[str]

    @property
    def whose(self) -> str:
        """Whose jobs they are, in words; empty for everything."""
        words = [f"owner {self.owner}"] if self.owner else []
        return ", ".join([*words, *(f"{name}={text}" for name, text in self.labels.items())])

    @property
    def is_part(self) -> bool:
        """Whether only some jobs are asked for."""
        return bool(self.owner or self.labels)


@dataclass(frozen=True)
class _Form:
    """How it is to be shown: printed for people unless one of these says otherwise."""

    #: Print JSON.
    json: bool
    #: Print CSV.
    csv: bool
    #: Write a page.
    page: Path | None = None
    #: Write FOCUS rows.
    focus: Path | None = None

    @property
    def is_for_programs(self) -> bool:
        """Whether nothing is printed for people, so that warnings go beside the document."""
        return self.json or self.csv or self.page is not None or self.focus is not None


def _show_job(runtime: Runtime, wanted: str, prices: PriceFlags, against: list[str], form: _Form) -> None:
    from accounting.job import job_report
    from cli.money.ledger_options import find_ledger_job, report_rules

    job_id = find_ledger_job(runtime.store, wanted)
    book, rules = rules_of(runtime, prices)
    report = job_report(runtime.store, job_id, book, report_rules(runtime, against, book, rules))
    for line in report.errors:
        note(line)
    if form.is_for_programs:
        note_exchange(report.exchanged)
    offered = {f"{one.provider}/{one.model}" for one in report.counterfactuals}
    for name in against:
        if offered and name not in offered:
            raise UsageError(f"there is no price for this job at '{name}'", f"choose from {', '.join(sorted(offered))}")
    if form.page is not None:
        from cli.money.pages.ledger_page import render_page

        _write_page(form.page, render_page(report))
        note(f"wrote {form.page}")
    if form.focus is not None:
        from cli.money.ledger_focus import job_focus, write_focus

        write_focus(form.focus, job_focus(report))
    if form.json:
        print_json(report.as_json())
    elif form.csv:
        from cli.money.ledger_export import print_csv

        print_csv(report.entries, report.unpriced)
    elif form.page is None and form.focus is None:
        from cli.money.ledger_screen import print_report

        print_report(report)


def _write_page(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "name a file in a folder of yours") from error


def _show_period(runtime: Runtime, asked: _Asked, prices: PriceFlags, form: _Form) -> Sequence[OwnerBudget]:
    from accounting.exchange_rates import exchange_of
    from accounting.months import read_period, with_people
    from accounting.owner_budgets import BudgetState
    from accounting.periods import now_ms
    from accounting.sharing.idle import IdleRule, with_shared_idle
    from accounting.verdicts.month_verdict import period_verdict
    from cli.money.budgets import month_budgets
    from cli.money.ledger_export import fleet_json, print_csv
    from cli.money.ledger_fleet import print_fleet
    from cli.money.ledger_groups import check_fields, table_of
    from cli.money.ledger_options import checked_against, currency_of, people_rules

    check_fields(asked.by)
    book, rules = rules_of(runtime, prices)
    rules = replace(rules, now=now_ms(), exchange=exchange_of(runtime.settings))
    ledger = read_period(runtime.store, book, rules, asked.period)
    people = people_rules(runtime)
    currency = rules.exchange.currency or currency_of(runtime, ledger.totals.whole())
    verdict: JobVerdict | None = period_verdict(ledger, people, currency, checked_against(book, asked.against))
    ledger, notes = with_people(ledger, people, currency)
    idle = IdleRule(runtime.settings.idle_rule)
    ledger = with_shared_idle(ledger, idle)
    for line in notes:
        note(line)
    for line in ledger.errors:
        note(line)
    if form.is_for_programs:
        note_exchange(ledger.exchanged())
    budgets = month_budgets(runtime.settings, ledger)
    for budget in budgets:
        if budget.state is not BudgetState.WITHIN and (form.is_for_programs or asked.is_part):
            note(budget.line)
    if asked.is_part:
        ledger = ledger.of_jobs(asked.owner, asked.labels)
        verdict = None
    table = table_of(ledger, asked.by)
    if form.focus is not None:
        if asked.is_part:
            raise UsageError("--focus is of everything in a period", "leave out --owner and --label")
        from cli.money.ledger_focus import period_focus, write_focus

        write_focus(
            form.focus,
            period_focus(runtime.store, book, rules, (people, currency), idle, asked.period),
        )
    if form.page is not None:
        if verdict is None:
            raise UsageError("--html draws everything in a period", "leave out --owner and --label")
        from cli.money.pages.month_page import PeriodPage, render_period

        page = PeriodPage(ledger, verdict, budgets, notes, _names(runtime.store, "job"))
        _write_page(form.page, render_period(page))
        note(f"wrote {form.page}")
    if form.json:
        from accounting.fleet.fleet_use import fleet_use

        print_json(
            {
                **fleet_json(ledger, table, asked.by),
                "budgets": {one.owner: one.as_json() for one in budgets},
                "owner": asked.owner or None,
                "labels": dict(asked.labels),
                "verdict": None if verdict is None else verdict.as_json(),
                "fleet": None if verdict is None else fleet_use(ledger, asked.period).as_json(),
            }
        )
    elif form.csv:
        print_csv(ledger.entries, ledger.unpriced)
    elif form.page is None and form.focus is None:
        print_fleet(ledger, table, asked.by, _names(runtime.store, asked.by[0]), verdict, asked.whose)
        if not asked.is_part:
            for budget in budgets:
                print(printable(budget.line))
    return budgets


def _names(store: Store, by: str) -> Callable[[Sequence[str]], Mapping[str, str]]:
    """What the ids of a table are called; only those that are shown are looked up."""
    from accounting.names import machine_names, media_names

    known = {"job": media_names, "node": machine_names}
    return lambda ids: known[by](store, ids) if by in known else {}


app.command("forecast")(ledger_forecast.forecast_command)
app.command("fleet")(ledger_fleet_use.fleet_command)
app.command("verify")(ledger_care.verify_command)
app.command("replay")(ledger_care.replay_command)
app.command("close")(ledger_care.close_command)
app.command("reconcile")(ledger_care.reconcile_command)
