"""``segue breakeven``: how fast and how busy an own GPU must be to cost what an API costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import JsonFlag, print_json
from cli.money.comparison_flags import (
    BookFlags,
    CurrencyFlag,
    DeploymentFlags,
    HourlyFlag,
    HoursFlag,
    MonthFlag,
    OutputShareFlag,
    PeakFlag,
    PricesFlag,
    SpeedFlag,
    UnitFlag,
    WorksheetFlag,
    load_prices,
    numbers,
    quoted,
    read_plan,
)
from cli.signatures import with_fields
from core.errors import UsageError
from pipeline.stages import charged_stages, compared_first, find_stage

if TYPE_CHECKING:
    from fractions import Fraction

    from rich.console import Console

    from core.money import Exact, Money
    from ledger.decision.breakeven import Sweep, SweepCell
    from ledger.decision.compare import WorkUnit
    from ledger.decision.workload import StageWorkload, WorkloadProfile
    from ledger.price_book.prices import PriceBook

#: The machine that is compared when none is named; shown in the output with its source.
_USUAL_NODE = "azure/Standard_NC4as_T4_v3"
_USUAL_APIS = " ".join(f"To {stage.name}: {stage.usual_api}." for stage in charged_stages() if stage.usual_api)


@dataclass(frozen=True)
class _Given:
    """What is compared, as flags say it; None is not given."""

    stage: Annotated[str, typer.Option("--stage", help="transcribe, translate, ...")] = compared_first()
    gpu_price: Annotated[
        str | None, typer.Option("--gpu-price", metavar="PRICES", help="An hour; several by comma: 0.149,0.204,0.526.")
    ] = None
    node: Annotated[
        str | None,
        typer.Option("--node", metavar="CLOUD/SIZE", help=f"GPU prices from the price book. Default: {_USUAL_NODE}."),
    ] = None
    api_price: Annotated[
        str | None, typer.Option("--api-price-per-hour", "--api-price", metavar="PRICE", help="For one unit.")
    ] = None
    api: Annotated[
        str | None,
        typer.Option("--api", metavar="PROVIDER/MODEL", help=f"From the price book. {_USUAL_APIS}"),
    ] = None
    output_share: OutputShareFlag = None
    speed: SpeedFlag = None
    utilization: Annotated[
        str | None, typer.Option("--utilization", metavar="SHARES", help="Of paid GPU time, by comma: 0.05,0.4,1.")
    ] = None
    unit: UnitFlag = None
    peak: PeakFlag = None
    month_hours: MonthFlag = None
    currency: CurrencyFlag = None
    hours: HoursFlag = None
    hourly: HourlyFlag = None
    prices: PricesFlag = None


@with_fields("given", _Given)
def breakeven_command(
    given: _Given,
    worksheet: WorksheetFlag = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the chart to this file.")] = None,
    json: JsonFlag = False,
) -> None:
    """How fast, or how busy, an own GPU must be to cost no more than an API.

    break-even speed = GPU price / API price / utilization. Utilization is the share of the paid time in which the GPU
    works: a machine that waits is paid, too. Swept over utilization and GPU price.

    [bold]segue breakeven --gpu-price 0.149 --api-price-per-hour 0.36 --rtfx 30[/bold]
    [bold]segue breakeven --stage translate --api openai/gpt-4o-mini --output-share 0.4 --speed 1500[/bold]
    """
    from cli.money.pages.break_even_chart import break_even_svg
    from ledger.decision.breakeven import sweep

    question = _question(given, worksheet)
    found = sweep(question.inputs())
    if svg is not None:
        try:
            svg.write_text(break_even_svg(found) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"cannot write {svg}: {error.strerror or error}", "give --svg a file in a folder"
            ) from error
    if json:
        print_json(_as_json(found, question))
    else:
        _print(found, question, svg)


@dataclass
class _Question:
    """What is swept, and where each figure comes from."""

    given: _Given
    unit: WorkUnit
    currency: str
    seconds_per_month: int
    api_price: Fraction
    api_source: str
    gpu_prices: tuple[Fraction, ...]
    gpu_source: str
    speed: Fraction | None
    peak: Fraction
    people: tuple[Money, Money] | None
    people_unset: str
    infrastructure: Money

    def inputs(self) -> Any:
        """For `ledger.decision.breakeven.sweep`."""
        from ledger.decision.breakeven import USUAL_UTILIZATIONS, SweepInputs

        typed = self.given.utilization
        return SweepInputs(
            stage=self.given.stage,
            unit=self.unit,
            currency=self.currency,
            seconds_per_month=self.seconds_per_month,
            api_price=self.api_price,
            gpu_prices=self.gpu_prices,
            utilizations=numbers(typed, "--utilization") if typed else USUAL_UTILIZATIONS,
            speed=self.speed,
            people=self.paid_once,
            peak_to_average=self.peak,
        )

    @property
    def paid_once(self) -> tuple[Money, Money] | None:
        """People and infrastructure; None while people are unset."""
        if self.people is None:
            return None
        least, most = self.people
        return least + self.infrastructure, most + self.infrastructure


def _question(given: _Given, worksheet: Path | None) -> _Question:
    from cli.money.comparison_text import unset_text

    said = {"unit": given.unit, "peak_to_average": given.peak}
    of_stage = {name: value for name, value in said.items() if value is not None}
    of_all = DeploymentFlags(
        hours=given.hours, rate_per_hour=given.hourly, currency=given.currency, month_hours=given.month_hours
    )
    plan = read_plan(worksheet, given.stage, of_stage, of_all, BookFlags())
    profile, planned = plan.profile, plan.workload
    book = load_prices(given.prices)
    api_price, api_source = _api_price(given, planned, book, profile.currency)
    gpu_prices, gpu_source = _gpu_prices(given, planned, profile, book)
    speed = numbers(given.speed, "--rtfx")[0] if given.speed else None
    if speed is None and planned.speed is not None:
        speed = _exactly(planned.speed)
    return _Question(
        given=given,
        unit=planned.unit,
        currency=profile.currency,
        seconds_per_month=profile.seconds_per_month,
        api_price=api_price,
        api_source=api_source,
        gpu_prices=gpu_prices,
        gpu_source=gpu_source,
        speed=speed,
        peak=_exactly(1 if planned.peak_to_average is None else planned.peak_to_average),
        people=profile.engineering.monthly(),
        people_unset=unset_text(profile.engineering),
        infrastructure=profile.infrastructure,
    )


def _exactly(value: Exact) -> Fraction:
    from fractions import Fraction

    return Fraction(value)


def _api_price(given: _Given, planned: StageWorkload, book: PriceBook, currency: str) -> tuple[Fraction, str]:
    if given.api_price and given.api:
        raise UsageError("the API's price is given twice", "give --api or --api-price-per-hour, not both")
    if given.api_price:
        return numbers(given.api_price, "--api-price-per-hour")[0], "given"
    if not given.api and planned.api_price is not None:
        use = planned.api_use
        # What goes out is paid for what goes in: one price for both.
        return Fraction(planned.api_price) if use is None else use.unit_price, "worksheet"
    stage = find_stage(given.stage)
    name = given.api or (stage.usual_api if stage else "")
    if not name:
        raise UsageError(f"the API's price for {given.stage} is not known", "give --api PROVIDER/MODEL or --api-price")
    share = numbers(given.output_share, "--output-share")[0] if given.output_share else None
    quote, source = quoted(book, name, planned.unit, currency, share)
    return quote.price, source


def _gpu_prices(
    given: _Given, planned: StageWorkload, profile: WorkloadProfile, book: PriceBook
) -> tuple[tuple[Fraction, ...], str]:
    from fractions import Fraction

    from ledger.decision.breakeven import node_prices

    if given.gpu_price and given.node:
        raise UsageError("the GPU's price is given twice", "give --gpu-price or --node, not both")
    single = None
    if given.gpu_price:
        prices = numbers(given.gpu_price, "--gpu-price")
        if len(prices) > 1:
            return prices, "given"
        single, source = prices[0], "given"
    elif not given.node and (monthly := planned.gpu_monthly_cost(profile.seconds_per_month)) is not None:
        single, source = monthly * 3600 / profile.seconds_per_month, "worksheet"
    if single:
        return (single / 2, single, single * 2), f"{source}; also at half and twice"
    if single is not None:
        return (single,), source
    name = given.node or _USUAL_NODE
    rows = node_prices(book, name, profile.currency)
    kinds = ", ".join(f"{row.unit_price / row.per} {'spot' if row.spot else 'on demand'}" for row in rows)
    return tuple(Fraction(row.unit_price) / row.per for row in rows), f"{name}, price book: {kinds}"


def _as_json(found: Sweep, question: _Question) -> dict[str, Any]:
    """Ratios as decimal text: JSON's numbers are floats to most who read them."""
    from functools import partial

    from cli.money.comparison_text import break_even_json
    from cli.money.pages.break_even_chart import number

    def text(value: Fraction | None) -> str | None:
        return None if value is None else number(value, 9).replace(",", "")

    def pays(one: SweepCell) -> list[Any] | None:
        if one.whole is None or question.paid_once is None:
            return None
        return [
            break_even_json(even, partial(one.whole.cost, people=people))
            for even, people in zip(one.pays_people, question.paid_once, strict=True)
        ]

    def cell(one: SweepCell) -> dict[str, Any]:
        return {
            "gpu_price_per_hour": text(one.gpu_price),
            "utilization": text(one.utilization),
            "break_even_speed": text(one.break_even),
            "machine_cost_per_unit": text(one.machine_cost),
            "cheaper_without_people": None if one.cheaper is None else one.cheaper.value,
            "usage_that_pays_people": pays(one),
        }

    whole = found.rows[-1][0].whole
    return {
        "stage": found.inputs.stage,
        "unit": question.unit.value,
        "speed_unit": question.unit.speed_name,
        "currency": question.currency,
        "api_price": text(question.api_price),
        "api_source": question.api_source,
        "gpu_source": question.gpu_source,
        "speed": text(question.speed),
        "peak_to_average": text(question.peak),
        "infrastructure_monthly_nano": question.infrastructure.nano,
        "monthly_capacity": None if whole is None else text(whole.capacity),
        "people_monthly_nano": None if question.people is None else [end.nano for end in question.people],
        "break_even_utilization": [
            {"gpu_price_per_hour": text(price), "utilization": text(needed)}
            for price, needed in zip(question.gpu_prices, found.needed, strict=True)
        ],
        "rows": [[cell(one) for one in row] for row in found.rows],
    }


