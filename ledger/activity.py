"""Who was active on a machine and when, and what share of it is whose: before any money is looked at.

Intervals and shares live only while a machine is folded, by the hundred thousand; that they are not frozen halves the
time of making them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.specs import has_fake
from journals.facts import AttemptEnded, AttemptStarted, UnitUse
from ledger.billing import SessionEnd
from ledger.demand import Demand
from ledger.entries import Bucket
from ledger.timeline import NodeTimeline


@dataclass(slots=True)
class Share:
    """One part of what an interval costs."""

    #: What it was spent on.
    bucket: Bucket
    #: Job that pays; empty for the fleet.
    job: str
    #: Language of the units.
    language: str
    #: Parts of the interval, of the sum over its shares.
    weight: int


@dataclass(slots=True)
class ActivityInterval:
    """Somebody active on the machine from ``start`` until ``end``."""

    #: First instant.
    start: int
    #: First instant after it.
    end: int
    #: Attempt, or the process for loads and trials.
    attempt: str
    #: Which of several intervals of the same name and instants this is.
    part: str
    #: Stage.
    stage: str
    #: The engine in one line.
    engine: str
    #: Whether the engine only pretends.
    fake: bool
    #: Whether the end is a rule's and no clock's.
    estimated: bool
    #: Who pays; never empty.
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Provenance:
    """What the records say."""

    #: Attempt that made a record, by the record's key.
    by: Mapping[str, str]
    #: When a record became durable, where that is known, by its key.
    at: Mapping[str, int]


class MachineActivity:
    """Makes the intervals of one machine."""

    def __init__(
        self,
        timeline: NodeTimeline,
        end: SessionEnd,
        ends: Mapping[str, AttemptEnded],
        provenance: Provenance,
        demand: Demand,
        running: Callable[[str], bool] = lambda _process: False,
    ) -> None:
        self._timeline, self._end, self._ends, self._provenance, self._demand = timeline, end, ends, provenance, demand
        self._running = running

    def all(self, beat_ms: int) -> list[ActivityInterval]:
        """Every interval that has a length, in an order that does not depend on the order of the facts."""
        found: list[ActivityInterval] = []
        for attempt in self._timeline.started:
            end = self._ends.get(attempt.attempt)
            if end is not None:
                # The monotonic clock says how long, the wall clock only where.
                found.append(_interval(attempt, attempt.at, attempt.at + end.engine_ms, self.shares(attempt)))
            else:
                found += self._open(attempt, beat_ms)
        found += self._loads()
        first, last = self._timeline.opening().at, self._end.at
        clipped = [
            interval if first <= interval.start and interval.end <= last else _clip(interval, first, last)
            for interval in found
        ]
        # By name before instants: equal remainders are then served the same way however a clock was read.
        return sorted((interval for interval in clipped if interval.start < interval.end), key=_order)

    def shares(self, attempt: AttemptStarted) -> tuple[Share, ...]:
        """Who pays for an attempt."""
        end, units = self._ends.get(attempt.attempt), attempt.units
        if end is not None and end.left:
            units = tuple(unit for unit in units if unit.key not in end.left) or units
        return self._divide(attempt, units, self._unnamed(attempt))

    def _unnamed(self, attempt: AttemptStarted) -> Bucket:
        """What became of units that no record of this attempt names. What still runs is work until it is known to be
        lost; its intervals say that they are estimates."""
        if attempt.attempt in self._ends:
            return Bucket.DUPLICATE
        return Bucket.BUSY if self._running(attempt.process) else Bucket.LOST

    def _open(self, attempt: AttemptStarted, beat_ms: int) -> Iterator[ActivityInterval]:
        """The intervals of an attempt that never ended."""
        alive = self._running(attempt.process)
        death = self._end.at if alive else self._timeline.process_death(attempt.process, self._end, beat_ms)
        death = max(death, attempt.at)
        named = [unit for unit in attempt.units if self._provenance.by.get(unit.key) == attempt.attempt]
        instants = [at for unit in named if (at := self._provenance.at.get(unit.key)) is not None]
        if not instants or len(instants) < len(named):
            # When the records came is not known: all units of the batch share its time.
            yield _interval(attempt, attempt.at, death, self.shares(attempt), estimated=True)
            return
        # Up to the last durable record the time was useful, and what came after it is what the death took.
        turn = min(max(max(instants), attempt.at), death)
        yield _interval(
            attempt, attempt.at, turn, self._divide(attempt, named, Bucket.LOST), part="kept", estimated=True
        )
        rest = [unit for unit in attempt.units if self._provenance.by.get(unit.key) != attempt.attempt]
        if rest:
            yield _interval(
                attempt, turn, death, self._divide(attempt, rest, self._unnamed(attempt)), part="lost", estimated=True
            )

    def _loads(self) -> Iterator[ActivityInterval]:
        whole = (Share(Bucket.LOAD, "", "", 1),)
        for load in self._timeline.loads:
            fake = has_fake(load.engine) if load.fake is None else load.fake
            part = f"load {load.stage} {load.engine}"
            start = load.at - load.seconds_ms
            yield ActivityInterval(start, load.at, load.process, part, load.stage, load.engine, fake, False, whole)
        again = (Share(Bucket.DUPLICATE, "", "", 1),)
        for trial in self._timeline.tries:
            part = f"trial {trial.stage}"
            yield ActivityInterval(
                trial.at - trial.tried_ms, trial.at, trial.process, part, trial.stage, "", False, False, again
            )

    def _divide(self, attempt: AttemptStarted, units: Sequence[UnitUse], unnamed: Bucket) -> tuple[Share, ...]:
        """The units by speech, each unit by its jobs; an attempt without units or speech is divided as well as can be.

        Weights are integers: speech times the least common multiple of the numbers of jobs that share a unit.
        """
        if not units:
            return (Share(unnamed, "", "", 1),)
        name, provenance, demand, at = attempt.attempt, self._provenance.by, self._demand, attempt.at
        payers = demand.payers(units, at)
        first = payers[0]
        if len(first) == 1 and payers.count(first) == len(payers) and not demand.has_languages(first[0]):
            # Nearly every batch: one job, and nothing to divide but what was kept from what was not.
            whole = kept = 0
            for unit in units:
                whole += unit.audio_ms
                if provenance.get(unit.key) == name:
                    kept += unit.audio_ms
            if whole and (kept == whole or unnamed is Bucket.BUSY):
                return (Share(Bucket.BUSY, first[0], "", whole),)
            if whole:
                parts = ((Bucket.BUSY, kept), (unnamed, whole - kept))
                return tuple([Share(bucket, first[0], "", weight) for bucket, weight in parts if weight])
        common = math.lcm(*{len(jobs) for jobs in payers})
        silent = not any(unit.audio_ms for unit in units)
        weights: dict[tuple[Bucket, str, str], int] = {}
        for unit, jobs in zip(units, payers, strict=True):
            bucket = Bucket.BUSY if provenance.get(unit.key) == name else unnamed
            weight = (1 if silent else unit.audio_ms) * (common // len(jobs))
            for job in jobs:
                place = (bucket, job, demand.language(job, unit.key))
                weights[place] = weights.get(place, 0) + weight
        return tuple([Share(*place, weight) for place, weight in sorted(weights.items()) if weight])


def _interval(
    attempt: AttemptStarted, start: int, end: int, shares: tuple[Share, ...], part: str = "", estimated: bool = False
) -> ActivityInterval:
    fake = attempt.fake or has_fake(attempt.provider)
    return ActivityInterval(start, end, attempt.attempt, part, attempt.stage, attempt.engine, fake, estimated, shares)


def _clip(interval: ActivityInterval, first: int, last: int) -> ActivityInterval:
    return replace(interval, start=max(interval.start, first), end=min(interval.end, last))


def _order(interval: ActivityInterval) -> tuple[str, str, int, int]:
    return interval.attempt, interval.part, interval.start, interval.end
