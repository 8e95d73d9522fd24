"""When a job wanted its units: facts for the ledger, since units that several jobs wanted at once are paid by all."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from pipeline.jobs import JOBS, JobFolder


def note_wanted(folder: JobFolder, writer: str) -> None:
    """The job's units are wanted from now on."""
    _append(folder, writer, {"fact": "job_wanted", "job": folder.job_id, "at": _now()})


def note_ended(folder: JobFolder, writer: str, keys: Collection[str]) -> None:
    """The job wants nothing more; ``keys`` are the units it wanted."""
    fact = {"fact": "job_ended", "job": folder.job_id, "at": _now(), "keys": sorted(keys)}
    _append(folder, writer, fact)


def _append(folder: JobFolder, writer: str, fact: dict[str, Any]) -> None:
    folder.store.append((JOBS, folder.job_id, f"wants-{writer}.jsonl"), [fact], durable=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
