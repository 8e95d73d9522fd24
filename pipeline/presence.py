"""Who runs on this store: the coordinator, and the broker of a `segue up`. Notes on disk, never the truth."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cache.store import Store
from core.errors import SettingsError
from core.keys import canonical_json
from pipeline.runtime import Runtime

#: Seconds between two notes of a coordinator that leads.
COORDINATOR_EVERY_S = 5
#: Seconds without a note after which a coordinator counts as gone. Clocks of two machines may differ by as much.
COORDINATOR_GONE_S = 30
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
        "url_of_broker": shown_address(broker),
    }
    store.replace_state(_COORDINATOR, canonical_json(value))


def read_coordinator(store: Store) -> CoordinatorNote | None:
    """The coordinator's last note; None when there never was one."""
    value = _read(store, _COORDINATOR)
    return CoordinatorNote(value["at"], value["pid"], value["host"], value["url_of_broker"]) if value else None


def coordinator_lives(store: Store) -> bool:
    """True when a coordinator noted itself a moment ago. Only ever a reason for a hint to a person."""
    noted = read_coordinator(store)
    return noted is not None and noted.is_fresh(datetime.now(UTC))


def other_coordinator(store: Store) -> CoordinatorNote | None:
    """The coordinator that noted itself last, a moment ago, unless that is this process."""
    noted = read_coordinator(store)
    if noted is None or (noted.host, noted.pid) == (socket.gethostname(), os.getpid()):
        return None
    return noted if noted.is_fresh(datetime.now(UTC)) else None


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


def shown_address(url: str) -> str:
    """A broker's address as it may be shown: without name, password or options."""
    return re.sub(r"(?<=://)[^/?#]*@", "", url).partition("?")[0].partition("#")[0]


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
