"""Who runs on this store: the coordinator, the broker of a `segue up`, and the `segue run` that is at a job.

Notes on disk, never the truth: a process that was killed looks alive until it has been silent for a while, unless it
ran on this very machine.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cache.store import Store
from core.addresses import shown_url
from core.errors import SettingsError
from core.keys import canonical_json
from journals.demand import read_demand
from journals.lines import DemandLine, JobEndedLine, SessionClosedLine, read_node_line, sound_facts
from journals.log_ends import COORDINATOR
from journals.node_session import BEAT_SECONDS, Opening, boot_id, read_opening
from journals.node_session import FOLDER as NODES
from pipeline.jobs import JobFolder
from pipeline.runtime import Runtime

#: Seconds between two notes of a coordinator that leads.
COORDINATOR_EVERY_S = 5
#: Seconds without a note after which a coordinator counts as gone. Clocks of two machines may differ by as much.
COORDINATOR_GONE_S = 30
#: A run whose last beat is so old counts as gone: three beats, and a little for a slow disk.
RUN_GONE_S = 3 * BEAT_SECONDS + 5
_DEMAND, _JOURNAL = "wants-", ".jsonl"
_COORDINATOR = ("state", "coordinator.state")
_BROKER = ("state", "broker.state")


@dataclass(frozen=True)
class CoordinatorNote:
    """The coordinator, as it last noted itself."""

    #: UTC, ISO 8601.
    at: str
    pid: int
    host: str
    #: Address of its broker without password.
    url_of_broker: str

    def is_fresh(self, now: datetime) -> bool:
        """True as long as it can be taken for alive."""
        return abs((now - datetime.fromisoformat(self.at)).total_seconds()) < COORDINATOR_GONE_S


@dataclass(frozen=True)
class RunSign:
    """The last sign of life of a `segue run` that is, or was, at a job."""

    #: UTC, ISO 8601.
    at: str
    #: Where it runs; empty when it has not said so yet.
    host: str
    #: 0 when it has not said so yet.
    pid: int
    #: Whether it can be taken for alive.
    alive: bool
    #: Whether it is through with the job's units, and only its outputs are left to write.
    delivering: bool

    def describe(self, now: datetime) -> str:
        """One line for people."""
        who = f"process {self.pid} on {self.host}" if self.pid else "a process that has not said where it runs"
        seen = datetime.fromisoformat(self.at)
        ago_s = max(round((now - seen).total_seconds()), 0)
        if self.alive:
            return f"running in {who}, last sign of life {ago_s} s ago"
        return f"{who} was last seen at {seen:%Y-%m-%d %H:%M:%S} UTC and has not said that it ended"

    def as_json(self) -> dict[str, Any]:
        return {"host": self.host, "pid": self.pid, "alive": self.alive, "seen_at": self.at}


@dataclass(frozen=True)
class RunningUp:
    """A `segue up` that runs on a store and on this machine."""

    #: Address of its broker: a socket in a folder that only its own user may enter.
    url: str
    pid: int


def note_coordinator(store: Store, broker: str) -> None:
    """The coordinator says that it is alive; called every `COORDINATOR_EVERY_S` seconds with its broker's address."""
    value = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "url_of_broker": shown_url(broker),
    }
    store.replace_state(_COORDINATOR, canonical_json(value))


def read_coordinator(store: Store) -> CoordinatorNote | None:
    """The coordinator's last note; None when there never was one."""
    value = _read(store, _COORDINATOR)
    return CoordinatorNote(value["at"], value["pid"], value["host"], value["url_of_broker"]) if value else None


def coordinator_lives(store: Store) -> bool:
    """True when a coordinator noted itself a moment ago and has not been killed on this very machine since.

    Only ever a reason for a hint to a person.
    """
    noted = read_coordinator(store)
    if noted is None or not noted.is_fresh(datetime.now(UTC)):
        return False
    return noted.host != socket.gethostname() or _started(noted.pid) != ""


def other_coordinator(store: Store) -> CoordinatorNote | None:
    """The coordinator that noted itself last, a moment ago, unless that is this process."""
    noted = read_coordinator(store)
    if noted is None or (noted.host, noted.pid) == (socket.gethostname(), os.getpid()):
        return None
    return noted if noted.is_fresh(datetime.now(UTC)) else None


