"""``segue compare``: a month by API and on own GPUs, which is cheaper, and from how much usage on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import JsonFlag, print_json
from cli.money.comparison_flags import (
    BookFlags,
    CostFlags,
    DeploymentFlags,
    StageFlag,
    WorksheetFlag,
    numbers,
    read_plan,
)
from cli.signatures import with_fields
from core.errors import UsageError

if TYPE_CHECKING:
    from fractions import Fraction

    from core.money import Money
    from ledger.decision.compare import Cheaper
    from ledger.decision.inference_cost import InferenceCostComparison
    from ledger.decision.redflags import RedFlag
    from ledger.decision.workload import StageWorkload, WorkloadProfile


@dataclass(frozen=True)
class ComparedMonth:
    """A comparison and where it comes from."""

    #: The month's comparison.
    found: InferenceCostComparison
    #: The workload that it is of.
    profile: WorkloadProfile
    #: Its stage.
    stage: StageWorkload
    #: Where the API's price comes from, in words.
    api_source: str
    #: Hours a month that a GPU is paid for.
    gpu_hours: Fraction
    #: What the comparison forgets.
    red_flags: tuple[RedFlag, ...]


@with_fields("book", BookFlags)
@with_fields("deployment", DeploymentFlags)
@with_fields("said", CostFlags)
def compare_command(
    worksheet: WorksheetFlag = None,
    stage: StageFlag = None,
    *,
    said: CostFlags,
    gpu_hours: Annotated[
        str | None,
        typer.Option(
            "--gpu-hours", metavar="N", help="A month that a GPU is paid for and can work. Default: the whole month."
        ),
    ] = None,
    deployment: DeploymentFlags,
    book: BookFlags,
    json: JsonFlag = False,
) -> None:
    """A month by API and on own GPUs: both costs, the break-even usage, what a GPU can do, and which is cheaper.

    GPUs are bought whole, for the busiest hour, and paid whether they work or wait. A tie goes to the API. The verdict
    is said without people and with them; hours that are not given are unknown, never zero.

    [bold]segue compare --usage 20000 --api-price 0.36 --gpu-month 384 --rtfx 30[/bold]
    [bold]segue compare --usage 20000 --peak 2 --api openai/whisper-1 --gpu-price 0.526 --rtfx 30
    --engineering-hours 26-43 --engineering-rate 90[/bold]
    """
    from cli.money.compare_screen import print_compared

    answer = _answer(worksheet, stage, said, gpu_hours, deployment, book)
    if json:
        print_json(_as_json(answer))
    else:
        print_compared(answer)


def _answer(
    worksheet: Path | None,
    stage: str | None,
    said: CostFlags,
    gpu_hours: str | None,
    deployment: DeploymentFlags,
    book: BookFlags,
) -> ComparedMonth:
    from fractions import Fraction

    from ledger.decision.decide import comparison_basis
    from ledger.decision.inference_cost import compare_inference_cost
    from ledger.decision.redflags import people_flags, stage_flags
    from ledger.decision.workload import inference_cost_inputs

    of_stage = said.overrides()
    if worksheet is None and not of_stage:
        raise UsageError(
            "there is nothing to compare",
            "give --usage, --api-price or --api, --gpu-month or --gpu-price, and --rtfx; or --worksheet",
        )
    plan = read_plan(worksheet, stage, of_stage, deployment, book, needs_stage=True)
    profile, workload = plan.profile, plan.workload
    paid = Fraction(profile.seconds_per_month, 3600)
    if gpu_hours is not None:
        paid = numbers(gpu_hours, "--gpu-hours")[0]
        if paid * 3600 > profile.seconds_per_month:
            raise UsageError(f"--gpu-hours: {gpu_hours} are more than the month has", "see --month-hours")
    basis = comparison_basis(replace(workload, always_on=True))
    flags = (*people_flags(profile.engineering), *stage_flags(basis))
    found = compare_inference_cost(inference_cost_inputs(workload, profile, paid * 3600))
    return ComparedMonth(found, profile, workload, plan.api_source, paid, flags)


def _as_json(answer: ComparedMonth) -> dict[str, Any]:
    """Amounts in nano-units, usage and shares as decimal text: JSON's numbers are floats to most who read them."""
    from cli.money.comparison_text import break_even_json, exact_text, nano_ends, per_request_nano
    from ledger.decision.compare import Cheaper

    found, profile, stage = answer.found, answer.profile, answer.stage
    requests, people = profile.successful_requests, profile.engineering.monthly()

    def way(name: Cheaper) -> dict[str, Any] | None:
        one = found.ways.get(name)
        if one is None:
            return None
        return {
            "api_nano": one.api.nano,
            "gpus": one.gpus,
            "machines_nano": one.machines.nano,
            "without_people_nano": one.without_people.nano,
            "with_people_nano": nano_ends(one.with_people),
            "effective_cost_nano": per_request_nano(one.with_people, requests),
        }

    def even(people: Money) -> dict[str, Any] | None:
        return break_even_json(found.break_even_with(people), lambda gpus: found.cost_of(gpus, people))

    return {
        "stage": stage.stage,
        "unit": stage.unit.value,
        "currency": profile.currency,
        "usage": exact_text(found.inputs.api.usage),
        "api_price": exact_text(found.inputs.api.unit_price),
        "api_source": answer.api_source,
        "gpu_monthly_cost": exact_text(found.inputs.gpu_monthly_cost),
        "gpu_hours": exact_text(answer.gpu_hours),
        "effective_throughput": exact_text(found.inputs.effective_throughput),
        "peak_to_average": exact_text(found.inputs.peak_to_average),
        "api_share": exact_text(found.inputs.api_share),
        **{name.value: way(name) for name in Cheaper},
        "monthly_capacity": exact_text(found.monthly_capacity),
        "planned_capacity": exact_text(found.planned_capacity),
        "break_even_usage": exact_text(found.break_even_usage),
        "break_even_exceeds_single_gpu_capacity": found.break_even_exceeds_single_gpu_capacity,
        "break_even_gpus": found.break_even_gpus,
        "break_even_with_people": None if people is None else [even(end) for end in people],
        "gpus": found.gpus,
        "cheaper": found.cheaper.value,
        "cheaper_with_people": None if found.cheaper_with_people is None else found.cheaper_with_people.value,
        "people_monthly_nano": nano_ends(people),
        "people_at_least_nano": profile.engineering.bounds()[0].nano,
        "people_by_category_nano": {
            category.value: nano_ends(ends) for category, ends in profile.engineering.by_category().items()
        },
        "people_unset": list(profile.engineering.unset),
        "infrastructure_monthly_nano": profile.infrastructure.nano,
        "successful_requests": requests,
        "red_flags": [{"kind": flag.kind.value, "message": flag.message} for flag in answer.red_flags],
    }
