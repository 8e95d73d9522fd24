"""The store's journals as the ledger's facts: every machine's, or those that one job has to do with.

Nothing here judges. What a purge has taken (a job's folder, its records) is made up for as far as the journals allow:
they hold opaque ids only, and stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from accounting.job_demand import (
    Span,
    WriterLife,
    demand_journals,
    owner_and_labels,
    planned_keys,
    spans_of,
)
from accounting.provenance import first_whole, read_records, whole_attempts
from accounting.typed_facts import JOURNAL, NodeJournal, Process, read_node, read_processes
from cache.store import Store
from journals.attempts import FOLDER as ATTEMPTS
from journals.facts import DemandInterval, Fact, SessionOpened
from journals.lines import DemandLine
from journals.node_session import FOLDER as NODES
from pipeline.jobs import JobFolder, list_jobs


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
    #: Language of a unit by its key, where its attempts say one.
    languages: Mapping[str, str] = field(default_factory=dict)
    #: What is wrong with the journals, one line each.
    errors: tuple[str, ...] = ()
    #: How many facts each journal had, by its path below home: what a closing rests on.
    heads: Mapping[str, int] = field(default_factory=dict)


class ChosenMachines(Protocol):
    """Machines whose journals are to be read."""

    @property
    def processes(self) -> Collection[str]:
        """Names of their processes."""

    @property
    def sessions(self) -> Collection[str]:
        """The machines."""

    def life(self, writer: str, /) -> WriterLife:
        """How long whoever wrote a job's demand lived, also where the journal is not among them."""


class FactReader:
    """Reads the journals once, and the machines and records that a question needs."""

    def __init__(
        self, store: Store, limits: Mapping[str, int] | None = None, only: ChosenMachines | None = None
    ) -> None:
        """``only``: the machines whose journals are read; without it all are."""
        self.store, self._only = store, only
        self._limits = limits
        self._errors: list[str] = []
        self._used_of: frozenset[str] | None = frozenset()
        #: Every process's journal.
        self.processes = read_processes(store, self._errors, limits, only.processes if only else None)
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

    def keep_usage(self, keys: Collection[str] | None) -> None:
        """Facts that are asked for from now on tell what the records with these keys (None: all) say they used."""
        self._used_of = None if keys is None else frozenset(keys)

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
        records = read_records(self.store, processes, self._used_of)
        makers = first_whole(whole_attempts(processes, self.owners), records.missing)
        return LedgerFacts(
            facts=tuple(facts),
            demand=(
                *(interval for job in sorted(self.demand) for interval in self.demand[job]),
                *self._purged(processes),
            ),
            made_by={**records.made_by, **{key: attempt for key, (_, attempt) in makers.items()}},
            made_at=records.made_at,
            used=records.used,
            embedded={session: jobs for session, jobs in self.embedded.items() if session in chosen},
            owners=self.owners,
            languages=self._languages,
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

    # -- jobs ------------------------------------------------------------------------------------------------

    def _read_jobs(self) -> None:
        found: dict[str, set[str]] = {}
        for folder in list_jobs(self.store):
            job = folder.job_id
            owner, labels = owner_and_labels(self.store, folder, self._errors)
            whose = self.owners[job] = JobOwner(owner, labels)
            journals = dict(demand_journals(self.store, job, self._errors))
            for writer in journals if self._only is None else journals.keys() & self._only.sessions:
                own = self._by_name.get(writer)
                if (own is not None and own.session == writer) or self.node(writer).opening is not None:
                    found.setdefault(writer, set()).add(job)
            self.demand[job] = tuple(self._job_demand(folder, whose, journals))
        for process in self.processes:
            if process.session == process.name:
                jobs = found.setdefault(process.name, set())
                jobs.update(unit.job for attempt in process.started for unit in attempt.units if unit.job)
        self.embedded = {session: tuple(sorted(jobs)) for session, jobs in found.items()}

    def _job_demand(
        self, folder: JobFolder, whose: JobOwner, journals: Mapping[str, Iterable[DemandLine]]
    ) -> Iterator[DemandInterval]:
        spans: list[Span] = []
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
            known |= planned_keys(folder, self._errors)
        languages = {key: self._languages[key] for key in known if key in self._languages}
        for start, until, _ in sorted(spans, key=lambda span: (span[0], span[1] is None, span[1] or 0)):
            yield DemandInterval(folder.job_id, whose.owner, whose.labels, start, until, known, languages)

    def _spans(self, writer: str, lines: Iterable[DemandLine]) -> Iterator[Span]:
        """When the job needed its units, as one writer says; what it never ended ends with its machine."""
        for since, until, keys in spans_of(lines):
            yield since, until if until is not None else self._life(writer).until(since), keys

    def _life(self, writer: str) -> WriterLife:
        if self._only is not None and writer not in self._only.sessions:
            return self._only.life(writer)
        node, own = self.node(writer), self._by_name.get(writer)
        return WriterLife(max(node.last, own.last if own else 0), node.closed)

    def _died(self, writer: str) -> bool:
        """Whether a run ended without a word: whoever was stopped, by a person or a budget, closes its session."""
        life = self._life(writer)
        return bool(life.last) and life.closed is None


def openings(facts: Iterable[Fact]) -> dict[str, SessionOpened]:
    """The opening of each machine that wrote one."""
    return {fact.session: fact for fact in facts if isinstance(fact, SessionOpened)}
