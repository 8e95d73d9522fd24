"""What a month's machines were used for: the weights by which its idle time and its people are shared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from accounting.fleet_ledger import FleetLedger, PeriodSums, fold_facts
from accounting.periods import month_after, month_of
from ledger.entries import Bucket, LedgerEntry, Period, Unpriced

#: Of `Unpriced`: time of a machine that has no price.
NODE_TIME = "node_ms"
#: Job, stage, whether a fake engine did it.
Payer = tuple[str, str, bool]
_Place = TypeVar("_Place", tuple[str, str], tuple[str, str, bool])


@dataclass
class IdleTime:
    """What machines cost while no job caused it."""

    #: Amount in nano-units, or node time without a price in ms.
    amount: int = 0
    #: Node time, in ms.
    ms: int = 0


@dataclass
class MonthUse:
    """One month's use, or that of a part of it. Times are node time in ms, shared time divided."""

    #: The month, also of a part.
    month: Period
    #: Useful time by job and stage, of real engines only.
    useful: dict[tuple[str, str], int] = field(default_factory=dict)
    #: All time that jobs had on the machines of the fleet.
    fleet: dict[Payer, int] = field(default_factory=dict)
    #: What no job caused on the machines of the fleet (idle, boot, increments), by bucket, stage and currency.
    idle: dict[tuple[Bucket, str, str], IdleTime] = field(default_factory=dict)
    #: The same of machines without a price, by bucket, stage and why they have none.
    idle_unpriced: dict[tuple[Bucket, str, str], IdleTime] = field(default_factory=dict)

    @property
    def useful_ms(self) -> int:
        """Useful time of all jobs."""
        return sum(ms for ms in self.useful.values() if ms > 0)

    def take(self, line: LedgerEntry | Unpriced, embedded: Mapping[str, object]) -> None:
        """Counts one entry or one piece of usage that lies within the month."""
        place = line.bucket, line.stage, line.job, line.session, line.fake
        if isinstance(line, LedgerEntry):
            self._count(place, (self.idle, line.currency), IdleTime(line.nano, line.unit_ms), embedded)
        elif line.meter == NODE_TIME:
            self._count(place, (self.idle_unpriced, line.why), IdleTime(line.quantity, line.quantity), embedded)

    def take_sums(self, sums: PeriodSums, embedded: Mapping[str, object]) -> None:
        """Counts the sums of entries and usage that lie within the month."""
        for (name, stage, job, _, session, _, _, currency, fake), (nano, ms) in sums.totals.cells.items():
            place = Bucket(name), stage, job, session, fake
            self._count(place, (self.idle, currency), IdleTime(nano, ms), embedded)
        for one in sums.unpriced:
            if one.meter == NODE_TIME:
                place = one.bucket, one.stage, one.job, one.session, one.fake
                self._count(place, (self.idle_unpriced, one.why), IdleTime(one.quantity, one.quantity), embedded)

    def _count(
        self,
        place: tuple[Bucket, str, str, str, bool],
        idle: tuple[dict[tuple[Bucket, str, str], IdleTime], str],
        used: IdleTime,
        embedded: Mapping[str, object],
    ) -> None:
        """``idle``: where it goes if no job caused it, and its currency or why it has no price."""
        bucket, stage, job, session, fake = place
        if bucket is Bucket.BUSY and not fake:
            _add(self.useful, (job, stage), used.ms)
        if not session or session in embedded:
            return
        if job:
            _add(self.fleet, (job, stage, fake), used.ms)
            return
        pools, kind = idle
        pool = pools.setdefault((bucket, stage, kind), IdleTime())
        pool.amount += used.amount
        pool.ms += used.ms


def month_uses(ledger: FleetLedger) -> dict[int, MonthUse]:
    """Use by a month's first instant, for the months of these books.

    It is the same whatever the books' period: months that work goes over the edge of are folded each by itself.
    """
    found: dict[int, MonthUse] = {}
    embedded = ledger.embedded
    if ledger.by_month is not None:
        for start, sums in ledger.by_month.items():
            found[start] = MonthUse(month_of(start))
            found[start].take_sums(sums, embedded)
        return found
    crossed: set[int] = set()
    for line in _lines(ledger):
        month = month_of(line.start)
        if line.end > month.end:
            crossed.update(_months_between(month, line.end))
        else:
            found.setdefault(month.start, MonthUse(month)).take(line, embedded)
    for start in crossed:
        month = month_of(start)
        alone = fold_facts(ledger.facts, ledger.book, ledger.rules, month)
        late = [entry for entry in ledger.late if month.start <= entry.start < month.end]
        found[start] = use_of(month, chain(_lines(alone), late), embedded)
    return found


def use_of(month: Period, lines: Iterable[LedgerEntry | Unpriced], embedded: Mapping[str, object]) -> MonthUse:
    """The use that these lines, all of one month, come to."""
    use = MonthUse(month)
    for line in lines:
        use.take(line, embedded)
    return use


def _add(times: dict[_Place, int], place: _Place, ms: int) -> None:
    """Corrections of closed months may take time away; who is left with none carries nothing."""
    held = times.pop(place, 0) + ms
    if held:
        times[place] = held


def _lines(ledger: FleetLedger) -> Iterator[LedgerEntry | Unpriced]:
    return chain(ledger.entries, ledger.unpriced)


def _months_between(month: Period, end: int) -> Iterator[int]:
    """From a month to the one that ``end`` is in or is the end of."""
    yield month.start
    while month.end < end:
        month = month_after(month)
        yield month.start
