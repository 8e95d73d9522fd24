"""From the ids in a message to units, recomputed from the disk: a message is only believed about where to look."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from cache.store import Store
from core.keys import Key
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.stages.stage import Slot, Unit
from pipeline.work import Resolver

#: Plans that are kept parsed: batches of a few jobs alternate.
_PLANS_KEPT = 16


@dataclass(frozen=True)
class UnitRef:
    """A unit as a message names it."""

    job_id: str
    slot: Slot
    key: Key
    #: Round of retries that it is asked for in.
    round: int
    #: Length of the speech it covers.
    audio_ms: int

    def describe(self) -> str:
        """As `Unit.describe`."""
        return self.slot.describe()


def ref_of(unit: Unit, round_: int) -> UnitRef:
    """How a message names a unit."""
    return UnitRef(unit.job_id, unit.slot, unit.key, round_, unit.audio_ms)


class UnitLookup:
    """Finds units by their refs. Not thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    def plan(self, job_id: str) -> Plan | None:
        """A job's plan; None when there is none."""
        if job_id not in self._plans:
            plan = JobFolder(self._store, job_id).read_plan()
            if plan is None:
                return None
            self._plans[job_id] = plan
            if len(self._plans) > _PLANS_KEPT:
                self._plans.popitem(last=False)
        self._plans.move_to_end(job_id)
        return self._plans[job_id]

    def find(self, refs: Sequence[UnitRef]) -> list[Unit | None]:
        """The units of a batch; None where the disk has no unit with that key (any more): stale, or foreign."""
        resolvers: dict[str, Resolver | None] = {}
        return [self._find(ref, resolvers) for ref in refs]

    def _find(self, ref: UnitRef, resolvers: dict[str, Resolver | None]) -> Unit | None:
        if ref.job_id not in resolvers:
            resolvers[ref.job_id] = self._resolver(ref.job_id)
        unit = _derive(resolvers[ref.job_id], ref)
        if unit is None:
            # A job that was planned anew has other windows; look once more before calling the message stale.
            self._plans.pop(ref.job_id, None)
            resolvers[ref.job_id] = self._resolver(ref.job_id)
            unit = _derive(resolvers[ref.job_id], ref)
        return unit

    def _resolver(self, job_id: str) -> Resolver | None:
        plan = self.plan(job_id)
        return None if plan is None else Resolver(plan, self._store, JobFolder(self._store, job_id).failures())


def _derive(resolver: Resolver | None, ref: UnitRef) -> Unit | None:
    unit = None if resolver is None else resolver.unit(ref.slot)
    return unit if unit is not None and unit.key == ref.key else None
