"""Which machines' journals a job's report has to read: those that may have worked for it, by what was kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accounting.fleet_ledger import PricingRules
from accounting.job_demand import WriterLife, demand_journals, planned_keys, spans_of
from accounting.kept.kept_sums import KeptSums
from accounting.kept.machine_files import MachineFiles
from accounting.kept.machine_fold import digest_units
from accounting.kept.machine_sums import KeptMachine, unpacked
from cache.store import Store
from ledger.price_book.prices import PriceBook
from pipeline.jobs import JobFolder


@dataclass(frozen=True)
class JobMachines:
    """What is to be read for one job."""

    #: Names of the processes whose journals are read.
    processes: frozenset[str]
    #: Their machines, and those that have none.
    sessions: frozenset[str]
    #: How long whoever wrote a job's demand lived, also where the journal is not among them.
    life: Callable[[str], WriterLife]


def machines_of(store: Store, job: str, book: PriceBook, rules: PricingRules) -> JobMachines:
    """The machines that may have been given units of the job, or units for it; all, where nothing was kept of them."""
    sums = KeptSums(store, book, rules)
    files = MachineFiles(store, sums.read().machines, rules.now)
    journals = dict(demand_journals(store, job, []))
    spans = [span for lines in journals.values() for span in spans_of(lines)]
    keys = frozenset[str]().union(*(named for _, _, named in spans), planned_keys(JobFolder(store, job), []))

    def is_told_of(session: str, kept: KeptMachine) -> bool:
        if kept.errors or session in journals or job in kept.parts or job in (kept.embedded or ()):
            return True
        units = sums.units(session)
        if units is None or digest_units(units) != kept.units:
            return True
        return any(not keys.isdisjoint(unpacked(blob)) for blob in (units.made, units.others, units.missing))

    sessions = {each for each in files.files if each not in files.same or is_told_of(each, files.same[each])}
    names = frozenset(name for session in sessions for name in files.names.get(session, ()))
    return JobMachines(names, frozenset(sessions), files.life)
