"""Processes of `segue up`: started, listened to, started again when they die, and stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from core.environment import segue_environment

#: A process that lived for so long did not die of how it was set up.
_STEADY_S = 30.0
_LONGEST_PAUSE_S = 30.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class ChildSpec:
    """A process to keep alive."""

    #: Written before each of its lines.
    name: str
    command: tuple[str, ...]
    #: Exit codes that another start would not change.
    hopeless: tuple[int, ...] = ()
    #: Settings that it is not given.
    without: tuple[str, ...] = ()


def segue_child(
    name: str, arguments: Sequence[str], hopeless: tuple[int, ...] = (), without: tuple[str, ...] = ()
) -> ChildSpec:
    """A command of Segue as a child of this process. The working directory is no place to import from."""
    command = (sys.executable, "-P", "-m", "cli.queue.child", str(os.getpid()), *arguments)
    return ChildSpec(name, command, hopeless, without)


def restart_pause_s(early_deaths: int) -> float:
    """Pause before the next start, after so many deaths in a row that each came soon: 0, 1, 2, 4 ... 30 seconds."""
    return min(2.0 ** (early_deaths - 2), _LONGEST_PAUSE_S) if early_deaths > 1 else 0.0


class Child:
    """One process, over all its lives. Used from the thread that made it: its children die with that thread.

    ``say`` is told (name, line) for each line that it writes, from other threads.
    """

    def __init__(self, spec: ChildSpec, say: Callable[[str, str], None]) -> None:
        self.spec, self._say = spec, say
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._started = self._not_before = 0.0
        self._early_deaths = 0

    def start(self) -> None:
        """Starts it. In a session of its own: Ctrl-C in the terminal is for `segue up`, which stops it in order."""
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            self.spec.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=segue_environment(without=self.spec.without),
            text=True,
            errors="backslashreplace",
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def tend(self) -> bool:
        """Starts it again when it has died and its pause is over; False when that would be hopeless."""
        if self._process is None:
            if time.monotonic() >= self._not_before:
                self.start()
            return True
        code = self._process.poll()
        if code is None:
            return True
        self._bury()
        self._say(self.spec.name, f"(ended with {_ending(code)})")
        if code in self.spec.hopeless:
            return False
        lived_s = time.monotonic() - self._started
        self._early_deaths = 1 if lived_s >= _STEADY_S else self._early_deaths + 1
        self._not_before = time.monotonic() + restart_pause_s(self._early_deaths)
        return True

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """SIGKILL, to it and to what it started in its session."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._bury()

    def _bury(self) -> None:
        """Nothing that it started stays, and its last lines are said."""
        assert self._process is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._reader is not None:
            self._reader.join(2.0)
        self._process = None

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._say(self.spec.name, line.rstrip())


def stop_children(children: Sequence[Child], patience_s: float, hurry: Callable[[], bool]) -> None:
    """Asks all of them to stop, waits, and ends those that have not; ``hurry`` cuts the waiting short."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + patience_s
    while any(child.alive for child in children) and time.monotonic() < deadline and not hurry():
        time.sleep(_LOOK_EVERY_S)
    for child in children:
        child.end()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
