"""An emulator of the three clouds' metadata services, with the ways in which machines are taken away.

It answers as the machine ``vm_name``, and at the deadline it sends SIGKILL to the processes that it was given, so that
"then kill" is real. Used by the tests, by `segue emulate-metadata` and by whoever wants to rehearse.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.errors import UsageError
from worker.emulator_dialects import MetadataReply, MetadataRequest, open_dialect
from worker.emulator_node import NOTICE_SECONDS, OTHER_VM, EmulatedNode, typical_facts
from worker.notices.metadata import Cloud


class Scenario(StrEnum):
    """What happens, counted from the start of the emulator; N is the notice's length."""

    #: Nothing by itself; the caller triggers.
    QUIET = "quiet"
    #: Notice after AFTER, SIGKILL N later.
    NOTICE_THEN_KILL = "notice-then-kill"
    #: SIGKILL after AFTER, and no word before.
    KILL_WITHOUT_NOTICE = "kill-without-notice"
    #: The notice comes when a tenth of N is left.
    LATE_NOTICE = "late-notice"
    #: Azure: a notice that is taken back at half of N; nothing is killed.
    CANCELLED = "cancelled"
    #: Azure: an event of a neighbour.
    OTHER_VM = "other-vm"
    #: As notice-then-kill, with a service that answers every other request with 500 or not at all.
    ERRORS = "errors"
    #: As notice-then-kill, and the first question for notices is answered late.
    SLOW_FIRST_CALL = "slow-first-call"
    #: AWS: a rebalance recommendation, and nothing more.
    REBALANCE = "rebalance"


_ONLY_BY = {
    Scenario.CANCELLED: Cloud.AZURE,
    Scenario.OTHER_VM: Cloud.AZURE,
    Scenario.REBALANCE: Cloud.AWS,
}
#: Share of the notice that is left when it comes late.
_LATE_SHARE = 0.1
#: Seconds for which a started event stays on the list; then it is over.
_STARTED_S = 2.0
#: Seconds from an acknowledgement to the end.
_ACKNOWLEDGED_S = 0.2
_LONGEST_S = 604_800.0


@dataclass(frozen=True)
class EmulatorPlan:
    """What is to happen and when."""

    scenario: Scenario = Scenario.QUIET
    #: Seconds from the start of the emulator.
    after: float = 0.0
    #: Seconds from notice to end; None for what the cloud promises.
    notice: float | None = None
    #: Processes that end with the machine.
    kill: tuple[int, ...] = ()
    #: Seconds for which the first answer is late (slow-first-call).
    slow_seconds: float = 20.0
    #: Seconds for which a request hangs (errors).
    hang_seconds: float = 20.0


def _say_nothing(_line: str) -> None:
    """The listener of those who do not listen."""


