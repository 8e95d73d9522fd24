"""``segue cancel``, ``retry`` and ``reprioritise``: orders about submitted jobs, on disk for the coordinator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import HomeFlag, JobArgument, JsonFlag, open_runtime, print_json
from cli.queue.queue_options import PriorityName, remark_on_coordinator
from cli.wording import one_line

if TYPE_CHECKING:
    from cache.store import Store
    from jobs.queue_view import QueueView
    from jobs.submissions import OrderKind, Priority


def cancel_command(job: JobArgument, home: HomeFlag = None, json: JsonFlag = False) -> None:
    """Take a job off the queue. What is finished of it stays; 'segue retry' or submitting it again goes on."""
    from jobs.submissions import OrderKind

    store, view = _find(job, home)
    if view.ended:
        _answer(view, f"is {view.state} already; there is nothing to cancel", ordered=False, as_json=json)
        return
    _give(store, view, OrderKind.CANCEL, None)
    _answer(view, "will be cancelled", ordered=True, as_json=json)
    remark_on_coordinator(store)


def retry_command(job: JobArgument, home: HomeFlag = None, json: JsonFlag = False) -> None:
    """Try again what failed in a job, or go on with a cancelled one. What is finished stays finished."""
    from jobs.submissions import OrderKind
    from pipeline.report import JobState

    store, view = _find(job, home)
    if view.state is JobState.DONE:
        _answer(view, "is done; there is nothing to try again", ordered=False, as_json=json)
        return
    _give(store, view, OrderKind.RETRY, None)
    _answer(view, "will be tried again", ordered=True, as_json=json)
    remark_on_coordinator(store)


def reprioritise_command(
    job: JobArgument,
    priority: Annotated[PriorityName, typer.Argument(metavar="PRIORITY", help="low, normal or rush.")],
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Change how soon a job's work is taken. What a worker has begun is not interrupted."""
    from jobs.submissions import OrderKind, Priority

    store, view = _find(job, home)
    wanted = Priority(priority.value)
    if view.ended or view.priority is wanted:
        word = f"is {view.state} already" if view.ended else f"has the priority {wanted} already"
        _answer(view, word, ordered=False, as_json=json)
        return
    _give(store, view, OrderKind.REPRIORITISE, wanted)
    _answer(view, f"gets the priority {wanted}", ordered=True, as_json=json)
    remark_on_coordinator(store)


def _find(job: str, home: HomeFlag) -> tuple[Store, QueueView]:
    from jobs.queue_listing import require_submitted
    from jobs.submissions import find_submitted

    store = open_runtime({"home": home}).store
    return store, require_submitted(store, find_submitted(store, job))


def _give(store: Store, view: QueueView, kind: OrderKind, priority: Priority | None) -> None:
    from jobs.queue_listing import latest_order
    from jobs.submissions import give_order

    give_order(store, kind, view.job_id, priority=priority, after=latest_order(store, view.job_id))


def _answer(view: QueueView, said: str, *, ordered: bool, as_json: bool) -> None:
    if as_json:
        print_json({"id": view.job_id, "ordered": ordered, "state": str(view.state), "text": said})
    else:
        names = ", ".join(one_line(path.name) for path in view.media[:3])
        print(f"job {view.job_id[:12]} ({names}) {said}")
