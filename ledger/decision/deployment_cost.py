"""What a month of all stages takes when each of them is placed somewhere, people and infrastructure counted once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.money import Money, total
from ledger.decision.compare import self_hosted_monthly_cost
from ledger.decision.decide import Arm
from ledger.decision.inference_cost import Bounds
from ledger.decision.workload import StageCosts, WorkloadProfile


def deployment_cost(profile: WorkloadProfile, costs: Sequence[StageCosts], arms: Mapping[str, Arm]) -> Bounds | None:
    """At least and at most (None while people are unset); None where a stage is managed, undecided or not known."""
    parts: list[Money] = []
    for stage in costs:
        own = arms[stage.stage] in (Arm.SELF_HOSTED, Arm.HYBRID)
        if own and stage.machines is not None and stage.beside is not None:
            parts += (stage.machines, stage.beside)
        elif arms[stage.stage] is Arm.API and stage.api is not None:
            parts.append(stage.api)
        else:
            return None
    served = total(parts, profile.currency)
    if all(arm is Arm.API for arm in arms.values()):
        return served, served

    def with_these(people: Money) -> Money:
        return self_hosted_monthly_cost(served, *profile.infrastructure_parts, people)

    least, most = profile.engineering.bounds()
    return with_these(least), None if most is None else with_these(most)
