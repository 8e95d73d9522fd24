"""Sums of entries along any of their dimensions. The parts of each dimension sum to the whole, in each currency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from ledger.entries import Bucket, LedgerEntry, Quality, Unpriced

#: Bucket, stage, job, owner, session, language, engine, currency, fake.
Cell = tuple[str, str, str, str, str, str, str, str, bool]
#: Bucket, stage, currency, fake.
EstimatedPlace = tuple[str, str, str, bool]
#: Bucket, stage, job, owner, session, engine, meter, why, fake.
UnpricedCell = tuple[str, str, str, str, str, str, str, str, bool]


class Dimension(StrEnum):
    """What sums can be asked by."""

    BUCKET = "bucket"
    STAGE = "stage"
    JOB = "job"
    OWNER = "owner"
    NODE = "node"
    LANGUAGE = "language"
    ENGINE = "engine"


_PLACES = {
    Dimension.BUCKET: 0,
    Dimension.STAGE: 1,
    Dimension.JOB: 2,
    Dimension.OWNER: 3,
    Dimension.NODE: 4,
    Dimension.LANGUAGE: 5,
    Dimension.ENGINE: 6,
}


@dataclass(frozen=True)
class Sum:
    """One line of a table: an amount in one currency, and the node time it stands for."""

    #: Nano-units.
    nano: int
    #: Node time, shared time divided.
    ms: int


@dataclass
class LedgerTotals:
    """Sums by everything an entry can be asked by; much smaller than the entries."""

    #: (nano-units, node ms) of each cell.
    cells: dict[Cell, tuple[int, int]] = field(default_factory=dict)
    #: Nano-units of what is estimated, which the cells count as well: by bucket, stage, currency and fake.
    estimated: dict[EstimatedPlace, int] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[LedgerEntry]) -> LedgerTotals:
        """The sums of these entries."""
        totals = cls()
        for entry in entries:
            totals.add(entry)
        return totals

    def add(self, entry: LedgerEntry) -> None:
        """Counts one entry."""
        cell = (
            entry.bucket.value,
            entry.stage,
            entry.job,
            entry.owner,
            entry.session,
            entry.language,
            entry.engine,
            entry.currency,
            entry.fake,
        )
        nano, ms = self.cells.get(cell, (0, 0))
        self.cells[cell] = nano + entry.nano, ms + entry.unit_ms
        if entry.quality is Quality.ESTIMATED:
            place = entry.bucket.value, entry.stage, entry.currency, entry.fake
            self.estimated[place] = self.estimated.get(place, 0) + entry.nano

    def merge(self, other: LedgerTotals) -> None:
        """Counts everything that another has counted."""
        for cell, (nano, ms) in other.cells.items():
            held = self.cells.get(cell, (0, 0))
            self.cells[cell] = held[0] + nano, held[1] + ms
        for place, nano in other.estimated.items():
            self.estimated[place] = self.estimated.get(place, 0) + nano

    def whole(self, *, fake: bool | None = None) -> dict[str, int]:
        """Nano-units by currency; with ``fake``, of the work that fake engines did or of the rest only."""
        found: dict[str, int] = {}
        for cell, (nano, _) in self._cells(fake):
            currency = cell[7]
            found[currency] = found.get(currency, 0) + nano
        return dict(sorted(found.items()))

    def by(self, dimension: Dimension, *, fake: bool | None = None) -> dict[str, dict[str, Sum]]:
        """Value of the dimension -> currency -> sum; what has no value (idle time has no job) is under ``""``."""
        place = _PLACES[dimension]
        return self._grouped(lambda cell: str(cell[place]), fake)

    def by_label(
        self, name: str, labels: Callable[[str], Mapping[str, str]], *, fake: bool | None = None
    ) -> dict[str, dict[str, Sum]]:
        """As `by`, by a label of the jobs; ``labels`` gives the labels of a job."""
        place = _PLACES[Dimension.JOB]
        return self._grouped(lambda cell: labels(str(cell[place])).get(name, ""), fake)

    def _cells(self, fake: bool | None) -> Iterator[tuple[Cell, tuple[int, int]]]:
        return ((cell, sums) for cell, sums in self.cells.items() if fake is None or cell[8] == fake)

    def _grouped(self, value: Callable[[Cell], str], fake: bool | None) -> dict[str, dict[str, Sum]]:
        found: dict[str, dict[str, Sum]] = {}
        for cell, (nano, ms) in self._cells(fake):
            group = found.setdefault(value(cell), {})
            currency = cell[7]
            held = group.get(currency, Sum(0, 0))
            group[currency] = Sum(held.nano + nano, held.ms + ms)
        return {name: dict(sorted(found[name].items())) for name in sorted(found)}


class UnpricedSum(NamedTuple):
    """Usage without a price, of one kind."""

    #: What it was spent on.
    bucket: Bucket
    #: Stage; empty for what nobody caused.
    stage: str
    #: Job that it is charged to; empty for the fleet's own.
    job: str
    #: Owner of the job.
    owner: str
    #: Node session.
    session: str
    #: The engine in one line.
    engine: str
    #: What was used.
    meter: str
    #: Which price is missing, in words.
    why: str
    #: Whether a fake engine did it.
    fake: bool
    #: How much, of the meter's unit.
    quantity: int


@dataclass
class UnpricedTotals:
    """Sums of usage without a price; kinds are in the order in which they were first met."""

    #: Quantity of each cell.
    cells: dict[UnpricedCell, int] = field(default_factory=dict)

    @classmethod
    def of(cls, unpriced: Iterable[Unpriced]) -> UnpricedTotals:
        """The sums of this usage."""
        totals = cls()
        for one in unpriced:
            about = (one.bucket.value, one.stage, one.job, one.owner, one.session, one.engine)
            cell = (*about, one.meter, one.why, one.fake)
            totals.cells[cell] = totals.cells.get(cell, 0) + one.quantity
        return totals

    def merge(self, other: UnpricedTotals) -> None:
        """Counts everything that another has counted."""
        for cell, quantity in other.cells.items():
            self.cells[cell] = self.cells.get(cell, 0) + quantity

    def __iter__(self) -> Iterator[UnpricedSum]:
        return (UnpricedSum(Bucket(cell[0]), *cell[1:], quantity) for cell, quantity in self.cells.items())

    def __bool__(self) -> bool:
        return bool(self.cells)
