"""What one machine came to, in sums, and everything that these sums rest on: enough to see whether they still hold."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct, field

from accounting.verdicts.month_work import StageWork
from cache.store import Stamp
from core.keys import digest_bytes
from ledger.entries import LedgerEntry, Period, Residual, Unpriced
from ledger.exchange import ExchangeUse
from ledger.totals import LedgerTotals, UnpricedTotals

_KEY_BYTES = 32
#: Bucket, stage, job, language, engine, currency, fake; nano-units, node ms.
Cell = tuple[str, str, str, str, str, str, bool, int, int]
#: Bucket, stage, job, engine, meter, why, fake; quantity.
UnpricedCell = tuple[str, str, str, str, str, str, bool, int]


class Sums(Struct, frozen=True, array_like=True):
    """A machine's entries, summed, without owners: a job's owner is known by its folder, and goes with it."""

    #: What has a price.
    cells: tuple[Cell, ...] = ()
    #: What has none, in the order of the entries.
    unpriced: tuple[UnpricedCell, ...] = ()
    #: Billed time that no life accounts for.
    residuals: tuple[Residual, ...] = ()
    #: Digest over every entry; empty where there is none.
    digest: str = ""
    #: Exchange rates that they rest on.
    exchange: ExchangeUse = field(default_factory=ExchangeUse)
    #: What of the cells is estimated: bucket, stage, currency, fake; nano-units.
    estimated: tuple[tuple[str, str, str, bool, int], ...] = ()

    @classmethod
    def of(
        cls,
        entries: Sequence[LedgerEntry],
        unpriced: Iterable[Unpriced],
        residuals: Iterable[Residual],
        use: ExchangeUse,
    ) -> Sums:
        """The sums of one machine's entries."""
        totals, without = LedgerTotals.of(entries), UnpricedTotals.of(unpriced)
        cells = tuple(
            (bucket, stage, job, language, engine, currency, fake, nano, ms)
            for (bucket, stage, job, _, _, language, engine, currency, fake), (nano, ms) in totals.cells.items()
        )
        unpriced_cells = tuple(
            (bucket, stage, job, engine, meter, why, fake, quantity)
            for (bucket, stage, job, _, _, engine, meter, why, fake), quantity in without.cells.items()
        )
        digest = digest_bytes(msgspec.json.encode(entries)) if entries else ""
        estimated = tuple((*place, nano) for place, nano in totals.estimated.items())
        return cls(cells, unpriced_cells, tuple(residuals), digest, use, estimated)

    def add_to(self, session: str, owner: Callable[[str], str], totals: LedgerTotals, unpriced: UnpricedTotals) -> None:
        """Counts these sums of a machine."""
        owners = {cell[2]: owner(cell[2]) for cell in self.cells} | {cell[2]: owner(cell[2]) for cell in self.unpriced}
        for bucket, stage, job, language, engine, currency, fake, nano, ms in self.cells:
            place = (bucket, stage, job, owners[job], session, language, engine, currency, fake)
            held = totals.cells.get(place, (0, 0))
            totals.cells[place] = held[0] + nano, held[1] + ms
        for bucket, stage, currency, fake, nano in self.estimated:
            part = bucket, stage, currency, fake
            totals.estimated[part] = totals.estimated.get(part, 0) + nano
        for bucket, stage, job, engine, meter, why, fake, quantity in self.unpriced:
            line = (bucket, stage, job, owners[job], session, engine, meter, why, fake)
            unpriced.cells[line] = unpriced.cells.get(line, 0) + quantity


class Units(Struct, frozen=True):
    """The keys of everything that a machine was given, each kind sorted: 32 bytes a key."""

    #: Whose records name an attempt of this machine.
    made: bytes = b""
    #: Whose records name another's.
    others: bytes = b""
    #: Which have no record.
    missing: bytes = b""

    def keys(self) -> frozenset[str]:
        """All of them."""
        return frozenset(key for blob in (self.made, self.others, self.missing) for key in unpacked(blob))


def packed(keys: Iterable[str]) -> bytes:
    """Keys as `Units` keeps them."""
    return b"".join(sorted(map(bytes.fromhex, keys)))


def unpacked(blob: bytes) -> list[str]:
    """The keys that `packed` was given, sorted."""
    return blob.hex("\n", _KEY_BYTES).split("\n") if blob else []


def in_shard(blob: bytes, shard: int) -> list[str]:
    """Those that begin with this byte."""
    firsts = blob[::_KEY_BYTES]
    start, end = bisect_left(firsts, shard), bisect_left(firsts, shard + 1)
    return unpacked(blob[start * _KEY_BYTES : end * _KEY_BYTES])


class KeptMachine(Struct, frozen=True):
    """One machine that is over: what it came to, and what that rests on."""

    #: Size and time of each file that tells of it, by its path below home.
    files: dict[str, Stamp]
    #: Names of its processes, and the last sign of life of each.
    processes: dict[str, int]
    #: Whether it opened a folder of its own.
    opened: bool
    #: Last sign of life in its folder.
    last: int
    #: When its last worker left; None when none said so.
    closed: int | None
    #: Until when a worker of it may still be alive.
    quiet_from: int
    #: Jobs of an embedded run; None for a machine of the fleet.
    embedded: tuple[str, ...] | None
    #: Jobs that its units were taken up for where it is its own process; None where it is not.
    own_jobs: tuple[str, ...] | None
    #: When its first and its last attempt began; None without any.
    attempts: tuple[int, int] | None
    #: First instant of what it was billed and charged for, and the first after it; None where that is nothing.
    life: tuple[int, int] | None
    #: Digest of the exchange rates of that time.
    rates: str
    #: What the fold took from each job, as `FleetDemand.part` has it.
    parts: dict[str, str]
    #: Digest of the `Units` that are kept of it.
    units: str
    #: When the first machine that its journals speak of began; None where they speak of none.
    began: int | None
    #: Audio of its finished units, by month, job, stage and language.
    audio: tuple[tuple[int, str, str, str, int], ...]
    #: What it computed, by month and stage.
    work: tuple[StageWork, ...]
    #: What is wrong with its journals, one line each.
    errors: tuple[str, ...]
    #: Its whole life.
    sums: Sums
    #: Periods that cut its life: first instant, first after it, sums.
    pieces: tuple[tuple[int, int, Sums], ...] = ()

    def within(self, period: Period | None) -> Sums | None:
        """What it came to in a period; None where that has to be folded."""
        if period is None or self.life is None:
            return self.sums
        start, end = self.life
        if end <= period.start or period.end <= start:
            return Sums()
        if period.start <= start and end <= period.end:
            return self.sums
        return next((sums for first, last, sums in self.pieces if (first, last) == (period.start, period.end)), None)
