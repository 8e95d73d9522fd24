"""``segue submit``: gives jobs to the queue."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from cli.context import HomeFlag, JsonFlag, note, open_runtime, print_json
from cli.exits import Exit
from cli.options import (
    BudgetFlag,
    FleetRateFlag,
    ForceFlag,
    MediaArgument,
    TranscriptFlag,
    gather_media,
)
from cli.queue.queue_options import LabelsFlag, PriorityName, parse_labels, remark_on_coordinator
from cli.wording import near, one_line, printable
from core.errors import StoreError, summed_up

if TYPE_CHECKING:
    from jobs.submitting import Submitted, Submitter
    from pipeline.inputs.requests import Requests
    from pipeline.runtime import Runtime

#: Seconds between two plain lines of progress.
_PLAIN_EVERY_S = 15.0


def submit_command(
    media: MediaArgument,
    said: dict[str, Any],
    priority: Annotated[PriorityName, typer.Option("--priority", help="How soon: low, normal or rush.")] = (
        PriorityName.NORMAL
    ),
    label: LabelsFlag = None,
    notify: Annotated[
        str, typer.Option("--notify", metavar="URL", help="Webhook that is told how each job ends; signed.")
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay until the jobs have ended; the exit code says how, as with 'wait'.")
    ] = False,
    transcript: TranscriptFlag = None,
    force: ForceFlag = False,
    budget: BudgetFlag = "",
    node_rate: FleetRateFlag = "",
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Give media to the queue; workers transcribe and translate them. Prints a job id for each file.

    The same owner, media and settings is the same job: submitting it again adds nothing, and tries again what failed.
    Another --out is one more delivery of the same work. Needs no broker, only the disk that SEGUE_HOME is on.
    --budget is the most each job may cost: at the cap it ends as 'budget-stopped' and keeps what is finished; 'segue
    retry' allows the same again, submitting with a higher budget, or none, replaces it. --node-rate prices those
    workers that do not know their own price.

    Examples: [bold]segue submit talk.mp4 --to es,ja --watch[/bold] - [bold]segue submit season1/ --to pt-BR --out subs/
    --label show=sands --priority rush[/bold] - [bold]segue submit list.csv --notify https://example.org/segue[/bold]
    """
    from cli.money.budgets import check_owner, submitted_budget
    from jobs.submissions import Priority
    from jobs.submitting import Submitter
    from jobs.webhooks import check_webhook

    runtime = open_runtime({**said, "home": home})
    labels = parse_labels(label)
    if notify:
        check_webhook(notify)
    check_owner(runtime)
    cap = submitted_budget(budget, node_rate, runtime)
    submitter = Submitter(runtime, Priority(priority.value), labels, notify, cap, node_rate if cap else "")
    requests = gather_media(media, runtime, transcript, force=force)
    return _submit(requests, runtime, submitter, watch=watch, as_json=json)


def _submit(requests: Requests, runtime: Runtime, submitter: Submitter, *, watch: bool, as_json: bool) -> int:
    from jobs.submitting import Submitted
    from pipeline.jobs import note_refused
    from pipeline.report import FileResult, JobState

    found = [Submitted(problem.media, problem.state, reason=problem.reason) for problem in requests.problems]
    for request in requests.requests:
        # What no file could do without is found missing before the first order.
        submitter.freeze(request)
    stopped: StoreError | None = None
    store = runtime.store
    with _progress(len(requests.requests), quiet=as_json) as progress:
        for request in requests.requests:
            progress(one_line(request.file.path.name))
            try:
                found.append(submitter.submit(request))
            except StoreError as error:
                stopped = error
                break
    for each in found if stopped is None else ():
        if each.job_id is None:
            refused = FileResult(each.media, JobState.FAILED, reason=each.reason)
            note_refused(store, runtime.settings.owner, refused)
    ids = list(dict.fromkeys(each.job_id for each in found if each.job_id is not None))
    if ids and stopped is None:
        from pipeline.jobs import note_last

        note_last(store, ids)
    if stopped is None and any(each.job_id is not None and each.state is not JobState.DONE for each in found):
        remark_on_coordinator(store)
    code = Exit.INCOMPLETE if any(each.job_id is None for each in found) else Exit.DONE
    if watch and ids and stopped is None:
        from cli.queue.follow import wait_for_all, watch_jobs

        if not as_json:
            _print_found(found)
            return max(code, watch_jobs(store, ids, as_json=False))
        ended, how = wait_for_all(store, ids)
        print_json({"jobs": [ended.get(each.job_id or "") or each.as_json() for each in found]})
        return max(code, how)
    if as_json:
        value: dict[str, Any] = {"jobs": [each.as_json() for each in found]}
        if stopped is not None:
            value["stopped"] = str(stopped)
        print_json(value)
    else:
        _print_found(found)
    if stopped is not None:
        note(f"{stopped}; what is listed was submitted, the same command goes on with the rest")
        return Exit.INTERRUPTED
    return code


def _print_found(found: list[Submitted]) -> None:
    """Ids on standard output, a line each, so that they can be piped; what could not be submitted on the other."""
    refused = []
    for each in found:
        name = one_line(near(each.media))
        if each.job_id is None:
            refused.append(f"{name}: {printable(each.reason.removeprefix(f'{each.media}: '))}")
        else:
            outputs = f"  {one_line(near(each.outputs[0].parent))}/" if each.outputs else ""
            print(f"{each.job_id}  {each.state:<8}  {name}{outputs}")
    for line in summed_up(refused):
        note(line)


class _Step(Protocol):
    def __call__(self, name: str) -> None: ...


@contextmanager
def _progress(files: int, *, quiet: bool) -> Iterator[_Step]:
    """A function to call before each file: reading 10,000 large files takes its time, and somebody waits."""
    done = 0
    if not quiet and sys.stderr.isatty() and files > 1:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task("reading", total=files)

            def step(name: str) -> None:
                nonlocal done
                bars.update(task, completed=done, description=escape(name[:40]))
                done += 1

            yield step
        return
    said = time.monotonic()

    def say(name: str) -> None:
        nonlocal done, said
        if time.monotonic() - said >= _PLAIN_EVERY_S:
            said = time.monotonic()
            note(f"submitted {done} of {files} files; reading {name}")
        done += 1

    yield say
