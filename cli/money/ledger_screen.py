"""A job's ledger on one screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.money.exchange_lines import exchange_lines
from cli.money.ledger_tables import (
    FINALITY,
    aligned,
    amount_text,
    number_column,
    price_hints,
    priced_cell,
    print_table,
    seconds_text,
    sides_line,
    wide_console,
)
from cli.wording import clock, one_line, percent, printable
from core.money import Money
from ledger.api import Basis, Counterfactual
from ledger.entries import Bucket
from ledger.verdict import CostOutcome, CostVerdict
from pipeline.stages import charged_stages
from pipeline.stages.stage import ChargedBy

if TYPE_CHECKING:
    from accounting.in_progress import UnderWay
    from accounting.report import Avoided, JobReport, JobVerdict

#: Buckets as people read them.
BUCKET_WORDS = {
    Bucket.BUSY: "useful",
    Bucket.LOAD: "load",
    Bucket.IDLE: "idle",
    Bucket.LOST: "lost",
    Bucket.DUPLICATE: "duplicate",
    Bucket.BOOT: "boot",
    Bucket.API_FEE: "API fees",
    Bucket.PEOPLE: "people",
    Bucket.UNATTRIBUTED: "increments",
}
#: Rows of each table of APIs; the JSON document has them all.
_MOST_ROWS = 8
_AVOIDED_WORDS = {"silence": "silence skipped", "cache": "found in the cache", "resume": "not done again after a death"}


def print_report(report: JobReport) -> None:
    """Everything that the ledger says of a job, for people."""
    console = wide_console()
    say = plain_lines(console)
    _print_head(report, say)
    print_table(console, _paid_table(report))
    _print_missing(report, say)
    _print_avoided(report, say)
    for title, table in _api_tables(report):
        say("")
        say(f"API would charge: {title}", "bold")
        print_table(console, table)
    _print_verdict(report, say)


def plain_lines(console: Console) -> Callable[..., None]:
    """A function that prints a line of text in a style."""

    def say(text: str, style: str = "") -> None:
        console.print(Text(printable(text), style=style), soft_wrap=True)

    return say


def _print_head(report: JobReport, say: Callable[..., None]) -> None:
    media = ", ".join(one_line_name(name) for name in report.media)
    say(f"job {report.job_id}  {report.state}  {media}".rstrip(), "bold")
    if report.duration_ms:
        skipped = report.duration_ms - report.speech_ms
        said = f"{clock(report.duration_ms)}, {clock(report.speech_ms)} of it speech"
        say(f"media    {said} ({percent(skipped, report.duration_ms)} silence)")
    say(f"engines  {report.engines}")
    for node in report.nodes:
        end = ", its end is an estimate" if node.estimated_end else ""
        place = f" ({node.description})" if node.description else ""
        price = "unpriced" if not node.billed else f"billed at {node.price}"
        say(f"machine  {node.hardware}{place}, {seconds_text(node.end - node.start)}, {price}{end}")
    say(f"state    {FINALITY[report.standing]}; in {report.currency}, price book {report.book[:16]}")
    if report.fake:
        say("fake engines did some of this work: its amounts are what the machine cost, and enter no verdict", "yellow")
        say("what APIs would charge for made-up text says nothing either", "yellow")
    say("")


def one_line_name(name: str) -> str:
    """A file's name that cannot break the line."""
    from pathlib import Path

    return one_line(Path(name))


def _paid_table(report: JobReport) -> Table:
    spent, missing = report.spent, missing_times(report)
    stages = sorted({*spent.by_stage, *(stage for _, stage in missing)}, key=lambda stage: (not stage, stage))
    amounts = [amount for parts in spent.by_bucket_and_stage.values() for amount in parts.values()]
    text = aligned([*amounts, spent.total])
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("Paid", footer="total", no_wrap=True)
    for stage in stages:
        known, lacks = spent.by_stage.get(stage), any(name == stage for _, name in missing)
        number_column(table, stage or "no stage", priced_cell(text(known), known=known is not None, missing=lacks))
    lacks, some = bool(report.unpriced or spent.elsewhere), bool(spent.by_bucket)
    whole = priced_cell(f"{text(spent.total)} {report.currency}", known=some, missing=lacks)
    number_column(table, "all", whole)
    time = sum(spent.ms_by_bucket.values()) + sum(missing.values())
    number_column(table, "node time", seconds_text(time))
    for bucket in Bucket:
        name = bucket.value
        unpriced = {stage: ms for (where, stage), ms in missing.items() if where == name}
        if name not in spent.by_bucket and name not in spent.ms_by_bucket and not unpriced:
            continue
        parts = spent.by_bucket_and_stage.get(name, {})
        time = spent.ms_by_bucket.get(name, 0) + sum(unpriced.values())
        cells = [(parts.get(stage), stage in unpriced) for stage in stages]
        cells.append((spent.by_bucket.get(name), bool(unpriced)))
        table.add_row(
            BUCKET_WORDS[bucket],
            *(priced_cell(text(known), known=known is not None, missing=lacks) for known, lacks in cells),
            seconds_text(time) if time else "",
        )
    return table


