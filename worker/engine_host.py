"""Keeps one engine process running: starts it, waits until its engines are open, and starts it again when it died."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence

from core.errors import SegueError
from worker.engine_link import EngineLink, EngineStarter
from worker.protocol import Broken, ChunkErrorKind, Event, Gone, Ready, Said, ServedEngine

#: How often whoever waits for an event looks at the clock.
TICK_SECONDS = 0.1
#: Starts in a row that may fail before the machine is taken for sick.
_STARTS = 3
_START_PAUSE_SECONDS = 1.0
#: How often a remote engine that does not answer is asked again.
_AWAY_PAUSE_SECONDS = 10.0


class SickError(SegueError):
    """This worker cannot compute, and nothing says that another could not: it gives its work back and ends."""


class HurriedError(SegueError):
    """There is no time for it: this worker has been told to go."""


class EngineHost:
    """The engine process of one worker; used by one thread at a time, except for `link.stop` and `link.kill`."""

    def __init__(
        self,
        starter: EngineStarter,
        stages: Sequence[str],
        tick: Callable[[], None],
        leaving: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._starter, self._stages, self._tick, self._say = starter, tuple(stages), tick, say
        self._leaving = leaving
        self._link: EngineLink | None = None
        self.served: dict[str, ServedEngine] = {}
        self._sizes: dict[str, int] = {}

    @property
    def link(self) -> EngineLink:
        """The process that runs. There is one from the first `start` on."""
        assert self._link is not None
        return self._link

    def batch_size(self, stage: str) -> int:
        """Units that a stage's engine takes at once."""
        return max(1, self._sizes[stage])

    def note_batch_size(self, stage: str, size: int) -> None:
        """What the engine takes now."""
        self._sizes[stage] = size

    def start(self) -> None:
        """Starts a process and opens the engines; returns when they are open.

        Raises SickError when that failed several times, or once in a way that trying again cannot help, HurriedError
        when this worker is to leave. A remote engine that does not answer is waited for. ``tick`` is called all the
        while.
        """
        for attempt in range(1, _STARTS + 1):
            self._link = self._starter.start()
            answer = self._open()
            if isinstance(answer, Ready):
                self._take(answer)
                return
            text = f"{answer.reason}: {_last_line(self._link.tail())}" if isinstance(answer, Gone) else answer.text
            self._link.kill(text)
            if attempt == _STARTS or (isinstance(answer, Broken) and answer.trouble is ChunkErrorKind.ENGINE):
                raise SickError(f"the engines cannot be opened: {text}", "run `segue doctor` on this machine")
            self._say(f"the engines could not be opened: {text}; trying again")
            self.pause(_START_PAUSE_SECONDS * attempt)

    def _open(self) -> Ready | Broken | Gone:
        """Has the engines opened, for as long as a remote one does not answer: to end would only start it all anew."""
        said = False
        while True:
            self.link.load(self._stages)
            answer = self._await_ready()
            if not isinstance(answer, Broken) or answer.trouble is not ChunkErrorKind.AWAY:
                return answer
            if not said:
                self._say(f"{answer.text}; waiting for it")
            said = True
            self.pause(_AWAY_PAUSE_SECONDS, self._leaving)

    def next_event(self) -> Event | None:
        """The next event; None after a tick without one."""
        self._tick()
        try:
            event = self.link.events.get(timeout=TICK_SECONDS)
        except queue.Empty:
            return None
        if isinstance(event, Said):
            self._say(event.text)
            return None
        return event

    def pause(self, seconds: float, unless: Callable[[], bool] = lambda: False) -> None:
        """Waits, ticking; no longer once ``unless`` says so."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not unless():
            self._tick()
            time.sleep(TICK_SECONDS)

    def close(self) -> None:
        """Ends the process in order; at once if it computes."""
        if self._link is not None:
            self._link.leave()

    def kill(self) -> None:
        """Ends the process at once."""
        if self._link is not None:
            self._link.kill("the worker leaves")

    def await_end(self, seconds: float) -> None:
        """Returns when the process is gone and its end was noted, or after so long."""
        if self._link is not None:
            self._link.await_end(seconds)

    def _await_ready(self) -> Ready | Broken | Gone:
        while not self._leaving():
            event = self.next_event()
            if isinstance(event, (Ready, Broken, Gone)):
                return event
        raise HurriedError("nobody waits for the engines any more")

    def _take(self, ready: Ready) -> None:
        served = {each.stage: each for each in ready.served}
        if self.served and {s: e.spec for s, e in served.items()} != {s: e.spec for s, e in self.served.items()}:
            # The queues it listens to are for the engines it had; a model that changed needs a worker of its own.
            raise SickError("the engines have changed since this worker started", "start it again")
        self.served = served
        for stage, engine in served.items():
            self._sizes[stage] = engine.batch_size


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it said nothing"
