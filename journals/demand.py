"""When a job wanted its units: facts for the ledger, since units that several jobs wanted at once are paid by all.

Each process has its own journal in a job's folder. Its lines are chained, and their ends are noted in the process's
own journal of end-of-log records: a file of anchors for each job would be one too many. Each line knows the job's plans
and orders as they were then, which say whose the job is and what it is labelled: a later change to them is seen.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from msgspec import UNSET

from cache.names import JOBS
from cache.store import Store
from core.errors import StoreError
from core.keys import digest_bytes
from journals.chain import Anchor, Chain
from journals.facts import FactError
from journals.lines import DemandLine, JobAskedLine, JobEndedLine, JobFiles, JobLine, JobWantedLine, read_demand_line
from journals.log_ends import DEMAND, JOURNAL, RECENT, EndOfLogRecorder, journals_of_run, read_end


class JobPlace(Protocol):
    """Where a job lies: a store and its id in it."""

    @property
    def store(self) -> Store: ...

    @property
    def job_id(self) -> str: ...


class DemandLog:
    """What one process notes of the demand of its jobs. Safe for several threads."""

    def __init__(self, recorder: EndOfLogRecorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        #: Of journals whose last line may not be whole, by name.
        self._doubtful: dict[str, Chain] = {}
        #: Ends that the recorder has still to note.
        self._unnoted: list[Anchor] = []
        #: Processes that had to do with one of our jobs before, and the logs of its demand, once they were looked at.
        self._met: set[str] = set()

    def wanted(self, folder: JobPlace) -> None:
        """The job's units are wanted from now on. Raises StoreError."""
        self._append(folder, JobWantedLine(job=folder.job_id, at=_now(), **_files_of(folder)))
        self._meet(folder)

    def ended(self, folder: JobPlace, keys: Collection[str]) -> None:
        """Nothing more of the job is wanted; ``keys`` are the units it wanted. Raises StoreError."""
        files = _files_of(folder)
        self._append(folder, JobEndedLine(job=folder.job_id, at=_now(), keys=tuple(sorted(keys)), **files))
        # A run that was killed before it could say so may have left nothing to want.
        self._meet(folder)

    def asked(self, folder: JobPlace) -> None:
        """The job was asked for and needs nothing: only what was asked is noted. Raises StoreError."""
        self._append(folder, JobAskedLine(job=folder.job_id, at=_now(), **_files_of(folder)))

    def _append(self, folder: JobPlace, line: JobLine) -> None:
        parts = (JOBS, folder.job_id, f"{DEMAND}{self._recorder.name}{JOURNAL}")
        name = "/".join(parts)
        with self._lock:
            chain = self._doubtful.pop(name, None)
            if chain is None:
                end = read_end(folder.store, name)
                chain = Chain(name, end.anchor if end else None)
            sealed = chain.seal(line.entry())
            try:
                folder.store.append(parts, [sealed], durable=True)
            except BaseException:
                chain.doubt()
                self._doubtful[name] = chain
                raise
            self._unnoted.append(chain.anchor)
            # The want itself is written: what the disk refuses now is noted with the next one.
            with suppress(StoreError):
                self._recorder.note(self._unnoted)
                self._unnoted = []

    def _meet(self, folder: JobPlace) -> None:
        """Notes the ends of processes that wanted this job before: whoever takes it up again knows that they are over.

        What the disk refuses is done when the next job is wanted.
        """
        names = folder.store.children((JOBS, folder.job_id))
        writers = {name.removeprefix(DEMAND).removesuffix(JOURNAL) for name in names if name.startswith(DEMAND)}
        # Their names begin with when they did: who came before the last few was looked at by one of those.
        for writer in sorted(writers - {self._recorder.name})[-RECENT:]:
            path = f"{JOBS}/{folder.job_id}/{DEMAND}{writer}{JOURNAL}"
            if path in self._met:
                continue
            try:
                of_writer = [] if writer in self._met else journals_of_run(folder.store, writer)
                self._recorder.see([path, *of_writer])
            except StoreError:
                return
            self._met.update((path, writer))


def read_demand(store: Store, job_id: str, name: str, errors: list[str]) -> list[DemandLine]:
    """What one writer noted of a job's wants; ``errors`` is told what is wrong with a line that is not what it says."""
    found = []
    for body in store.read_lines((JOBS, job_id, name)).bodies:
        try:
            line = read_demand_line(body)
        except FactError as error:
            errors.append(f"{JOBS}/{job_id}/{name}: {error}")
            continue
        if line is not None:
            found.append(line)
    return found


def orders_parts(job_id: str) -> tuple[str, ...]:
    """Where everything that was ever asked about a job lies."""
    return JOBS, job_id, "orders.jsonl"


def plan_names(names: Iterable[str]) -> list[str]:
    """Those of the names in a job's folder that are plans, oldest first."""
    plans = [name for name in names if name.startswith("plan-") and name.endswith(".json")]
    return sorted(plans, key=lambda name: (len(name), name))


def orders_digest(lines: Iterable[bytes]) -> str:
    """The digest of a job's first orders, as they lie in its journal of orders."""
    return digest_bytes(b"\n".join(lines))


def _files_of(folder: JobPlace) -> JobFiles:
    """The job's plans by digest, and how far its orders go. Orders are appended by one coordinator after the other, so
    that they are no chain of their own."""
    store, place = folder.store, (JOBS, folder.job_id)
    plans = {name: store.read_document((*place, name)) for name in plan_names(store.children(place))}
    documents: dict[str, str] = {
        "/".join((*place, name)): digest_bytes(data) for name, data in plans.items() if data is not None
    }
    orders = store.read_lines(orders_parts(folder.job_id)).bodies
    return {"documents": documents or UNSET, "orders": (len(orders), orders_digest(orders)) if orders else UNSET}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