def _print(found: Sweep, question: _Question, svg: Path | None) -> None:
    from rich.console import Console

    from cli.money.pages.break_even_chart import break_even_text, number, speed_text
    from cli.wording import one_line, printable

    console = Console(highlight=False, markup=False, soft_wrap=True)
    unit, currency = question.unit, question.currency
    speed = "not given (--rtfx)" if question.speed is None else speed_text(question.speed, unit)
    console.print(f"{printable(found.inputs.stage)}: what an own GPU must do to cost as much as the API")
    console.print(f"API     {number(question.api_price)} {currency} for one {unit.value} ({question.api_source})")
    console.print(f"GPU     {currency} an hour: {question.gpu_source}")
    console.print(f"speed   {speed}")
    _print_table(console, found, question)
    console.print(break_even_text(found, height=9))
    _print_needs(console, found, question)
    if svg is not None:
        console.print(f"chart   {one_line(svg)}")


def _print_table(console: Console, found: Sweep, question: _Question) -> None:
    from cli.money.pages.break_even_chart import number, percent_of

    heads = "".join(f"{number(price) + ' ' + question.currency + '/h':>20}" for price in question.gpu_prices)
    console.print(f"{question.unit.speed_name + ' needed':<20}{heads}")
    for row in found.rows:
        cells = ""
        for one in row:
            mark = " *" if one.cheaper == "self_hosted" else "  "
            cells += f"{('never' if one.break_even is None else number(one.break_even)) + mark:>20}"
        console.print(f"{percent_of(row[0].utilization) + ' busy':<20}{cells}")
    if question.speed is not None:
        console.print("* the measured speed is faster: the machine alone is cheaper than the API")


