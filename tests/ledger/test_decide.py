"""Every arm of the decision, each condition, and the command. Red flags: test_redflags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import typer
from decision_samples import MONTH, TRANSCRIBE, TRANSLATE, UNSET, decide, profile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.money.decide import decide_command
from core.errors import SegueError, UsageError
from core.money import Money
from ledger.decision.compare import WorkUnit
from ledger.decision.decide import Arm, Condition, State, overall, recommend_deployment
from ledger.decision.deployment_cost import deployment_cost
from ledger.decision.tax import EngineeringTax, Hours, TaxCategory
from ledger.decision.workload import StageWorkload, stage_costs
from ledger.decision.worksheet import EXAMPLE


def test_the_costs_of_a_stage_worked_out_by_hand() -> None:
    costs = stage_costs(TRANSCRIBE, "USD", MONTH)
    assert (costs.api, costs.machines, costs.gpus) == (Money.parse("7200 USD"), Money.parse("767.96 USD"), 2)
    assert costs.utilization == Fraction(20_000, 43_800)
    costs = stage_costs(TRANSLATE, "USD", MONTH)
    assert (costs.api, costs.machines, costs.gpus) == (Money.parse("33 USD"), Money.parse("584 USD"), 1)


def test_on_demand_machines_are_paid_with_their_idle_time_and_not_for_the_whole_month() -> None:
    stage = replace(TRANSCRIBE, always_on=False, utilization=Decimal("0.4"))
    # 20,000 h / 30 / 0.4 = 1,666.67 GPU hours at 0.526 = 876.666...
    assert stage_costs(stage, "USD", MONTH).machines == Money(876_666_666_667, "USD")


# The arms.


def test_high_volume_always_on_with_an_owner_is_self_hosted() -> None:
    found = decide()
    assert found.arm is Arm.SELF_HOSTED
    # 6,432.04 against 2,700
    assert found.conditions_in(State.MET) == (Condition.HIGH_VOLUME_ALWAYS_ON,)
    assert found.red_flags == ()


def test_each_stage_is_placed_by_itself_and_together_they_are_a_hybrid() -> None:
    found = recommend_deployment(profile(TRANSCRIBE, TRANSLATE))
    assert found.arm is Arm.HYBRID
    assert found.per_stage == {"transcribe": Arm.SELF_HOSTED, "translate": Arm.API}


def test_uncertain_usage_goes_to_the_api_whatever_it_would_save() -> None:
    assert decide(replace(TRANSCRIBE, usage_is_certain=False)).arm is Arm.API
    assert decide(replace(TRANSCRIBE, usage=None)).arm is Arm.API
    assert decide(replace(TRANSCRIBE, usage_is_certain=False), engineering=UNSET).arm is Arm.API


@pytest.mark.parametrize("need", ["needs_autoscaling", "needs_support"])
def test_autoscaling_or_support_is_managed(need: str) -> None:
    assert decide(replace(TRANSCRIBE, **{need: True})).arm is Arm.MANAGED


def test_high_volume_that_nobody_operates_is_managed() -> None:
    assert decide(operations_owner="").arm is Arm.MANAGED


def test_unset_hours_leave_it_undecided_and_say_so() -> None:
    found = decide(engineering=UNSET)
    assert found.arm is Arm.UNDECIDED
    assert "unset" in found.reasons[0]
    assert found.conditions_in(State.MET) == ()


@pytest.mark.parametrize("reason", ["data_sovereignty", "regulation", "customization"])
def test_a_reason_beside_cost_is_self_hosted_even_where_the_api_is_cheaper(reason: str) -> None:
    stage = replace(TRANSLATE, **{reason: True})
    assert decide(stage).arm is Arm.SELF_HOSTED
    assert decide(stage, operations_owner="").arm is Arm.MANAGED
    # Nor is anything self-hosted, for whatever reason, before the people are counted.
    assert decide(stage, engineering=UNSET).arm is Arm.UNDECIDED


@pytest.mark.parametrize("rule", ["data_sovereignty", "regulation"])
def test_what_the_api_may_not_have_does_not_go_there_for_being_uncertain(rule: str) -> None:
    stage = replace(TRANSLATE, usage_is_certain=False, usage=None, **{rule: True})
    assert decide(stage).arm is Arm.SELF_HOSTED
    assert decide(replace(stage, needs_support=True)).arm is Arm.MANAGED


def test_an_unpredictable_load_is_no_high_volume() -> None:
    # 7,200 is over 5 times 767.96 but with people (3,467.96) only twice.
    assert decide(replace(TRANSCRIBE, predictable=False)).arm is Arm.API


def test_an_extreme_unit_cost_justifies_on_demand_machines() -> None:
    stage = replace(TRANSCRIBE, always_on=False, predictable=False, utilization=Decimal("0.4"), usage=100_000)
    # API 36,000; machines 4,383.33 + people 2,700 = 7,083.33; 36,000 / 7,083.33 = 5.08
    found = decide(stage)
    assert found.arm is Arm.SELF_HOSTED
    assert found.conditions_in(State.MET) == (Condition.EXTREME_COST_OR_CUSTOMIZATION,)
    assert decide(stage, extreme_ratio=Decimal("5.1")).arm is Arm.API


def test_people_that_cost_what_machines_save_send_it_to_the_api() -> None:
    # Machines save 6,432.04; infrastructure takes 3,732.04 and people 2,700: a tie.
    assert decide(storage=Decimal("3732.04")).arm is Arm.API
    assert decide(storage=Decimal("3732.03")).arm is Arm.SELF_HOSTED


def test_hours_that_could_mean_either_leave_it_undecided() -> None:
    tax = EngineeringTax("USD", Decimal(100), lump=Hours.parse("60-70"))
    assert decide(engineering=tax).arm is Arm.UNDECIDED
    assert decide(engineering=EngineeringTax("USD", Decimal(100), lump=Hours.parse("60-64"))).arm is Arm.SELF_HOSTED
    assert decide(engineering=EngineeringTax("USD", Decimal(100), lump=Hours.parse("65-70"))).arm is Arm.API


@pytest.mark.parametrize("name", ["api_price", "gpu_price_per_hour", "speed", "peak_to_average"])
def test_a_number_that_is_not_known_leaves_it_undecided_and_is_named(name: str) -> None:
    found = decide(replace(TRANSCRIBE, **{name: None}))
    assert found.arm is Arm.UNDECIDED
    assert "not known" in found.reasons[0]
    assert found.costs[0].unknown


def test_on_demand_machines_without_a_utilization_are_undecided() -> None:
    assert decide(replace(TRANSCRIBE, always_on=False)).arm is Arm.UNDECIDED


def test_gpus_that_do_nothing_send_it_to_the_api() -> None:
    assert decide(replace(TRANSCRIBE, speed=0)).arm is Arm.API
    assert decide(replace(TRANSCRIBE, always_on=False, utilization=0)).arm is Arm.API


def test_one_undecided_stage_leaves_the_whole_undecided() -> None:
    found = recommend_deployment(profile(TRANSCRIBE, replace(TRANSLATE, speed=None)))
    assert found.arm is Arm.UNDECIDED
    assert found.per_stage == {"transcribe": Arm.SELF_HOSTED, "translate": Arm.UNDECIDED}


def test_the_people_are_counted_once_for_all_stages() -> None:
    # Each half saves 3,216.02 or so; 4,500 of people is more than either and less than both.
    half = replace(TRANSCRIBE, usage=10_000)
    other = replace(half, stage="transcribe-again")
    tax = EngineeringTax("USD", Decimal(90), lump=Hours.parse("50"))
    assert decide(half, engineering=tax).arm is Arm.API
    assert recommend_deployment(profile(half, other, engineering=tax)).arm is Arm.SELF_HOSTED


@pytest.mark.parametrize("motive", ["vaguely anxious", "it is cooler"])
def test_being_anxious_or_cool_is_reported_and_changes_nothing(motive: str) -> None:
    plain, moved = decide(TRANSLATE), decide(TRANSLATE, motives=(motive,))
    assert moved.not_counting == (motive,)
    assert (moved.arm, moved.reasons, moved.conditions) == (Arm.API, plain.reasons, plain.conditions)


def test_the_whole_is_the_common_arm_or_a_hybrid_or_undecided() -> None:
    assert overall([Arm.API, Arm.API]) is Arm.API
    assert overall([Arm.API, Arm.MANAGED]) is Arm.HYBRID
    assert overall([Arm.SELF_HOSTED, Arm.API, Arm.UNDECIDED]) is Arm.UNDECIDED


flags = st.booleans()
optional = st.none() | st.integers(0, 10**6)
workloads = st.builds(
    StageWorkload,
    stage=st.just("transcribe"),
    unit=st.sampled_from(list(WorkUnit)),
    usage=optional,
    usage_is_certain=flags,
    peak_to_average=st.none() | st.integers(1, 10),
    predictable=flags,
    api_price=optional,
    gpu_price_per_hour=optional,
    speed=optional,
    always_on=flags,
    utilization=st.none() | st.fractions(0, 1),
    needs_autoscaling=flags,
    needs_support=flags,
    data_sovereignty=flags,
    regulation=flags,
    customization=flags,
)


@given(workloads)
def test_nothing_is_self_hosted_while_hours_are_unset_or_nobody_operates_it(stage: StageWorkload) -> None:
    assert decide(stage, engineering=UNSET).arm is not Arm.SELF_HOSTED
    assert decide(stage, operations_owner="").arm is not Arm.SELF_HOSTED


@given(workloads)
def test_self_hosting_always_has_a_condition_that_is_met(stage: StageWorkload) -> None:
    found = decide(stage)
    assert found.arm is not Arm.SELF_HOSTED or found.conditions_in(State.MET)


@given(workloads, st.integers(0, 400))
def test_dearer_people_never_bring_work_home(stage: StageWorkload, hours: int) -> None:
    def arm(count: int) -> Arm:
        return decide(stage, engineering=EngineeringTax("USD", Decimal(90), lump=Hours.parse(str(count)))).arm

    assert not (arm(hours) is not Arm.SELF_HOSTED and arm(hours + 1) is Arm.SELF_HOSTED)


@given(workloads, workloads)
def test_the_order_of_stages_changes_nothing(one: StageWorkload, two: StageWorkload) -> None:
    two = replace(two, stage="translate")
    forth, back = recommend_deployment(profile(one, two)), recommend_deployment(profile(two, one))
    assert (forth.arm, forth.per_stage) == (back.arm, back.per_stage)


@pytest.mark.parametrize(
    "changes",
    [
        {"stages": ()},
        {"stages": (TRANSCRIBE, TRANSCRIBE)},
        {"engineering": EngineeringTax("EUR")},
        {"extreme_ratio": Decimal("0.5")},
        {"storage": -1},
        {"seconds_per_month": 0},
    ],
)
def test_a_workload_that_contradicts_itself_is_refused(changes: Mapping[str, object]) -> None:
    with pytest.raises(UsageError):
        profile(**changes)


# The command.

app = typer.Typer()
app.command()(decide_command)


def run(*args: str) -> str:
    result = CliRunner().invoke(app, args)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def sheet(tmp_path: Path) -> str:
    file = tmp_path / "sheet.toml"
    file.write_text(EXAMPLE, encoding="utf-8")
    return str(file)


def test_the_example_is_a_worksheet_that_translates_by_api_and_transcribes_itself(sheet: str) -> None:
    assert run("--example") == EXAMPLE
    text = run("--worksheet", sheet)
    assert text.startswith("HYBRID\n  transcribe  self-hosted")
    assert "translate   API" in text
    assert "does not count: it is cooler" in text
    assert "red flags: none" in text


def test_flags_override_the_worksheet_stage_by_stage(sheet: str) -> None:
    value = json.loads(run("--worksheet", sheet, "--stage", "transcribe", "--uncertain", "--json"))
    assert value["per_stage"] == {"transcribe": "api", "translate": "api"}
    assert value["arm"] == "api"
    value = json.loads(run("--worksheet", sheet, "--operations-owner", "", "--json"))
    assert value["arm"] == "hybrid"
    assert value["per_stage"]["transcribe"] == "managed"


def test_flags_alone_are_enough_and_what_they_leave_out_is_unknown() -> None:
    flags = ("--usage", "20000", "--certain", "--peak", "2", "--predictable", "--api-price", "0.36")
    machines = ("--gpu-price", "0.526", "--rtfx", "30", "--always-on", "--operations-owner", "Ada")
    value = json.loads(run(*flags, *machines, "--json"))
    assert value["arm"] == "undecided"
    assert value["people_monthly_nano"] is None
    assert value["costs"][0]["machines_nano"] == 767_960_000_000
    people = ("--engineering-hours", "26-43", "--engineering-rate", "90")
    value = json.loads(run(*flags, *machines, *people, "--json"))
    assert value["arm"] == "self_hosted"
    assert value["conditions_met"] == ["high_volume_always_on"]
    assert json.loads(run(*flags, "--stage", "translate", "--json"))["per_stage"] == {"translate": "undecided"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "nothing to decide"),
        (("--usage", "many"), "stages.transcribe.usage: 'many' is not a rate"),
        (("--utilization", "40"), "a share of 40 % is 0.4"),
        (("--usage", "1", "--peak", "0.5"), "is below 1"),
        (("--usage", "1", "--currency", "dollars"), "currency"),
        (("--worksheet", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_bad_flags_get_a_clear_line(args: tuple[str, ...], said: str) -> None:
    with pytest.raises(SegueError) as caught:
        run(*args)
    assert said in caught.value.message


def test_a_flag_that_could_mean_several_stages_asks_which(sheet: str) -> None:
    with pytest.raises(SegueError, match="several stages"):
        run("--worksheet", sheet, "--usage", "5")
    with pytest.raises(SegueError, match="no stage 'dub'"):
        run("--worksheet", sheet, "--stage", "dub", "--usage", "5")


def test_unset_hours_decide_nothing_where_even_free_people_would_not_pay() -> None:
    # 1,000 hours are 360 USD by API, one always-on T4 383.98.
    assert decide(replace(TRANSCRIBE, usage=1000), engineering=UNSET).arm is Arm.API
    # What is known of the hours counts: 70 hours of on-call alone take 6,300, 80 take 7,200; machines save 6,432.04.
    for hours, arm in (("70", Arm.UNDECIDED), ("80", Arm.API)):
        tax = EngineeringTax("USD", Decimal(90), {TaxCategory.ON_CALL: Hours.parse(hours)})
        assert decide(engineering=tax).arm is arm


def test_a_share_by_api_makes_self_hosting_a_hybrid() -> None:
    # 60 % by API: 4,320. 8,000 h x 2 / 21,900: one GPU, 383.98. It takes the place of 2,880, and saves 2,496.02.
    stage = replace(TRANSCRIBE, api_share=Decimal("0.6"))
    costs = stage_costs(stage, "USD", MONTH)
    assert (costs.beside, costs.machines, costs.gpus) == (Money.parse("4320 USD"), Money.parse("383.98 USD"), 1)
    assert costs.saving == Money.parse("2496.02 USD")
    assert decide(stage).arm is Arm.API
    cheap = EngineeringTax("USD", Decimal(90), lump=Hours.parse("20"))
    found = decide(stage, engineering=cheap)
    assert (found.arm, found.per_stage) == (Arm.HYBRID, {"transcribe": Arm.HYBRID})
    with pytest.raises(UsageError, match="goes by API where none"):
        replace(stage, data_sovereignty=True)


def test_the_month_of_each_placement_and_its_requests() -> None:
    whole = profile(TRANSCRIBE, TRANSLATE, storage=75)
    found = recommend_deployment(whole)
    # 7,200 + 33; 767.96 + 584 + 75 + 2,700; 767.96 + 33 + 75 + 2,700
    by_api = deployment_cost(whole, found.costs, dict.fromkeys(found.per_stage, Arm.API))
    own = deployment_cost(whole, found.costs, dict.fromkeys(found.per_stage, Arm.SELF_HOSTED))
    placed = deployment_cost(whole, found.costs, found.per_stage)
    amounts = [Money.parse(f"{text} USD") for text in ("7233", "4126.96", "3575.96")]
    assert [by_api, own, placed] == [(amount, amount) for amount in amounts]
    unset = replace(whole, engineering=UNSET)
    # 767.96 + 584 + 75, and nobody knows how much at most.
    assert deployment_cost(unset, found.costs, dict.fromkeys(found.per_stage, Arm.SELF_HOSTED)) == (
        Money.parse("1426.96 USD"),
        None,
    )
    assert deployment_cost(whole, found.costs, dict.fromkeys(found.per_stage, Arm.MANAGED)) is None


def test_what_can_work_of_always_on_gpus_decides_how_many_there_are() -> None:
    # 40,000 h at the peak; one GPU of which 60 % can work does 13,140: four of them, 1,535.92.
    stage = replace(TRANSCRIBE, utilization=Decimal("0.6"))
    assert stage_costs(stage, "USD", MONTH).machines == Money.parse("1535.92 USD")
    assert stage_costs(replace(stage, utilization=0), "USD", MONTH).machines is None


def test_flags_say_hours_by_category_and_what_one_sum_includes(sheet: str) -> None:
    def flags(*args: str) -> list[str]:
        found = json.loads(run("--worksheet", sheet, "--stage", "transcribe", *args, "--json"))
        return [flag["kind"] for flag in found["red_flags"]]

    assert flags("--engineering-hours", "on_call=0") == ["no_on_call"]
    assert flags("--engineering-hours", "26-43", "--hours-include", "on_call,failed_deployments") == [
        "no_upgrades",
        "no_monitoring",
    ]
    for wrong in ("26,on_call=2", "", "on_call=2,on_call=3"):
        with pytest.raises(SegueError, match="neither one sum nor hours by category"):
            flags("--engineering-hours", wrong)
    with pytest.raises(SegueError, match="hours_include: is for one sum"):
        flags("--hours-include", "on_call")
    with pytest.raises(SegueError, match="prices are in USD"):
        flags("--currency", "EUR")
