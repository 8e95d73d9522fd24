"""Looking without computing: what a plan would hold, and what a change of settings would compute again."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.jobs import JobFolder
from pipeline.planning import PlanRequest, draft_plan
from pipeline.work import JobWork


@dataclass(frozen=True)
class StageChange:
    """What of one stage is in the store already, under the settings asked about."""

    stage: str
    total: int
    #: Found in the store.
    kept: int
    #: Would be computed.
    computed: int
    #: Cannot be told before earlier stages have run; at most these are computed.
    unknown: int


def what_would_run(request: PlanRequest, folder: JobFolder) -> tuple[StageChange, ...]:
    """Stage by stage, what a run with these settings would find and what it would compute. Nothing is written
    but the analysis of the audio."""
    plan = folder.read_plan() or draft_plan(request, folder.store)
    work = JobWork.open(plan, folder.store, {})
    ready = [unit.stage for unit in work.ready()]
    changes = []
    for stage, count in work.counts.items():
        if count.total:
            computed = ready.count(stage)
            changes.append(StageChange(stage, count.total, count.done, computed, count.total - count.done - computed))
    return tuple(changes)
