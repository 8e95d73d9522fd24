"""When each job wanted its units and whose it is, read again only where a file that says so has changed.

What a job's files come to is kept, and a purge takes it as well. It counts only for files of the same names, sizes and
times, and for the very Segue that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from msgspec import Struct

from accounting.kept.code_digest import code_digest
from cache.names import JOBS
from cache.store import Stamp, Store
from core.errors import StoreError
from core.keys import digest_value
from jobs.submissions import filed_orders, wanted_of
from journals.demand import read_demand
from journals.facts import parse_instant
from journals.lines import DemandLine, JobEndedLine
from journals.log_ends import COORDINATOR, DEMAND, JOURNAL
from pipeline.job_summary import summary_of
from pipeline.jobs import JobFolder, demand_state, list_jobs

#: A run that noted no end wants nothing any more so long after its last sign of life.
_SILENT_MS = 10_000
#: Jobs whose keys are in memory at once: as many as want something at the time that one machine lived.
_JOBS_HELD = 512

#: When a job was asked for, when it was over (None: nobody said so), and the keys that were named then.
Span = tuple[int, int | None, frozenset[str]]


@dataclass(frozen=True)
class WriterLife:
    """How long whoever wrote a job's wants lived."""

    #: Last sign of life; 0 for a coordinator, which has none.
    last: int = 0
    #: When its machine was left in order; None when nobody said so.
    closed: int | None = None

    def until(self, since: int) -> int | None:
        """When a want ended that its writer never ended; None: a coordinator's lasts until it is ended."""
        if not self.last:
            return None
        return self.closed if self.closed is not None else max(self.last, since) + _SILENT_MS


def demand_journals(store: Store, job: str, errors: list[str]) -> Iterator[tuple[str, Sequence[DemandLine]]]:
    """What each writer says. One coordinator goes on where another was killed: together they are one writer."""
    coordinators: list[DemandLine] = []
    for name in store.children((JOBS, job)):
        if not (name.startswith(DEMAND) and name.endswith(JOURNAL)):
            continue
        writer = name.removeprefix(DEMAND).removesuffix(JOURNAL)
        lines = read_demand(store, job, name, errors)
        if writer.endswith(COORDINATOR):
            coordinators += lines
        else:
            yield writer, lines
    if coordinators:
        yield COORDINATOR, sorted(coordinators, key=lambda line: line.at)


def spans_of(lines: Iterable[DemandLine]) -> Iterator[Span]:
    """When the job wanted its units, as one writer says; the last may have no end and no keys."""
    since: int | None = None
    for line in lines:
        at = parse_instant(line.at)
        if isinstance(line, JobEndedLine):
            yield at if since is None else since, at, frozenset(line.keys)
            since = None
        elif since is None:
            since = at
    if since is not None:
        yield since, None, frozenset()


def owner_and_labels(store: Store, folder: JobFolder, errors: list[str]) -> tuple[str, dict[str, str]]:
    """Whose a job is, as its plan or else its first submission says."""
    try:
        planned = folder.read_owner()
        orders = wanted_of(filed_orders(store, folder.job_id))
    except StoreError as error:
        errors.append(f"job {folder.job_id}: {error.message}")
        planned, orders = None, None
    owner = planned if planned is not None else (orders.submissions[0].owner if orders else "")
    return owner, orders.labels if orders else {}


def planned_keys(folder: JobFolder, errors: list[str]) -> frozenset[str]:
    """The units of a job that nobody has ended: those of its plan."""
    try:
        plan = folder.read_plan_data()
        return frozenset(summary_of(folder, plan, folder.failures()).keys) if plan else frozenset()
    except StoreError as error:
        errors.append(f"job {folder.job_id}: {error.message}")
        return frozenset()


class WantedSpan(Struct, frozen=True, array_like=True):
    """A stretch in which a job wanted its units."""

    #: First instant.
    start: int
    #: First instant after it; None when its writer never said.
    end: int | None
    #: Whether its end names keys.
    keyed: bool


class JobDemand(Struct, frozen=True):
    """What a job's files say, but for the keys themselves."""

    #: Owner.
    owner: str
    #: Labels.
    labels: dict[str, str]
    #: Stretches by writer.
    spans: dict[str, tuple[WantedSpan, ...]]
    #: Digest over the keys that the stretches' ends name.
    keys: str

    @property
    def is_planned(self) -> bool:
        """Whether some of its keys are known from its plan only."""
        return any(not span.keyed for spans in self.spans.values() for span in spans)


class _Kept(Struct, frozen=True):
    code: str
    files: dict[str, Stamp]
    demand: JobDemand


