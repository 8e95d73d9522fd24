"""The store's journals as the ledger's facts: every machine's, or those that one job has to do with.

Nothing here judges. What a purge has taken (a job's folder, its records) is made up for as far as the journals allow:
they hold opaque ids only, and stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from accounting.typed_facts import JOURNAL, NodeJournal, Process, read_node, read_processes
from cache.names import JOBS
from cache.store import Store
from core.errors import StoreError
from jobs.submissions import filed_orders, wanted_of
from journals.attempts import FOLDER as ATTEMPTS
from journals.demand import read_demand
from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    DemandInterval,
    Fact,
    SessionOpened,
    believable_counts,
    parse_instant,
)
from journals.lines import DemandLine, JobEndedLine
from journals.log_ends import COORDINATOR, DEMAND
from journals.node_session import FOLDER as NODES
from pipeline.job_summary import summary_of
from pipeline.jobs import JobFolder, list_jobs

#: A run that noted no end needs nothing any more so long after its last sign of life.
_SILENT_MS = 10_000


@dataclass(frozen=True)
class JobOwner:
    """Whose a job is."""

    #: Owner.
    owner: str
    #: Labels.
    labels: Mapping[str, str]


@dataclass(frozen=True)
class LedgerFacts:
    """What the fold is given, and what charging needs beside it."""

    #: Facts of every machine chosen.
    facts: tuple[Fact, ...]
    #: Wants of every job.
    demand: tuple[DemandInterval, ...]
    #: Attempt that made a record, by key.
    made_by: Mapping[str, str]
    #: When a record was made, where it says so, by key.
    made_at: Mapping[str, int]
    #: Usage that a record says it took, by key, of the records whose usage was asked for.
    used: Mapping[str, Mapping[str, int]]
    #: Jobs of each embedded run, by its session.
    embedded: Mapping[str, tuple[str, ...]]
    #: Owner and labels by job; jobs whose folder is gone are not there.
    owners: Mapping[str, JobOwner]
    #: What is wrong with the journals, one line each.
    errors: tuple[str, ...] = ()
    #: How many facts each journal had, by its path below home: what a closing rests on.
    heads: Mapping[str, int] = field(default_factory=dict)


class FactReader:
    """Reads the journals once, and the machines and records that a question needs."""

    def __init__(self, store: Store, limits: Mapping[str, int] | None = None) -> None:
        self.store = store
        self._limits = limits
        self._errors: list[str] = []
        self._used_of: frozenset[str] = frozenset()
        #: Every process's journal.
        self.processes = read_processes(store, self._errors, limits)
        self._nodes: dict[str, NodeJournal] = {}
        self._languages = {key: said for each in self.processes for key, said in each.languages.items()}
        self._by_name = {each.name: each for each in self.processes}
        #: Jobs of each embedded run.
        self.embedded: dict[str, tuple[str, ...]] = {}
        #: Wants by job.
        self.demand: dict[str, tuple[DemandInterval, ...]] = {}
        #: When a job was taken up again after a run of it had died; by job.
        self.resumed: dict[str, tuple[int, ...]] = {}
        #: Owner and labels by job.
        self.owners: dict[str, JobOwner] = {}
        self._read_jobs()

    def node(self, session: str) -> NodeJournal:
        """One machine's folder, read once."""
        found = self._nodes.get(session)
        if found is None:
            found = self._nodes[session] = read_node(self.store, session, self._errors, self._limits)
        return found

    def sessions(self) -> list[str]:
        """Every machine: those with a folder and those with a process."""
        return sorted({*self.store.children((NODES,)), *(each.session for each in self.processes)})

    def sessions_of(self, job_id: str, keys: Collection[str]) -> list[str]:
        """The machines that were given units of these keys, or units for this job."""
        wanted = set(keys)
        found = {session for session, jobs in self.embedded.items() if job_id in jobs}
        for process in self.processes:
            if process.session in found:
                continue
            if any(unit.job == job_id or unit.key in wanted for each in process.started for unit in each.units):
                found.add(process.session)
        return sorted(found)

    def keep_usage(self, keys: Collection[str]) -> None:
        """Facts that are asked for from now on tell what the records with these keys say they used."""
        self._used_of = frozenset(keys)

    def facts(self, sessions: Collection[str]) -> LedgerFacts:
        """Everything that the fold needs for these machines."""
        chosen = set(sessions)
        processes = [each for each in self.processes if each.session in chosen]
        heads = {f"{ATTEMPTS}/{each.name}{JOURNAL}": each.lines for each in processes}
        facts: list[Fact] = [fact for each in processes for fact in each.facts]
        for session in sorted(chosen):
            node = self.node(session)
            facts += node.facts
            heads.update(node.heads)
        made_by, made_at, used = self._records(processes)
        return LedgerFacts(
            facts=tuple(facts),
            demand=(
                *(interval for job in sorted(self.demand) for interval in self.demand[job]),
                *self._purged(processes),
            ),
            made_by=made_by,
            made_at=made_at,
            used=used,
            embedded={session: jobs for session, jobs in self.embedded.items() if session in chosen},
            owners=self.owners,
            errors=tuple(sorted(set(self._errors))),
            heads=heads,
        )

    def _purged(self, processes: Iterable[Process]) -> Iterator[DemandInterval]:
        """A demand interval of no length for each job whose folder is gone: its units keep their languages."""
        found: dict[str, dict[str, str]] = {}
        for unit in (unit for each in processes for attempt in each.started for unit in attempt.units):
            if unit.job and unit.job not in self.owners:
                said = found.setdefault(unit.job, {})
                if unit.key in self._languages:
                    said[unit.key] = self._languages[unit.key]
        for job in sorted(found):
            yield DemandInterval(job, "", {}, 0, 0, frozenset(), found[job])

    # -- records ---------------------------------------------------------------------------------------------

    def _records(
        self, processes: Iterable[Process]
    ) -> tuple[dict[str, str], dict[str, int], dict[str, Mapping[str, int]]]:
        made_by: dict[str, str] = {}
        made_at: dict[str, int] = {}
        used: dict[str, Mapping[str, int]] = {}
        gone: dict[str, list[AttemptStarted]] = {}
        ended = {fact.attempt: fact for each in processes for fact in each.facts if isinstance(fact, AttemptEnded)}
        for attempt in (attempt for each in processes for attempt in each.started):
            for unit in attempt.units:
                if unit.key in made_by:
                    continue
                record = self.store.get(unit.key)
                if record is None:
                    gone.setdefault(unit.key, []).append(attempt)
                    continue
                said = record.provenance
                maker = str(said.get("attempt", ""))
                # The same text once, where there is one.
                made_by[unit.key] = attempt.attempt if maker == attempt.attempt else maker
                if "at" in said:
                    made_at[unit.key] = parse_instant(str(said["at"]))
                if unit.key in self._used_of:
                    used[unit.key] = believable_counts(said)
        for key, attempts in gone.items():
            maker = self._purged_maker(attempts, ended, key)
            if maker:
                made_by[key] = maker
        return made_by, made_at, used

    def _purged_maker(self, attempts: list[AttemptStarted], ended: Mapping[str, AttemptEnded], key: str) -> str:
        """Whoever made a record that an owner's purge took: the first attempt that came back with all it was given.

        Only for jobs whose folder is gone: where it is there, a missing record is a unit that failed or was lost.
        """
        whole = [
            (end.at, attempt.attempt)
            for attempt in attempts
            if (end := ended.get(attempt.attempt)) is not None
            and end.yielded >= len(attempt.units)
            and any(unit.key == key and unit.job and unit.job not in self.owners for unit in attempt.units)
        ]
        return min(whole)[1] if whole else ""

    # -- jobs ------------------------------------------------------------------------------------------------

    def _read_jobs(self) -> None:
        found: dict[str, set[str]] = {}
        for folder in list_jobs(self.store):
            job = folder.job_id
            try:
                planned = folder.read_owner()
                orders = wanted_of(filed_orders(self.store, job))
            except StoreError as error:
                self._errors.append(f"job {job}: {error.message}")
                planned, orders = None, None
            owner = planned if planned is not None else (orders.submissions[0].owner if orders else "")
            whose = self.owners[job] = JobOwner(owner, orders.labels if orders else {})
            journals = dict(self._want_journals(job))
            for writer in journals:
                own = self._by_name.get(writer)
                if (own is not None and own.session == writer) or self.node(writer).opening is not None:
                    found.setdefault(writer, set()).add(job)
            self.demand[job] = tuple(self._job_demand(folder, whose, journals))
        for process in self.processes:
            if process.session == process.name:
                jobs = found.setdefault(process.name, set())
                jobs.update(unit.job for attempt in process.started for unit in attempt.units if unit.job)
        self.embedded = {session: tuple(sorted(jobs)) for session, jobs in found.items()}

    def _want_journals(self, job: str) -> Iterator[tuple[str, Sequence[DemandLine]]]:
        """What each writer says. One coordinator goes on where another was killed: together they are one writer."""
        coordinators: list[DemandLine] = []
        for name in self.store.children((JOBS, job)):
            if not (name.startswith(DEMAND) and name.endswith(JOURNAL)):
                continue
            writer = name.removeprefix(DEMAND).removesuffix(JOURNAL)
            lines = read_demand(self.store, job, name, self._errors)
            if writer.endswith(COORDINATOR):
                coordinators += lines
            else:
                yield writer, lines
        if coordinators:
            yield COORDINATOR, sorted(coordinators, key=lambda line: line.at)

    def _job_demand(
        self, folder: JobFolder, whose: JobOwner, journals: Mapping[str, Iterable[DemandLine]]
    ) -> Iterator[DemandInterval]:
        spans: list[tuple[int, int | None, frozenset[str]]] = []
        died: set[int] = set()
        for writer, lines in journals.items():
            found = list(self._spans(writer, lines))
            spans += found
            if found and not found[-1][2] and self._died(writer):
                died.add(found[-1][0])
        starts = sorted({start for start, _, _ in spans})
        self.resumed[folder.job_id] = tuple(now for before, now in pairwise(starts) if before in died)
        known = frozenset[str]().union(*(keys for _, _, keys in spans))
        if spans and any(not keys for _, _, keys in spans):
            known |= self._planned_keys(folder)
        languages = {key: self._languages[key] for key in known if key in self._languages}
        for start, until, _ in sorted(spans, key=lambda span: (span[0], span[1] is None, span[1] or 0)):
            yield DemandInterval(folder.job_id, whose.owner, whose.labels, start, until, known, languages)

    def _spans(self, writer: str, lines: Iterable[DemandLine]) -> Iterator[tuple[int, int | None, frozenset[str]]]:
        """When the job wanted its units, as one writer says; what it never ended ends with its machine."""
        since: int | None = None
        for line in lines:
            at = parse_instant(line.at)
            if isinstance(line, JobEndedLine):
                yield at if since is None else since, at, frozenset(line.keys)
                since = None
            elif since is None:
                since = at
        if since is None:
            return
        node = self.node(writer)
        own = self._by_name.get(writer)
        last = max(node.last, own.last if own else 0)
        if not last:
            # A coordinator's: the job is wanted until it is ended.
            yield since, None, frozenset()
            return
        yield since, node.closed if node.closed is not None else max(last, since) + _SILENT_MS, frozenset()

    def _died(self, writer: str) -> bool:
        """Whether a run ended without a word: whoever was stopped, by a person or a budget, closes its session."""
        node, own = self.node(writer), self._by_name.get(writer)
        return bool(node.last or (own and own.last)) and node.closed is None

    def _planned_keys(self, folder: JobFolder) -> frozenset[str]:
        try:
            plan = folder.read_plan_data()
            return frozenset(summary_of(folder, plan, folder.failures()).keys) if plan else frozenset()
        except StoreError as error:
            self._errors.append(f"job {folder.job_id}: {error.message}")
            return frozenset()


def openings(facts: Iterable[Fact]) -> dict[str, SessionOpened]:
    """The opening of each machine that wrote one."""
    return {fact.session: fact for fact in facts if isinstance(fact, SessionOpened)}
