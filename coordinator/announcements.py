"""What the coordinator says to people: lines on its output, and lines in a job's log."""

from __future__ import annotations

from collections.abc import Callable

from cache.store import Store
from pipeline.jobs import JobFolder

#: Who writes journals in the name of the coordinator.
WRITER = "coordinator"


class Announcements:
    """Says a line once, until it is forgotten. Touched by the coordinator's own thread only."""

    def __init__(self, store: Store, announce: Callable[[str], None]) -> None:
        self._store, self.announce = store, announce
        self._said: set[str] = set()

    def say(self, line: str) -> None:
        """Announces a line unless it was said before."""
        if line not in self._said:
            self._said.add(line)
            self.announce(line)

    def forget(self, start: str) -> None:
        """Lines with this start are news again."""
        self._said = {line for line in self._said if not line.startswith(start)}

    def log(self, job_id: str, event: str, text: str, *, level: str = "info", **ids: str) -> None:
        """A line in a job's log. Raises StoreError."""
        JobFolder(self._store, job_id).incidents.log(WRITER, event, text, level=level, **ids)
