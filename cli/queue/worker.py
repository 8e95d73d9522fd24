"""``segue worker``: takes work off the queue on this machine until it is told to go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.context import HomeFlag, open_runtime
from cli.exits import Exit
from core.errors import UsageError

StagesFlag = Annotated[
    str,
    typer.Option(
        "--stages", help="What to serve: stages with commas between, such as transcribe,translate (default: all)."
    ),
]
IdleFlag = Annotated[
    float | None,
    typer.Option("--exit-when-idle", metavar="SECONDS", help="Leave after so long without work.", show_default=False),
]
ListenFlag = Annotated[
    str | None,
    typer.Option(
        "--listen", metavar="HOST:PORT", help="Answer /metrics and /healthz. [SEGUE_LISTEN]", show_default=False
    ),
]
BrokerFlag = Annotated[
    str | None, typer.Option("--broker-url", help="Redis or Valkey. [SEGUE_BROKER_URL]", show_default=False)
]


def worker_command(
    stages: StagesFlag = "",
    exit_when_idle: IdleFlag = None,
    broker_url: BrokerFlag = None,
    listen: ListenFlag = None,
    home: HomeFlag = None,
) -> int:
    """Take work off the queue on this machine.

    Checks the machine, opens the engines that the settings name, and computes batches of any job that wants exactly
    these engines. On SIGTERM, Ctrl-C or a cloud's notice it gives its batch back, finishes what the engine yields
    before the deadline, and leaves with exit code 0. Killed without notice it loses at most the batch in flight.

    Examples: [bold]segue worker[/bold] - [bold]segue worker --stages translate --exit-when-idle 600[/bold]
    """
    from pipeline.stages import stages_served
    from worker.departure import WorkerEnd
    from worker.main import WorkerOptions, parse_stages, run_worker

    if exit_when_idle is not None and exit_when_idle < 0:
        raise UsageError("--exit-when-idle is a number of seconds", "leave it out to stay")
    flags: dict[str, str | Path | None] = {"home": home, "broker_url": broker_url, "listen": listen}
    said = {name: str(value) for name, value in flags.items() if value is not None}
    runtime = open_runtime(said)
    # The broker's address may hold a password: the engine process needs no broker and is not shown it.
    for_engine = {name: value for name, value in said.items() if name != "broker_url"}
    served = parse_stages(stages, stages_served(runtime.settings))
    options = WorkerOptions(served, exit_when_idle, int(Exit.INTERRUPTED))
    end = run_worker(runtime, for_engine, options)
    return Exit.INCOMPLETE if end is WorkerEnd.SICK else Exit.DONE
