"""``segue status``: all jobs, or one with what a person should look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.context import HomeFlag, JsonFlag, OptionalJobArgument, open_runtime, open_whole_store, print_json
from cli.queue.queue_options import remark_on_coordinator
from core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from cache.store import Store
    from jobs.status import JobStatus
    from pipeline.outputs.assemble import Assembly
    from pipeline.report import LeftBehind

#: Cues to review that are shown; the JSON document has them all.
SHOW_AT_MOST = 30


def status_command(
    job: OptionalJobArgument = "",
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Show all jobs, or one job with its units, outputs and the cues to review. Reads only the store: needs no broker.

    The newest stands last, at the prompt. Files that no job could be made of are listed until they succeed or are
    purged ('segue cache purge FILE').
    """
    from rich.console import Console

    from jobs.status import assembly_of, status_of
    from jobs.submissions import find_submitted
    from pipeline.jobs import JobFolder
    from pipeline.outputs.left_behind import left_by_job
    from pipeline.report import JobState

    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not job:
        with open_whole_store({"home": home}) as store:
            standings = _all_standings(store)
        if json:
            print_json({"jobs": [standing.as_json() for standing in standings]})
        else:
            _print_jobs(console, standings)
        return
    store = open_runtime({"home": home}).store
    folder = JobFolder(store, find_submitted(store, job))
    standing = status_of(folder)
    if standing is None:
        raise UsageError(f"job {folder.job_id[:12]} has no plan that can be read", "run the same command again")
    # What is only not done yet is nothing to review.
    under_way = standing.state in (JobState.QUEUED, JobState.RUNNING, JobState.INTERRUPTED, JobState.CANCELLED)
    assembly = assembly_of(folder) if standing.readable and not under_way else None
    left = left_by_job(folder) if standing.readable else ()
    if json:
        gaps = [gap.as_json() for gap in assembly.gaps] if assembly else []
        print_json(standing.as_json() | {"gaps": gaps, "left_behind": [each.as_json() for each in left]})
        return
    _print_standing(console, standing, left)
    if standing.queue is not None and not standing.queue.ended:
        remark_on_coordinator(store)
    if assembly is not None:
        _print_review(console, assembly)


def _all_standings(store: Store) -> list[JobStatus]:
    from jobs.status import status_of
    from jobs.submissions import orders_by_job
    from pipeline.jobs import JobFolder, list_jobs

    pending = orders_by_job(store)
    ids = sorted({folder.job_id for folder in list_jobs(store)} | pending.keys())
    found = (status_of(JobFolder(store, job_id), pending.get(job_id, ())) for job_id in ids)
    standings = sorted((one for one in found if one is not None), key=lambda one: (one.at, one.job_id))
    newest = {path: standing.at for standing in standings for path in standing.media}
    # A file that was refused is no news any more once something has become of it.
    return [one for one in standings if not one.refused or any(newest[path] == one.at for path in one.media)]


def _print_jobs(console: Console, standings: list[JobStatus]) -> None:
    from cli.wording import clock, local_time, printable, told_apart
    from pipeline.report import JobState

    if not standings:
        console.print("no jobs yet; start with: segue run MEDIA --to es")
    shown = told_apart(path for standing in standings for path in standing.media)
    for standing in standings:
        names = ", ".join(shown[path] for path in standing.media) or "(never finished a run)"
        languages = f"{standing.language or '?'} -> {','.join(standing.targets) or '-'}"
        parts = [standing.job_id[:12], local_time(standing.at)[:16], f"{standing.state:<11}"]
        parts += [f"{clock(standing.duration_ms) if standing.duration_ms else '-':>8}", f"{languages:<16}", names]
        why = f": {printable(standing.reason)}" if standing.state is JobState.FAILED and standing.reason else ""
        console.print("  ".join(parts) + why)


def _print_standing(console: Console, standing: JobStatus, left: Sequence[LeftBehind]) -> None:
    from cli.summary import left_behind_lines
    from cli.wording import clock, local_time, one_line, percent, printable

    console.print(f"job {standing.job_id}  {standing.state}  owner {standing.owner}  {local_time(standing.at)}")
    for path in standing.media:
        console.print(f"media    {one_line(path)}")
    skipped = standing.duration_ms - standing.speech_ms
    if standing.duration_ms:
        console.print(
            f"speech   {clock(standing.speech_ms)} of {clock(standing.duration_ms)}, "
            f"{percent(skipped, standing.duration_ms)} silence skipped"
        )
    if standing.refused:
        console.print(f"reason   {printable(standing.reason)}")
        console.print(
            "         no job could be made of it; correct it and run the same command again, or forget it with"
        )
        console.print(f"         segue cache purge {standing.job_id[:12]}")
        return
    console.print(f"language {standing.language or 'not decided yet'} -> {', '.join(standing.targets) or 'none'}")
    console.print(f"engines  {standing.engines}")
    for stage, (total, done, _, failed) in standing.units.items():
        console.print(f"{stage:<11}{done} of {total} done{f', {failed} failed' if failed else ''}")
    for path in standing.outputs:
        console.print(f"output   {one_line(path)}")
    for line in left_behind_lines(left):
        console.print(f"         {printable(line)}")
    if standing.run is not None:
        console.print(f"run      {printable(standing.run.describe(datetime.now(UTC)))}")
        if not standing.run.alive:
            console.print("         the same 'segue run' again continues from what is finished")
    if standing.reason:
        console.print(f"reason   {printable(standing.reason)}")
    queue = standing.queue
    if queue is not None:
        labels = "".join(f"  {name}={text}" for name, text in sorted(queue.labels.items()))
        console.print(f"queue    priority {queue.priority}{printable(labels)}")
        if queue.waiting_for and not queue.ended:
            console.print(f"waits    {printable(queue.waiting_for)}")
        if queue.notified:
            console.print(f"webhook  {printable(queue.notified)}")


def _print_review(console: Console, assembly: Assembly) -> None:
    from cli.plan import stamp
    from cli.wording import printable

    lines = [
        f"{assembly.language:<8} {cue.id:>4}  {stamp(cue.start_ms)}  {', '.join(flags)}: {cue.text}"
        for cue, flags in zip(assembly.cues, assembly.flags, strict=True)
        if flags
    ]
    for target, translations in assembly.translations.items():
        lines.extend(
            f"{target:<8} {cue.id:>4}  {stamp(cue.start_ms)}  {', '.join(line.flags)}: {line.text or cue.text}"
            for cue, line in zip(assembly.cues, translations, strict=True)
            if line.flags
        )
    for gap in assembly.gaps:
        doubt = "" if gap.missed_ms else " (perhaps nobody speaks)"
        lines.append(f"gap            {stamp(gap.span.start_ms)} - {stamp(gap.span.end_ms)}: {gap.reason}{doubt}")
    if lines:
        console.print(f"to review: {len(lines)}")
    for line in lines[:SHOW_AT_MOST]:
        console.print(f"  {printable(line)}")
    if len(lines) > SHOW_AT_MOST:
        console.print(f"  and {len(lines) - SHOW_AT_MOST} more, in the .json output under 'flags' and 'gaps'")
    if assembly.tally.missed_ms and not assembly.plan.settings.captions:
        console.print("listen to the gaps; a larger model may hear more (SEGUE_TRANSCRIBER_MODEL, and run it again)")
