"""The one screen a run ends on."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from cli.wording import clock, count, near, one_line, percent, printable
from core.specs import has_fake
from pipeline.report import FileResult, JobState, LeftBehind, RunReport

if TYPE_CHECKING:
    from pipeline.budget import BudgetEnd

#: Files are listed one by one only up to this many; of more, only those of which there is something to say.
LIST_AT_MOST = 20
#: Earlier outputs of a file that are named.
LEFT_AT_MOST = 5
_LABELS = {
    JobState.DONE: ("ok", "green"),
    JobState.PARTIAL: ("partial", "yellow"),
    JobState.FAILED: ("FAILED", "bold red"),
    JobState.INTERRUPTED: ("interrupted", "yellow"),
    JobState.BUDGET_STOPPED: ("budget-stopped", "yellow"),
}


def print_summary(files: Sequence[FileResult], report: RunReport) -> None:
    """Each file with how it ended, what was skipped and found, and what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    quiet = len(files) > LIST_AT_MOST
    listed = [result for result in files if not quiet or result.state is not JobState.DONE or result.left_behind]
    for result in listed[:LIST_AT_MOST]:
        _print_file(console, result)
    if len(listed) > LIST_AT_MOST:
        console.print(Text(f"and {len(listed) - LIST_AT_MOST} more like these; --json has them all"))
    if quiet:
        counts = Counter(result.state for result in files)
        console.print(Text(", ".join(f"{counts[state]} {_LABELS[state][0]}" for state in _LABELS if counts[state])))
    _print_totals(console, files, report)
    if report.budget is not None:
        console.print(Text(printable(_budget_line(files, report.budget))))
    console.print(Text(f"next: {_next_command(files, report)}", style="bold"))


def _print_file(console: Console, result: FileResult) -> None:
    label, style = _LABELS[result.state]
    line = Text.assemble((f"{label:<8} ", style), one_line(near(result.media)))
    if result.state is JobState.INTERRUPTED and result.tally.units:
        done, total = (sum(count[at] for count in result.tally.units.values()) for at in (1, 0))
        line.append(f": {done} of {total} units finished so far")
    if result.reason:
        line.append(f": {printable(result.reason.removeprefix(f'{result.media}: '))}")
    console.print(line)
    for warning in result.warnings:
        console.print(Text(f"         note: {printable(warning)}"))
    if result.outputs:
        folder = result.outputs[0].parent
        names = "  ".join(one_line(path.name) for path in result.outputs)
        console.print(Text(f"         {one_line(near(folder))}/: {names}"))
    for left in left_behind_lines(result.left_behind):
        console.print(Text(f"         {printable(left)}"))


def left_behind_lines(found: Sequence[LeftBehind]) -> list[str]:
    """Earlier outputs that are out of date, and what renews or removes them."""
    by_why: dict[str, list[str]] = {}
    for left in found:
        by_why.setdefault(left.why, []).append(one_line(near(left.path)))
    lines = []
    for why, names in by_why.items():
        more = f" and {len(names) - LEFT_AT_MOST} more" if len(names) > LEFT_AT_MOST else ""
        lines.append(f"out of date ({why}): {', '.join(names[:LEFT_AT_MOST])}{more}")
    renewals = dict.fromkeys(left.renewal for left in found if left.renewal)
    if renewals:
        lines.append(f"  to renew: the same command with {' and '.join(renewals)} as well")
    if found:
        lines.append(f"  to remove: rm {' '.join(shlex.quote(str(near(left.path))) for left in found)}")
    return lines


def _print_totals(console: Console, files: Sequence[FileResult], report: RunReport) -> None:
    tallies = [result.tally for result in files]
    duration = sum(tally.duration_ms for tally in tallies)
    if duration:
        skipped = sum(tally.skipped_ms for tally in tallies)
        console.print(
            Text(
                f"media {clock(duration)}, silence skipped {clock(skipped)} ({percent(skipped, duration)}), "
                f"took {clock(report.elapsed_seconds * 1000)}"
            )
        )
    units = [count for tally in tallies for count in tally.units.values()]
    done, cached = sum(count[1] for count in units), sum(count[2] for count in units)
    if done:
        console.print(Text(f"units {done - cached} computed, {cached} from cache"))
    cues, review = sum(tally.cues for tally in tallies), sum(tally.review for tally in tallies)
    if cues:
        lint = sum(tally.lint for tally in tallies)
        dropped = sum(tally.dropped for tally in tallies)
        found = f"cues {cues}, to review {review}, subtitle rules broken {lint}"
        console.print(Text(f"{found}, texts over non-speech dropped {dropped}"))
    gaps, missed = sum(tally.gaps for tally in tallies), sum(tally.missed_ms for tally in tallies)
    if gaps:
        console.print(Text(f"stretches without a cue {gaps}, {missed / 1000:.0f} s of them surely speech"))
    engines = sorted({result.engines for result in files if result.engines})
    if engines:
        fake = " (fake engines: the text means nothing)" if any(map(has_fake, engines)) else ""
        console.print(Text(f"engines {'; '.join(engines)}{fake}"))


def _budget_line(files: Sequence[FileResult], budget: BudgetEnd) -> str:
    """What was spent of the budget and, where it stopped the run, what is left to do."""
    if not budget.stopped:
        return budget.describe()
    held = [result for result in files if result.state is JobState.BUDGET_STOPPED]
    units = [count for result in held for count in result.tally.units.values()]
    left, total = sum(count[0] - count[1] - count[3] for count in units), sum(count[0] for count in units)
    why = f"; {budget.trouble}" if budget.trouble else ""
    unplanned = sum(not result.tally.units for result in held)
    parts = [f"{left} of {total} units in {len(held) - unplanned} files"] if units else []
    parts += [f"{unplanned} files that were not begun"] if unplanned else []
    return f"{budget.describe()}{why}; left: {', '.join(parts)}"


def _next_command(files: Sequence[FileResult], report: RunReport) -> str:
    if report.interrupted:
        return "the same command again; it continues from the finished segments"
    if report.budget is not None and report.budget.stopped:
        return "the same command with a higher --budget, or without; it continues from the finished segments"
    lacking = [result for result in files if result.state in (JobState.PARTIAL, JobState.FAILED)]
    if lacking and all(_is_all_computed(result) for result in lacking):
        return f"segue status {(lacking[0].job_id or 'last')[:12]}   (what is missing, when and why)"
    if lacking:
        return "correct what failed and run the same command again; what is finished stays finished"
    reviewed = [result for result in files if result.tally.review]
    if reviewed:
        job = "last" if len(files) == 1 else (reviewed[0].job_id or "last")[:12]
        more = f"; {count(reviewed[1:], 'more file')} to review" if reviewed[1:] else ""
        return f"segue status {job}   (shows the cues to review{more})"
    return "segue export last --format ass,ttml"


def _is_all_computed(result: FileResult) -> bool:
    """True when nothing failed, so that running it again would compute nothing."""
    units = result.tally.units.values()
    return bool(units) and all(total == done for total, done, _cached, _failed in units)
