"""What deaths cost, and what the same deaths would have cost without checkpoints. Pure functions over the books."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from journals.facts import AttemptStarted
from ledger.entries import Bucket, LedgerEntry

#: What a job's own work on a machine is, finished or not.
_WORK = frozenset({Bucket.BUSY, Bucket.LOST, Bucket.DUPLICATE})


@dataclass(frozen=True)
class Loss:
    """Work that deaths took."""

    #: Node time, shared time divided.
    ms: int
    #: Nano-units by currency.
    nano: dict[str, int]


@dataclass(frozen=True)
class Resumability:
    """What keeping every finished unit was worth."""

    #: Deaths that took work: one machine and instant each.
    deaths: int
    #: What they took.
    lost: Loss
    #: What they would have taken, had each thrown away everything since its jobs began on its machine.
    without: Loss

    @property
    def saved_ms(self) -> int:
        """Node time that did not have to be paid for again."""
        return self.without.ms - self.lost.ms

    @property
    def saved(self) -> dict[str, int]:
        """Nano-units by currency that did not have to be paid again."""
        names = sorted(self.lost.nano.keys() | self.without.nano.keys())
        return {name: self.without.nano.get(name, 0) - self.lost.nano.get(name, 0) for name in names}


def value_of_resumability(entries: Iterable[LedgerEntry]) -> Resumability:
    """The same deaths without checkpoints: each costs, again, everything that its jobs had done on its machine so far.

    Work of other machines is left alone, so this is the least that a system without checkpoints would have lost.
    """
    work = [entry for entry in entries if entry.bucket in _WORK and entry.job]
    lost = [entry for entry in work if entry.bucket is Bucket.LOST]
    # Several workers and lines of the bill, one death: the attempts that it took end at the same instant.
    last: dict[tuple[str, str], LedgerEntry] = {}
    for entry in lost:
        held = last.get((entry.session, entry.attempt))
        if held is None or held.end < entry.end:
            last[entry.session, entry.attempt] = entry
    deaths = {(session, entry.end) for (session, _), entry in last.items()}
    by_place: dict[tuple[str, str], list[LedgerEntry]] = {}
    for entry in work:
        by_place.setdefault((entry.session, entry.job), []).append(entry)
    hit = {(entry.session, last[entry.session, entry.attempt].end, entry.job) for entry in lost}
    again = (entry for session, at, job in sorted(hit) for entry in by_place[session, job] if entry.start < at)
    return Resumability(len(deaths), _sum(lost), _sum(again))


def _sum(entries: Iterable[LedgerEntry]) -> Loss:
    ms, nano = 0, dict[str, int]()
    for entry in entries:
        ms += entry.unit_ms
        nano[entry.currency] = nano.get(entry.currency, 0) + entry.nano
    return Loss(ms, dict(sorted(nano.items())))


def units_lost(
    attempt: AttemptStarted, made_by: Mapping[str, str], made_at: Mapping[str, int], *, in_turn: bool
) -> Collection[str]:
    """Keys of the units that the engine had begun when their attempt died, and that left no record by then.

    ``in_turn``: it does one unit after the other, so that it had begun one; the others only waited. Where another
    attempt's record was there while this one was surely alive, nothing was taken away either. When it died is too
    rough an estimate to ask by: a run that goes on at once has made new records by then.
    """
    own = [unit.key for unit in attempt.units if made_by.get(unit.key) == attempt.attempt]
    alive = max([attempt.at, *(made_at[key] for key in own if key in made_at)])
    without = [
        unit.key for unit in attempt.units if unit.key not in own and not made_at.get(unit.key, alive + 1) <= alive
    ]
    return without[:1] if in_turn else without
