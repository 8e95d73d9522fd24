"""A closed month stays as it was closed: what is learned of it later is entered into the month that follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from core.keys import digest_value
from ledger.entries import LedgerEntry, Period

_REVERSAL = "+closed"


@dataclass(frozen=True)
class Closing:
    """What a period's entries were when it was closed."""

    #: The period.
    period: Period
    #: The entries by id.
    entries: Mapping[str, LedgerEntry]
    #: Digest of the price book they were made with.
    book: str

    @property
    def digest(self) -> str:
        """SHA-256 over what was closed: the same entries under the same book give the same digest."""
        lines = [[entry.id, entry.nano, entry.currency, entry.price_row] for entry in self.entries.values()]
        return digest_value([self.period.start, self.period.end, self.book, sorted(lines)])


def close_period(period: Period, entries: Iterable[LedgerEntry], book: str) -> Closing:
    """Freezes the entries of a period."""
    return Closing(period, {entry.id: entry for entry in entries}, book)


def late_entries(closing: Closing, now: Iterable[LedgerEntry], following: Period) -> list[LedgerEntry]:
    """What must be entered into ``following`` so that it and the closed period sum to what is known now.

    ``now`` is today's fold of the closed period. An entry that is new or has another amount becomes an entry of the
    difference, one that is gone becomes a reversal; each is at the first instant of ``following``, with the same price
    row and a name of its own. Later corrections of the same entry need the earlier ones in ``closing``: see `extended`.
    """
    found: list[LedgerEntry] = []
    known = {entry.id: entry for entry in now}
    for name in sorted(known.keys() | closing.entries.keys()):
        new, old = known.get(name), closing.entries.get(name)
        if new is not None and old is not None and new.currency != old.currency:
            # Another currency is no difference: one amount goes, the other comes.
            found += [_late(old, -old.nano, -old.unit_ms, following), _late(new, new.nano, new.unit_ms, following)]
            continue
        either = new or old
        assert either is not None
        nano = (new.nano if new else 0) - (old.nano if old else 0)
        time = (new.unit_ms if new else 0) - (old.unit_ms if old else 0)
        if nano or time:
            found.append(_late(either, nano, time, following))
    return found


def extended(closing: Closing, now: Iterable[LedgerEntry]) -> Closing:
    """The closing after its late entries were entered into a later period: what it then stands for is ``now``."""
    return Closing(closing.period, {entry.id: entry for entry in now}, closing.book)


def _late(entry: LedgerEntry, nano: int, time: int, following: Period) -> LedgerEntry:
    sign = "-" if nano < 0 else "+"
    name = digest_value([entry.id, _REVERSAL, following.start, sign, entry.currency])[: len(entry.id)]
    return replace(entry, id=name, nano=nano, unit_ms=time, start=following.start, end=following.start)
