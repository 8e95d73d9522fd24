"""Sees to it that the end of every worker is noted: of those that fall silent, and of those that fell silent before.

Nothing waits for it. What the disk refuses is tried again later, and the rest meanwhile.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial

from cache.store import Store
from core.errors import StoreError
from journals.chain import Anchor
from journals.log_ends import (
    LOG_ENDS,
    EndOfLogRecorder,
    beats_of,
    journals_of_worker,
    log_ends_of,
    processes_by_family,
    read_end,
    seen_ends,
)
from journals.node_session import FOLDER as NODES

#: A worker that is no longer registered may be leaving in order; its journals are looked at after so long.
_GRACE_S = 5.0
#: What the disk refused is tried again after so long, in seconds.
_AGAIN_S = 30.0
#: A process that was silent for so long when this coordinator began is looked at at once, another after so long.
_SILENT = timedelta(seconds=60)
#: One pass begins nothing more after so long, in seconds: what the coordinator does for jobs must not wait for it.
_LOOK_S = 0.1
_BEATS = re.compile(r"nodes/[A-Za-z0-9._-]+/beats-[A-Za-z0-9._-]+\.jsonl")


class DeathWatch:
    """Looks at the register of workers, and notes the ends of those that have gone. Touched by one thread only."""

    def __init__(self, store: Store, recorder: EndOfLogRecorder, say: Callable[[str], None]) -> None:
        self._store, self._recorder, self._say = store, recorder, say
        #: Paths of the beats of workers that are registered, and of those that no longer are: when to look at them.
        self._alive: set[str] = set()
        self._due: dict[str, float] = {}
        #: What is to be done for everything that was there when this coordinator began; None before it is known.
        self._earlier: deque[Callable[[], None]] | None = None
        #: Ends that others have noted, and the journals of attempts, of that time; empty once all of it is done.
        self._known: set[Anchor] = set()
        self._processes: dict[str, list[str]] = {}
        self._began = datetime.now(UTC)

    def look(self, registered: Iterable[str]) -> None:
        """Takes the heartbeats that registered workers name, as they are now. Never raises for the disk."""
        now = time.monotonic()
        # Whoever reaches the broker can describe a worker: what is no such path is nothing.
        alive = {beats for beats in registered if _BEATS.fullmatch(beats)}
        self._due.update(dict.fromkeys(self._alive - alive, now + _GRACE_S))
        for beats in alive & self._due.keys():
            del self._due[beats]
        self._alive = alive
        try:
            self._note_due(now)
            self._note_earlier(now + _LOOK_S)
        except StoreError as error:
            self._say(f"the ends of workers cannot be noted yet: {error}")

    def _note_due(self, now: float) -> None:
        due = [beats for beats, at in self._due.items() if at <= now]
        processes = processes_by_family(self._store) if due else {}
        for beats in due:
            # Put off first: one that the disk refuses must not keep the others waiting.
            self._due[beats] = now + _AGAIN_S
            self._recorder.see(journals_of_worker(beats, processes))
            del self._due[beats]
            if time.monotonic() > now + _LOOK_S:
                return

    def _note_earlier(self, until: float) -> None:
        """What fell silent while no coordinator looked: the ones before this one, workers, runs."""
        if self._earlier is None:
            self._earlier = self._all_earlier()
        while self._earlier:
            step = self._earlier.popleft()
            try:
                step()
            except StoreError:
                self._earlier.append(step)
                raise
            if time.monotonic() > until:
                return
        self._known, self._processes = set(), {}

    def _all_earlier(self) -> deque[Callable[[], None]]:
        """Steps of which each is short; what is known already comes first."""
        self._processes = processes_by_family(self._store)
        mine = log_ends_of(self._recorder.name).rpartition("/")[2]
        others = [name for name in self._store.children(LOG_ENDS) if name != mine]
        return deque[Callable[[], None]](
            [
                *(partial(self._learn, name) for name in others),
                *(partial(self._recorder.see, ["/".join((*LOG_ENDS, name))], self._known) for name in others),
                *(partial(self._look_into, session) for session in self._store.children((NODES,))),
            ]
        )

    def _learn(self, name: str) -> None:
        self._known |= seen_ends(self._store, name)

    def _look_into(self, session: str) -> None:
        found = (partial(self._look_at, beats) for beats in beats_of(self._store, session))
        if self._earlier is not None:
            self._earlier.extend(found)

    def _look_at(self, beats: str) -> None:
        end = read_end(self._store, beats)
        if end is None:
            return
        if end.in_order or end.at < self._began - _SILENT:
            # One that left in order as well: it may have been killed before it could anchor that, or its engine may.
            self._recorder.see(journals_of_worker(beats, self._processes), self._known)
        elif beats not in self._alive:
            # It ended a moment before this coordinator began, or lives, or its clock is ahead.
            self._due.setdefault(beats, time.monotonic() + _SILENT.total_seconds())
