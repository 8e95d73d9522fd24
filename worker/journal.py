"""What a worker says while it works: plain lines in a terminal, JSON lines for a log collector."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO


class WorkerLog:
    """One line a fact, on standard error. Safe for several threads; a reader that has left is no trouble."""

    def __init__(self, worker: str, stream: TextIO | None = None) -> None:
        self._worker = worker
        self._stream = stream or sys.stderr
        self._plain = self._stream.isatty()
        self._lock = threading.Lock()

    def say(self, text: str, event: str = "note", level: str = "info", **ids: Any) -> None:
        """Writes one line; ``ids`` name the batch, the job, the stage that it is about."""
        now = datetime.now(UTC)
        if self._plain:
            line = f"{now.astimezone():%H:%M:%S} {text}"
        else:
            line = json.dumps(
                {
                    "at": now.isoformat(timespec="milliseconds"),
                    "level": level,
                    "event": event,
                    "worker": self._worker,
                    **ids,
                    "text": text,
                },
                default=str,
            )
        with self._lock:
            try:
                print(line, file=self._stream, flush=True)
            except (OSError, ValueError):
                # Nobody reads any more; the work is what matters.
                return

    @contextmanager
    def hearing(self, name: str) -> Iterator[None]:
        """What is said to a logger of the standard library is said here, inside the block."""
        logger, handler = logging.getLogger(name), _Handler(self)
        before = logger.propagate
        logger.addHandler(handler)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.propagate = before


class _Handler(logging.Handler):
    """Passes records on, except refused messages: these are counted and said by the supervisor."""

    def __init__(self, log: WorkerLog) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith("message refused"):
            self._log.say(text, "broker", record.levelname.lower())
