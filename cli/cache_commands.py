"""``segue cache``: looking after the checkpoint store."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import (
    DryRunFlag,
    HomeFlag,
    JsonFlag,
    OptionalJobArgument,
    note,
    open_runtime,
    open_whole_store,
    print_json,
)
from cli.exits import Exit
from cli.purge_screen import print_purge, purge_json
from cli.wording import count, size
from core.errors import UsageError, summed_up

if TYPE_CHECKING:
    from cache.removal import Removal
    from cache.survey import FileCount
    from jobs.blob_counts import BlobCounts
    from jobs.purging import Purge

app = typer.Typer(no_args_is_help=True, help="Look after the checkpoint store under SEGUE_HOME.")
#: Files that are listed by name; the count says the rest.
LIST_AT_MOST = 40


@app.command("stats")
def stats_command(home: HomeFlag = None, json: JsonFlag = False) -> None:
    """Show how many records, how much audio and how large models there are, and how much room."""
    from accounting.kept.kept_sums import count_kept_sums
    from jobs.blob_counts import count_blobs
    from jobs.model_counts import count_models

    runtime = open_runtime({"home": home}, in_place=True)
    store = runtime.store
    stats, sums, blobs, models = (
        store.stats(),
        count_kept_sums(store),
        count_blobs(store),
        count_models(runtime.resources.models_dir),
    )
    groups = {f"records: {kind}": tally for kind, tally in stats.records.items()}
    groups |= {f"blobs: {name}": tally for name, tally in blobs.by_name().items()}
    groups |= {
        "documents": stats.documents,
        "of these: ledger sums": sums,
        "quarantine": stats.quarantine,
        "unfinished": stats.unfinished,
    }
    groups |= {f"models: {name}": tally for name, tally in models.items()}
    if json:
        print_json(
            {
                "records": {kind: _json(tally) for kind, tally in stats.records.items()},
                "blobs": {
                    "views": {name: _json(tally) for name, tally in blobs.views.items()},
                    "results": _json(blobs.results),
                    "scratch": _json(blobs.scratch),
                    "unreferenced": _json(blobs.unreferenced),
                },
                "documents": _json(stats.documents),
                "ledger_sums": _json(sums),
                "quarantine": _json(stats.quarantine),
                "unfinished": _json(stats.unfinished),
                "models": {name: _json(tally) for name, tally in models.items()},
                "free_bytes": stats.free_bytes,
            }
        )
        return
    width = max(24, *(len(name) + 2 for name in groups))
    for name, tally in groups.items():
        print(f"{name:<{width}}{tally.files:>8} files  {size(tally.bytes):>10}")
    print(f"free on the disk: {size(stats.free_bytes)}")
    _note_unread(blobs)


def _json(tally: FileCount) -> dict[str, int]:
    return {"files": tally.files, "bytes": tally.bytes}


def _note_unread(blobs: BlobCounts) -> None:
    for line in summed_up(blobs.unread):
        note(f"its blobs count as unreferenced: {line}")


@app.command("verify")
def verify_command(home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Read every byte. What is damaged goes to quarantine and is computed again by the next run."""
    from jobs.blob_counts import count_blobs

    with open_whole_store({"home": home}) as store:
        report = store.verify()
        blobs = count_blobs(store)
    sound = report.damaged == 0
    if json:
        print_json(
            {
                "ok": sound,
                "records": {"ok": report.records_ok, "damaged": report.records_damaged},
                "blobs": {
                    "ok": report.blobs_ok,
                    "damaged": report.blobs_damaged,
                    "unreferenced": _json(blobs.unreferenced),
                },
                "documents": {"ok": report.documents_ok, "damaged": report.documents_damaged},
                "journal_lines_damaged": report.journal_lines_damaged,
                "restored": report.restored,
                "quarantined": report.quarantined,
                "stuck": report.stuck,
            }
        )
    else:
        print(f"records   {report.records_ok} sound, {report.records_damaged} damaged")
        print(f"blobs     {report.blobs_ok} sound, {report.blobs_damaged} damaged")
        if blobs.unreferenced.files:
            lost = f"{count(range(blobs.unreferenced.files), 'blob')}, {size(blobs.unreferenced.bytes)}"
            print(f"          {lost}, that no job refers to: 'segue cache gc' removes them once they are old")
            _note_unread(blobs)
        print(f"documents {report.documents_ok} sound, {report.documents_damaged} damaged")
        if report.journal_lines_damaged:
            print(f"journals  {report.journal_lines_damaged} torn lines, which are skipped")
        if report.restored:
            print(f"restored  {report.restored} sound files from quarantine")
        if report.stuck:
            what = f"{report.stuck} damaged files could not be moved to quarantine"
            print(f"{what}: verify again where the store can be written")
        elif not sound:
            print("what was damaged is in quarantine; the next run computes it again")
        else:
            print("all is sound")
    return Exit.DONE if sound else Exit.INCOMPLETE


