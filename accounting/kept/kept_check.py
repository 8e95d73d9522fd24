"""Whether the kept sums of machines still hold: what they rest on besides their own journals is looked at here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from accounting.job_demand import GONE, FleetDemand
from accounting.kept.kept_sums import JUST_NOW, KeptSums, SumsIndex
from accounting.kept.machine_fold import digest_units, embedded_jobs
from accounting.kept.machine_sums import KeptMachine, Units, in_shard, packed, unpacked
from cache.names import SHARDS
from cache.store import Record, Store
from ledger.entries import Period
from ledger.exchange import Exchange


def names_gone(kept: KeptMachine) -> bool:
    """Whether units of it were for a job whose folder is gone: which of them count is known from journals only."""
    return GONE in kept.parts.values()


class KeptCheck:
    """Looks at machines whose journals have not changed."""

    def __init__(self, store: Store, kept: KeptSums, index: SumsIndex, demand: FleetDemand, exchange: Exchange) -> None:
        self._store, self._kept, self._index, self._demand, self._exchange = store, kept, index, demand, exchange
        #: Units of machines that another has computed since, by session: their sums stay.
        self.moved: dict[str, Units] = {}

    def hold(
        self,
        machines: Mapping[str, KeptMachine],
        periods: Sequence[Period | None],
        jobs: Collection[str],
        shards: Mapping[str, int],
        touched: Collection[str],
    ) -> dict[str, KeptMachine]:
        """Those of the machines whose sums still hold.

        ``jobs``: those whose demand is another one than it was. ``shards``: when each folder of records last changed.
        ``touched``: keys that machines which are folded anew were given.
        """
        sound = {
            session: each
            for session, each in machines.items()
            if all(each.within(period) is not None for period in periods)
            and (each.life is None or each.rates == self._exchange.digest(*each.life))
            and self._same_jobs(session, each, jobs)
        }
        before = self._index.shards
        changed = [shard for shard in SHARDS if shards.get(shard) == JUST_NOW or before.get(shard) != shards.get(shard)]
        return self._same_records(sound, changed, touched) if changed or touched else sound

    def _same_jobs(self, session: str, kept: KeptMachine, jobs: Collection[str]) -> bool:
        """Whether the fold would take the same from each of these jobs, and charge the same of them."""
        if embedded_jobs(session, kept.own_jobs, kept.opened, self._demand) != kept.embedded:
            return False
        if kept.attempts is None:
            return True
        near = [job for job in jobs if job in kept.parts or self._demand.overlaps(job, *kept.attempts)]
        if not near:
            return True
        units = self._units(session, kept)
        if units is None:
            return False
        keys = units.keys()
        return all(self._part(job, kept, keys) == kept.parts.get(job) for job in near)

    def _part(self, job: str, kept: KeptMachine, keys: frozenset[str]) -> str | None:
        assert kept.attempts is not None
        if job not in kept.parts and not self._demand.keys(job) & keys:
            return None
        return self._demand.part(job, *kept.attempts, keys)

    def _units(self, session: str, kept: KeptMachine) -> Units | None:
        units = self._kept.units(session)
        return units if units is not None and digest_units(units) == kept.units else None

    def _same_records(
        self, machines: Mapping[str, KeptMachine], changed: Collection[str], touched: Collection[str]
    ) -> dict[str, KeptMachine]:
        """Those whose records are there as they were, and whose missing ones were not made by themselves."""
        found = {session: self._units(session, each) for session, each in machines.items()}
        units = {session: each for session, each in found.items() if each is not None}
        by_shard: dict[str, set[str]] = {}
        for key in touched:
            by_shard.setdefault(key[:2], set()).add(key)
        for number, shard in enumerate(SHARDS):
            there = self._store.shard_keys(shard) if shard in changed else None
            for session in list(units):
                kept, mine = machines[session], in_shard(units[session].made, number)
                again = by_shard.get(shard, set()).intersection(mine)
                holds = not again or all(_is_by(self._store.get(key), kept) for key in again)
                if not holds or (
                    there is not None and not self._same_shard(session, kept, units[session], number, there)
                ):
                    del units[session]
        for session in self.moved.keys() - units.keys():
            del self.moved[session]
        return {session: machines[session] for session in units}

    def _same_shard(self, session: str, kept: KeptMachine, units: Units, number: int, names: set[str]) -> bool:
        if not names.issuperset(in_shard(units.made, number)):
            return False
        there = {key: self._store.get(key) for key in names.intersection(in_shard(units.missing, number))}
        come = {key: record for key, record in there.items() if record is not None}
        if names_gone(kept):
            return not come and names.issuperset(in_shard(units.others, number))
        if any(_is_by(record, kept) for record in come.values()):
            return False
        if come:
            held = self.moved.get(session, units)
            missing = packed(key for key in unpacked(held.missing) if key not in come)
            self.moved[session] = Units(held.made, packed([*unpacked(held.others), *come]), missing)
        return True


def _is_by(record: Record | None, kept: KeptMachine) -> bool:
    """Whether a record names an attempt of this machine."""
    return record is not None and str(record.provenance.get("attempt", "")).partition("/")[0] in kept.processes