def _print_needs(console: Console, found: Sweep, question: _Question) -> None:
    """The last lines: how busy at the measured speed, and how much work pays the people."""
    from functools import partial

    from cli.money.comparison_text import break_even_text, usage_text
    from cli.money.pages.break_even_chart import number, percent_of

    units, who = question.unit.plural, "people and infrastructure" if question.infrastructure else "people"
    peak = "" if question.peak == 1 else f", peak {number(question.peak)} times the average"
    for price, needed, last in zip(question.gpu_prices, found.needed, found.rows[-1], strict=True):
        if last.whole is None:
            break
        at = f"at {number(price)} {question.currency}/h"
        busy = f"{percent_of(last.utilization)} busy{peak}"
        does = f"one GPU can do {usage_text(last.whole.capacity)} {units} a month ({busy})"
        # On the average a GPU that is bought for the peak works for no more than a peak-th of its time.
        if needed is None or needed * question.peak >= 1:
            console.print(f"{at}: never cheaper at this speed, with any number of GPUs; {does}")
            continue
        console.print(f"{at}: cheaper from {percent_of(needed)} busy; {does}")
        ends = () if question.paid_once is None else tuple(zip(last.pays_people, question.paid_once, strict=True))
        for even, people in dict.fromkeys(ends):
            said = break_even_text(even, units, partial(last.whole.cost, people=people))
            console.print(f"  {who} of {people.amount(2)} a month are paid, too: {said}")
    if question.people is None:
        console.print(
            f"machines only, and no verdict: what people cost is unknown, without {question.people_unset} "
            "(--engineering-hours, --engineering-rate)"
        )
