"""How a submitted job stands, as the coordinator last saw it: what `segue jobs` lists without opening any job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import convert, to_builtins

from cache.names import JOBS
from cache.store import Store
from core.keys import canonical_json
from pipeline.report import JobState

#: States that a job leaves only when somebody asks for it again.
ENDED = frozenset({JobState.DONE, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED, JobState.BUDGET_STOPPED})


class Priority(StrEnum):
    """How soon a job's units are taken."""

    LOW = "low"
    NORMAL = "normal"
    RUSH = "rush"


@dataclass(frozen=True)
class QueueView:
    """How a submitted job stands, as the coordinator last saw it. A view: it can be lost without harm."""

    job_id: str
    state: JobState
    priority: Priority
    owner: str
    labels: Mapping[str, str]
    media: tuple[Path, ...]
    submitted_at: str
    #: Unit counts by stage: (total, done, cached, failed).
    units: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    #: Units that a worker holds right now.
    running: int = 0
    #: Why nothing moves: no worker serves its engine, the disk is full; empty when something does.
    waiting_for: str = ""
    reason: str = ""
    duration_ms: int = 0
    speech_ms: int = 0
    updated_at: str = ""
    #: What became of the webhook, when one was wanted.
    notified: str = ""
    #: Why the webhook's receiver has not been told, or never will be; empty when all is well with it.
    untold: str = ""
    #: Id of the last order that this view takes into account; empty when its writer did not say.
    order: str = ""

    @property
    def ended(self) -> bool:
        """True when nothing more happens unless somebody asks for it."""
        return self.state in ENDED

    @property
    def progress(self) -> int | None:
        """Units that are through, in percent; None before there is a plan."""
        total = sum(count[0] for count in self.units.values())
        through = sum(count[1] + count[3] for count in self.units.values())
        return min(100 * through // total, 100) if total else None

    def as_json(self) -> dict[str, Any]:
        """The object that `segue jobs --json` prints for a job."""
        value: dict[str, Any] = to_builtins(self, enc_hook=str)
        return {"id": value.pop("job_id"), **value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> QueueView:
        """The view that `as_json` wrote. Raises ValueError."""
        return convert({**value, "job_id": value.get("id")}, cls, dec_hook=lambda kind, raw: kind(raw))


def write_view(store: Store, view: QueueView) -> None:
    """Replaces a job's view, and notes when. Only the coordinator may call this."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    value = view.as_json() | {"updated_at": now}
    store.replace_state((JOBS, view.job_id, "queue.state"), canonical_json(value))


def read_view(store: Store, job_id: str) -> QueueView | None:
    """A job's view; None for one that no coordinator has seen."""
    data = store.read_state((JOBS, job_id, "queue.state"))
    return None if data is None else QueueView.from_json(json.loads(data))
