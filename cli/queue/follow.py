"""``segue watch`` and ``segue wait``: staying with jobs until they have ended. The jobs do not notice."""

from __future__ import annotations

import json as json_module
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import HomeFlag, JobArgument, JsonFlag, note, open_runtime, print_json
from cli.exits import Exit
from cli.queue.queue_options import JobsArgument, remark_on_coordinator
from cli.wording import clock, one_line, printable
from core.errors import StoreError

if TYPE_CHECKING:
    from rich.table import Table

    from cache.store import Store
    from jobs.queue_view import QueueView

#: Seconds between two looks at the disk.
_LOOK_EVERY_S = 0.5
_LEFT = "no longer watching; what was submitted goes on ('segue jobs' lists it)"
#: Seconds of waiting after which it is said again why: nobody waits in silence.
_REMIND_EVERY_S = 60.0
#: Jobs with a row of their own.
_ROWS = 12


def watch_command(job: JobArgument, home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Follow a job until it ends; Ctrl-C leaves, and the job goes on. Exit codes as for 'segue wait'.

    With --json, a line of JSON at each change.
    """
    from jobs.submissions import find_submitted

    store = open_runtime({"home": home}).store
    job_id = find_submitted(store, job)
    if not _look(store, job_id).ended:
        remark_on_coordinator(store)
    return watch_jobs(store, [job_id], as_json=json)


def wait_command(
    job: JobsArgument,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", min=0, help="Give up waiting after so long.")
    ] = None,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Wait until jobs have ended; the exit code says how.

    0: all are done. 3: one is partial, failed, cancelled or budget-stopped. 75: one had not ended in time.

    Example: [bold]segue wait $(segue submit season1/ --to es | cut -d' ' -f1) --timeout 3600 && publish[/bold]
    """
    from jobs.submissions import find_submitted

    store = open_runtime({"home": home}).store
    ids = list(dict.fromkeys(find_submitted(store, name) for name in job))
    deadline = None if timeout is None else time.monotonic() + timeout
    views: dict[str, QueueView] = {}
    remind = _Reminder(store)
    if not all(_look(store, job_id).ended for job_id in ids):
        remark_on_coordinator(store)
    for job_id in ids:
        # One after the other: together they take as long as the last of them.
        while not (view := _look(store, job_id)).ended:
            if deadline is not None and time.monotonic() >= deadline:
                break
            remind([view])
            time.sleep(_LOOK_EVERY_S if deadline is None else min(_LOOK_EVERY_S, max(deadline - time.monotonic(), 0)))
        views[job_id] = view
    if json:
        print_json({"jobs": [_ended_json(store, view) for view in views.values()]})
    else:
        for view in views.values():
            print(f"{view.job_id}  {view.state:<9}  {_names(view)}{_why(view)}")
    return _code(views.values())


def watch_jobs(store: Store, ids: Sequence[str], *, as_json: bool) -> int:
    """Shows jobs until the last has ended, or until Ctrl-C; returns the exit code."""
    views = {job_id: _look(store, job_id) for job_id in ids}
    try:
        if sys.stderr.isatty() and not as_json:
            _watch_live(store, views)
        else:
            _watch_plain(store, views, _print_json_line if as_json else _print_line)
    except KeyboardInterrupt:
        note(_LEFT)
        return Exit.INTERRUPTED
    if not as_json:
        for view in views.values():
            for outcome in _outputs(store, view):
                print(printable(outcome))
            for line in _left_behind(store, view):
                note(line)
    return _code(views.values())


def wait_for_all(store: Store, ids: Sequence[str]) -> tuple[dict[str, dict[str, Any]], Exit]:
    """Waits until all have ended, or until Ctrl-C: what `wait --json` prints of each, by id, and the exit code."""

    def ignore(_view: QueueView) -> None:
        """Only the end is of interest."""

    views = {job_id: _look(store, job_id) for job_id in ids}
    try:
        remind = _Reminder(store)
        while _step(store, views, ignore):
            remind(views.values())
    except KeyboardInterrupt:
        note(_LEFT)
    return {job_id: _ended_json(store, view) for job_id, view in views.items()}, _code(views.values())


class _Reminder:
    """Says now and then that somebody still waits, and for what; the first time after a while of waiting."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._said = time.monotonic()

    def __call__(self, views: Iterable[QueueView]) -> None:
        """To be called at each look; ``views`` are the jobs that are waited for."""
        if time.monotonic() - self._said < _REMIND_EVERY_S:
            return
        self._said = time.monotonic()
        if remark_on_coordinator(self._store):
            return
        waiting = [view for view in views if not view.ended]
        for view in waiting[:1]:
            more = f" and {len(waiting) - 1} more jobs" if len(waiting) > 1 else ""
            why = f": {printable(view.waiting_for)}" if view.waiting_for else ""
            note(f"still waiting for {_names(view)}{more}: {view.state}{why}")


def _look(store: Store, job_id: str) -> QueueView:
    """How a job stands. One of `segue run` counts as well once it has ended; raises UsageError before."""
    from jobs.queue_listing import job_view, require_submitted
    from jobs.queue_view import ENDED, Priority, QueueView
    from jobs.status import status_of
    from pipeline.jobs import JobFolder

    view = job_view(store, job_id)
    if view is not None:
        return view
    standing = status_of(JobFolder(store, job_id))
    if standing is None or standing.state not in ENDED:
        return require_submitted(store, job_id)
    return QueueView(
        job_id, standing.state, Priority.NORMAL, standing.owner, {}, standing.media, "", reason=standing.reason
    )


def _step(store: Store, views: dict[str, QueueView], changed: Callable[[QueueView], None]) -> bool:
    """Looks at what has not ended yet, and pauses; False when all have ended."""
    began = time.monotonic()
    for job_id, view in views.items():
        if view.ended:
            continue
        try:
            now = _look(store, job_id)
        except StoreError as error:
            note(f"cannot look: {error}")
            time.sleep(_LOOK_EVERY_S * 10)
            continue
        if now != view:
            views[job_id] = now
            changed(now)
    if all(view.ended for view in views.values()):
        return False
    # Thousands of jobs on a network disk: looking must not become the load.
    time.sleep(max(_LOOK_EVERY_S, 4 * (time.monotonic() - began)))
    return True


def _watch_plain(store: Store, views: dict[str, QueueView], say: Callable[[QueueView], None]) -> None:
    for view in views.values():
        say(view)
    remind = _Reminder(store)
    while _step(store, views, say):
        remind(views.values())


def _watch_live(store: Store, views: dict[str, QueueView]) -> None:
    from rich.console import Console
    from rich.live import Live

    def ignore(_view: QueueView) -> None:
        """The table is drawn again anyway."""

    table: Callable[[], Table] = lambda: _table(views)  # noqa: E731
    with Live(
        console=Console(stderr=True),
        get_renderable=table,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
    ):
        remind = _Reminder(store)
        while _step(store, views, ignore):
            remind(views.values())
    for view in views.values():
        _print_line(view)


def _table(views: dict[str, QueueView]) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    through = sum(view.ended for view in views.values())
    if len(views) > 1:
        table.add_row("jobs", ProgressBar(len(views), through, width=24), f"{through} of {len(views)}")
    for view in [each for each in views.values() if not each.ended][:_ROWS]:
        table.add_row(_names(view), str(view.state), printable(view.waiting_for))
        for stage, (total, done, cached, failed) in view.units.items():
            parts = [f"{done} of {total}"]
            parts += [f"{cached} from cache"] if cached else []
            parts += [f"{failed} failed"] if failed else []
            table.add_row(f"  {stage}", ProgressBar(max(total, 1), done + failed, width=24), ", ".join(parts))
    return table


def _print_line(view: QueueView) -> None:
    units = "; ".join(f"{stage} {done} of {total}" for stage, (total, done, _, _) in view.units.items())
    parts = [f"{view.job_id[:12]}  {view.state:<9}  {_names(view)}"]
    parts += [clock(view.duration_ms)] if view.duration_ms else []
    parts += [units] if units else []
    parts += [f"waits: {printable(view.waiting_for)}"] if view.waiting_for and not view.ended else []
    note("  ".join(parts) + (_why(view) if view.ended else ""))


def _print_json_line(view: QueueView) -> None:
    print(json_module.dumps(view.as_json()), flush=True)


def _names(view: QueueView) -> str:
    names = [one_line(path.name) for path in view.media]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names)


def _why(view: QueueView) -> str:
    return f": {printable(view.reason)}" if view.reason else ""


def _outputs(store: Store, view: QueueView) -> list[str]:
    from pipeline.jobs import JobFolder

    results = [result for _, result in JobFolder(store, view.job_id).results()]
    return [str(path) for result in results for path in result.outputs]


def _left_behind(store: Store, view: QueueView) -> list[str]:
    from cli.summary import left_behind_lines
    from pipeline.jobs import JobFolder
    from pipeline.outputs.left_behind import left_by_job

    return left_behind_lines(left_by_job(JobFolder(store, view.job_id))) if view.ended else []


def _ended_json(store: Store, view: QueueView) -> dict[str, Any]:
    outputs = _outputs(store, view) if view.ended else []
    media = str(view.media[0]) if view.media else ""
    return {"id": view.job_id, "media": media, "state": str(view.state), "outputs": outputs, "reason": view.reason}


def _code(views: Any) -> Exit:
    from pipeline.report import JobState

    found = list(views)
    if any(not view.ended for view in found):
        return Exit.INTERRUPTED
    return Exit.DONE if all(view.state is JobState.DONE for view in found) else Exit.INCOMPLETE