def missing_times(report: JobReport) -> dict[tuple[str, str], int]:
    """(bucket, stage) of what has no price -> its node time; 0 for fees."""
    found: dict[tuple[str, str], int] = {}
    for one in report.unpriced:
        place = one.bucket.value, one.stage
        found[place] = found.get(place, 0) + (one.quantity if one.meter == "node_ms" else 0)
    return found


def under_way_text(open_now: UnderWay) -> str:
    """What is counted as useful although nobody knows yet what becomes of it."""
    word = "batch" if open_now.batches == 1 else "batches"
    parts = [f"{amount_text(Money(nano, currency))} {currency}" for currency, nano in sorted(open_now.amounts.items())]
    so_far = " and ".join([seconds_text(open_now.node_ms), *parts])
    return f"{open_now.batches} {word} under way: {so_far} so far, counted as useful until they end"


def _print_missing(report: JobReport, say: Callable[..., None]) -> None:
    """What is in no amount above, and what may still change there."""
    if report.under_way is not None:
        say(under_way_text(report.under_way), "yellow")
    lines = report.unpriced_lines
    for line in lines:
        say(f"UNPRICED {line}", "bold red")
    for line in price_hints(report.unpriced):
        say(f"         {line}", "red")
    for line, style in exchange_lines(report.exchanged):
        say(line, style)
    if report.people.amount is None:
        unset = " (SEGUE_ENGINEERING_HOURS, SEGUE_ENGINEERING_RATE)" if report.people.basis.endswith("given") else ""
        say(f"people   {report.people.basis}{unset}")
    else:
        people = report.people.amount
        say(f"people   {amount_text(people.low)} to {amount_text(people.high)}: {report.people.basis}")
    for currency, nano in report.shared_idle.amounts.items():
        amount = f"{amount_text(Money(nano, currency))} {currency}"
        say(f"idle     {amount} of the above is its share of the fleet's idle: {report.shared_idle.basis}")
        say("         (SEGUE_IDLE_RULE=fleet leaves it with the fleet)", "dim")
    if report.budgeted != report.spent.total:
        amount = f"{amount_text(report.budgeted)} {report.currency}"
        say(f"budget   {amount} of the above is what a budget counts: neither people nor shared idle")
    for currency, nano in report.fleet_idle.items():
        say(f"fleet    {amount_text(Money(nano, currency))} {currency} of idle on these machines that no job caused")


def _print_avoided(report: JobReport, say: Callable[..., None]) -> None:
    if report.avoided:
        say("")
        say("Avoided (not subtracted)", "bold")
    for one in report.avoided:
        say(_avoided_line(one, report.currency))
    found = report.resumability
    if found.deaths:
        saved = ", ".join(f"{amount_text(Money(nano, currency))} {currency}" for currency, nano in found.saved.items())
        deaths = "1 death" if found.deaths == 1 else f"{found.deaths} deaths"
        say(
            f"  {deaths} took {seconds_text(found.lost.ms)}; without checkpoints "
            f"{seconds_text(found.without.ms)}: {seconds_text(found.saved_ms)} and {saved or 'nothing priced'} kept"
        )


def _avoided_line(one: Avoided, currency: str) -> str:
    what = f"{one.units} units" if one.units else f"{clock(one.media_ms)} of media"
    time = "engine time not measured" if one.engine_ms is None else f"{seconds_text(one.engine_ms)} of engine"
    worth = "unpriced" if one.amount is None else f"{amount_text(one.amount)} {currency}"
    return f"  {_AVOIDED_WORDS[one.kind]:<19} {what}, {time}, {worth}, {'measured' if one.measured else 'estimated'}"


# -- the APIs ------------------------------------------------------------------------------------------------


def _api_tables(report: JobReport) -> Iterable[tuple[str, Table]]:
    for stage in charged_stages():
        found = [one for one in report.counterfactuals if one.stage == stage.name]
        if stage.charged_by is ChargedBy.AUDIO:
            tables = {"": found}
        else:
            tokens = [one for one in found if "characters" not in one.usage and _by_token(one)]
            tables = {" by token": tokens, " by character": [one for one in found if one not in tokens]}
        for how, rows in tables.items():
            if rows:
                sound = stage.charged_by is ChargedBy.AUDIO
                yield f"{stage.noun}{how}, {report.currency}", _api_table(rows, report, by_segment=sound)


def _by_token(one: Counterfactual) -> bool:
    return "/in/" in one.price_row or "input_tokens" in one.usage or "token" in one.note


