"""What a purge takes, as people and programs are shown it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.wording import count, near, one_line, size, told_apart

if TYPE_CHECKING:
    from cache.removal import RemovedFile
    from cache.store import Store
    from jobs.purging import Purge

#: Jobs and folders of delivered files that are shown; the counts say the rest.
LIST_AT_MOST = 10
_NAMES = 3


def print_purge(store: Store, found: Purge, *, to_stderr: bool) -> None:
    """Jobs, files of the store, delivered files by folder, and what stays."""
    target = sys.stderr if to_stderr else sys.stdout
    for line in _lines(store, found):
        print(line, file=target, flush=True)


def _lines(store: Store, found: Purge) -> list[str]:
    facts = [f"{found.unfinished} unfinished"] if found.unfinished else []
    facts += [f"{found.waiting} that nobody has taken up from the queue"] if found.waiting else []
    lines = [count(found.jobs, "job") + (f" ({', '.join(facts)}):" if facts else ":")]
    lines += _jobs(store, found.jobs[:LIST_AT_MOST])
    lines += [f"  and {len(found.jobs) - LIST_AT_MOST} more"] if len(found.jobs) > LIST_AT_MOST else []
    removed = found.removal.files
    lines.append(f"records, audio and plans: {count(removed, 'file')}, {size(found.removal.bytes)}")
    if found.shared:
        lines.append(f"staying because other jobs use it: {count(range(found.shared), 'record')}")
    if found.outputs:
        word = "delivered files" if found.with_outputs else "delivered files, which stay without --outputs"
        lines.append(f"{word}: {len(found.outputs)}, {size(sum(file.bytes for file in found.outputs))}")
        lines += _folders(found.outputs)
    if found.edited:
        lines.append(f"staying because somebody has edited them: {count(found.edited, 'delivered file')}")
    return lines


def _jobs(store: Store, job_ids: Sequence[str]) -> list[str]:
    from jobs.status import status_of
    from pipeline.jobs import JobFolder

    standings = [(job_id[:12], status_of(JobFolder(store, job_id))) for job_id in job_ids]
    names = told_apart(path for _, standing in standings if standing for path in standing.media)
    return [
        f"  {job_id}  {standing.state:<11}  {', '.join(names[path] for path in standing.media)}"
        if standing
        else f"  {job_id}"
        for job_id, standing in standings
    ]


def _folders(files: Sequence[RemovedFile]) -> list[str]:
    """``subs/: 14 files (talk.es.srt, talk.es.vtt, talk.json, ...)``."""
    folders: dict[Path, list[str]] = {}
    for file in files:
        path = Path(file.place)
        folders.setdefault(path.parent, []).append(path.name)
    lines = []
    for folder, names in list(folders.items())[:LIST_AT_MOST]:
        shown = ", ".join(one_line(name) for name in names[:_NAMES])
        more = ", ..." if len(names) > _NAMES else ""
        lines.append(f"  {one_line(near(folder))}/: {count(names, 'file')} ({shown}{more})")
    if len(folders) > LIST_AT_MOST:
        lines.append(f"  and {len(folders) - LIST_AT_MOST} more folders")
    return lines


def purge_json(found: Purge, *, dry_run: bool) -> dict[str, Any]:
    """The object that `segue cache purge --json` prints."""
    return {
        "dry_run": dry_run,
        "jobs": list(found.jobs),
        "unfinished": found.unfinished,
        "waiting": found.waiting,
        "files": len(found.files),
        "bytes": sum(file.bytes for file in found.files),
        "removed": [{"place": f.place, "bytes": f.bytes, "reason": f.reason.value} for f in found.files],
        "outputs": [file.place for file in found.outputs],
        "with_outputs": found.with_outputs,
        "edited": [str(path) for path in found.edited],
        "shared": found.shared,
        "refused": found.refused,
        "stuck": list(found.stuck),
    }
