"""What a period cost, in sums: machines that are over are not folded again as long as nothing they rest on changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from msgspec.structs import replace

from accounting.facts import FactReader, JobOwner
from accounting.fleet_ledger import AudioPlace, FleetLedger, FleetLines, PeriodSums, PricingRules, fold_lines, ledger_of
from accounting.in_progress import UnderWay
from accounting.job_demand import FleetDemand
from accounting.kept.kept_check import KeptCheck, names_gone
from accounting.kept.kept_sums import JUST_NOW, KeptSums
from accounting.kept.machine_files import MachineFiles
from accounting.kept.machine_fold import (
    FoldedMachine,
    FoldScope,
    MachineJournals,
    NotItsOwnError,
    digest_units,
    fold_machine,
)
from accounting.kept.machine_sums import KeptMachine, Sums, Units
from accounting.periods import month_of
from accounting.provenance import WholeAttempt, whole_attempts
from accounting.verdicts.month_work import added_work
from cache.store import Store
from core.keys import digest_value
from ledger.entries import Period
from ledger.exchange import ExchangeUse
from ledger.price_book.prices import PriceBook
from ledger.totals import LedgerTotals, UnpricedTotals

#: A folder that changed so shortly before it was looked at may change again with the same time on it.
_SETTLED_NS = 3_000_000_000


def read_totals(store: Store, book: PriceBook, rules: PricingRules, period: Period | None) -> FleetLedger:
    """The books of every machine in a period, as `fold_facts` has them. Raises StoreError, ConservationError."""

    @cache
    def lines() -> FleetLines:
        reader = FactReader(store)
        reader.keep_usage(None)
        return fold_lines(reader.facts(reader.sessions()), book, rules, period)

    try:
        return _PeriodReading(store, book, rules, period).books(lines)
    except NotItsOwnError:
        return ledger_of(lines(), book, rules, period)


def changed_sums(store: Store, book: PriceBook, rules: PricingRules) -> list[str]:
    """Machines of which something else is kept than their facts come to, and would be shown. Raises StoreError."""
    reading = _PeriodReading(store, book, rules, None)
    try:
        held = {session: each for session, each in reading.machines().items() if session not in reading.folded}
        lives = [each.life for each in held.values() if each.life is not None]
        if not held:
            return []
        # Every month of them, for what is kept of a machine that lived in several.
        first, last = min((life[0] for life in lives), default=0), max((life[1] for life in lives), default=1)
        whole = Period(month_of(first).start, month_of(last).end)
        anew = _PeriodReading(store, book, rules, whole, anew=True).machines()
    except NotItsOwnError:
        return []
    return sorted(session for session, each in held.items() if session in anew and not _same(each, anew[session]))


def _same(kept: KeptMachine, anew: KeptMachine) -> bool:
    """Whether two are the same in all that is shown of them."""
    if (kept.sums, kept.audio, kept.embedded, kept.life) != (anew.sums, anew.audio, anew.embedded, anew.life):
        return False
    pieces = ((sums, anew.within(Period(first, last))) for first, last, sums in kept.pieces)
    return all(other is None or sums == other for sums, other in pieces)


@dataclass
class _FoldedNow:
    """What the machines came to, as they are folded or found to hold."""

    #: Folded now.
    folded: dict[str, FoldedMachine] = field(default_factory=dict)
    #: To be folded once all attempts at what a purge took are known.
    postponed: list[str] = field(default_factory=list)
    #: Who made a record that a purge took, by key.
    makers: dict[str, WholeAttempt] = field(default_factory=dict)
    #: Keys of the units of all that was read.
    touched: set[str] = field(default_factory=set)


class _PeriodReading:
    """One reading of a period."""

    def __init__(
        self, store: Store, book: PriceBook, rules: PricingRules, period: Period | None, *, anew: bool = False
    ) -> None:
        """``anew``: nothing that is kept is believed."""
        self._store, self._rules, self._period = store, rules, period
        # Looked at before anything is read: what changes meanwhile is looked at again by the next one who asks.
        self._shards = _settled(store.shard_times())
        self._sums = KeptSums(store, book, rules)
        self._index = self._sums.index({}, {}, {}) if anew else self._sums.read()
        self._files = MachineFiles(store, self._index.machines, rules.now)
        self._demand = FleetDemand(store, self._files.life)
        self._scope = FoldScope(store, self._demand, book, rules, period)
        self._found = _FoldedNow()

    def books(self, lines: Callable[[], FleetLines]) -> FleetLedger:
        """The books. Raises NotItsOwnError."""
        return self._ledger(self.machines(), lines)

    @property
    def folded(self) -> frozenset[str]:
        """Machines that were not held, once `machines` was asked for."""
        return frozenset(self._found.folded)

    def machines(self) -> dict[str, KeptMachine]:
        """What each machine comes to, held or folded. Raises NotItsOwnError."""
        jobs = {job: self._demand.digest(job) for job in self._demand.jobs}
        same = self._files.same
        self._read(session for session in sorted(self._files.files) if session not in same)
        changed = {job for job in jobs.keys() | self._index.jobs.keys() if jobs.get(job) != self._index.jobs.get(job)}
        check = KeptCheck(self._store, self._sums, self._index, self._demand, self._rules.exchange)
        held = check.hold(same, self._scope.periods, changed, self._shards, self._found.touched if same else ())
        self._read(session for session in sorted(same) if session not in held)
        if self._found.postponed or self._index.machines.keys() - self._files.files.keys():
            # What a purge took was made by the first attempt at it, on whichever machine.
            told = [session for session, each in held.items() if names_gone(each)]
            self._read(told)
            held = {session: each for session, each in held.items() if session not in told}
            for session in self._found.postponed:
                self._fold(session, self._machine(session), self._found.makers)
        self._keep(held, check.moved, jobs)
        return {**held, **{name: each.kept for name, each in self._found.folded.items()}}

    def _machine(self, session: str) -> MachineJournals:
        return MachineJournals.read(self._store, session, self._files.names.get(session, ()), self._files.homes)

    def _read(self, sessions: Iterable[str]) -> None:
        found = self._found
        for session in sessions:
            machine = self._machine(session)
            if self._index.machines:
                found.touched.update(unit.key for attempt in machine.started for unit in attempt.units)
            if machine.jobs <= self._demand.jobs.keys():
                self._fold(session, machine, {})
                continue
            found.postponed.append(session)
            for key, attempt in whole_attempts(machine.processes, self._demand.jobs):
                found.makers[key] = min(found.makers.get(key, attempt), attempt)

    def _fold(self, session: str, machine: MachineJournals, makers: Mapping[str, WholeAttempt]) -> None:
        self._found.folded[session] = fold_machine(machine, self._files.files[session], makers, self._scope)

    def _keep(self, held: Mapping[str, KeptMachine], moved: Mapping[str, Units], jobs: dict[str, str]) -> None:
        now = self._rules.now
        machines = {
            session: replace(each, units=digest_units(moved[session])) if session in moved else each
            for session, each in held.items()
        }
        units = dict(moved)
        for session, each in self._found.folded.items():
            if now is not None and now >= each.kept.quiet_from:
                machines[session], units[session] = each.kept, each.units
        index = self._sums.index(jobs, self._shards, machines)
        if index != self._index:
            self._sums.write(index, units)

    def _ledger(self, machines: Mapping[str, KeptMachine], lines: Callable[[], FleetLines]) -> FleetLedger:
        sums = {period: self._sum(machines, period) for period in self._scope.periods}
        whole, audio = sums[self._period], dict[AudioPlace, int]()
        for machine in machines.values():
            for month, job, stage, language, ms in machine.audio:
                place = month, job, stage, language
                audio[place] = audio.get(place, 0) + ms
        use = ExchangeUse()
        for machine in machines.values():
            use.merge(_within(machine, self._period).exchange)
        work = added_work(one for machine in machines.values() for one in machine.work)
        residuals = (each for name in sorted(machines) for each in _within(machines[name], self._period).residuals)
        parts = [part for part in self._scope.periods[1:] or self._scope.periods if part is not None]
        return FleetLedger(
            lines=lines,
            totals=whole.totals,
            unpriced_totals=whole.unpriced,
            residuals=tuple(residuals),
            owners={job: JobOwner(each.owner, each.labels) for job, each in self._demand.jobs.items()},
            embedded={name: each.embedded for name, each in machines.items() if each.embedded is not None},
            under_way=UnderWay.merged(each.under_way for each in self._found.folded.values()),
            began=min((each.began for each in machines.values() if each.began is not None), default=0),
            period=self._period,
            by_month={month_of(part.start).start: sums[part] for part in parts} if parts else None,
            audio=audio,
            work=work,
            exchange_use=use,
            digest=self._digest(machines, whole.totals),
            errors=tuple(sorted({line for each in machines.values() for line in each.errors} | {*self._demand.errors})),
            book=self._scope.book,
            rules=self._rules,
        )

    def _digest(self, machines: Mapping[str, KeptMachine], totals: LedgerTotals) -> str:
        told = [[name, _within(machines[name], self._period).digest] for name in sorted(machines)]
        owners = sorted({(cell[2], cell[3]) for cell in totals.cells})
        return digest_value([[each for each in told if each[1]], owners])

    def _sum(self, machines: Mapping[str, KeptMachine], period: Period | None) -> PeriodSums:
        found = PeriodSums(LedgerTotals(), UnpricedTotals())
        for session in sorted(machines):
            sums = _within(machines[session], period)
            sums.add_to(session, self._demand.owner, found.totals, found.unpriced)
        return found


def _within(machine: KeptMachine, period: Period | None) -> Sums:
    found = machine.within(period)
    assert found is not None, "every period that is asked for was folded"
    return found


def _settled(times: Mapping[str, int]) -> dict[str, int]:
    """Times of the folders, but of those that may change again without another time."""
    latest = time.time_ns() - _SETTLED_NS
    return {shard: at if at < latest else JUST_NOW for shard, at in times.items()}
