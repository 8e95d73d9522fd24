"""`segue coordinator`: leads while it holds the leader's lease, else stands by; may be restarted at any time."""

from __future__ import annotations

import logging
import math
import secrets
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from coordinator.coordinator import Coordinator
from coordinator.snapshot import Snapshot, StatusBoard
from core.addresses import shown_url
from core.conditions import condition_of
from core.errors import MachineError, StoreError
from jobs.presence import COORDINATOR_EVERY_S, broker_url, note_coordinator, other_coordinator
from pipeline.runtime import Runtime
from tasks.broker import Broker, BrokerAwayError

#: The leader's lease: a standby takes over when it has not been renewed for so long.
LEAD_MS = 10_000
_RENEW_S = 3.0
_STANDBY_S = 2.0
#: A defect that is no job's breaks off so many passes in a row, then ends the process; pauses grow up to so long.
MOST_BROKEN = 6
_LONGEST_PAUSE_S = 60.0
_log = logging.getLogger("segue.coordinator")


def run_coordinator(runtime: Runtime, *, announce: Callable[[str], None]) -> int:
    """Leads or stands by until SIGTERM or SIGINT; returns the exit code. Raises SettingsError, StoreError."""
    url = broker_url(runtime)
    store = runtime.store
    stop = threading.Event()
    board = StatusBoard()
    if runtime.settings.listen:
        announce(f"answering /healthz, /metrics and /keda at {board.listen(runtime.settings.listen)}")
    broker = Broker.connect(url, store.identity.id, runtime.settings.lease_seconds * 1000)
    leadership = _Leadership(broker, stop, announce)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not stop.is_set():
            if leadership.gain():
                announce(f"leading for the store {store.home} over {shown_url(url)}")
                _lead(runtime, broker, leadership, board, announce)
                board.snapshot = Snapshot()
    finally:
        leadership.give_up()
        broker.close()
        board.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


class _Leadership:
    """The leader's lease, renewed by a thread so that a long pass of the loop does not lose it."""

    def __init__(self, broker: Broker, stop: threading.Event, announce: Callable[[str], None]) -> None:
        self._broker, self._stop, self._announce = broker, stop, announce
        self._token = secrets.token_hex(16)
        self._said = ""
        self._renewed = 0.0
        self.lost = threading.Event()

    def gain(self) -> bool:
        """Waits to be the leader; False when told to stop first."""
        while not self._stop.is_set():
            try:
                if self._broker.lead(self._token, LEAD_MS):
                    self._said = ""
                    self._renewed = time.monotonic()
                    self.lost.clear()
                    threading.Thread(target=self._renew, name="lead", daemon=True).start()
                    return True
                self._say("another coordinator leads; standing by")
            except BrokerAwayError as error:
                self._say(f"waiting for the broker: {error}")
            self._stop.wait(_STANDBY_S)
        return False

    def _renew(self) -> None:
        while not self._stop.wait(_RENEW_S) and not self.lost.is_set():
            try:
                if self._broker.lead(self._token, LEAD_MS):
                    self._renewed = time.monotonic()
                else:
                    self.yield_to("another coordinator leads now")
            except BrokerAwayError:
                # As long as the broker is away for everybody nobody else can become the leader; see `is_doubtful`.
                continue

    @property
    def is_doubtful(self) -> bool:
        """True when the lease may have run out: somebody who reaches the broker, as we do not, may lead by now."""
        return time.monotonic() - self._renewed > LEAD_MS / 1000

    def yield_to(self, why: str) -> None:
        """Leads no more."""
        self.lost.set()
        self._announce(f"{why}; standing by")

    @property
    def over(self) -> bool:
        return self._stop.is_set() or self.lost.is_set()

    def wait(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def give_up(self) -> None:
        """Lets a standby take over at once."""
        try:
            self._broker.step_down(self._token)
        except BrokerAwayError:
            return

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._announce(line)


def _lead(
    runtime: Runtime,
    broker: Broker,
    leadership: _Leadership,
    board: StatusBoard,
    announce: Callable[[str], None],
) -> None:
    """Leads until it is over. The disk's troubles are waited out: a coordinator has nowhere else to go."""
    coordinator = Coordinator(runtime, broker, announce)
    said, begun, broken = "", False, 0
    noted = -math.inf
    try:
        while not leadership.over:
            try:
                if not begun:
                    coordinator.start()
                    begun = True
                if time.monotonic() - noted > COORDINATOR_EVERY_S:
                    noted = time.monotonic()
                    if leadership.is_doubtful and (other := other_coordinator(runtime.store)):
                        # One of two must stop writing: jobs' orders have one writer.
                        leadership.yield_to(f"the broker is out of reach, and a coordinator on {other.host} leads")
                        break
                    note_coordinator(runtime.store, broker_url(runtime))
                coordinator.step()
                board.snapshot = coordinator.snapshot()
                said, broken = "", 0
            except (StoreError, BrokerAwayError) as error:
                if str(error) != said:
                    said = str(error)
                    announce(f"waiting: {said}")
                leadership.wait(_STANDBY_S)
            except Exception as error:
                condition = condition_of(error)
                if isinstance(condition, MachineError):
                    if str(condition) != said:
                        said = str(condition)
                        announce(f"waiting: {said}")
                    leadership.wait(_STANDBY_S)
                    continue
                # Of no one job: what was begun goes on meanwhile, and whoever watches this process sees it end.
                broken += 1
                if broken >= MOST_BROKEN:
                    raise
                pause_s = min(_STANDBY_S * 2**broken, _LONGEST_PAUSE_S)
                if broken == 1:
                    _log.exception("a pass was broken off")
                announce(f"a defect in Segue broke a pass off ({type(error).__name__}); tried again in {pause_s:.0f} s")
                leadership.wait(pause_s)
    finally:
        coordinator.close()
