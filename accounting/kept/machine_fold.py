"""One machine's journals, read and folded by themselves: the same amounts as in the books of all machines.

That holds as long as a machine's journals speak of its own processes and attempts only, and are told what others'
journals say of what a purge has taken: see `NotItsOwnError` and ``makers``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from accounting.facts import LedgerFacts
from accounting.fleet_ledger import FleetLines, PricingRules, fold_lines
from accounting.in_progress import UnderWay, under_way_of
from accounting.job_demand import FleetDemand
from accounting.kept.machine_sums import KeptMachine, Sums, Units, packed
from accounting.periods import months_of
from accounting.provenance import UnitRecords, WholeAttempt, read_records
from accounting.sharing.people import audio_of
from accounting.typed_facts import NodeJournal, Process, read_node, read_process
from accounting.verdicts.month_work import work_of
from cache.store import Stamp, Store
from core.errors import SegueError
from core.keys import digest_bytes
from journals.facts import AttemptEnded, AttemptStarted, Beat, DemandInterval, ProcessEnded, SessionOpened
from journals.node_session import BEAT_SECONDS
from ledger.entries import Period
from ledger.price_book.prices import PriceBook
from ledger.timeline import BEATS_MISSED

#: Periods that cut a machine's life and whose sums are kept.
_PIECES_KEPT = 100
_QUIET_MS = round(BEATS_MISSED * BEAT_SECONDS * 1000)


class NotItsOwnError(SegueError):
    """A machine's journal speaks of another machine's process or attempt: they can only be folded together."""


@dataclass(frozen=True)
class MachineJournals:
    """One machine's journals."""

    #: Node session, or the process of an embedded run without one.
    session: str
    #: Its processes.
    processes: tuple[Process, ...]
    #: Its folder.
    node: NodeJournal
    #: What is wrong with its journals, one line each.
    errors: tuple[str, ...]

    @classmethod
    def read(cls, store: Store, session: str, names: Iterable[str], known: Collection[str]) -> MachineJournals:
        """The machine with the processes of these names, of all that are known. Raises NotItsOwnError."""
        errors: list[str] = []
        read = (read_process(store, name, errors) for name in names)
        processes = tuple(process for process in read if process is not None)
        machine = cls(session, processes, read_node(store, session, errors), tuple(errors))
        machine.check_own(known)
        return machine

    @property
    def started(self) -> Iterator[AttemptStarted]:
        """Its attempts."""
        return (attempt for process in self.processes for attempt in process.started)

    @property
    def jobs(self) -> frozenset[str]:
        """Jobs that its units were taken up for."""
        return frozenset(unit.job for attempt in self.started for unit in attempt.units if unit.job)

    def check_own(self, known: Collection[str]) -> None:
        """Raises NotItsOwnError; who leaves no journal is nobody else's process."""
        names = {process.name for process in self.processes}
        for process in self.processes:
            if process.session != self.session:
                raise NotItsOwnError(f"process {process.name} is not of machine {self.session}")
            for fact in process.facts:
                if isinstance(fact, (AttemptStarted, AttemptEnded)) and not fact.attempt.startswith(f"{process.name}/"):
                    raise NotItsOwnError(f"attempt {fact.attempt} is not of process {process.name}")
        for fact in self.node.facts:
            if isinstance(fact, SessionOpened) and fact.session != self.session:
                raise NotItsOwnError(f"machine {self.session} calls itself {fact.session}")
            if isinstance(fact, ProcessEnded) and fact.process in known and fact.process not in names:
                raise NotItsOwnError(f"machine {self.session} speaks of process {fact.process}")

    def embedded(self, demand: FleetDemand) -> tuple[str, ...] | None:
        """Jobs of an embedded run; None for a machine of the fleet."""
        return embedded_jobs(self.session, self.own_jobs, self.node.opening is not None, demand)

    @property
    def own_jobs(self) -> frozenset[str] | None:
        """Jobs of the run whose name the machine has; None where there is no such run."""
        own = [process for process in self.processes if process.name == self.session]
        if not own:
            return None
        return frozenset(unit.job for each in own for attempt in each.started for unit in attempt.units if unit.job)


def embedded_jobs(
    session: str, own_jobs: Collection[str] | None, opened: bool, demand: FleetDemand
) -> tuple[str, ...] | None:
    """Jobs of an embedded run: those it wrote wants of, and those it worked for; None for a machine of the fleet."""
    wanted = demand.by_writer.get(session, set()) if opened or own_jobs is not None else set()
    return tuple(sorted({*wanted, *(own_jobs or ())})) if wanted or own_jobs is not None else None


@dataclass(frozen=True)
class FoldedMachine:
    """What one machine came to."""

    #: With what it rests on.
    kept: KeptMachine
    #: The keys of its units.
    units: Units
    #: What of it had not ended yet, in the period.
    under_way: UnderWay | None


@dataclass(frozen=True)
class FoldScope:
    """What is the same for every machine of a question."""

    #: The store.
    store: Store
    #: What every job wanted.
    demand: FleetDemand
    #: Prices.
    book: PriceBook
    #: Rules.
    rules: PricingRules
    #: The period that is asked for.
    period: Period | None

    @property
    def periods(self) -> tuple[Period | None, ...]:
        """The period, and its parts by month where it has several."""
        parts = () if self.period is None else tuple(months_of(self.period))
        return (self.period, *parts) if len(parts) > 1 else (self.period,)


