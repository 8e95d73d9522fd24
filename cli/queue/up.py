"""``segue up``: broker, coordinator and workers on this machine, without root and without docker."""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import HomeFlag, note, open_runtime
from cli.exits import Exit
from cli.queue.children import Child, segue_child, stop_children
from cli.wording import printable
from core.errors import UsageError

if TYPE_CHECKING:
    from cache.store import Store
    from pipeline.runtime import Runtime
    from tasks.broker import Broker

_LOOK_EVERY_S = 0.2
#: Seconds between two questions whether the broker still answers, and how often it may fail to.
_PING_EVERY_S, _PINGS = 3.0, 3
#: What a coordinator may take to finish a delivery.
_COORDINATOR_PATIENCE_S = 30.0
#: Webhooks are the coordinator's.
_NOT_FOR_WORKERS = ("notify_secret",)
#: On top of the time in which a worker drains.
_WORKER_PATIENCE_S = 10.0


def up_command(
    workers: Annotated[int, typer.Option("--workers", min=0, max=64, help="How many worker processes.")] = 2,
    stages: Annotated[
        str,
        typer.Option(
            "--stages", help="What they serve: stages with commas between, such as transcribe,translate (default: all)."
        ),
    ] = "",
    home: HomeFlag = None,
) -> int:
    """Run the whole queue on this machine: a broker, a coordinator and workers. Ctrl-C stops all of it.

    Submit from another terminal with 'segue submit'; commands find this broker by the store. A worker that dies is
    started again. With SEGUE_BROKER_URL set, that broker is used and none is started.

    Examples: [bold]segue up[/bold] - [bold]segue up --workers 1 --stages translate[/bold]
    """
    from jobs.presence import broker_url

    runtime = open_runtime({"home": home})
    store = runtime.store
    with ExitStack() as stack:
        own = not runtime.settings.broker_url.get_secret_value()
        stack.enter_context(_only_one(store))
        if own:
            _refuse_second_coordinator(store)
        signals = stack.enter_context(_signals())
        broker = _start_broker(runtime, stack) if own else None
        coordinator, others = _children(runtime, workers, stages, broker_url(runtime) if own else "")
        everyone = [coordinator, *others]
        try:
            for child in everyone:
                child.start()
            _greet(runtime, workers, embedded=broker is not None)
            code = _tend(everyone, broker, signals)
        finally:
            # In this order: workers give their work back, the coordinator sees that, and only then the broker goes.
            stop_children(others, runtime.settings.grace_seconds + _WORKER_PATIENCE_S, lambda: len(signals) > 1)
            stop_children([coordinator], _COORDINATOR_PATIENCE_S, lambda: len(signals) > 1)
    _tell("everything is stopped; jobs that have not ended go on with the next 'segue up'")
    return code


def _children(runtime: Runtime, workers: int, stages: str, url: str) -> tuple[Child, list[Child]]:
    """The coordinator, and the workers. ``url`` is the embedded broker's; empty for the one that the settings name."""
    home = ("--home", str(runtime.settings.home))
    hopeless = (int(Exit.USAGE),)
    names = ["worker"] if workers == 1 else [f"worker-{number}" for number in range(1, workers + 1)]
    coordinator = Child(segue_child("coordinator", ("coordinator", *home), hopeless), _say)
    arguments = ("worker", *(("--stages", stages) if stages else ()), *home, *(("--broker-url", url) if url else ()))
    listen = runtime.settings.listen
    return coordinator, [
        Child(segue_child(name, (*arguments, *_listen(listen, number)), hopeless, _NOT_FOR_WORKERS), _say)
        for number, name in enumerate(names[:workers], start=1)
    ]


def _listen(address: str, number: int) -> tuple[str, ...]:
    """The coordinator has the port of SEGUE_LISTEN; each worker has the next one. A port of 0 is a free one for all."""
    host, _, port = address.rpartition(":")
    return ("--listen", f"{host}:{int(port) + number}") if port.isdigit() and int(port) else ()


