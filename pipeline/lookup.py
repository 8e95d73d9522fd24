"""From the ids in a message to units, recomputed from the disk: a message is only believed about where to look."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from cache.store import Store
from core.keys import Key
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.stages import Stage, Unit
from pipeline.work import JobWork

#: Plans that are kept parsed: batches of a few jobs alternate.
_PLANS_KEPT = 16


@dataclass(frozen=True)
class UnitRef:
    """A unit as a message names it."""

    job_id: str
    window: int
    #: Target language of a translation, else empty.
    language: str
    #: The job's spoken language, which the vote has settled; empty for a detection.
    source: str
    key: Key
    #: Round of retries that it is asked for in.
    round: int
    #: Length of the speech it covers.
    audio_ms: int


def ref_of(unit: Unit, source: str, round_: int) -> UnitRef:
    """How a message names a unit."""
    return UnitRef(unit.job_id, unit.window, unit.language, source, unit.key, round_, unit.audio_ms)


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

    def find(self, stage: Stage, ref: UnitRef) -> Unit | None:
        """The unit; None when the disk has no unit with this key (any more): the message is stale or foreign."""
        unit = self._derive(stage, ref)
        if unit is None or unit.key != ref.key:
            # A job that was planned anew has other windows; look once more before calling the message stale.
            self._plans.pop(ref.job_id, None)
            unit = self._derive(stage, ref)
        return unit if unit is not None and unit.key == ref.key else None

    def _derive(self, stage: Stage, ref: UnitRef) -> Unit | None:
        plan = self.plan(ref.job_id)
        if plan is None or not 0 <= ref.window < len(plan.windows):
            return None
        failed = JobFolder(self._store, ref.job_id).failures() if stage is Stage.TRANSLATE else {}
        return JobWork.derive(plan, self._store, failed, stage, ref.window, ref.source, ref.language)
