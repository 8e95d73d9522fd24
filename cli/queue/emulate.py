"""``segue emulate-metadata``: a cloud's metadata service on this machine, to rehearse being taken away."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from core.errors import UsageError


def emulate_command(
    cloud: Annotated[str, typer.Option("--cloud", help="azure, aws or gcp.")] = "azure",
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario",
            help="notice-then-kill, kill-without-notice, late-notice, errors, slow-first-call; "
            "cancelled and other-vm (azure), rebalance (aws); quiet.",
        ),
    ] = "notice-then-kill",
    after: Annotated[float, typer.Option("--after", min=0, metavar="SECONDS", help="When it begins.")] = 10.0,
    notice: Annotated[
        float | None,
        typer.Option(
            "--notice", min=0, metavar="SECONDS", help="From notice to end; default: what the cloud promises."
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 takes a free one.")] = 0,
    vm_name: Annotated[str, typer.Option("--vm-name", help="Name of the emulated machine.")] = "segue-vm",
    kill: Annotated[
        list[int] | None,
        typer.Option("--kill", metavar="PID", help="A process that ends with the machine (SIGKILL); repeatable."),
    ] = None,
) -> None:
    """Emulate a cloud's metadata service and let the machine be taken. Ends with Ctrl-C."""
    import threading

    from worker.emulator import EmulatorPlan, MetadataEmulator, Scenario
    from worker.notices.metadata import Cloud

    if cloud not in set(Cloud):
        raise UsageError(f"no cloud is called {cloud!r}", f"use {', '.join(Cloud)}")
    if scenario not in set(Scenario):
        raise UsageError(f"no scenario is called {scenario!r}", f"use {', '.join(Scenario)}")
    if not vm_name.isascii() or not vm_name.isprintable() or not vm_name.strip():
        raise UsageError(f"not a machine's name: {vm_name!r}", "use letters, digits and hyphens")
    plan = EmulatorPlan(Scenario(scenario), after, notice, tuple(kill or ()))
    emulator = MetadataEmulator(Cloud(cloud), plan, port=port, vm_name=vm_name, say=_say)
    with emulator:
        print(f"{cloud} metadata of {vm_name} at {emulator.url}. In the worker's shell:")
        print(f"export SEGUE_METADATA_URL={emulator.url} SEGUE_PREEMPTION={cloud}", flush=True)
        _say(f"{scenario} in {after:g} s")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            _say("the emulator ends")


def _say(line: str) -> None:
    """One line with the time of day, on standard error, so that standard output stays the settings."""
    from datetime import datetime

    print(f"{datetime.now().astimezone():%H:%M:%S} {line}", file=sys.stderr, flush=True)
