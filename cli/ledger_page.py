"""A job's ledger as one page: opens without a network, in light, dark and print; no script, nothing fetched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from accounting.report import JobReport, JobVerdict, Standing
from cli.ledger_page_apis import api_section, break_even_section
from cli.ledger_page_charts import amount_with_currency, legend, shown, timeline_svg
from cli.ledger_page_style import STYLE
from cli.ledger_screen import missing_times
from cli.ledger_tables import aligned, amount_text
from cli.wording import clock, percent
from core.money import Money
from core.version import VERSION
from ledger.entries import Bucket, Entry

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
_STANDINGS = {
    Standing.PROVISIONAL: "provisional: its months are open, facts may still come",
    Standing.CLOSED: "closed: its months are closed",
    Standing.RECONCILED: "reconciled with the provider's bill",
}
_UNPRICED = '<td class="n unpriced">unpriced</td>'
#: Columns in the order of the work; what no stage caused comes last.
_STAGES = ("detect", "transcribe", "translate")


def render_page(report: JobReport) -> str:
    """The page, as HTML in UTF-8 with everything in it. Pure: the same report is the same page."""
    title = ", ".join(report.media) or f"job {report.job_id[:12]}"
    sections = [
        _header(report, title),
        _notices(report),
        _verdict(report),
        _figures(report),
        _timeline(report),
        _paid(report),
        _avoided(report),
        api_section(report),
        break_even_section(report),
        _machines(report),
        _entries(report),
        _provenance(report),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown(f'Ledger: {title}')}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


# -- head ----------------------------------------------------------------------------------------------------


def _header(report: JobReport, title: str) -> str:
    labels = [f"{name}={value}" for name, value in sorted(report.labels.items())]
    facts = [f"job {report.job_id}", report.state, report.owner, *labels, report.engines]
    badges = f'<span class="badge">{shown(report.standing.value)}</span>'
    badges += '<span class="badge">fake engines</span>' if report.fake else ""
    return (
        f'<header><div class="eyebrow">Segue ledger {badges}</div><h1>{shown(title)}</h1>'
        f'<div class="facts">{" &middot; ".join(shown(fact) for fact in facts if fact)}</div></header>'
    )


def _notices(report: JobReport) -> str:
    parts = []
    if report.unpriced_lines:
        lines = "".join(f"<li>{shown(line)}</li>" for line in report.unpriced_lines)
        parts.append(f'<div class="note bad"><b>Unpriced: in no amount on this page</b><ul>{lines}</ul></div>')
    if report.errors:
        lines = "".join(f"<li>{shown(line)}</li>" for line in report.errors)
        parts.append(f'<div class="note bad"><b>The facts have flaws</b><ul>{lines}</ul></div>')
    if report.fake:
        parts.append(
            '<div class="note warn">Fake engines did some of this work. It costs nothing like real work, and enters no '
            "verdict.</div>"
        )
    return "\n".join(parts)


def _verdict(report: JobReport) -> str:
    main = _verdict_lines(report.verdict, "with silence skipped on both sides")
    whole = report.verdict_whole_file
    also = ""
    if whole.line != report.verdict.line:
        also = (
            f'<p class="also"><span class="soft">Against the whole file, sent as it is:</span> {shown(whole.line)}</p>'
        )
    return f'<section class="verdict"><h2>Verdict</h2>{main}{also}</section>'


def _verdict_lines(verdict: JobVerdict, basis: str) -> str:
    job = verdict.job
    against = ", ".join(f"{stage}: {one.provider} {one.model}" for stage, one in verdict.against.items())
    parts = []
    if job is not None and job.undecided_because:
        reasons = "".join(f"<li>{shown(reason)}</li>" for reason in job.undecided_because)
        parts.append(f'<p class="word">Undecided</p><ul>{reasons}</ul>')
    else:
        line = verdict.line
        parts.append(f'<p class="word">{shown(line[:1].upper() + line[1:])}</p>')
    if against:
        parts.append(f'<p class="soft">Compared {shown(basis)}: {shown(against)}.</p>')
    if verdict.found is not None and len(verdict.found.by_stage) > 1:
        lines = "".join(f"<li>{shown(stage)}: {shown(one.line)}</li>" for stage, one in verdict.found.by_stage.items())
        parts.append(f"<h3>By stage</h3><ul>{lines}</ul>")
    if job is not None and job.rests_on:
        lines = "".join(f"<li>{shown(line)}</li>" for line in job.rests_on)
        parts.append(f'<h3>Rests on</h3><ul class="soft small">{lines}</ul>')
    return "".join(parts)


def _figures(report: JobReport) -> str:
    skipped = report.duration_ms - report.speech_ms
    people = "unset" if report.people.amount is None else "included"
    found = report.resumability
    paid = amount_with_currency(report.spent.total) if report.spent.by_bucket or not report.unpriced else "unpriced"
    lacking = ", and unpriced usage" if report.unpriced and report.spent.by_bucket else ""
    deaths = f"{'death' if found.deaths == 1 else 'deaths'} of machines or workers"
    figures = [
        (paid, f"paid{lacking}, people {people}"),
        (clock(report.duration_ms), "of media"),
        (clock(report.speech_ms), f"of speech; {percent(skipped, report.duration_ms)} is silence"),
        (
            str(found.deaths),
            f"{deaths}; {found.saved_ms / 1000:,.1f} s of work kept by checkpoints" if found.deaths else deaths,
        ),
    ]
    cells = "".join(
        f'<div class="figure"><b>{shown(value)}</b><span>{shown(what)}</span></div>' for value, what in figures
    )
    return f'<div class="figures">{cells}</div>'


# -- what it was and what it cost ----------------------------------------------------------------------------


def _timeline(report: JobReport) -> str:
    drawn = timeline_svg(report.timeline)
    if not drawn:
        return ""
    body = f'<div class="scroll">{drawn}</div>{legend(report.timeline)}'
    return f"<section><h2>What became of the media</h2>{body}</section>"


def _paid(report: JobReport) -> str:
    spent, missing = report.spent, missing_times(report)
    stages = sorted(
        {*spent.by_stage, *(stage for _, stage in missing)},
        key=lambda stage: (not stage, stage not in _STAGES, stage),
    )
    text = aligned([*(each for parts in spent.by_bucket_and_stage.values() for each in parts.values()), spent.total])
    head = "".join(f'<th class="n">{shown(stage or "no stage")}</th>' for stage in stages)
    rows = []
    for bucket in Bucket:
        unpriced = {stage: ms for (where, stage), ms in missing.items() if where == bucket.value}
        if bucket.value not in spent.by_bucket and not unpriced:
            continue
        parts = spent.by_bucket_and_stage.get(bucket.value, {})
        cells = "".join(_paid_cell(text(parts.get(stage)), stage in parts, stage in unpriced) for stage in stages)
        cells += _paid_cell(text(spent.by_bucket.get(bucket.value)), bool(parts), bool(unpriced))
        ms = spent.ms_by_bucket.get(bucket.value, 0) + sum(unpriced.values())
        time = f"{ms / 1000:,.1f} s" if ms else ""
        rows.append(f'<tr><td>{shown(_BUCKETS[bucket])}</td>{cells}<td class="n">{time}</td></tr>')
    sums = "".join(
        _paid_cell(text(spent.by_stage.get(stage)), stage in spent.by_stage, any(name == stage for _, name in missing))
        for stage in stages
    )
    sums += _paid_cell(text(spent.total), bool(spent.by_bucket), bool(missing))
    rows.append(f'<tr class="sum"><td>paid</td>{sums}<td></td></tr>')
    if report.unpriced:
        rows.append(
            f'<tr><td class="unpriced">unpriced</td><td colspan="{len(stages) + 2}" class="unpriced">'
            "there is usage without a price, listed above: it is in no sum here</td></tr>"
        )
    more = [f"and {money} in other currencies, in no sum" for money in spent.elsewhere]
    more += [
        f"idle and boot of its machines that no job caused, not in it: {amount_text(Money(nano, currency))} {currency}"
        for currency, nano in report.fleet_idle.items()
    ]
    notes = "".join(f'<p class="soft small">{shown(line)}</p>' for line in more)
    return (
        f'<section><h2>Paid, in {shown(report.currency)}</h2><div class="scroll"><table><thead><tr><th></th>{head}'
        f'<th class="n">together</th><th class="n">node time</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{notes}</section>"
    )


def _paid_cell(text: str, known: bool, missing: bool) -> str:
    """An amount; ``unpriced`` where no price is known, a mark where some of it has none."""
    if not missing:
        return f'<td class="n">{shown(text)}</td>'
    return f'<td class="n">{shown(text)} <span class="unpriced">+ ?</span></td>' if known else _UNPRICED


def _avoided(report: JobReport) -> str:
    if not report.avoided:
        return ""
    rows = []
    for one in report.avoided:
        what = f"{one.units:,} units" if one.units else clock(one.media_ms)
        time = "not measured" if one.engine_ms is None else f"{one.engine_ms / 1000:,.1f} s"
        worth = (
            '<td class="n unpriced">unpriced</td>' if one.amount is None else _number(amount_with_currency(one.amount))
        )
        quality = "measured" if one.measured else "estimated"
        rows.append(
            f"<tr><td>{shown(_AVOIDED.get(one.kind, one.kind))}</td>{_number(what)}{_number(time)}{worth}"
            f'<td>{quality}</td><td class="soft small">{shown(one.basis)}</td></tr>'
        )
    return (
        "<section><h2>Avoided, not subtracted from what was paid</h2>"
        '<div class="scroll"><table><thead><tr><th></th><th class="n">of it</th><th class="n">engine time</th>'
        '<th class="n">worth</th><th></th><th></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


# -- what it rests on ----------------------------------------------------------------------------------------


def _machines(report: JobReport) -> str:
    if not report.nodes:
        return ""
    rows = []
    for node in report.nodes:
        bill = ", ".join(f"{amount_text(Money(nano, currency))} {currency}" for currency, nano in node.billed.items())
        billed = _number(bill) if bill else '<td class="n unpriced">unpriced</td>'
        kind = "run" if node.embedded else "worker"
        until = f"{_when(node.end)}{' (estimated)' if node.estimated_end else ''}"
        machine = node.description if node.hardware in node.description else f"{node.description}, {node.hardware}"
        rows.append(
            f'<tr><td class="mono">{shown(node.session)}</td><td>{shown(machine)}</td><td>{kind}</td>'
            f'<td class="w">{shown(_when(node.start))}<br>{shown(until)}</td>'
            f"<td>{shown(node.price)}</td>{billed}</tr>"
        )
    head = "".join(f"<th>{name}</th>" for name in ("session", "machine", "", "from, until (UTC)", "price"))
    return (
        f'<section><h2>Machines</h2><div class="scroll"><table><thead><tr>{head}'
        '<th class="n">whole bill</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _entries(report: JobReport) -> str:
    listed = report.entries[:_MOST_ENTRIES]
    head = "".join(f"<th>{name}</th>" for name in ("from (UTC)", "bucket", "stage", "engine", "language"))
    more = len(report.entries) - len(listed)
    tail = f'<p class="soft small">{more:,} more: segue ledger {shown(report.job_id)} --csv</p>' if more else ""
    return (
        f"<section><details><summary>Entries ({len(report.entries):,})</summary>"
        f'<div class="scroll"><table><thead><tr>{head}<th class="n">node time</th><th class="n">amount</th>'
        f"<th>price</th><th>quality</th></tr></thead><tbody>{''.join(map(_entry, listed))}</tbody></table></div>{tail}"
        "</details></section>"
    )


def _entry(entry: Entry) -> str:
    time = f"{entry.unit_ms / 1000:,.3f} s" if entry.unit_ms else ""
    cells = (_BUCKETS[entry.bucket], entry.stage, entry.engine, entry.language)
    quality = entry.quality.value + (", fake" if entry.fake else "")
    return (
        f'<tr><td class="w">{shown(_when(entry.start))}</td>'
        + "".join(f"<td>{shown(cell)}</td>" for cell in cells)
        + f"{_number(time)}{_number(f'{Money(entry.nano, entry.currency)}')}"
        + f"<td>{shown(entry.price_row)}</td><td>{shown(quality)}</td></tr>"
    )


def _provenance(report: JobReport) -> str:
    rows = sorted({entry.price_row for entry in report.entries if entry.price_row})
    rows += sorted({row for one in report.counterfactuals for row in one.price_rows} - set(rows))
    qualities = sorted({entry.quality.value for entry in report.entries})
    facts = [
        ("standing", _STANDINGS[report.standing]),
        ("job", report.job_id),
        ("amounts are", ", ".join(qualities) or "none"),
        ("people", report.people.basis),
        ("price book", report.book),
        ("price rows", ", ".join(rows) or "none"),
        ("the same figures for programs", f"segue ledger {report.job_id} --json"),
        ("made by", f"Segue {VERSION}"),
    ]
    lines = "".join(f"<dt>{shown(name)}</dt><dd>{shown(value)}</dd>" for name, value in facts if value)
    return f"<section><h2>Where it is from</h2><dl>{lines}</dl></section>"


def _number(text: str) -> str:
    return f'<td class="n">{shown(text)}</td>'


def _when(at: int) -> str:
    """``2026-11-21 23:16:42`` UTC."""
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%d %H:%M:%S")