@app.command("gc")
def gc_command(
    dry_run: DryRunFlag = False,
    views: Annotated[
        bool,
        typer.Option("--views", help="Also the views of finished jobs (decoded audio); they are made again if needed."),
    ] = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Remove what no job refers to any more, and leftovers of killed processes. Young files are left alone."""
    from jobs.retention import collect

    with open_whole_store({"home": home}) as store:
        done = collect(store, dry_run=dry_run, views=views)
    spared = sum(file.bytes for file in done.spared)
    more: dict[str, Any] = {"unfinished_jobs": done.unfinished, "spared": {"files": len(done.spared), "bytes": spared}}
    more["stuck"] = list(done.removal.stuck)
    _report(done.removal, as_json=json, more=more)
    if done.spared and not json:
        why = f"{done.unfinished} unfinished jobs may still need them ('segue status' lists them)"
        print(f"{len(done.spared)} more, {size(spared)}, stay: {why}")
    _note_stuck(done.removal.stuck)
    return Exit.INCOMPLETE if done.removal.stuck else Exit.DONE


@app.command("purge")
def purge_command(
    job: OptionalJobArgument = "",
    owner: Annotated[
        str, typer.Option("--owner", help="All jobs of this owner; unless SEGUE_OWNER is set, that is the user's name.")
    ] = "",
    outputs: Annotated[
        bool, typer.Option("--outputs", help="Also the delivered files, except those that somebody has edited.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    dry_run: DryRunFlag = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Remove a job, or all jobs of an owner, with every byte derived for them: records, audio, plans. Asks first.

    Delivered files stay, and so may be renewed later, unless --outputs is given. What another job refers to stays, and
    so do the media themselves. Costs stay in the ledger under the job's id, without names.

    Examples: [bold]segue cache purge talk.mp4[/bold] - [bold]segue cache purge --owner ann --outputs --yes[/bold]
    """
    from jobs.purging import find_purge, jobs_of_owner, purge
    from jobs.submissions import find_submitted

    if bool(job) == bool(owner):
        raise UsageError("say what to purge: either a JOB or --owner", "'segue status' lists the jobs")
    store = open_runtime({"home": home}).store
    jobs = (find_submitted(store, job),) if job else jobs_of_owner(store, owner)
    found = find_purge(store, jobs, outputs=outputs)
    if not (json and (dry_run or yes)):
        print_purge(store, found, to_stderr=json)
    if not dry_run:
        if found.refused:
            raise UsageError(found.refused, found.remedy)
        if not yes and not _agreed(found, asks=not json):
            return Exit.DONE
        found = purge(store, jobs, outputs=outputs)
    if json:
        print_json(purge_json(found, dry_run=dry_run))
    elif not dry_run:
        print(f"{count(found.files, 'file')}, {size(sum(file.bytes for file in found.files))} removed")
    _note_stuck(found.stuck)
    return Exit.INCOMPLETE if found.stuck else Exit.DONE


def _note_stuck(stuck: Sequence[str]) -> None:
    for line in summed_up(stuck):
        note(f"not removed: {line}")


def _agreed(found: Purge, *, asks: bool) -> bool:
    """The person's answer. Raises UsageError where nobody can be asked."""
    if not asks or not (sys.stdin.isatty() and sys.stdout.isatty()):
        would = f"it would remove {count(found.jobs, 'job')} and {count(found.files, 'file')}"
        raise UsageError(f"nothing was removed: {would}, and there is nobody to ask", "add --yes to remove them")
    if typer.confirm("remove this?"):
        return True
    print("nothing was removed")
    return False


def _report(removal: Removal, *, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    total = sum(file.bytes for file in removal.files)
    if as_json:
        print_json(
            {
                "dry_run": removal.dry_run,
                "files": len(removal.files),
                "bytes": total,
                "removed": [{"place": f.place, "bytes": f.bytes, "reason": f.reason.value} for f in removal.files],
                **(more or {}),
            }
        )
        return
    for file in removal.files[:LIST_AT_MOST]:
        print(f"{file.reason.value:<14}{size(file.bytes):>10}  {file.place}")
    if len(removal.files) > LIST_AT_MOST:
        print(f"and {len(removal.files) - LIST_AT_MOST} more")
    would = "would be removed" if removal.dry_run else "removed"
    print(f"{len(removal.files)} files, {size(total)} {would}")
