"""``segue decide``: by API, managed, self-hosted or a mix, stage by stage, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import JsonFlag, print_json
from cli.money.comparison_flags import (
    BookFlags,
    CostFlags,
    DeploymentFlags,
    StageFlag,
    WorksheetFlag,
    read_plan,
)
from cli.signatures import with_fields
from core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from core.money import Money
    from ledger.decision.decide import Recommendation
    from ledger.decision.inference_cost import Bounds
    from ledger.decision.workload import StageCosts, WorkloadProfile

_NEEDS, _RULES, _PEOPLE = "What the work needs", "What rules the API out", "People and money"


@dataclass(frozen=True)
class _StageFlags(CostFlags):
    """What else is said of one stage."""

    usage_is_certain: Annotated[
        bool | None, typer.Option("--certain/--uncertain", help="Would you sign for that usage?")
    ] = None
    predictable: Annotated[
        bool | None, typer.Option("--predictable/--unpredictable", help="Is the load even enough to plan GPUs for?")
    ] = None
    always_on: Annotated[
        bool | None,
        typer.Option("--always-on/--on-demand", help="GPUs stay on and are paid all month, or come and go."),
    ] = None
    needs_autoscaling: Annotated[
        bool | None, typer.Option("--autoscaling/--no-autoscaling", help="Needed.", rich_help_panel=_NEEDS)
    ] = None
    needs_support: Annotated[
        bool | None, typer.Option("--support/--no-support", help="By contract.", rich_help_panel=_NEEDS)
    ] = None
    customization: Annotated[
        bool | None,
        typer.Option("--customization/--no-customization", help="No API serves the model.", rich_help_panel=_NEEDS),
    ] = None
    data_sovereignty: Annotated[
        bool | None,
        typer.Option(
            "--sovereignty/--no-sovereignty", help="Data stay on machines one controls.", rich_help_panel=_RULES
        ),
    ] = None
    regulation: Annotated[
        bool | None, typer.Option("--regulation/--no-regulation", help="A law forbids it.", rich_help_panel=_RULES)
    ] = None


@with_fields("book", BookFlags)
@with_fields("deployment", DeploymentFlags)
@with_fields("said", _StageFlags)
def decide_command(
    worksheet: WorksheetFlag = None,
    example: Annotated[bool, typer.Option("--example", help="Print a worksheet to start from, and leave.")] = False,
    stage: StageFlag = None,
    *,
    said: _StageFlags,
    deployment: DeploymentFlags,
    book: BookFlags,
    operations_owner: Annotated[
        str | None,
        typer.Option("--operations-owner", metavar="NAME", help="Who operates the GPUs.", rich_help_panel=_PEOPLE),
    ] = None,
    motive: Annotated[
        str | None,
        typer.Option("--motive", help="Why one would like to self-host. Listed, and never counted."),
    ] = None,
    extreme_ratio: Annotated[
        str | None,
        typer.Option(
            "--extreme-ratio",
            metavar="N",
            help="Extreme: API this many times dearer. Default: 5.",
            rich_help_panel=_PEOPLE,
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Where each stage should run: by API, managed, self-hosted, or not decided yet.

    Self-hosting needs a reason that counts: high volume always on, data sovereignty, a regulation, or extreme unit cost
    or customization. What is not given is unknown, never zero: without the people's hours nothing is self-hosted.

    [bold]segue decide --example > sheet.toml[/bold]   then   [bold]segue decide --worksheet sheet.toml[/bold]
    [bold]segue decide --usage 20000 --certain --peak 2 --predictable --api-price 0.36 --gpu-price 0.526 --rtfx 30
    --always-on --engineering-hours 26-43 --engineering-rate 90 --operations-owner Ada[/bold]
    """
    from ledger.decision.decide import recommend_deployment
    from ledger.decision.worksheet import EXAMPLE

    if example:
        print(EXAMPLE, end="")
        return
    of_stage = said.overrides()
    if worksheet is None and not of_stage:
        raise UsageError(
            "there is nothing to decide on",
            "start with: segue decide --example > sheet.toml, or see 'segue decide --help'",
        )
    others: dict[tuple[str, ...], Any] = {
        ("extreme_ratio",): extreme_ratio,
        ("operations_owner",): operations_owner,
        ("motives",): None if motive is None else [motive],
    }
    profile = read_plan(worksheet, stage, of_stage, deployment, book, others).profile
    found = recommend_deployment(profile)
    if json:
        print_json(_as_json(found, profile))
    else:
        _print(found, profile)


