"""A job's ledger as one page: opens without a network, in light, dark and print; no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from accounting.report import Avoided, JobReport, NodeUse
from cli.money.ledger_screen import bill_lines, missing_times
from cli.money.ledger_tables import FINALITY, aligned, price_hints, sides_line
from cli.money.pages.ledger_page_apis import api_bars, break_even_charts
from cli.money.pages.ledger_page_charts import amount_with_currency, legend, timeline_svg
from cli.rendering import render
from cli.wording import clock, percent
from core.money import Money
from core.version import VERSION
from ledger.entries import Bucket, LedgerEntry
from pipeline.stages import engine_stages

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Entries on the page; the CSV has all of them.
_MOST_ENTRIES = 2_000
_BUCKETS = {
    Bucket.BUSY: "useful work",
    Bucket.LOAD: "loading engines",
    Bucket.IDLE: "idle",
    Bucket.LOST: "lost work",
    Bucket.DUPLICATE: "duplicate work",
    Bucket.BOOT: "boot",
    Bucket.API_FEE: "API fees",
    Bucket.PEOPLE: "people",
    Bucket.UNATTRIBUTED: "billing increments",
}
_AVOIDED = {"silence": "silence skipped", "cache": "found in the cache", "resume": "not done again after a death"}
#: Columns in the order of the work; what no stage caused comes last.
_STAGES = tuple(stage.name for stage in engine_stages())


@dataclass(frozen=True)
class _Cell:
    """An amount of a table."""

    #: Empty where no price is known.
    text: str
    #: Whether some of it has no price.
    partly: bool = False


@dataclass(frozen=True)
class _PaidRow:
    """What one bucket cost: by stage, and together."""

    what: str
    cells: tuple[_Cell, ...]
    #: Node time.
    time: str


@dataclass(frozen=True)
class _PaidTable:
    """What was paid, by bucket and stage."""

    stages: tuple[str, ...]
    rows: tuple[_PaidRow, ...]
    sums: tuple[_Cell, ...]
    #: What is in no sum.
    notes: tuple[str, ...]


def render_page(report: JobReport) -> str:
    """The page, as HTML in UTF-8 with everything in it. Pure: the same report is the same page."""
    labels = [f"{name}={value}" for name, value in sorted(report.labels.items())]
    facts = [f"job {report.job_id}", report.state, report.owner, *labels, report.engines]
    return render(
        "ledger_page.html",
        report=report,
        title=", ".join(report.media) or f"job {report.job_id[:12]}",
        facts=[fact for fact in facts if fact],
        finality=FINALITY[report.standing],
        price_hints=price_hints(report.unpriced),
        verdict=_verdict(report),
        bills=list(bill_lines(report)),
        figures=_figures(report),
        timeline=timeline_svg(report.timeline),
        legend=legend(report.timeline),
        paid=_paid(report),
        avoided=[_avoided(one) for one in report.avoided],
        apis=api_bars(report),
        break_even=break_even_charts(report),
        machines=[_machine(node) for node in report.nodes],
        entries=[_entry(entry) for entry in report.entries[:_MOST_ENTRIES]],
        provenance=[(name, value) for name, value in _provenance(report) if value],
    )


# -- head ----------------------------------------------------------------------------------------------------


def _verdict(report: JobReport) -> dict[str, Any]:
    verdict = report.verdict
    job, line, whole = verdict.job, verdict.line, report.verdict_whole_file.line
    by_stage = {} if verdict.found is None else verdict.found.by_stage
    return {
        "line": line[:1].upper() + line[1:],
        "undecided_because": job.undecided_because if job is not None else (),
        "against": ", ".join(f"{stage}: {one.provider} {one.model}" for stage, one in verdict.against.items()),
        "sides": sides_line(verdict),
        "by_stage": [f"{stage}: {one.line}" for stage, one in by_stage.items()] if len(by_stage) > 1 else [],
        "without_people": verdict.found.without_people.line if verdict.found is not None else "",
        "rests_on": job.rests_on if job is not None else (),
        "same_class": _same_class(report),
        "whole_file": whole if whole != line else "",
    }


def _same_class(report: JobReport) -> str:
    """The verdict at equal quality, with whom it compares; empty where that is the verdict itself."""
    alike = report.verdict_same_class
    if alike.against == report.verdict.against:
        return ""
    names = ", ".join(f"{one.provider} {one.model}" for one in alike.against.values())
    return f"{alike.line} ({names})" if names else f"not compared: {alike.why_none}"


def _figures(report: JobReport) -> list[tuple[str, str]]:
    """Large figures, and what they are."""
    skipped = report.duration_ms - report.speech_ms
    people = "unset" if report.people.amount is None else "included"
    found = report.resumability
    known, spent = bool(report.spent.by_bucket), report.spent
    paid = amount_with_currency(spent.total) if known or not (report.unpriced or spent.elsewhere) else "unpriced"
    lacking = ", and unpriced usage" if report.unpriced and known else ""
    lacking += f", and {' and '.join(map(amount_with_currency, spent.elsewhere))}" if spent.elsewhere else ""
    deaths = f"{'death' if found.deaths == 1 else 'deaths'} of machines or workers"
    kept = f"; {found.saved_ms / 1000:,.1f} s of work kept by checkpoints" if found.deaths else ""
    return [
        (paid, f"paid{lacking}, people {people}"),
        (clock(report.duration_ms), "of media"),
        (clock(report.speech_ms), f"of speech; {percent(skipped, report.duration_ms)} is silence"),
        (str(found.deaths), f"{deaths}{kept}"),
    ]


# -- what it was and what it cost ----------------------------------------------------------------------------


def _paid(report: JobReport) -> _PaidTable:
    spent, missing = report.spent, missing_times(report)
    stages = sorted(
        {*spent.by_stage, *(stage for _, stage in missing)},
        key=lambda stage: (not stage, stage not in _STAGES, stage),
    )
    text = aligned([*(each for parts in spent.by_bucket_and_stage.values() for each in parts.values()), spent.total])
    rows = []
    for bucket in Bucket:
        unpriced = {stage: ms for (where, stage), ms in missing.items() if where == bucket.value}
        if bucket.value not in spent.by_bucket and not unpriced:
            continue
        parts = spent.by_bucket_and_stage.get(bucket.value, {})
        cells = [_paid_cell(text(parts.get(stage)), stage in parts, stage in unpriced) for stage in stages]
        cells.append(_paid_cell(text(spent.by_bucket.get(bucket.value)), bool(parts), bool(unpriced)))
        ms = spent.ms_by_bucket.get(bucket.value, 0) + sum(unpriced.values())
        rows.append(_PaidRow(_BUCKETS[bucket], tuple(cells), f"{ms / 1000:,.1f} s" if ms else ""))
    lacking = {stage for _, stage in missing}
    sums = [_paid_cell(text(spent.by_stage.get(one)), one in spent.by_stage, one in lacking) for one in stages]
    sums.append(_paid_cell(text(spent.total), bool(spent.by_bucket), bool(missing or spent.elsewhere)))
    exchanged = report.exchanged
    notes = [*exchanged.missing, *(f"exchange rate: {line}" for line in exchanged.lines), *exchanged.old]
    shared = _bill(report.shared_idle.amounts)
    notes += [f"{amount} of it is the job's share of the fleet's idle: {report.shared_idle.basis}" for amount in shared]
    idle = _bill(report.fleet_idle)
    notes += [f"idle and boot of its machines that no job caused, not in it: {amount}" for amount in idle]
    return _PaidTable(tuple(stage or "no stage" for stage in stages), tuple(rows), tuple(sums), tuple(notes))


def _paid_cell(text: str, known: bool, missing: bool) -> _Cell:
    """An amount of which some may have no price, or all of it."""
    return _Cell("" if missing and not known else text, partly=missing)


def _avoided(one: Avoided) -> dict[str, str]:
    return {
        "what": _AVOIDED.get(one.kind, one.kind),
        "size": f"{one.units:,} units" if one.units else clock(one.media_ms),
        "time": "not measured" if one.engine_ms is None else f"{one.engine_ms / 1000:,.1f} s",
        "worth": "" if one.amount is None else amount_with_currency(one.amount),
        "quality": "measured" if one.measured else "estimated",
        "basis": one.basis,
    }


# -- what it rests on ----------------------------------------------------------------------------------------


def _machine(node: NodeUse) -> dict[str, str]:
    return {
        "session": node.session,
        "machine": node.description if node.hardware in node.description else f"{node.description}, {node.hardware}",
        "kind": "run" if node.embedded else "worker",
        "start": _when(node.start),
        "end": f"{_when(node.end)}{' (estimated)' if node.estimated_end else ''}",
        "price": node.price,
        "bill": ", ".join(_bill(node.billed)),
    }


def _bill(nano_by_currency: Mapping[str, int]) -> list[str]:
    """``0.022350 USD`` for each currency."""
    return [amount_with_currency(Money(nano, currency)) for currency, nano in nano_by_currency.items()]


def _entry(entry: LedgerEntry) -> dict[str, str]:
    return {
        "start": _when(entry.start),
        "bucket": _BUCKETS[entry.bucket],
        "stage": entry.stage,
        "engine": entry.engine,
        "language": entry.language,
        "time": f"{entry.unit_ms / 1000:,.3f} s" if entry.unit_ms else "",
        "amount": f"{Money(entry.nano, entry.currency)}",
        "price": entry.price_row,
        "quality": entry.quality.value + (", fake" if entry.fake else ""),
    }


def _provenance(report: JobReport) -> list[tuple[str, str]]:
    rows = sorted({entry.price_row for entry in report.entries if entry.price_row})
    rows += sorted({row for one in report.counterfactuals for row in one.price_rows} - set(rows))
    qualities = sorted({entry.quality.value for entry in report.entries})
    return [
        ("standing", FINALITY[report.standing]),
        ("job", report.job_id),
        ("amounts are", ", ".join(qualities) or "none"),
        ("people", report.people.basis),
        ("price book", report.book),
        ("price rows", ", ".join(rows) or "none"),
        ("the same figures for programs", f"segue ledger {report.job_id} --json"),
        ("made by", f"Segue {VERSION}"),
    ]


def _when(at: int) -> str:
    """``2026-11-21 23:16:42`` UTC."""
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%d %H:%M:%S")