def _api_table(found: Sequence[Counterfactual], report: JobReport, *, by_segment: bool = False) -> Table:
    table = Table(box=None, pad_edge=False)
    # Names may be broken, figures may not.
    table.add_column("", overflow="fold")
    bases = [Basis.WHOLE_FILE, Basis.SPEECH_ONLY, *([Basis.PER_SEGMENT] if by_segment else [])]
    headings = {Basis.WHOLE_FILE: "whole file", Basis.SPEECH_ONLY: "no silence", Basis.PER_SEGMENT: "by segment"}
    for basis in bases:
        number_column(table, headings[basis])
    table.add_column("")
    rows: dict[tuple[str, str], dict[Basis, Counterfactual]] = {}
    for one in found:
        rows.setdefault((one.provider, one.model), {})[one.basis] = one
    ordered = sorted(rows.items(), key=lambda row: _order(row[1]))
    for (provider, model), invoices in ordered[:_MOST_ROWS]:
        first = next(iter(invoices.values()))
        table.add_row(
            f"  {provider} {model}", *(_invoice_text(invoices.get(basis), report) for basis in bases), _remark(first)
        )
    if len(ordered) > _MOST_ROWS:
        table.add_row(f"  and {len(ordered) - _MOST_ROWS} more in --json")
    return table


def _order(invoices: dict[Basis, Counterfactual]) -> tuple[bool, str, int]:
    amounts = [one.amount for one in invoices.values() if one.amount is not None]
    return not amounts, amounts[0].currency if amounts else "", min((one.nano for one in amounts), default=0)


def _invoice_text(one: Counterfactual | None, report: JobReport) -> Text:
    if one is None:
        return Text("")
    if one.amount is None:
        return Text("unpriced", style="red")
    foreign = f" {one.amount.currency}" if one.amount.currency != report.currency else ""
    return Text(f"{amount_text(one.amount)}{foreign}")


def _remark(one: Counterfactual) -> Text:
    if one.amount is None:
        return Text(printable(one.note.split(";")[0].removeprefix("unpriced: ")), style="red")
    return Text(one.remark, style="dim")


# -- the verdict ---------------------------------------------------------------------------------------------


def _print_verdict(report: JobReport, say: Callable[..., None]) -> None:
    say("")
    for line in bill_lines(report):
        say(line)
    print_verdict(report.verdict, say)
    if report.verdict.found is None:
        return
    alike = report.verdict_same_class
    if alike.against != report.verdict.against:
        names = ", ".join(f"{one.provider} {one.model}" for one in alike.against.values())
        title = f"At equal quality ({names}): " if names else "At equal quality: "
        if alike.found is None:
            say(f"{title}not compared: {alike.why_none}")
        else:
            _print_outcome(title, alike.found.job, say)
    whole = report.verdict_whole_file.found
    if whole is not None and whole.job.outcome is not CostOutcome.UNDECIDED:
        _print_outcome("Against the whole file sent as it is: ", whole.job, say)


def bill_lines(report: JobReport) -> Iterable[str]:
    """What the whole job would cost at APIs, and what a finished minute of it cost here."""
    for form, words in (("speech_only", "silence skipped"), ("whole_file", "the whole file")):
        bill = report.api_bills[form]
        if bill.amount is not None:
            yield f"API bill for the job, {words}: {amount_text(bill.amount)} {report.currency} ({bill.names})"
        elif bill.parts:
            yield f"API bill for the job, {words}: unknown, {' and '.join(bill.missing)} has no price ({bill.names})"
    costs = report.minute_costs
    with_people, alone = costs.with_people, costs.without_people
    if alone is not None:
        people = "people unknown" if with_people is None else f"{amount_text(with_people)} with people"
        yield f"a finished minute of media cost {amount_text(alone)} {report.currency} without people, {people}"
    for language, amount in costs.by_language.items():
        yield f"  {language}: {amount_text(amount)} of it"


def print_verdict(verdict: JobVerdict, say: Callable[..., None]) -> None:
    """With people and without them, by stage, and what it rests on."""
    found = verdict.found
    if found is None:
        say(f"Verdict  {verdict.line}", "bold")
        return
    _print_outcome("Verdict  ", found.job, say, "bold")
    _print_outcome("  without people: ", found.without_people, say)
    if sides := sides_line(verdict):
        say(f"  compared: {sides}")
    if len(found.by_stage) > 1:
        for stage, one in found.by_stage.items():
            if one.outcome is not CostOutcome.UNDECIDED:
                _print_outcome(f"  {stage}: ", one, say)
    for line in found.job.rests_on:
        say(f"  rests on {line}", "dim")


def _print_outcome(title: str, one: CostVerdict, say: Callable[..., None], style: str = "") -> None:
    if one.outcome is not CostOutcome.UNDECIDED:
        say(f"{title}{one.line}", style)
        return
    say(f"{title}undecided", style)
    for why in one.undecided_because:
        say(f"  because {why}")
