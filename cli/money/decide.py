"""``segue decide``: by API, managed, self-hosted or a mix, stage by stage, with the reasons."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import JsonFlag, print_json
from cli.money.breakeven import HourlyFlag, HoursFlag, SpeedFlag, UnitFlag, WorksheetFlag
from cli.signatures import with_fields
from core.errors import UsageError
from pipeline.stages import charged_by, compared_first
from pipeline.stages.stage import ChargedBy

if TYPE_CHECKING:
    from rich.console import Console

    from core.money import Money
    from ledger.decide import Recommendation
    from ledger.workload import StageCosts, WorkloadProfile

#: What flags alone start from; the help of the flags says so.
_START: dict[str, Any] = {"currency": "USD", "month_hours": "730", "extreme_ratio": "5"}
_NEEDS, _RULES, _PEOPLE = "What the work needs", "What rules the API out", "People and money"


@dataclass(frozen=True)
class _StageFlags:
    """What is said of one stage, by the names of the worksheet; None is not given."""

    unit: UnitFlag = None
    usage: Annotated[str | None, typer.Option("--usage", metavar="N", help="Units in an average month.")] = None
    usage_is_certain: Annotated[
        bool | None, typer.Option("--certain/--uncertain", help="Would you sign for that usage?")
    ] = None
    peak_to_average: Annotated[
        str | None, typer.Option("--peak", metavar="N", help="The busiest hour, in times the average one.")
    ] = None
    predictable: Annotated[
        bool | None, typer.Option("--predictable/--unpredictable", help="Is the load even enough to plan GPUs for?")
    ] = None
    api_price: Annotated[str | None, typer.Option("--api-price", metavar="PRICE", help="For one unit.")] = None
    gpu_price_per_hour: Annotated[
        str | None, typer.Option("--gpu-price", metavar="PRICE", help="An hour of one GPU.")
    ] = None
    speed: SpeedFlag = None
    always_on: Annotated[
        bool | None,
        typer.Option("--always-on/--on-demand", help="GPUs stay on and are paid all month, or come and go."),
    ] = None
    utilization: Annotated[
        str | None,
        typer.Option("--utilization", metavar="SHARE", help="On demand: share of paid time that works, 0.4."),
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


@with_fields("said", _StageFlags)
def decide_command(
    worksheet: WorksheetFlag = None,
    example: Annotated[bool, typer.Option("--example", help="Print a worksheet to start from, and leave.")] = False,
    stage: Annotated[
        str | None,
        typer.Option("--stage", help="The stage that the flags are about. Default: transcribe, or the only one."),
    ] = None,
    *,
    said: _StageFlags,
    hours: HoursFlag = None,
    hourly: HourlyFlag = None,
    operations_owner: Annotated[
        str | None,
        typer.Option("--operations-owner", metavar="NAME", help="Who operates the GPUs.", rich_help_panel=_PEOPLE),
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", help="Of every price. Default: USD.", rich_help_panel=_PEOPLE)
    ] = None,
    month_hours: Annotated[
        str | None,
        typer.Option("--month-hours", metavar="N", help="The month's length. Default: 730.", rich_help_panel=_PEOPLE),
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
    from ledger.decide import recommend_deployment
    from ledger.worksheet import EXAMPLE, parse_worksheet, read_worksheet, with_overrides

    if example:
        print(EXAMPLE, end="")
        return
    of_all = {
        ("currency",): currency,
        ("month_hours",): month_hours,
        ("extreme_ratio",): extreme_ratio,
        ("operations_owner",): operations_owner,
        ("engineering", "hours"): hours,
        ("engineering", "rate_per_hour"): hourly,
    }
    given = {name: value for name, value in asdict(said).items() if value is not None}
    if worksheet is None and not given:
        raise UsageError(
            "there is nothing to decide on",
            "start with: segue decide --example > sheet.toml, or see 'segue decide --help'",
        )
    tables = dict(_START) if worksheet is None else read_worksheet(worksheet)
    place = _stage_of(tables, stage) if given or stage else ""
    overrides = {("stages", place, name): value for name, value in given.items()} | of_all
    if worksheet is None and said.unit is None:
        overrides["stages", place, "unit"] = "audio hour" if charged_by(place) is ChargedBy.AUDIO else "million tokens"
    profile = parse_worksheet(with_overrides(tables, overrides))
    found = recommend_deployment(profile)
    if json:
        print_json(_as_json(found, profile))
    else:
        _print(found, profile)


def _stage_of(tables: dict[str, Any], stage: str | None) -> str:
    """The stage that the flags override. Raises UsageError when the worksheet leaves that open."""
    stages = tables.get("stages")
    known = list(stages) if isinstance(stages, dict) else []
    if not known:
        return stage or compared_first()
    if stage is None and len(known) == 1:
        return str(known[0])
    if stage is None or stage not in known:
        what = "the worksheet has several stages" if stage is None else f"the worksheet has no stage {stage!r}"
        raise UsageError(what, f"give --stage: {', '.join(map(str, known))}")
    return stage


def _as_json(found: Recommendation, profile: WorkloadProfile) -> dict[str, Any]:
    from cli.money.break_even_chart import number
    from ledger.decide import State

    def nano(amount: Money | None) -> int | None:
        return None if amount is None else amount.nano

    def cost(one: StageCosts) -> dict[str, Any]:
        busy = None if one.utilization is None else number(one.utilization, 9).replace(",", "")
        return {
            "stage": one.stage,
            "api_nano": nano(one.api),
            "machines_nano": nano(one.machines),
            "gpus": one.gpus,
            "utilization": busy,
            "unknown": list(one.unknown),
        }

    people = profile.engineering.monthly()
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
    }


_SHOWN = {"self_hosted": "self-hosted", "api": "API"}


def _print(found: Recommendation, profile: WorkloadProfile) -> None:
    from rich.console import Console

    from cli.wording import printable

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(_SHOWN.get(found.arm, found.arm.value).upper())
    for (stage, arm), reason in zip(found.per_stage.items(), found.reasons, strict=True):
        why = reason.removeprefix(f"{stage}: ")
        console.print(printable(f"  {stage:<12}{_SHOWN.get(arm, arm.value):<13}{why}"))
    _print_costs(console, found, profile)
    stages = list(found.per_stage)
    console.print(f"{'what justifies self-hosting':<38}{''.join(f'{printable(stage):<14}' for stage in stages)}")
    for condition in dict.fromkeys(finding.condition for finding in found.conditions):
        states = [f.state.value for f in found.conditions if f.condition is condition]
        console.print(f"  {condition.words:<36}{''.join(f'{state:<14}' for state in states)}".rstrip())
    for motive in found.not_counting:
        console.print(f"does not count: {printable(motive)}")
    console.print(f"red flags: {len(found.red_flags) or 'none'}")
    for flag in found.red_flags:
        console.print(printable(f"  {flag.stage + ': ' if flag.stage else ''}{flag.message}"))


def _print_costs(console: Console, found: Recommendation, profile: WorkloadProfile) -> None:
    from cli.money.break_even_chart import percent_of
    from cli.wording import printable

    def shown(amount: Money | None) -> str:
        return "unknown" if amount is None else amount.amount(2)

    console.print(f"a month, {profile.currency:<14}{'API':>14}{'machines':>14}  ")
    for one in found.costs:
        gpus = f"{one.gpus} GPU{'s' if one.gpus != 1 else ''}, " if one.gpus else ""
        busy = "" if one.utilization is None else f"{gpus}{percent_of(one.utilization)} busy"
        unknown = f"not known: {', '.join(one.unknown)}" if one.unknown else ""
        console.print(
            f"  {printable(one.stage):<21}{shown(one.api):>14}{shown(one.machines):>14}  {busy or unknown}".rstrip()
        )
    people = profile.engineering.monthly()
    if people is None:
        console.print(f"  people: unknown, {len(profile.engineering.unset)} values are not filled in")
    else:
        low, high = people
        span = low.amount(2) if low == high else f"{low.amount(2)} to {high.amount(2)}"
        console.print(f"  self-hosting, beside machines: people {span}, infrastructure {shown(profile.infrastructure)}")
