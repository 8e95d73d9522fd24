"""The supervisor's end of an engine process: starting it, talking to it, and what it said before it died."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any

from core.environment import segue_environment
from journals.log_ends import family_of, process_name
from journals.node_session import NodeSession
from pipeline.lookup import UnitRef
from worker.engine_process import EngineArguments
from worker.protocol import Command, Event, Gone, dump_line, dump_ref, load_event

#: Bytes of standard error that are kept.
_TAIL_BYTES = 64 * 1024
#: Characters of it that go into a death's entry: its last lines.
_TAIL_CHARACTERS = 2000
_LEAVE_SECONDS = 10.0
#: Settings with secrets that an engine has no use for.
_NOT_FOR_ENGINES = ("broker_url", "notify_secret")


class EngineLink:
    """One engine process from its start to its end. Events wait in `events`; the last one is `Gone`."""

    def __init__(self, process: subprocess.Popen[bytes], on_end: Callable[[], None] = lambda: None) -> None:
        """``on_end`` is called once the process is gone and `Gone` was told; in a thread of ours."""
        self._process, self._on_end = process, on_end
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._killed_because = ""
        self._write = threading.Lock()
        assert process.stdout is not None
        assert process.stderr is not None
        self._ears = [
            threading.Thread(target=self._hear, args=(process.stdout,), name="engine-events", daemon=True),
            threading.Thread(target=self._keep_tail, args=(process.stderr,), name="engine-log", daemon=True),
        ]
        for ear in self._ears:
            ear.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    def load(self, stages: Sequence[str]) -> None:
        """Asks for the engines of these stages; `Ready` or `Broken` answers."""
        self._send({"do": Command.LOAD, "stages": list(stages)})

    def run(self, chunk: int, stage: str, refs: Sequence[UnitRef]) -> None:
        """Gives a chunk, numbered from 1; `ChunkDone` or `Broken` ends it."""
        self._send({"do": Command.RUN, "chunk": chunk, "stage": stage, "units": [dump_ref(ref) for ref in refs]})

    def try_out(self, chunk: int, stage: str, ref: UnitRef) -> None:
        """Has a unit computed that was computed before; `ChunkDone` says that the engine works."""
        self._send({"do": Command.TRY, "chunk": chunk, "stage": stage, "units": [dump_ref(ref)]})

    def stop(self, chunk: int) -> None:
        """What the engine has yielded of the chunk is committed, the rest is left. Safe from any thread."""
        self._send({"do": Command.STOP, "chunk": chunk})

    def kill(self, reason: str) -> None:
        """Ends the process at once; ``reason`` is what `Gone` then says."""
        self._killed_because = self._killed_because or reason
        with suppress(ProcessLookupError):
            self._process.kill()

    def await_end(self, seconds: float) -> None:
        """Returns when the process is gone and that was noted, or after so long."""
        self._ears[0].join(seconds)

    def leave(self) -> None:
        """Lets the process close its engines and end; kills it when that takes too long."""
        self._send({"do": Command.LEAVE})
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill("it did not leave")
            self._process.wait()

    def tail(self) -> str:
        """The last lines that the process wrote to standard error."""
        text = b"".join(list(self._tail)).decode(errors="replace")[-_TAIL_CHARACTERS:]
        return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t").strip()

    def _send(self, command: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        # A process that is gone says so in its events; a pipe that is closed has nothing to add.
        with self._write, suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(dump_line(command))
            self._process.stdin.flush()

    def _hear(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            try:
                self.events.put(load_event(line))
            except ValueError:
                # The last line of a process that was killed while it wrote, or what a library printed.
                continue
        self._process.wait()
        self._ears[1].join(2.0)
        self.events.put(Gone(self._killed_because or describe_exit(self._process.returncode)))
        self._on_end()

    def _keep_tail(self, pipe: IO[bytes]) -> None:
        while data := os.read(pipe.fileno(), 8192):
            self._tail.append(data)
            self._tail_size += len(data)
            while self._tail_size > _TAIL_BYTES:
                self._tail_size -= len(self._tail.popleft())


def describe_exit(status: int) -> str:
    """What a process's status says, in one line."""
    if status >= 0:
        return f"the engine's process ended with exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    likely = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"the engine's process was ended by {name}{likely}"


class EngineStarter:
    """Starts engine processes from one thread that lives as long as the supervisor.

    Linux sends the parent-death signal when the *thread* that started a process ends, so no passing thread may do it.
    """

    def __init__(self, flags: Mapping[str, Any], worker: str, session: NodeSession) -> None:
        """``session`` is told of each process that has ended, at once and in a thread of ours."""
        # A command line can be read by everybody on the machine.
        said = {name: value for name, value in flags.items() if name not in _NOT_FOR_ENGINES}
        self._orders, self._session = EngineArguments(os.getpid(), said, worker, session.session), session
        self._family = family_of(session.beats)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine-parent")

    def start(self) -> EngineLink:
        """A new engine process, nothing loaded yet."""
        return self._thread.submit(self._start).result()

    def _start(self) -> EngineLink:
        orders = replace(self._orders, session=process_name(self._family))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.engine_process", orders.dump()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Engines read and write no broker, and sign nothing.
            env=segue_environment(without=_NOT_FOR_ENGINES),
            # A group of its own: Ctrl-C in a terminal is the supervisor's to answer.
            process_group=0,
        )
        return EngineLink(process, lambda: self._session.note_process_end(orders.session))