def _as_json(found: Recommendation, profile: WorkloadProfile) -> dict[str, Any]:
    from cli.money.comparison_text import nano_ends, per_request_nano
    from cli.money.pages.break_even_chart import number
    from ledger.decision.decide import State

    def nano(amount: Money | None) -> int | None:
        return None if amount is None else amount.nano

    def cost(one: StageCosts) -> dict[str, Any]:
        busy = None if one.utilization is None else number(one.utilization, 9).replace(",", "")
        return {
            "stage": one.stage,
            "api_nano": nano(one.api),
            "machines_nano": nano(one.machines),
            "api_beside_nano": nano(one.beside),
            "gpus": one.gpus,
            "utilization": busy,
            "unknown": list(one.unknown),
        }

    people, wholes = profile.engineering.monthly(), _wholes(found, profile)
    return {
        "arm": found.arm.value,
        "per_stage": {stage: arm.value for stage, arm in found.per_stage.items()},
        "reasons": list(found.reasons),
        "conditions_met": [condition.value for condition in found.conditions_in(State.MET)],
        "conditions_unmet": [condition.value for condition in found.conditions_in(State.UNMET)],
        "conditions_unknown": [condition.value for condition in found.conditions_in(State.UNKNOWN)],
        "conditions": [
            {"condition": f.condition.value, "stage": f.stage, "state": f.state.value, "why": f.why}
            for f in found.conditions
        ],
        "red_flags": [{"kind": f.kind.value, "stage": f.stage, "message": f.message} for f in found.red_flags],
        "not_counting": list(found.not_counting),
        "currency": profile.currency,
        "costs": [cost(one) for one in found.costs],
        "people_monthly_nano": None if people is None else [end.nano for end in people],
        "people_by_category_nano": {
            category.value: [end.nano for end in ends] for category, ends in profile.engineering.by_category().items()
        },
        "people_unset": list(profile.engineering.unset),
        "infrastructure_monthly_nano": profile.infrastructure.nano,
        "monthly_nano": {name: nano_ends(whole) for name, whole in wholes.items()},
        "successful_requests": profile.successful_requests,
        "effective_cost_nano": {
            name: per_request_nano(whole, profile.successful_requests) for name, whole in wholes.items()
        },
    }


def _wholes(found: Recommendation, profile: WorkloadProfile) -> dict[str, Bounds | None]:
    """The month of all stages: by API, on own GPUs, and as they are placed here."""
    from ledger.decision.decide import Arm
    from ledger.decision.deployment_cost import deployment_cost

    return {
        "api": deployment_cost(profile, found.costs, dict.fromkeys(found.per_stage, Arm.API)),
        "self_hosted": deployment_cost(profile, found.costs, dict.fromkeys(found.per_stage, Arm.SELF_HOSTED)),
        "as_placed": deployment_cost(profile, found.costs, found.per_stage),
    }


def _print(found: Recommendation, profile: WorkloadProfile) -> None:
    from rich.console import Console

    from cli.money.comparison_text import WAYS, red_flag_lines
    from cli.wording import printable

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(WAYS.get(found.arm, found.arm.value).upper())
    for (stage, arm), reason in zip(found.per_stage.items(), found.reasons, strict=True):
        why = reason.removeprefix(f"{stage}: ")
        console.print(printable(f"  {stage:<12}{WAYS.get(arm, arm.value):<13}{why}"))
    _print_costs(console, found, profile)
    stages = list(found.per_stage)
    console.print(f"{'what justifies self-hosting':<38}{''.join(f'{printable(stage):<14}' for stage in stages)}")
    for condition in dict.fromkeys(finding.condition for finding in found.conditions):
        states = [f.state.value for f in found.conditions if f.condition is condition]
        console.print(f"  {condition.words:<36}{''.join(f'{state:<14}' for state in states)}".rstrip())
    for motive in found.not_counting:
        console.print(f"does not count: {printable(motive)}")
    for line in red_flag_lines(found.red_flags):
        console.print(line)


def _print_costs(console: Console, found: Recommendation, profile: WorkloadProfile) -> None:
    from cli.money.comparison_text import amount, people_lines, per_request, span
    from cli.money.pages.break_even_chart import percent_of
    from cli.wording import printable

    console.print(f"a month, {profile.currency:<14}{'API':>14}{'machines':>14}  ")
    for one in found.costs:
        gpus = f"{one.gpus} GPU{'s' if one.gpus != 1 else ''}, " if one.gpus else ""
        busy = "" if one.utilization is None else f"{gpus}{percent_of(one.utilization)} busy"
        beside = f", {amount(one.beside)} by API beside them" if one.beside else ""
        unknown = f"not known: {', '.join(one.unknown)}" if one.unknown else ""
        note = f"{busy or unknown}{beside}"
        console.print(f"  {printable(one.stage):<21}{amount(one.api):>14}{amount(one.machines):>14}  {note}".rstrip())
    for line in people_lines(profile.engineering):
        console.print(f"  {line}")
    console.print(f"  infrastructure: {amount(profile.infrastructure)} a month")
    names = {"api": "all by API", "self_hosted": "all self-hosted", "as_placed": "as placed here"}
    for name, whole in _wholes(found, profile).items():
        each, requests = "", profile.successful_requests
        if requests is not None:
            each = f"; each of {requests:,} successful requests: {per_request(whole, requests)}"
        console.print(f"  {names[name]}: {span(whole)} a month{each}")