class MetadataEmulator:
    """One emulated metadata service; ``with MetadataEmulator(Cloud.AZURE) as cloud: cloud.preempt(30)``.

    Raises UsageError for a scenario that the cloud does not know, a port that is taken and a process that is not
    there. It can be stopped and started again, with the same address: then the service was away.
    """

    def __init__(
        self,
        cloud: Cloud,
        plan: EmulatorPlan | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        vm_name: str = "segue-vm",
        spot: bool = True,
        say: Callable[[str], None] = _say_nothing,
    ) -> None:
        self._plan = plan or EmulatorPlan()
        owner = _ONLY_BY.get(self._plan.scenario, cloud)
        if owner is not cloud:
            raise UsageError(f"{cloud} has no scenario {self._plan.scenario}", f"use --cloud {owner}")
        for seconds in (self._plan.after, self._plan.notice or 0.0):
            if not 0 <= seconds <= _LONGEST_S:
                raise UsageError(f"{seconds} is no number of seconds to wait", f"use 0 to {_LONGEST_S:.0f}")
        self.node = EmulatedNode(typical_facts(cloud, vm_name, spot=spot))
        self.node.on_acknowledged = self._on_acknowledged
        self._dialect = open_dialect(self.node)
        self._host, self._port, self._say = host, port, say
        self._victims = [_Victim(pid) for pid in self._plan.kill]
        self._server: _Server | None = None
        self._timers: list[threading.Timer] = []
        self._lock = threading.Lock()
        self._begun = False
        self._asked = self._asked_notices = 0
        #: Processes that were killed, in order.
        self.killed: list[int] = []
        #: "GET /path" of every request, in order.
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """Where it answers, for SEGUE_METADATA_URL."""
        return f"http://{self._host}:{self._port}"

    @property
    def acknowledged(self) -> list[str]:
        """Ids of the events that were acknowledged, in order."""
        with self.node.changed:
            return list(self.node.acknowledged)

    def start(self) -> None:
        """Listens, and at the first start begins the scenario."""
        self.node.leaving = False
        try:
            self._server = _Server((self._host, self._port), self._answer)
        except (OSError, OverflowError) as error:
            raise UsageError(f"cannot listen at {self.url}: {error}", "choose another --port") from error
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="segue-emulator", daemon=True).start()
        if not self._begun:
            self._begun = True
            self._begin()

    def stop(self) -> None:
        """Stops to listen, and lets go of everybody who waits; what is scheduled still happens."""
        server, self._server = self._server, None
        if server is None:
            return
        with self.node.changed:
            self.node.leaving = True
            self.node.changed.notify_all()
        server.leaving.set()
        server.shutdown()
        server.server_close()

    def close(self) -> None:
        """Stops, and nothing that is scheduled happens any more."""
        self.stop()
        with self._lock:
            for timer in self._timers:
                timer.cancel()
        for victim in self._victims:
            victim.close()

    def __enter__(self) -> MetadataEmulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What the cloud decides

    def preempt(
        self,
        seconds: float | None = None,
        *,
        resources: Sequence[str] = (),
        event_type: str = "Preempt",
        action: str = "terminate",
    ) -> str:
        """Announces the end in ``seconds`` (default: what the cloud promises); returns the event's id.

        ``resources`` are the machines that it strikes (default: this one); only if this one is among them are
        processes killed at the deadline.
        """
        names = tuple(resources) or (self.node.facts.name,)
        left = self._notice_seconds() if seconds is None else seconds
        event_id = self.node.schedule(left, names, event_type, action)
        self._say(f"notice: {event_type} of {', '.join(names)} in {left:.1f} s")
        self._later(left, lambda: self._strike(event_id, names))
        return event_id

    def cancel(self, event_id: str) -> None:
        """Takes an event back: it vanishes and strikes nobody."""
        if self.node.remove(event_id):
            self._say("the event was cancelled")

    def recommend_rebalance(self) -> None:
        """AWS: the hint that an interruption is likely."""
        self.node.recommend_rebalance()
        self._say("rebalance recommended")

    def kill(self) -> None:
        """Ends the processes that were given, now."""
        for victim in self._victims:
            if victim.kill():
                self.killed.append(victim.pid)
                self._say(f"killed {victim.pid}")

    # How it comes about

    def _notice_seconds(self) -> float:
        return NOTICE_SECONDS[self.node.facts.cloud] if self._plan.notice is None else self._plan.notice

    def _begin(self) -> None:
        scenario, after, notice = self._plan.scenario, self._plan.after, self._notice_seconds()
        if scenario in (Scenario.NOTICE_THEN_KILL, Scenario.ERRORS, Scenario.SLOW_FIRST_CALL):
            self._later(after, self.preempt)
        elif scenario is Scenario.KILL_WITHOUT_NOTICE:
            self._later(after, self.kill)
        elif scenario is Scenario.LATE_NOTICE:
            left = notice * _LATE_SHARE
            self._later(after + notice - left, lambda: self.preempt(left))
        elif scenario is Scenario.CANCELLED:
            self._later(after, lambda: self._announce_and_cancel(notice))
        elif scenario is Scenario.OTHER_VM:
            self._later(after, lambda: self.preempt(resources=(OTHER_VM,)))
        elif scenario is Scenario.REBALANCE:
            self._later(after, self.recommend_rebalance)

    def _announce_and_cancel(self, notice: float) -> None:
        event_id = self.preempt(notice)
        self._later(notice / 2, lambda: self.cancel(event_id))

    def _strike(self, event_id: str, names: tuple[str, ...]) -> None:
        """The deadline: the event starts, its machines end, and soon it is off the list."""
        if not self.node.begin(event_id):
            return
        if self.node.facts.name in names:
            self.kill()
        self._later(_STARTED_S, lambda: self.node.remove(event_id))

    def _on_acknowledged(self, event_id: str) -> None:
        self._say("the event was acknowledged")
        with self.node.changed:
            names = next((event.resources for event in self.node.events if event.event_id == event_id), ())
        self._later(_ACKNOWLEDGED_S, lambda: self._strike(event_id, names))

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        with self._lock:
            self._timers = [known for known in self._timers if known.is_alive()]
            self._timers.append(timer)
            timer.start()

    def _answer(self, request: MetadataRequest, leaving: threading.Event) -> MetadataReply | None:
        """The reply; None for a request that is let down."""
        with self._lock:
            self.requests.append(f"{request.method} {request.path}")
            # Questions in other dialects (auto asks in all three) do not shift the pattern of the errors.
            spoken = self._dialect.is_spoken(request)
            turn, self._asked = self._asked, self._asked + spoken
            first_notice = self._dialect.is_notice(request) and self._asked_notices == 0
            self._asked_notices += self._dialect.is_notice(request)
        if self._plan.scenario is Scenario.ERRORS and spoken and turn % 2 == 0:
            if turn % 4 == 0:
                return MetadataReply(500, "Internal Server Error")
            leaving.wait(self._plan.hang_seconds)
            return None
        if self._plan.scenario is Scenario.SLOW_FIRST_CALL and first_notice:
            leaving.wait(self._plan.slow_seconds)
        return self._dialect.reply(request)


