"""What was begun and what it used: append-only facts, durable before an engine or an API is called.

No verdict is written here. Whether an attempt was useful, lost or double is derived later from these facts and from
the records, which name their attempt; so no crash between two writes can make the books wrong.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from cache.store import Store
from pipeline.stages import Stage, Unit

#: Folder under the store's home, one file a process.
FOLDER = "attempts"


class AttemptJournal:
    """This process's own file of attempts. Safe for several threads: each line is one append."""

    def __init__(self, store: Store) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self.session = f"{stamp}-{os.getpid()}-{os.urandom(4).hex()}"
        self._store, self._parts = store, (FOLDER, f"{self.session}.jsonl")
        self._count = 0

    def start(self, stage: Stage, units: Sequence[Unit]) -> str:
        """Notes a batch before it is given to an engine; returns the attempt's id. Durable when it returns."""
        self._count += 1
        attempt = f"{self.session}/{stage}/{self._count}"
        fact = {
            "fact": "attempt_started",
            "attempt": attempt,
            "stage": str(stage),
            "at": _now(),
            "units": [{"key": unit.key, "audio_ms": unit.audio_ms} for unit in units],
        }
        self._store.append(self._parts, [fact], durable=True)
        return attempt

    def end(self, attempt: str, started: float, yielded: int, usage: dict[str, int]) -> None:
        """Notes that the engine returned; ``started`` is `time.monotonic` at the call."""
        seconds = f"{time.monotonic() - started:.3f}"
        fact = {
            "fact": "attempt_ended",
            "attempt": attempt,
            "at": _now(),
            "engine_seconds": seconds,
            "yielded": yielded,
            "usage": usage,
        }
        self._store.append(self._parts, [fact], durable=False)


def read_attempts(store: Store) -> Iterator[dict[str, Any]]:
    """Every fact of every process, file by file; torn last lines are skipped."""
    for name in store.children((FOLDER,)):
        yield from store.read_journal((FOLDER, name)).entries


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
