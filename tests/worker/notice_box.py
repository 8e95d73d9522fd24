"""What a watcher told, for tests that wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.notices import Notice, NoticeWatcher, Pace, open_watcher

#: So long is waited for what must happen; nothing is asserted about how long it took.
PATIENCE_S = 30.0
QUICK = Pace(interval=0.05, timeout=1.0, first_timeout=10.0, long_poll=1)


def wait_until(happened: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


class NoticeBox:
    """Notices, withdrawals and lines of one watcher."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.withdrawn: list[Notice] = []
        self.lines: list[str] = []

    def first(self) -> Notice:
        """The first notice, waited for."""
        wait_until(lambda: self.notices)
        return self.notices[0]

    @contextmanager
    def watching(
        self, choice: str, url: str = "", *, file: Path | None = None, grace_seconds: int = 25, pace: Pace = QUICK
    ) -> Iterator[NoticeWatcher]:
        watcher = open_watcher(
            choice, url=url, file=file, grace_seconds=grace_seconds, say=self.lines.append, pace=pace
        )
        watcher.start(self.notices.append, self.withdrawn.append)
        try:
            yield watcher
        finally:
            watcher.stop()