def fold_machine(
    machine: MachineJournals, files: Mapping[str, Stamp], makers: Mapping[str, WholeAttempt], scope: FoldScope
) -> FoldedMachine:
    """The machine's sums. ``makers``: by key, whoever made a record that a purge took, of all machines' attempts."""
    records = read_records(scope.store, machine.processes, None)
    keys = frozenset(unit.key for attempt in machine.started for unit in attempt.units)
    instants = [attempt.at for attempt in machine.started]
    span = (min(instants), max(instants)) if instants else None
    parts = _parts(machine, span, keys, scope.demand)
    facts = _facts(machine, records, makers, parts, keys, scope.demand)
    whole = fold_lines(facts, scope.book, scope.rules, None)
    life = _life(whole, span)
    units = _units(machine, records)
    beats = [fact.at for fact in machine.node.facts if isinstance(fact, Beat)]
    kept = KeptMachine(
        files=dict(files),
        processes={process.name: process.last for process in machine.processes},
        opened=machine.node.opening is not None,
        last=machine.node.last,
        closed=machine.node.closed,
        quiet_from=max(beats, default=0) + _QUIET_MS,
        embedded=facts.embedded.get(machine.session),
        own_jobs=None if machine.own_jobs is None else tuple(sorted(machine.own_jobs)),
        attempts=span,
        life=life,
        rates=scope.rules.exchange.digest(*life) if life else "",
        parts=parts,
        units=digest_units(units),
        began=min((bill.start for bill in whole.folded.bills), default=None),
        audio=tuple((*place, ms) for place, ms in audio_of(facts).items()),
        work=work_of(facts),
        errors=tuple(sorted({*machine.errors, *whole.folded.errors})),
        sums=_sums(whole, scope.rules),
    )
    lines = {scope.period: whole} if kept.within(scope.period) is kept.sums else {}
    for period in scope.periods:
        if period is not None and kept.within(period) is None:
            lines[period] = fold_lines(facts, scope.book, scope.rules, period)
            kept = with_piece(kept, period, _sums(lines[period], scope.rules))
    asked = lines.get(scope.period)
    open_now = under_way_of(asked.entries, asked.unpriced, asked.folded.under_way) if asked is not None else None
    return FoldedMachine(kept, units, open_now)


def _sums(lines: FleetLines, rules: PricingRules) -> Sums:
    use = rules.exchange.use_of(lines.entries)
    return Sums.of(lines.entries, lines.unpriced, lines.folded.residuals, use)


def with_piece(kept: KeptMachine, period: Period, sums: Sums) -> KeptMachine:
    """With what it came to in one more period that cuts its life; the last few are kept."""
    pieces = (*kept.pieces, (period.start, period.end, sums))
    return replace(kept, pieces=pieces[-_PIECES_KEPT:])


def digest_units(units: Units) -> str:
    """Over the keys of each kind."""
    return digest_bytes(b"".join(digest_bytes(blob).encode() for blob in (units.made, units.others, units.missing)))


def _parts(
    machine: MachineJournals, span: tuple[int, int] | None, keys: frozenset[str], demand: FleetDemand
) -> dict[str, str]:
    """What the fold takes from each job that it takes anything from."""
    if span is None:
        return {}
    named = machine.jobs
    others = (job for job in demand.overlapping(*span) if job not in named and demand.keys(job) & keys)
    return {job: demand.part(job, *span, keys) for job in sorted((*named, *others))}


def _facts(
    machine: MachineJournals,
    records: UnitRecords,
    makers: Mapping[str, WholeAttempt],
    jobs: Iterable[str],
    keys: frozenset[str],
    demand: FleetDemand,
) -> LedgerFacts:
    languages = {key: said for process in machine.processes for key, said in process.languages.items()}
    gone = {key: makers[key][1] for key in records.missing if key in makers}
    embedded = machine.embedded(demand)
    return LedgerFacts(
        facts=(*(fact for process in machine.processes for fact in process.facts), *machine.node.facts),
        demand=tuple(want for job in jobs for want in _wants(machine, job, keys, languages, demand)),
        made_by={**records.made_by, **gone},
        made_at=records.made_at,
        used=records.used,
        embedded={} if embedded is None else {machine.session: embedded},
        owners={},
        languages=languages,
    )


def _wants(
    machine: MachineJournals, job: str, keys: frozenset[str], languages: Mapping[str, str], demand: FleetDemand
) -> Iterator[DemandInterval]:
    """The job's demand of this machine's units; owners are added when sums are shown."""
    if job not in demand.jobs:
        mine = (unit.key for attempt in machine.started for unit in attempt.units if unit.job == job)
        yield DemandInterval(job, "", {}, 0, 0, frozenset(), {key: languages[key] for key in mine if key in languages})
        return
    wanted = demand.keys(job) & keys
    said = {key: languages[key] for key in wanted if key in languages}
    for start, until in demand.spans(job):
        yield DemandInterval(job, "", {}, start, until, wanted, said)


def _life(lines: FleetLines, span: tuple[int, int] | None) -> tuple[int, int] | None:
    """From the first to the last instant that anything can be charged at."""
    bills = [bill for bill in lines.folded.bills if bill.start < bill.billed_until]
    starts = [bill.start for bill in bills] + ([span[0]] if span else [])
    ends = [bill.billed_until for bill in bills] + ([span[1] + 1] if span else [])
    return (min(starts), max(ends)) if starts else None


def _units(machine: MachineJournals, records: UnitRecords) -> Units:
    names = {process.name for process in machine.processes}
    made = {key for key, maker in records.made_by.items() if maker.partition("/")[0] in names}
    return Units(packed(made), packed(records.made_by.keys() - made), packed(records.missing))
