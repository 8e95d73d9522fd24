"""``segue logs``: what happened to a job, from every machine that had to do with it."""

from __future__ import annotations

import json as json_module
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import HomeFlag, JobArgument, JsonFlag, note, open_runtime, print_json
from cli.exits import Exit

if TYPE_CHECKING:
    from cache.store import Store

_LOOK_EVERY_S = 1.0
_STYLES = {"error": "red", "warning": "yellow"}


def logs_command(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Show what happened to a job: orders, planning, batches, failures, deaths of engines, webhooks; oldest first.

    With --json, one document; with --follow as well, a line of JSON for each entry as it comes.
    """
    from jobs.history import read_job_log
    from jobs.submissions import find_submitted

    store = open_runtime({"home": home}).store
    job_id = find_submitted(store, job)
    if json and not follow:
        print_json({"id": job_id, "entries": read_job_log(store, job_id)})
        return Exit.DONE
    told: set[str] = set()
    try:
        while True:
            # Asked before the log is read: what is written before the end is then read after it.
            ended = not follow or _has_ended(store, job_id)
            for entry in read_job_log(store, job_id):
                text = json_module.dumps(entry)
                if text not in told:
                    told.add(text)
                    _print(entry, text if json else "")
            if ended:
                break
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    if not told:
        note("nothing was logged about this job; jobs of 'segue run' have no log")
    return Exit.DONE


def _has_ended(store: Store, job_id: str) -> bool:
    from jobs.queue_listing import job_view

    view = job_view(store, job_id)
    return view is None or view.ended


def _print(entry: dict[str, Any], as_json: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from cli.wording import local_time, printable

    if as_json:
        print(as_json, flush=True)
        return
    writer = f" [{entry['writer']}]" if entry["writer"] else ""
    line = f"{local_time(str(entry['at']))}  {entry['level']:<7}  {entry['event']:<10}  {entry['text']}{writer}"
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(printable(line), style=_STYLES.get(str(entry["level"]), "")))
    for each in str(entry.get("tail", "")).splitlines():
        console.print(Text(f"    | {printable(each)}", style="dim"))
