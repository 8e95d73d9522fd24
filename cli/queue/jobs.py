"""``segue jobs``: what was submitted and how it stands."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import HomeFlag, JsonFlag, open_runtime, print_json
from cli.queue.queue_options import LabelsFlag, parse_labels, remark_on_coordinator

if TYPE_CHECKING:
    from rich.console import Console

    from jobs.queue_view import QueueView

_PIPE_WIDTH = 240
_STYLES = {
    "done": "green",
    "partial": "yellow",
    "failed": "bold red",
    "running": "cyan",
    "cancelled": "dim",
    "budget-stopped": "yellow",
}


class StateName(StrEnum):
    """States that a submitted job can have."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    BUDGET_STOPPED = "budget-stopped"


def jobs_command(
    state: Annotated[StateName | None, typer.Option("--state", help="Only jobs in this state.")] = None,
    owner: Annotated[str, typer.Option("--owner", help="Only this owner's jobs.")] = "",
    label: LabelsFlag = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0 for all.")] = 50,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """List submitted jobs, the newest first. Reads only the store: needs no broker.

    Examples: [bold]segue jobs --state running[/bold] - [bold]segue jobs --label show=sands --limit 0 --json[/bold]
    """
    from jobs.queue_listing import job_views, matches

    labels = parse_labels(label)
    store = open_runtime({"home": home}).store
    fitting = [view for view in job_views(store) if matches(view, state.value if state else "", owner, labels)]
    shown = fitting[:limit] if limit else fitting
    if json:
        print_json({"jobs": [view.as_json() for view in shown], "total": len(fitting)})
        return
    from rich.console import Console

    # Whoever reads a pipe wants whole lines.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    if not fitting:
        asked = state or owner or labels
        print("no submitted job fits" if asked else "no job was submitted yet; start with: segue submit MEDIA --to es")
        return
    _print_table(console, shown)
    if not all(view.ended for view in shown):
        remark_on_coordinator(store)
    if len(shown) < len(fitting):
        console.print(f"{len(fitting) - len(shown)} more; --limit 0 shows all", style="dim")


def _print_table(console: Console, views: list[QueueView]) -> None:
    from rich.table import Table
    from rich.text import Text

    from cli.wording import printable, told_apart

    rows = []
    shown = told_apart(path for view in views for path in view.media)
    for view in views:
        names = [shown[path] for path in view.media]
        media = f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names)
        labels = " ".join(f"{name}={text}" for name, text in sorted(view.labels.items()))
        state = Text(str(view.state), style=_STYLES.get(str(view.state), ""))
        progress = "" if view.progress is None else f"{view.progress} %"
        said = [view.waiting_for or view.reason, f"webhook: {view.untold}" if view.untold else ""]
        cells = (str(view.priority), progress, view.owner, labels, media, "; ".join(part for part in said if part))
        rows.append((Text(view.job_id[:12]), state, *(Text(printable(cell)) for cell in cells)))
    headings = ("id", "state", "priority", "progress", "owner", "labels", "media", "note")
    # A column in which nobody has anything to say only takes the others' room.
    used = [at for at, heading in enumerate(headings) if heading == "media" or any(row[at].plain for row in rows)]
    table = Table(box=None, pad_edge=False)
    for at in used:
        table.add_column(headings[at], no_wrap=at < 4, overflow="fold")
    for row in rows:
        table.add_row(*(row[at] for at in used))
    console.print(table)
