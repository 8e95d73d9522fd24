"""``segue compare`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli.money.compare import compare_command
from core.errors import SegueError
from ledger.decision.worksheet import EXAMPLE

app = typer.Typer()
app.command()(compare_command)

#: 20,000 hours: 7,200 USD by API, and one GPU of 384 USD, which can do 21,900.
MONTH = ("--usage", "20000", "--api-price", "0.36", "--gpu-month", "384", "--rtfx", "30")


def run(*args: str) -> str:
    result = CliRunner().invoke(app, args)
    if result.exception is not None:
        raise result.exception
    return " ".join(result.stdout.split())


def told(*args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*args, "--json"))
    return found


def test_four_figures_are_a_comparison() -> None:
    text = run(*MONTH)
    assert "without people 7200.00 384.00" in text
    assert "Without people: self-hosting is cheaper, by 6816.00 USD a month." in text
    assert "With people: undecided. They may take up to 6816.00 USD a month" in text
    assert "Break-even: 1,066.67 audio hours a month cost what one GPU costs. That is within one GPU's capacity" in text
    value = told(*MONTH)
    assert (value["cheaper"], value["cheaper_with_people"], value["gpus"]) == ("self_hosted", None, 1)
    assert value["self_hosted"]["with_people_nano"] == [384 * 10**9, None]
    assert (value["monthly_capacity"], value["break_even_usage"]) == ("21900", "1066.66666667")
    # What people cost is not known, which is not 0.
    assert (value["people_monthly_nano"], value["break_even_with_people"]) == (None, None)


def test_people_stand_beside_the_verdict_without_them() -> None:
    people = ("--engineering-rate", "90", "--engineering-hours")
    text = run(*MONTH, *people, "on_call=10,security=10-20")
    # 20 hours at 90 are 1,800; four categories are unset.
    assert "people: at least 1800.00" in text
    assert "With people: undecided" in text
    # 76 hours at 90 are 6,840, more than 6,816.
    assert "the API is cheaper, by at least 24.00 USD a month, whatever people cost" in run(
        *MONTH, *people, "on_call=76"
    )
    assert "With people: self-hosting is cheaper, by 2946.00 to 4476.00 USD a month." in run(*MONTH, *people, "26-43")


def test_a_gpu_that_cannot_reach_the_break_even() -> None:
    text = run(*MONTH[:-1], "1")
    assert "Without people: the API is cheaper, by 3552.00 USD a month." in text
    assert (
        "That exceeds one GPU's capacity of 730. So much takes 2 GPUs, which cost 768.00 against 384.00 by API" in text
    )


def test_an_hours_price_and_the_hours_that_are_paid() -> None:
    value = told("--usage", "100", "--api-price", "0.36", "--gpu-price", "0.526", "--gpu-hours", "200", "--rtfx", "30")
    # 0.526 x 200, and 30 x 200 hours
    assert (value["gpu_monthly_cost"], value["monthly_capacity"]) == ("105.2", "6000")
    with pytest.raises(SegueError, match="more than the month has"):
        told(*MONTH, "--gpu-hours", "731")


def test_the_price_book_is_asked_for_an_apis_price() -> None:
    month = ("--gpu-month", "384", "--rtfx", "30", "--usage", "1200000", "--unit", "audio minute")
    value = told(*month, "--api", "openai/whisper-1")
    assert (value["api_price"], value["api"]["api_nano"]) == ("0.006", 7200 * 10**9)
    tokens = ("--stage", "translate", "--usage", "100", "--gpu-month", "584", "--speed", "1500")
    # 0.15 x 0.6 + 0.60 x 0.4 = 0.33; or 60 in at 0.15 and 40 out at 0.60: 9 + 24.
    assert told(*tokens, "--api", "openai/gpt-4o-mini", "--output-share", "0.4")["api"]["api_nano"] == 33 * 10**9
    apart = ("--usage", "60", "--output-usage", "40", "--api", "openai/gpt-4o-mini")
    assert told(*tokens, *apart)["api"]["api_nano"] == 33 * 10**9
    with pytest.raises(SegueError, match="counted apart"):
        told(*tokens, *apart, "--output-share", "0.4")


def test_a_worksheet_is_compared_as_it_is_decided_on(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.toml"
    sheet.write_text(EXAMPLE, encoding="utf-8")
    text = run("--worksheet", str(sheet), "--stage", "transcribe")
    # 767.96 for two GPUs and 75 beside them; 2,340 to 3,870 of people; 40,000 requests.
    assert "with people 7200.00 3182.96 to 4712.96" in text
    assert "each of 40,000 successful requests 0.180000 0.079574 to 0.117824" in text
    assert "on-call 6-10 h 540.00 to 900.00" in text
    assert "red flags: none" in text
    assert "none succeeded" in run("--worksheet", str(sheet), "--stage", "transcribe", "--requests", "0")
    # A month's price takes the place of the worksheet's price of an hour: two GPUs of 384.
    value = told("--worksheet", str(sheet), "--stage", "transcribe", "--gpu-month", "384", "--api-share", "0.6")
    assert value["self_hosted"]["machines_nano"] == 768 * 10**9
    assert (value["hybrid"]["api_nano"], value["hybrid"]["gpus"]) == (4320 * 10**9, 1)
    assert value["people_by_category_nano"]["on_call"] == [540 * 10**9, 900 * 10**9]
    with pytest.raises(SegueError, match="several stages"):
        run("--worksheet", str(sheet))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "nothing to compare"),
        (("--usage", "5"), "not everything is known"),
        ((*MONTH, "--gpu-price", "1"), "the GPU's price is given twice"),
        ((*MONTH, "--api", "openai/whisper-1"), "the API's price is given twice"),
        ((*MONTH, "--utilization", "40"), "a share of 40 % is 0.4"),
        ((*MONTH, "--api-share", "1"), "all of the usage goes by API"),
        ((*MONTH, "--unit", "page"), "is not one of: audio hour, audio minute"),
        ((*MONTH, "--usage", "-1"), "is not a rate"),
        ((*MONTH, "--requests", "1.5"), "is not a whole number"),
        ((*MONTH, "--hours-include", "luck"), "knows only: gpu_operations_and_scaling"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(args: tuple[str, ...], said: str) -> None:
    with pytest.raises(SegueError) as caught:
        run(*args)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_free_apis_and_idle_gpus_are_told_apart_from_what_is_not_known() -> None:
    assert "Break-even: none, the API is free." in run(*MONTH, "--api-price", "0")
    assert "The API is cheaper: no number of GPUs can do it at this speed." in run(*MONTH[:-1], "0")
