"""The worksheet: what is read, what is refused, and that nothing left out becomes a number."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from ledger.decision.compare import WorkUnit
from ledger.decision.redflags import ApiExtra
from ledger.decision.tax import Hours, TaxCategory
from ledger.decision.workload import WorkloadProfile
from ledger.decision.worksheet import (
    EXAMPLE,
    WorksheetError,
    load_worksheet,
    parse_worksheet,
    read_worksheet,
    with_overrides,
)

SMALL = """
currency = "EUR"
month_hours = 720
extreme_ratio = 4
[stages.transcribe]
unit = "audio hour"
"""


def parse(text: str) -> WorkloadProfile:
    return parse_worksheet(load_worksheet(text))


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(WorksheetError) as caught:
        parse(text)
    assert caught.value.message == "\n".join(caught.value.problems)
    return caught.value.problems


def test_the_example_reads_as_it_is_written() -> None:
    found = parse(EXAMPLE)
    assert (found.currency, found.seconds_per_month, found.operations_owner) == ("USD", 2_628_000, "Ada")
    assert found.engineering.rate_per_hour == Decimal(90)
    assert found.engineering.hours[TaxCategory.ON_CALL] == Hours(Decimal(6), Decimal(10))
    assert set(found.engineering.hours) == set(TaxCategory)
    transcribe, translate = found.stages
    assert (transcribe.api_price, transcribe.speed, transcribe.always_on) == (Decimal("0.36"), Decimal(30), True)
    assert (translate.unit, translate.api_counts) == (WorkUnit.MILLION_TOKENS, frozenset(ApiExtra))


def test_the_example_explains_every_field_there_is() -> None:
    from ledger.decision.worksheet import _SELF_HOSTING, _STAGE, _TOP

    for name in (*_TOP, *_SELF_HOSTING, *_STAGE, *TaxCategory):
        assert name in EXAMPLE


def test_what_is_left_out_is_unset_and_not_zero() -> None:
    found = parse(SMALL)
    (stage,) = found.stages
    assert {stage.usage, stage.api_price, stage.gpu_price_per_hour, stage.speed, stage.peak_to_average} == {None}
    assert not stage.usage_is_certain
    assert found.engineering.monthly() is None
    # At least nothing, and nobody knows how much at most.
    assert found.overhead == (Money.parse("0 EUR"), None)
    assert found.successful_requests is None
    assert found.operations_owner == ""


@pytest.mark.parametrize("written", ["0.1", '"0.1"'])
def test_numbers_keep_their_digits_with_and_without_quotes(written: str) -> None:
    (stage,) = parse(f"{SMALL}api_price = {written}").stages
    # The float 0.1 is 0.1000000000000000055...
    assert stage.api_price == Decimal("0.1")


@given(st.decimals(0, 10**6, places=9))
def test_any_price_arrives_exactly(price: Decimal) -> None:
    (stage,) = parse(f"{SMALL}api_price = {price:f}").stages
    assert stage.api_price == price


def test_hours_are_one_sum_or_a_table() -> None:
    assert parse(SMALL + "[engineering]\nhours = 12").engineering.lump == Hours(Decimal(12), Decimal(12))
    assert parse(SMALL + '[engineering]\nhours = "8-14"').engineering.lump == Hours(Decimal(8), Decimal(14))
    found = parse(SMALL + '[engineering.hours]\nsecurity = "1.5"').engineering
    assert found.hours == {TaxCategory.SECURITY: Hours(Decimal("1.5"), Decimal("1.5"))}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sped = 3", "stages.transcribe.sped: is not a field; did you mean speed?"),
        ("speed = -3", "stages.transcribe.speed: '-3' is not a rate"),
        ("speed = 3e1", "stages.transcribe.speed: '3e1' is not a rate"),
        ("speed = nan", "stages.transcribe.speed: 'nan' is not a rate"),
        ("speed = true", "stages.transcribe.speed: True is not a number"),
        ("speed = 2026-01-01", "stages.transcribe.speed: 2026-01-01 is not a number"),
        ("always_on = 1", "stages.transcribe.always_on: 1 is not true or false"),
        ('always_on = "yes"', 'stages.transcribe.always_on: "yes" is not true or false'),
        ("utilization = 40", "a share of 40 % is 0.4"),
        ("peak_to_average = 0.5", 'stages.transcribe.peak_to_average: "0.5" is below 1'),
        ('api_counts = ["luck"]', "knows only: long_outputs, retries, tool_calls, multi_step"),
        ('api_counts = "retries"', "is not a list of texts"),
        ("[stages.translate]", "stages.translate.unit: is missing; one of: audio hour"),
        ('[stages.translate]\nunit = "page"', 'stages.translate.unit: "page" is not one of: audio hour'),
        ("[engineering]\nhours = true", "engineering.hours: True is not a number of hours"),
        ('[engineering]\nhours = "9-4"', "run backwards"),
        ("[engineering]\nrate = 90", "engineering.rate: is not a field; known: rate_per_hour, hours"),
        ("[engineering.hours]\noncall = 3", "engineering.hours.oncall: is not a field; did you mean on_call?"),
        ("[self_hosting]\nstorage = -1", "self_hosting.storage"),
        ("[extra]\na = 1", "extra: is not a field"),
    ],
)
def test_each_problem_is_one_line_that_names_the_place(line: str, said: str) -> None:
    (found,) = problems(f"{SMALL}{line}")
    assert said in found


def test_all_problems_are_told_at_once() -> None:
    found = problems('currency = "dollars"\nmonth_hours = 0\nfoo = 1\n[stages.a]\nspeed = "x"')
    assert len(found) == 6
    assert {line.split(":")[0] for line in found} == {
        "currency",
        "month_hours",
        "foo",
        "extreme_ratio",
        "stages.a.speed",
        "stages.a.unit",
    }


@pytest.mark.parametrize("text", ["stages = 3", "engineering = []", "self_hosting = 1", "[stages]\na = 1"])
def test_a_table_that_is_none_is_a_problem_and_no_crash(text: str) -> None:
    head = 'currency = "EUR"\nmonth_hours = 720\nextreme_ratio = 4\n'
    assert any("is not a table" in line for line in problems(head + text))


def test_a_worksheet_without_stages_says_how_to_add_one() -> None:
    assert problems(SMALL.partition("[")[0]) == ("stages: there is none; add a table such as [stages.transcribe]",)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for name, content in (("none.toml", None), ("binary.toml", b"\xff\xfe"), ("broken.toml", b"a = = 1")):
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(WorksheetError, match=name):
            read_worksheet(file)


def test_flags_are_put_over_a_copy() -> None:
    tables = load_worksheet(SMALL)
    over = with_overrides(
        tables,
        {("stages", "transcribe", "speed"): "30", ("engineering", "hours"): "8", ("currency",): None},
    )
    assert "speed" not in tables["stages"]["transcribe"]
    found = parse_worksheet(over)
    assert (found.currency, found.stages[0].speed, found.engineering.lump) == ("EUR", 30, Hours(Decimal(8), Decimal(8)))
    with pytest.raises(WorksheetError, match="currency: is not a table"):
        with_overrides(tables, {("currency", "code"): "EUR"})