def run_sign(folder: JobFolder, now: datetime | None = None) -> RunSign | None:
    """The `segue run` that had to do with a job last and has not left in order; None when there is none.

    What a process wants is in the job's folder under the name of its node session, whose beats tell whether it lives.
    """
    moment = now or datetime.now(UTC)
    found = []
    for name in folder.names():
        if not name.startswith(_DEMAND) or not name.endswith(_JOURNAL):
            continue
        session = name.removeprefix(_DEMAND).removesuffix(_JOURNAL)
        lines = read_demand(folder.store, folder.job_id, name, [])
        # What a coordinator is at, it says in the job's view.
        if lines and not session.endswith(COORDINATOR):
            found.append((lines[-1].at, _sign_of(folder.store, session, lines[-1], moment)))
    # Of several that are over, the last one tells: whether it left in order decides.
    newest = sorted(found, key=lambda each: each[0], reverse=True)
    alive = next((sign for _, sign in newest if sign is not None and sign.alive), None)
    return alive or (newest[0][1] if newest else None)


def _sign_of(store: Store, session: str, want: DemandLine, now: datetime) -> RunSign | None:
    """One process's last sign; None when it has left in order."""
    at, pid, host = want.at, 0, ""
    opening = read_opening(store, session)
    for name in store.children((NODES, session)):
        if not name.startswith("beats-"):
            continue
        bodies = store.read_lines((NODES, session, name)).bodies
        lines = [line for line, _ in sound_facts(read_node_line, session, bodies, [])]
        if lines and isinstance(lines[-1], SessionClosedLine):
            return None
        at = max([at, *(line.at for line in lines[-1:])])
        said = name.split("-")[1]
        pid, host = (int(said) if said.isdecimal() else 0), opening.host if opening else ""
    silent_s = abs((now - datetime.fromisoformat(at)).total_seconds())
    alive = silent_s < RUN_GONE_S and not _is_gone_here(pid, opening)
    return RunSign(at, host, pid, alive, isinstance(want, JobEndedLine))


def _is_gone_here(pid: int, opening: Opening | None) -> bool:
    """True when the process ran on this machine, since it booted, and is no more."""
    if not pid or opening is None or (opening.host, opening.boot_id) != (socket.gethostname(), boot_id()):
        return False
    return not _started(pid)


def note_broker(store: Store, url: str) -> None:
    """`segue up` lets commands of this machine use its broker; an empty ``url`` takes that back."""
    pid = os.getpid()
    value = {"url": url, "pid": pid, "started": _started(pid), "host": socket.gethostname()}
    store.replace_state(_BROKER, canonical_json(value))


def running_up(store: Store) -> RunningUp | None:
    """The `segue up` that runs on this store and this machine; None when none does."""
    value = _read(store, _BROKER)
    if not value or not value["url"] or value["host"] != socket.gethostname():
        return None
    # A process id alone is given to somebody else sooner or later.
    alive = value["started"] != "" and _started(value["pid"]) == value["started"]
    return RunningUp(value["url"], value["pid"]) if alive else None


def broker_url(runtime: Runtime) -> str:
    """The broker's address, with its password if it has one: for connecting only.

    It is the setting, else that of the `segue up` that runs on this store and this machine. Raises SettingsError when
    there is neither, StoreError when the store cannot be read.
    """
    said = runtime.settings.broker_url.get_secret_value().strip()
    if said:
        return said
    running = running_up(runtime.store)
    if running is None:
        raise SettingsError(
            "no broker is known: SEGUE_BROKER_URL is not set and 'segue up' does not run on this store",
            "set SEGUE_BROKER_URL=redis://HOST:6379/0, or start 'segue up'",
        )
    return running.url


def _started(pid: int) -> str:
    """When a process of this machine started, as text; empty when there is none."""
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return ""


def _read(store: Store, parts: tuple[str, str]) -> dict[str, Any] | None:
    data = store.read_state(parts)
    return None if data is None else json.loads(data)