def _tend(children: list[Child], broker: Broker | None, signals: list[int]) -> int:
    """Keeps all alive until a signal comes; returns the exit code."""
    from tasks.broker import BrokerAwayError

    asked, failures = time.monotonic(), 0
    while not signals:
        if not all(child.tend() for child in children):
            _tell("it cannot be started like this: see its line above")
            return Exit.USAGE
        if broker is not None and time.monotonic() - asked > _PING_EVERY_S:
            asked = time.monotonic()
            try:
                broker.ping()
                failures = 0
            except BrokerAwayError as error:
                failures += 1
                if failures >= _PINGS:
                    _tell(f"the broker has ended: {error.message}; nothing is lost, start 'segue up' again")
                    return Exit.INTERRUPTED
        time.sleep(_LOOK_EVERY_S)
    _tell("stopping: workers give their work back (once more ends them at once; finished work is safe either way)")
    return Exit.DONE


def _start_broker(runtime: Runtime, stack: ExitStack) -> Broker:
    """An embedded broker, noted so that commands of this machine find it."""
    from jobs.presence import note_broker
    from tasks.broker import Broker
    from tasks.embedded import EmbeddedBroker

    store = runtime.store
    server = EmbeddedBroker()
    stack.callback(server.stop)
    server.start()
    note_broker(store, server.url)
    stack.callback(note_broker, store, "")
    broker = Broker.connect(server.url, store.identity.id, runtime.settings.lease_seconds * 1000)
    stack.callback(broker.close)
    broker.ping()
    return broker


@contextmanager
def _only_one(store: Store) -> Iterator[None]:
    """Holds what only one `segue up` of a store and machine can hold; the kernel frees it however the process ends.

    Raises UsageError when another one runs.
    """
    from jobs.presence import running_up

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mark:
        try:
            # An abstract name of Linux: no file that a crash could leave behind.
            mark.bind(f"\0segue-up-{store.identity.id}")
        except OSError as error:
            running = running_up(store)
            who = f" (process {running.pid})" if running else ""
            hint = "submit to it with 'segue submit', or stop it first"
            raise UsageError(f"'segue up' runs on {store.home} already{who}", hint) from error
        yield


def _refuse_second_coordinator(store: Store) -> None:
    """Raises UsageError when a coordinator lives: with a broker of our own there would be two who decide."""
    import psutil

    from jobs.presence import read_coordinator

    seen = read_coordinator(store)
    if seen is None or not seen.is_fresh(datetime.now(UTC)):
        return
    if seen.host != socket.gethostname() or psutil.pid_exists(seen.pid):
        raise UsageError(
            f"a coordinator (process {seen.pid} on {seen.host}) looks after {store.home} already",
            "start 'segue worker' here with its SEGUE_BROKER_URL, or stop it first",
        )


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals that asked to stop, as they come."""
    came: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _greet(runtime: Runtime, workers: int, *, embedded: bool) -> None:
    from pipeline.runtime import Settings, expand_home

    broker = "a broker of its own" if embedded else "the broker of SEGUE_BROKER_URL"
    home = runtime.settings.home
    _tell(f"up on {home} with {broker}, a coordinator and {workers} worker{'' if workers == 1 else 's'}")
    usual = expand_home(Settings.model_fields["home"].default).absolute()
    place = "" if home == usual else f" --home {home}"
    _tell(f"submit from another terminal: segue submit MEDIA --to es --watch{place}")
    _tell("Ctrl-C stops everything")


def _say(name: str, line: str) -> None:
    """A child's line; of a structured one what is meant for people."""
    try:
        fact = json.loads(line) if line.startswith("{") else None
    except ValueError:
        fact = None
    if isinstance(fact, dict) and "text" in fact:
        level = str(fact.get("level", ""))
        line = f"{level}: {fact['text']}" if level in ("warning", "error") else str(fact["text"])
    with suppress(OSError):
        print(f"{name} | {printable(line)}", file=sys.stderr, flush=True)


def _tell(line: str) -> None:
    """A note that may find the terminal gone: the children are still to be stopped in order."""
    with suppress(OSError):
        note(line)
