"""Break-even by speed and by utilization, the sweep, its chart, and the command."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.money.breakeven import breakeven_command
from cli.money.pages.break_even_chart import break_even_svg, break_even_text, number
from core.errors import SegueError, UsageError
from core.money import Exact, Money
from ledger.decision.breakeven import (
    Sweep,
    SweepInputs,
    WholeGpus,
    api_quote,
    break_even_speed,
    machine_cost,
    sweep,
    utilization_needed,
)
from ledger.decision.compare import Cheaper, MonthlyUsage, WholeGpuBreakEven, WorkUnit
from ledger.decision.worksheet import EXAMPLE
from ledger.price_book.price_files import parse_toml
from ledger.price_book.prices import PriceBook

SPOT, API = Decimal("0.149"), Decimal("0.36")
positive = st.fractions(Fraction(1, 10**6), 10**6)
shares = st.fractions(Fraction(1, 1000), 1)


def break_even_rtfx(
    gpu_price_per_hour: Exact, api_price_per_audio_hour: Exact, utilization: Exact = 1
) -> Fraction | None:
    return break_even_speed(gpu_price_per_hour, api_price_per_audio_hour, utilization, WorkUnit.AUDIO_HOUR)


def break_even_utilization(gpu_price_per_hour: Exact, api_price_per_audio_hour: Exact, rtfx: Exact) -> Fraction | None:
    return utilization_needed(gpu_price_per_hour, api_price_per_audio_hour, rtfx, WorkUnit.AUDIO_HOUR)


def test_the_speed_needed_worked_out_by_hand() -> None:
    # 0.149 / 0.36 = 0.41389; at 40 % of the time 1.0347
    assert break_even_rtfx(SPOT, API) == Fraction(149, 360)
    assert break_even_rtfx(SPOT, API, Decimal("0.4")) == Fraction(149, 144)


def test_the_utilization_needed_worked_out_by_hand() -> None:
    # 0.149 / 0.36 / 30 = 1.38 %
    assert break_even_utilization(SPOT, API, 30) == Fraction(149, 10800)
    # A slow machine: 0.526 / 0.36 / 1 = 146 %: never
    assert (break_even_utilization(Decimal("0.526"), API, 1) or 0) > 1


def test_tokens_are_counted_by_the_second() -> None:
    # 0.80 an hour against 0.33 a million: 2.4242 million an hour are 673.4 tokens a second
    assert break_even_speed(Decimal("0.8"), Decimal("0.33"), 1, WorkUnit.MILLION_TOKENS) == Fraction(
        800_000_000, 3600 * 330
    )


@pytest.mark.parametrize(("gpu", "api", "share"), [("0.149", "0", 1), ("0", "0", 1), ("0.149", "0.36", 0)])
def test_no_speed_is_enough_against_a_free_api_or_for_a_gpu_that_never_works(gpu: str, api: str, share: int) -> None:
    assert break_even_rtfx(Decimal(gpu), Decimal(api), share) is None


def test_a_speed_of_zero_is_never_busy_enough() -> None:
    assert break_even_utilization(SPOT, API, 0) is None
    assert machine_cost(SPOT, 0, 1, WorkUnit.AUDIO_HOUR) is None


def test_a_free_gpu_needs_no_speed() -> None:
    assert break_even_rtfx(0, API, Fraction(1, 2)) == 0


def test_floats_and_shares_above_one_are_refused() -> None:
    with pytest.raises(UsageError, match="not exact"):
        break_even_rtfx(0.149, API)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"40 % is 0\.4"):
        break_even_rtfx(SPOT, API, 40)


@given(positive, positive, shares)
def test_at_the_break_even_speed_both_cost_the_same(gpu: Fraction, api: Fraction, share: Fraction) -> None:
    needed = break_even_rtfx(gpu, api, share)
    assert needed is not None
    assert machine_cost(gpu, needed, share, WorkUnit.AUDIO_HOUR) == api
    assert break_even_utilization(gpu, api, needed) == share


@given(positive, positive, shares, st.sampled_from(list(WorkUnit)))
def test_a_dearer_gpu_or_a_lazier_one_needs_more_speed(
    gpu: Fraction, api: Fraction, share: Fraction, unit: WorkUnit
) -> None:
    needed = break_even_speed(gpu, api, share, unit)
    assert needed is not None
    assert (break_even_speed(2 * gpu, api, share, unit) or 0) == 2 * needed
    assert (break_even_speed(gpu, api, share / 2, unit) or 0) == 2 * needed


#: 730 hours.
MONTH = 2_628_000


def paying(hourly: str, speed: int, people: str) -> tuple[WholeGpus, WholeGpuBreakEven | None]:
    money = Money.parse(f"{people} USD")
    found = swept(
        gpu_prices=(Decimal(hourly),), utilizations=(Fraction(1),), speed=Fraction(speed), people=(money,) * 2
    )
    cell = found.rows[0][0]
    assert cell.whole is not None
    return cell.whole, cell.pays_people[0]


def test_people_that_one_gpu_pays_for() -> None:
    # 0.149 x 730 = 108.77 a month; (720 + 108.77) / 0.36 = 2,302.14 h, and 30 x 730 = 21,900 h are done by one GPU.
    whole, found = paying("0.149", 30, "720")
    assert (whole.monthly_cost, whole.capacity) == (Fraction("108.77"), 21_900)
    only = MonthlyUsage(Fraction("828.77") / Fraction("0.36"), 1)
    assert found == WholeGpuBreakEven(only, only)
    assert whole.cost(1, Money.parse("720 USD")) == Money.parse("828.77 USD")


def test_people_that_only_several_gpus_pay_for_are_paid_once_and_the_gpus_so_many_times() -> None:
    # 0.526 x 730 = 383.98; one GPU does 2 x 730 = 1,460 h, which cost 525.60 by API: each full GPU saves 141.62.
    # 720 / 141.62 = 5.08: six GPUs. 720 + 6 x 383.98 = 3,023.88; / 0.36 = 8,399.67 h of the 8,760 that six do.
    # Just over n GPUs' hours n + 1 are paid: (720 + 383.98) / 141.62 = 7.80: eight. 3,791.84 / 0.36 = 10,532.89 h.
    whole, found = paying("0.526", 2, "720")
    first = MonthlyUsage(Fraction("3023.88") / Fraction("0.36"), 6)
    assert found == WholeGpuBreakEven(first, MonthlyUsage(Fraction("3791.84") / Fraction("0.36"), 8))
    assert whole.cost(6, Money.parse("720 USD")) == Money.parse("3023.88 USD")


def test_a_gpu_that_costs_more_than_all_that_it_can_do_never_pays_for_anybody() -> None:
    # 1 x 730 h cost 262.80 by API and 383.98 on the GPU.
    assert paying("0.526", 1, "0")[1] is None
    assert paying("0.526", 1, "720")[1] is None


def swept(**changes: object) -> Sweep:
    given: dict[str, object] = {
        "stage": "transcribe",
        "unit": WorkUnit.AUDIO_HOUR,
        "currency": "USD",
        "api_price": API,
        "gpu_prices": (SPOT, Decimal("0.526")),
        "utilizations": (Fraction(5, 100), Fraction(1)),
        "speed": Fraction(8),
        "seconds_per_month": MONTH,
    }
    return sweep(SweepInputs(**{**given, **changes}))  # type: ignore[arg-type]


def test_a_sweep_has_a_row_for_each_utilization_and_a_cell_for_each_price() -> None:
    found = swept()
    # 0.149/0.36/0.05 = 8.28 and 0.526/0.36/0.05 = 29.2; at 100 % 0.414 and 1.46; the speed is 8
    assert [[round(cell.break_even or 0, 2) for cell in row] for row in found.rows] == [
        [Fraction("8.28"), Fraction("29.22")],
        [Fraction("0.41"), Fraction("1.46")],
    ]
    assert [[cell.cheaper for cell in row] for row in found.rows] == [
        [Cheaper.API, Cheaper.API],
        [Cheaper.SELF_HOSTED, Cheaper.SELF_HOSTED],
    ]
    # 0.149 / 0.36 / 8 = 5.17 %
    assert found.needed[0] == Fraction(149, 2880)


def test_without_a_speed_or_without_people_a_sweep_says_nothing_of_them() -> None:
    cells = [cell for row in swept(speed=None, people=(Money.parse("1 USD"),) * 2).rows for cell in row]
    assert {(cell.machine_cost, cell.cheaper, cell.pays_people) for cell in cells} == {(None, None, (None, None))}
    assert all(cell.pays_people == (None, None) for row in swept().rows for cell in row)


def test_people_without_a_months_length_are_refused() -> None:
    with pytest.raises(UsageError, match="paid by the month"):
        swept(people=(Money.parse("1 USD"),) * 2, seconds_per_month=None)


def test_equal_cost_in_a_sweep_goes_to_the_api() -> None:
    found = swept(speed=Fraction(149, 360), gpu_prices=(SPOT,), utilizations=(Fraction(1),))
    assert found.rows[0][0].cheaper is Cheaper.API


def test_a_sweep_over_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="sweep"):
        swept(gpu_prices=())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("1234567", "1,234,567"),
        ("0.414", "0.414"),
        ("8.2777", "8.28"),
        ("0.00049", "0.00049"),
        ("100", "100"),
    ],
)
def test_numbers_are_shown_with_three_digits_and_no_exponent(value: str, text: str) -> None:
    assert number(Fraction(value)) == text


def test_the_svg_is_one_self_contained_element_for_light_and_dark() -> None:
    text = break_even_svg(swept(), title="<transcribe> & co")
    root = ET.fromstring(text)
    assert root.tag.endswith("svg")
    assert root.get("aria-label") == "<transcribe> & co"
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert kinds <= {"svg", "style", "rect", "text", "line", "polyline", "title"}
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"href|src=|url\(|@import|<script|\bid=|https?://(?!www\.w3\.org/2000/svg)", text)
    style = next(element.text or "" for element in root.iter() if element.tag.endswith("style"))
    # In a page the style must not reach anything but the chart.
    assert all(
        rule.lstrip("}\n").startswith(".segue-breakeven")
        for rule in re.findall(r"[^{}]+(?=\{[^{}]*:)", style)
        if "@media" not in rule
    )


def test_the_curves_of_the_svg_fall_and_keep_the_order_of_prices() -> None:
    root = ET.fromstring(break_even_svg(swept()))
    curves = [
        [tuple(map(Decimal, point.split(","))) for point in (element.get("points") or "").split()]
        for element in root.iter()
        if element.tag.endswith("polyline")
    ]
    assert len(curves) == 2
    for curve in curves:
        assert [x for x, _ in curve] == sorted(x for x, _ in curve)
        # Down in need is down on the page: a larger y.
        assert [y for _, y in curve] == sorted(y for _, y in curve)
    assert all(cheap[1] > dear[1] for cheap, dear in zip(*curves, strict=True))


@pytest.mark.parametrize("prices", [(SPOT,), (Decimal(0),), tuple(Decimal(n) for n in range(1, 40))])
@pytest.mark.parametrize("api", [API, Decimal(0)])
def test_charts_can_be_drawn_of_anything_that_can_be_swept(prices: tuple[Decimal, ...], api: Decimal) -> None:
    found = swept(gpu_prices=prices, api_price=api)
    ET.fromstring(break_even_svg(found))
    text = break_even_text(found)
    # All but the names of the curves, which wrap.
    assert max(map(len, ["", *text.splitlines()[:-1]])) <= 80
    if not api:
        assert "the API is free" in text
    elif len(prices) > 26:
        assert "13 more are not drawn" in text


ROWS = """
[[price]]
id = "acme/listen/1"
provider = "acme"
meter = "audio_second"
sku = "listen"
stage = "transcribe"
unit_price = "0.006"
per = "60"
currency = "USD"
effective_from = "2026-01-01"
observed_at = "2026-01-01"
source_url = "https://example.org/prices"
confidence = "list"
"""


def book(text: str = ROWS) -> PriceBook:
    return PriceBook((parse_toml(text, "rows.toml"),))


def test_a_quote_comes_from_the_row_of_the_day() -> None:
    found = api_quote(book(), "acme/listen", WorkUnit.AUDIO_HOUR, 1_780_000_000_000)
    # 0.006 a minute
    assert (found.price, found.currency, found.rows[0].id) == (Fraction("0.36"), "USD", "acme/listen/1")


def test_a_missing_price_is_an_error_that_names_what_is_known() -> None:
    with pytest.raises(UsageError, match="no price") as caught:
        api_quote(book(), "acme/listen", WorkUnit.AUDIO_HOUR, 0)
    assert "acme/listen" in caught.value.hint
    with pytest.raises(UsageError, match="no price"):
        api_quote(book(), "acme/listen", WorkUnit.MILLION_CHARACTERS, 1_780_000_000_000)


app = typer.Typer()
app.command()(breakeven_command)


def run(*args: str) -> str:
    result = CliRunner().invoke(app, args)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_the_command_shows_the_speed_needed_and_where_the_measured_one_is_enough() -> None:
    text = run("--gpu-price", "0.149,0.526", "--api-price-per-hour", "0.36", "--rtfx", "8")
    assert re.search(r"5 % busy\s+8\.28\s+29\.2", text)
    assert re.search(r"100 % busy\s+0\.414 \*\s+1\.46 \*", text)
    assert "machines only, and no verdict" in text
    assert "what people cost is unknown" in text


def test_the_command_says_how_much_work_pays_the_people() -> None:
    flags = ("--gpu-price", "0.149,0.526", "--api-price-per-hour", "0.36", "--rtfx", "30")
    text = run(*flags, "--engineering-hours", "8", "--engineering-rate", "90")
    assert "cheaper from 1.38 % busy; one GPU can do 21,900 audio hours a month (100 % busy)" in text
    assert (
        "people of 720.00 a month are paid, too: from 2,302.14 audio hours a month (1 GPU, 828.77 USD in all)" in text
    )
    assert "no verdict" not in text


def test_the_command_names_no_volume_beyond_one_gpu_without_the_gpus_and_their_cost() -> None:
    flags = ("--gpu-price", "0.526,0.6", "--api-price", "0.36", "--rtfx", "2", "--engineering-hours", "8")
    flags += ("--engineering-rate", "90")
    text = run(*flags)
    assert "first at 8,399.67 audio hours a month (6 GPUs, 3023.88 USD in all)" in text
    assert "for good from 10,532.9 audio hours a month (8 GPUs, 3791.84 USD in all)" in text
    (pays, _) = json.loads(run(*flags, "--json"))["rows"][-1][0]["usage_that_pays_people"]
    assert pays["first"] == {"usage": "8399.66666667", "gpus": 6, "monthly_cost_nano": 3_023_880_000_000}
    slow = run("--gpu-price", "0.526", "--api-price", "0.36", "--rtfx", "1")
    assert "never cheaper at this speed, with any number of GPUs" in slow


def test_a_worksheets_peak_and_infrastructure_are_paid_as_compare_pays_them(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.toml"
    sheet.write_text(EXAMPLE, encoding="utf-8")
    text = run("--worksheet", str(sheet), "--gpu-price", "0.526")
    # A peak of 2 leaves 10,950 of 21,900 h. (2,340 + 75 + 383.98) / 0.36 = 7,774.94 h on one GPU; with 3,870 of people
    # two: (3,945 + 767.96) / 0.36 = 13,091.6 h.
    assert "one GPU can do 10,950 audio hours a month (100 % busy, peak 2 times the average)" in text
    assert "infrastructure of 2415.00 a month are paid, too: from 7,774.94 audio hours a month (1 GPU, 2798.98" in text
    assert "infrastructure of 3945.00 a month are paid, too: from 13,091.6 audio hours a month (2 GPUs, 4712.96" in text
    # 10,950 h cost 3,942 by API, which is less than 5.5 x 730 = 4,015, though 21,900 h are more.
    assert "at 5.5 USD/h: never cheaper at this speed" in run("--worksheet", str(sheet), "--gpu-price", "5.5,6")
    assert "at 5.5 USD/h: cheaper from" in run("--worksheet", str(sheet), "--gpu-price", "5.5,6", "--peak", "1")


def test_the_months_length_is_an_argument() -> None:
    flags = ("--gpu-price", "0.526", "--api-price", "0.36", "--rtfx", "30", "--json")
    # 30 x 720
    assert json.loads(run(*flags, "--month-hours", "720"))["monthly_capacity"] == "21600"


def test_the_command_prints_json_whose_numbers_are_text(tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    value = json.loads(run("--gpu-price", "0.149", "--api-price-per-hour", "0.36", "--json", "--svg", str(chart)))
    cell = value["rows"][0][1]
    assert (cell["gpu_price_per_hour"], cell["utilization"], cell["break_even_speed"]) == (
        "0.149",
        "0.05",
        "8.27777778",
    )
    assert value["people_monthly_nano"] is None
    assert chart.read_text(encoding="utf-8").startswith("<svg ")


def test_the_command_reads_prices_from_the_book() -> None:
    text = run("--api", "openai/whisper-1", "--node", "azure/Standard_NC4as_T4_v3")
    assert "0.36 USD for one audio hour (openai/whisper-1, large-v2 class, end" in text
    assert "0.149 spot" in text


def test_the_command_takes_a_stage_from_a_worksheet_and_flags_override_it(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.toml"
    sheet.write_text(EXAMPLE, encoding="utf-8")
    value = json.loads(run("--worksheet", str(sheet), "--stage", "translate", "--json"))
    # 0.15 + 0.60 x 40 / 60
    assert (value["unit"], value["api_price"], value["speed"]) == ("million tokens", "0.55", "1500")
    assert value["people_monthly_nano"] == [2340 * 10**9, 3870 * 10**9]
    assert json.loads(run("--worksheet", str(sheet), "--rtfx", "12", "--json"))["speed"] == "12"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--rtfx", "fast"), "--rtfx: 'fast' is not a rate"),
        (("--gpu-price", "-1"), "--gpu-price"),
        (("--utilization", "40"), "above 1"),
        (("--stage", "translate"), "not known"),
        (("--api", "whisper"), "names no API"),
        (("--api", "acme/none"), "no price"),
        (("--api", "openai/whisper-1", "--api-price", "1"), "given twice"),
        (("--gpu-price", "1", "--node", "azure/x"), "given twice"),
        (("--node", "azure/x"), "no machine"),
        (("--currency", "EUR", "--gpu-price", "1"), "priced in USD"),
        (("--unit", "page"), 'stages.transcribe.unit: "page" is not one of: audio hour'),
        (("--worksheet", "nowhere.toml"), "nowhere.toml"),
        (("--engineering-hours", "8-x"), "not a rate"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(flags: tuple[str, ...], said: str) -> None:
    with pytest.raises(SegueError) as caught:
        run(*flags)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
