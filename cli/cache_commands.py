"""``segue cache``: looking after the checkpoint store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import DryRunFlag, HomeFlag, JsonFlag, open_runtime, print_json
from cli.exits import Exit

if TYPE_CHECKING:
    from cache.removal import Removal
    from cache.survey import Tally

app = typer.Typer(no_args_is_help=True, help="Look after the checkpoint store under SEGUE_HOME.")
#: Files that are listed by name; the count says the rest.
LIST_AT_MOST = 40


@app.command("stats")
def stats_command(home: HomeFlag = None, json: JsonFlag = False) -> None:
    """Show how many records, how much audio and how much room there is."""
    from cli.wording import size

    stats = open_runtime({"home": home}).store.stats()
    groups = {f"records: {kind}": tally for kind, tally in stats.records.items()}
    groups |= {f"blobs: {kind}": tally for kind, tally in stats.blobs.items()}
    groups |= {"documents": stats.documents, "quarantine": stats.quarantine, "unfinished": stats.unfinished}
    if json:
        print_json(
            {
                "records": {kind: _json(tally) for kind, tally in stats.records.items()},
                "blobs": {kind: _json(tally) for kind, tally in stats.blobs.items()},
                "documents": _json(stats.documents),
                "quarantine": _json(stats.quarantine),
                "unfinished": _json(stats.unfinished),
                "free_bytes": stats.free_bytes,
            }
        )
        return
    for name, tally in groups.items():
        print(f"{name:<24}{tally.files:>8} files  {size(tally.bytes):>10}")
    print(f"free on the disk: {size(stats.free_bytes)}")


def _json(tally: Tally) -> dict[str, int]:
    return {"files": tally.files, "bytes": tally.bytes}


@app.command("verify")
def verify_command(home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Read every byte. What is damaged goes to quarantine and is computed again by the next run."""
    report = open_runtime({"home": home}).store.verify()
    sound = report.damaged == 0
    if json:
        print_json(
            {
                "ok": sound,
                "records": {"ok": report.records_ok, "damaged": report.records_damaged},
                "blobs": {"ok": report.blobs_ok, "damaged": report.blobs_damaged},
                "documents": {"ok": report.documents_ok, "damaged": report.documents_damaged},
                "journal_lines_damaged": report.journal_lines_damaged,
                "restored": report.restored,
                "quarantined": report.quarantined,
            }
        )
    else:
        print(f"records   {report.records_ok} sound, {report.records_damaged} damaged")
        print(f"blobs     {report.blobs_ok} sound, {report.blobs_damaged} damaged")
        print(f"documents {report.documents_ok} sound, {report.documents_damaged} damaged")
        if report.journal_lines_damaged:
            print(f"journals  {report.journal_lines_damaged} torn lines, which are skipped")
        if report.restored:
            print(f"restored  {report.restored} sound files from quarantine")
        print("all is sound" if sound else "what was damaged is in quarantine; the next run computes it again")
    return Exit.DONE if sound else Exit.INCOMPLETE


@app.command("gc")
def gc_command(
    dry_run: DryRunFlag = False,
    audio: Annotated[
        bool, typer.Option("--audio", help="Also the decoded audio of finished jobs; it is decoded again if needed.")
    ] = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Remove what no job refers to any more, and leftovers of killed processes. Young files are left alone."""
    from cli.wording import size
    from pipeline.retention import collect

    done = collect(open_runtime({"home": home}).store, dry_run=dry_run, audio=audio)
    spared = sum(file.bytes for file in done.spared)
    more = {"unfinished_jobs": done.unfinished, "spared": {"files": len(done.spared), "bytes": spared}}
    _report(done.removal, as_json=json, more=more)
    if done.spared and not json:
        why = f"{done.unfinished} unfinished jobs may still want them ('segue status' lists them)"
        print(f"{len(done.spared)} more, {size(spared)}, stay: {why}")


@app.command("purge")
def purge_command(
    owner: Annotated[str, typer.Option("--owner", help="Whose jobs, records and audio are removed.")],
    keep_outputs: Annotated[bool, typer.Option("--keep-outputs", help="Leave delivered subtitles alone.")] = False,
    dry_run: DryRunFlag = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Remove every byte that comes from one owner's media: records, audio, plans, and outputs that nobody edited.

    What another owner's job refers to stays, and so do the media themselves.
    """
    from pipeline.retention import purge_owner

    store = open_runtime({"home": home}).store
    _report(purge_owner(store, owner, dry_run=dry_run, keep_outputs=keep_outputs), as_json=json)


def _report(removal: Removal, *, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    from cli.wording import size

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
