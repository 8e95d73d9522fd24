"""Who pays for what no unit caused: loading, and the idle time of a run. Pure; every amount is divided, none is made.

* Loading is charged to the jobs that the engine worked for on that machine, by their node time with it there. An engine
  of a fleet's machine that worked for nobody is the fleet's.
* The session of an embedded run (`segue run`) exists for its jobs: they pay all of it, by their node time.
* Idle, boot and the provider's increments of a fleet's machine stay with the fleet: no job caused them.

Weights are of the machine's whole life, whatever period is asked for, so that months sum to the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.structs import replace

from core.money import split
from journals.facts import DemandInterval
from ledger.allocation import entry_id
from ledger.entries import Bucket, LedgerEntry, Unpriced
from pipeline.stages import find_stage, loaded_for

#: Job, stage, whether a fake engine did it.
Payer = tuple[str, str, bool]
Line = TypeVar("Line", LedgerEntry, Unpriced)
_NODE_TIME = "node_ms"


@dataclass
class Weights:
    """Node time of each payer on each machine."""

    #: Session -> payer -> ms.
    by_session: dict[str, dict[Payer, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[LedgerEntry], unpriced: Iterable[Unpriced]) -> Weights:
        """The node time that jobs had, priced or not."""
        found = cls()
        for entry in entries:
            if entry.job:
                found._add(entry.session, (entry.job, entry.stage, entry.fake), entry.unit_ms)
        for usage in unpriced:
            if usage.job and usage.meter == _NODE_TIME:
                found._add(usage.session, (usage.job, usage.stage, usage.fake), usage.quantity)
        return found

    def _add(self, session: str, payer: Payer, ms: int) -> None:
        if ms > 0:
            payers = self.by_session.setdefault(session, {})
            payers[payer] = payers.get(payer, 0) + ms


class Charging:
    """Divides what has no job among the jobs of its machine."""

    def __init__(
        self, weights: Weights, embedded: Mapping[str, Sequence[str]], demand: Iterable[DemandInterval]
    ) -> None:
        self._weights, self._embedded = weights.by_session, embedded
        self._owners = {interval.job: interval.owner for interval in demand}

    def entries(self, entries: Iterable[LedgerEntry]) -> Iterator[LedgerEntry]:
        """The same amounts; their sum is the same for each machine."""
        for entry in entries:
            yield from self._charge(entry, ("nano", "unit_ms"))

    def unpriced(self, unpriced: Iterable[Unpriced]) -> Iterator[Unpriced]:
        """As `entries`, for usage without a price."""
        for usage in unpriced:
            yield from self._charge(usage, ("quantity",))

    def _charge(self, line: Line, amounts: Sequence[str]) -> Iterator[Line]:
        """The line divided, in each of these amounts, among those who pay for it."""
        payers = self._payers(line)
        if not payers:
            yield line
            return
        shares = list(payers.values())
        parts = zip(*(split(getattr(line, name), shares) for name in amounts), strict=True)
        for (job, stage, fake), part in zip(payers, parts, strict=True):
            if any(part):
                yield replace(
                    line,
                    id=entry_id(line.id, job, stage, str(fake)),
                    job=job,
                    owner=self._owners.get(job, ""),
                    stage=line.stage or stage,
                    fake=line.fake or fake,
                    **dict(zip(amounts, part, strict=True)),
                )

    def _payers(self, each: LedgerEntry | Unpriced) -> dict[Payer, int]:
        """Who pays, in a stable order; nobody for what has a job, and for what stays with the fleet."""
        if each.job:
            return {}
        embedded = self._embedded.get(each.session)
        if embedded is None and each.bucket is not Bucket.LOAD:
            return {}
        working = self._weights.get(each.session, {})
        if each.bucket is Bucket.LOAD:
            same = {payer: ms for payer, ms in working.items() if _uses_engine(payer[1], each.stage)}
            working = same if embedded is None else same or working
        if not working and embedded:
            # Nothing was begun yet: whoever was waited for.
            working = {(job, each.stage, each.fake): 1 for job in embedded}
        return dict(sorted(working.items()))


def _uses_engine(stage: str, loaded: str) -> bool:
    """Whether a stage is done by the engine whose loading is noted under the name ``loaded``."""
    known = find_stage(stage)
    return stage == loaded or (known is not None and bool(known.role) and loaded_for(known.role) == loaded)