class FleetDemand:
    """The demand of every job. ``life`` tells of whoever wrote a journal of wants."""

    def __init__(self, store: Store, life: Callable[[str], WriterLife]) -> None:
        self._store, self._life = store, life
        #: What is wrong, one line each.
        self.errors: list[str] = []
        #: By job; jobs whose folder is gone are not there.
        self.jobs: dict[str, JobDemand] = {folder.job_id: self._read(folder) for folder in list_jobs(store)}
        #: Jobs by whoever wrote wants of them.
        self.by_writer: dict[str, set[str]] = {}
        self._spans: dict[str, tuple[tuple[int, int | None], ...]] = {}
        for job, demand in self.jobs.items():
            for writer in demand.spans:
                self.by_writer.setdefault(writer, set()).add(job)
            self._spans[job] = tuple(self._resolved(demand))
        self.keys = lru_cache(_JOBS_HELD)(self._read_keys)

    def owner(self, job: str) -> str:
        """Whose job it is, in entries: of a job that never wanted anything nobody says so."""
        return self.jobs[job].owner if self._spans.get(job) else ""

    def spans(self, job: str) -> tuple[tuple[int, int | None], ...]:
        """When the job wanted its units, sorted; empty for one that is gone."""
        return self._spans.get(job, ())

    def digest(self, job: str) -> str:
        """Over everything that sums can rest on, but for the owner."""
        demand = self.jobs[job]
        keys = digest_value(sorted(self.keys(job))) if demand.is_planned else demand.keys
        return digest_value([self.spans(job), keys, sorted(demand.spans)])

    def overlapping(self, first: int, last: int) -> Iterator[str]:
        """Jobs that wanted anything between two instants, both included."""
        return (job for job in self._spans if self.overlaps(job, first, last))

    def overlaps(self, job: str, first: int, last: int) -> bool:
        """Whether the job wanted anything between two instants, both included."""
        return any(_overlaps(span, first, last) for span in self.spans(job))

    def part(self, job: str, first: int, last: int, keys: frozenset[str]) -> str:
        """Digest over what one machine's fold takes from a job: ``keys`` are those of its units, which were begun
        from ``first`` to ``last``."""
        if job not in self.jobs:
            return GONE
        spans = [
            [max(start, first), None if until is None or until > last else until]
            for start, until in self.spans(job)
            if _overlaps((start, until), first, last)
        ]
        return digest_value([bool(self.spans(job)), spans, sorted(self.keys(job) & keys)])

    def _resolved(self, demand: JobDemand) -> list[tuple[int, int | None]]:
        found = [
            (span.start, span.end if span.end is not None else self._life(writer).until(span.start))
            for writer, spans in demand.spans.items()
            for span in spans
        ]
        return sorted(found, key=lambda span: (span[0], span[1] is None, span[1] or 0))

    def _read_keys(self, job: str) -> frozenset[str]:
        journals = demand_journals(self._store, job, [])
        found = frozenset[str]().union(*(keys for _, lines in journals for _, _, keys in spans_of(lines)))
        if self.jobs[job].is_planned:
            found |= planned_keys(JobFolder(self._store, job), self.errors)
        return found

    def _read(self, folder: JobFolder) -> JobDemand:
        job, stamps = folder.job_id, self._store.file_stamps((JOBS, folder.job_id))
        files = {name: stamp for name, stamp in stamps.items() if _tells_demand(name)}
        held = _held(self._store, job, files)
        if held is not None:
            return held
        errors: list[str] = []
        owner, labels = owner_and_labels(self._store, folder, errors)
        journals = {writer: list(spans_of(lines)) for writer, lines in demand_journals(self._store, job, errors)}
        keys = frozenset[str]().union(*(keys for spans in journals.values() for _, _, keys in spans))
        spans = {
            writer: tuple(WantedSpan(start, end, bool(named)) for start, end, named in found)
            for writer, found in journals.items()
        }
        demand = JobDemand(owner, labels, spans, digest_value(sorted(keys)))
        self.errors += errors
        if not errors:
            # A disk that is full or only to be read from: the next one who looks reads it again.
            with suppress(StoreError):
                kept = msgspec.json.encode(_Kept(code_digest(), files, demand))
                self._store.replace_state(demand_state(job), kept, durable=False)
        return demand


def _held(store: Store, job: str, files: Mapping[str, Stamp]) -> JobDemand | None:
    data = store.read_state(demand_state(job))
    try:
        kept = None if data is None else msgspec.json.decode(data, type=_Kept)
    except msgspec.DecodeError:
        return None
    return kept.demand if kept is not None and kept.code == code_digest() and kept.files == files else None


def misleads(store: Store, folder: JobFolder) -> str:
    """The file that keeps whose a job is and would be believed, where it says otherwise than plan and orders; else
    nothing."""
    job, stamps = folder.job_id, store.file_stamps((JOBS, folder.job_id))
    held = _held(store, job, {name: stamp for name, stamp in stamps.items() if _tells_demand(name)})
    if held is None or (held.owner, held.labels) == owner_and_labels(store, folder, []):
        return ""
    return "/".join(demand_state(job))


#: Instead of a digest, for a job whose folder is gone.
GONE = "gone"


def _overlaps(span: tuple[int, int | None], first: int, last: int) -> bool:
    start, until = span
    return start <= last and (until is None or until > first)


def _tells_demand(name: str) -> bool:
    return name == "orders.jsonl" or name.startswith((DEMAND, "plan-"))