class _Victim:
    """A process that ends with the machine: held by a descriptor where possible, so that no later one is hit."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd: int | None = None
        if pid <= 1:
            raise UsageError(f"process {pid} is none that a worker has", "give the id of a running worker")
        try:
            if hasattr(os, "pidfd_open"):
                self._fd = os.pidfd_open(pid)
            else:
                os.kill(pid, 0)
        except ProcessLookupError as error:
            raise UsageError(f"there is no process {pid} to kill", "give the id of a running worker") from error
        except OSError as error:
            raise UsageError(f"process {pid} cannot be killed: {error}", "give a process of your own") from error

    def kill(self) -> bool:
        """Sends SIGKILL; False when the process has already ended."""
        try:
            if self._fd is not None:
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


class _Server(ThreadingHTTPServer):
    """Listens; every request has its own thread and its own connection."""

    def __init__(
        self, address: tuple[str, int], answer: Callable[[MetadataRequest, threading.Event], MetadataReply | None]
    ) -> None:
        self.answer = answer
        self.leaving = threading.Event()
        super().__init__(address, _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # A client that has left is no news.
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _reply(self) -> None:
        # One answer a connection: then a service that was stopped is really away.
        self.close_connection = True
        length = self.headers.get("Content-Length", "0")
        body = self.rfile.read(min(int(length), 65_536)) if length.isdecimal() else b""
        request = MetadataRequest.parse(self.command, self.path, dict(self.headers.items()), body)
        reply = self.server.answer(request, self.server.leaving)
        if reply is None or self.server.leaving.is_set():
            return
        payload = reply.body.encode()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(payload)), "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

    do_GET = do_PUT = do_POST = do_DELETE = _reply  # noqa: N815

    def log_message(self, *_args: Any) -> None:
        """Requests are not news; `MetadataEmulator.requests` has them."""
