"""What was begun and what it used: append-only facts, durable before an engine or an API is called.

No verdict is written here. Whether an attempt was useful, lost or double is derived later from these facts and from
the records, which name their attempt; so no crash between two writes can make the books wrong.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from msgspec import UNSET

from cache.store import Store
from core.specs import EngineSpec
from journals.hash_chained import HashChainedLog
from journals.lines import (
    AttemptEndedLine,
    AttemptLine,
    AttemptStartedLine,
    EngineLoadedLine,
    EngineTriedLine,
    ProcessEndedLine,
    ProcessStartedLine,
    UnitLine,
    read_attempt_line,
)
from journals.log_ends import process_name

#: Folder under the store's home, one file a process.
FOLDER = "attempts"


@dataclass(frozen=True)
class ProcessOrigin:
    """Whose process the attempts are: what joins them to a node session, and so to what the node cost."""

    #: Node session; empty for an embedded run, which is a session of its own by the name of its journal.
    node: str = ""
    #: Worker; empty for an embedded run.
    worker: str = ""


@dataclass(frozen=True)
class Begun:
    """An attempt that has been noted."""

    #: Its id.
    attempt: str
    #: Hash of the line that says so: records carry it, so that the line cannot be taken away unseen.
    line: str


class NotedUnit(Protocol):
    """What is noted of a unit that an attempt computes."""

    @property
    def key(self) -> str: ...

    @property
    def job_id(self) -> str: ...

    @property
    def audio_ms(self) -> int: ...

    @property
    def language(self) -> str: ...


class AttemptJournal:
    """This process's own file of facts. Safe for several threads: each line is one append.

    The first line says whose process it is; it is written together with the first fact, so that a process that did
    nothing leaves no file.
    """

    def __init__(
        self,
        store: Store,
        origin: ProcessOrigin | None = None,
        tell: Callable[[AttemptLine], None] = lambda _line: None,
        session: str = "",
    ) -> None:
        """``tell`` is given each line once it is written, in the thread that wrote it. ``session``: the process's name
        where whoever watches it has chosen one.
        """
        self.session = session or process_name()
        self._journal = HashChainedLog(store, (FOLDER, f"{self.session}.jsonl"))
        self._origin, self._tell = origin or ProcessOrigin(), tell
        self._count, self._begun = 0, _now()
        self._opened = False
        self._lock = threading.Lock()

    def start(
        self, stage: str, units: Sequence[NotedUnit], engine: EngineSpec, estimated: Mapping[str, int] | None
    ) -> Begun:
        """Notes a batch before it is given to an engine. Durable when it returns.

        ``estimated``: what a remote engine may use for it, by meter; None for an engine on this machine.
        """
        with self._lock:
            self._count += 1
            attempt = f"{self.session}/{stage}/{self._count}"
        line = AttemptStartedLine(
            attempt=attempt,
            stage=stage,
            at=_now(),
            engine=engine.describe(),
            provider=engine.provider,
            model=engine.model,
            fake=engine.fake,
            remote=estimated is not None,
            estimated=dict(estimated or {}),
            units=tuple([UnitLine(unit.key, unit.audio_ms, unit.language) for unit in units]),
            jobs=tuple([unit.job_id for unit in units]),
        )
        return Begun(attempt, self._append(line, durable=True))

    def end(
        self, attempt: str, seconds: float, yielded: int, usage: dict[str, int], left: Collection[str] = ()
    ) -> None:
        """Notes that the engine returned after so many seconds; ``left``: keys of units that it had not begun."""
        line = AttemptEndedLine(
            attempt=attempt,
            at=_now(),
            engine_seconds=f"{seconds:.3f}",
            yielded=yielded,
            usage=usage,
            left=tuple(sorted(left)) or UNSET,
        )
        self._append(line, durable=False)

    def engine_loaded(self, stage: str, engine: EngineSpec, seconds: float) -> None:
        """Notes that an engine was loaded, and how long that took."""
        line = EngineLoadedLine(
            stage=stage, engine=engine.describe(), fake=engine.fake, at=_now(), seconds=f"{seconds:.3f}"
        )
        self._append(line, durable=False)

    def engine_tried(self, stage: str, audio_ms: int, seconds: float) -> None:
        """Notes that a finished unit was computed again only to see whether the engine works: time, and no work."""
        line = EngineTriedLine(stage=stage, at=_now(), audio_ms=audio_ms, seconds=f"{seconds:.3f}")
        self._append(line, durable=False)

    def close(self) -> None:
        """Notes durably that this process begins nothing more, and anchors it: from then on no line can be cut off
        unseen. A process that noted nothing leaves no file. Raises StoreError.
        """
        if self._opened:
            self._append(ProcessEndedLine(at=_now()), durable=True)
            self._journal.close()

    def _append(self, line: AttemptLine, *, durable: bool) -> str:
        with self._lock:
            opening = [] if self._opened else [self._process_started()]
            head = self._journal.append([each.entry() for each in (*opening, line)], durable=durable)
            self._opened = True
        self._tell(line)
        return head

    def _process_started(self) -> ProcessStartedLine:
        return ProcessStartedLine(
            session=self.session,
            node=self._origin.node or self.session,
            worker=self._origin.worker,
            pid=os.getpid(),
            at=self._begun,
        )


def read_attempts(store: Store) -> Iterator[AttemptLine]:
    """Every fact of every process, file by file; torn last lines are skipped. Raises FactError."""
    for name in store.children((FOLDER,)):
        lines = (read_attempt_line(body) for body in store.read_lines((FOLDER, name)).bodies)
        yield from (line for line in lines if line is not None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
