"""``segue breakeven``: how fast and how busy an own GPU must be to cost what an API costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import JsonFlag, print_json
from cli.signatures import with_fields
from core.errors import UsageError
from pipeline.stages import charged_by, charged_stages, compared_first, find_stage, priced_names
from pipeline.stages.stage import ChargedBy

if TYPE_CHECKING:
    from decimal import Decimal
    from fractions import Fraction

    from rich.console import Console

    from core.money import Money
    from ledger.breakeven import Sweep, SweepCell
    from ledger.compare import WorkUnit
    from ledger.prices import PriceBook
    from ledger.workload import StageWorkload, WorkloadProfile

#: The machine that is compared when none is named; shown in the output with its source.
_USUAL_NODE = "azure/Standard_NC4as_T4_v3"
_USUAL_APIS = " ".join(f"To {stage.name}: {stage.usual_api}." for stage in charged_stages() if stage.usual_api)

WorksheetFlag = Annotated[
    Path | None,
    typer.Option("--worksheet", help="TOML worksheet ('segue decide --example' prints one); flags override it."),
]
HoursFlag = Annotated[
    str | None,
    typer.Option(
        "--engineering-hours",
        metavar="HOURS",
        help="People's hours a month: 10, or 8-14. Left out, their cost is unknown, not zero.",
    ),
]
HourlyFlag = Annotated[
    str | None, typer.Option("--engineering-rate", metavar="PRICE", help="What an hour of these people costs.")
]
UnitFlag = Annotated[
    str | None,
    typer.Option("--unit", help="What prices are for: 'audio hour', 'million tokens' or 'million characters'."),
]
SpeedFlag = Annotated[
    str | None,
    typer.Option("--rtfx", "--speed", metavar="N", help="Measured: times real time; or tokens, characters a second."),
]


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
    output_share: Annotated[
        str | None, typer.Option("--output-share", metavar="SHARE", help="With tokens: the share that is output, 0.4.")
    ] = None
    speed: SpeedFlag = None
    utilization: Annotated[
        str | None, typer.Option("--utilization", metavar="SHARES", help="Of paid GPU time, by comma: 0.05,0.4,1.")
    ] = None
    unit: UnitFlag = None
    currency: Annotated[str | None, typer.Option("--currency", help="Of every price. Default: USD.")] = None
    hours: HoursFlag = None
    hourly: HourlyFlag = None
    prices: Annotated[Path | None, typer.Option("--prices", help="Price rows of yours, over the shipped ones.")] = None


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
    from cli.money.break_even_chart import break_even_svg
    from ledger.breakeven import sweep

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
    api_price: Fraction
    api_source: str
    gpu_prices: tuple[Fraction, ...]
    gpu_source: str
    speed: Fraction | None
    people: tuple[Money, Money] | None
    people_unset: str

    def inputs(self) -> Any:
        """For `ledger.breakeven.sweep`."""
        from ledger.breakeven import USUAL_UTILIZATIONS, SweepInputs

        typed = self.given.utilization
        return SweepInputs(
            stage=self.given.stage,
            unit=self.unit,
            currency=self.currency,
            api_price=self.api_price,
            gpu_prices=self.gpu_prices,
            utilizations=_numbers(typed, "--utilization") if typed else USUAL_UTILIZATIONS,
            speed=self.speed,
            people=self.people,
        )


def _question(given: _Given, worksheet: Path | None) -> _Question:
    from core.money import currency_code
    from ledger.compare import WorkUnit
    from ledger.price_files import load_book

    profile, planned = _from_worksheet(worksheet, given.stage)
    if profile is not None and given.currency not in (None, profile.currency):
        raise UsageError(f"the worksheet is in {profile.currency}", "leave out --currency")
    currency = currency_code(given.currency or (profile.currency if profile else "USD"))
    usual = WorkUnit.AUDIO_HOUR if charged_by(given.stage) is ChargedBy.AUDIO else WorkUnit.MILLION_TOKENS
    unit = _unit(given.unit) if given.unit else planned.unit if planned else usual
    book = load_book(given.prices, priced_names())
    api_price, api_source = _api_price(given, planned, unit, book, currency)
    gpu_prices, gpu_source = _gpu_prices(given, planned, book, currency)
    speed = _numbers(given.speed, "--rtfx")[0] if given.speed else _exactly(planned.speed) if planned else None
    people, unset = _people(given, profile, currency)
    return _Question(
        given, unit, currency, api_price, api_source, gpu_prices, gpu_source, speed, people, ", ".join(unset)
    )


def _from_worksheet(worksheet: Path | None, stage: str) -> tuple[WorkloadProfile | None, StageWorkload | None]:
    from ledger.worksheet import parse_worksheet, read_worksheet

    if worksheet is None:
        return None, None
    profile = parse_worksheet(read_worksheet(worksheet))
    planned = next((found for found in profile.stages if found.stage == stage), None)
    if planned is None:
        known = ", ".join(found.stage for found in profile.stages)
        raise UsageError(f"the worksheet has no stage {stage!r}", f"give --stage: {known}")
    return profile, planned


def _unit(text: str) -> WorkUnit:
    from ledger.compare import WorkUnit

    if text not in set(WorkUnit):
        raise UsageError(f"nothing is priced by the {text!r}", f"use {', '.join(repr(str(unit)) for unit in WorkUnit)}")
    return WorkUnit(text)


def _rates(text: str, flag: str) -> tuple[Decimal, ...]:
    from core.money import MoneyError, rate

    try:
        return tuple(rate(part.strip()) for part in text.split(","))
    except MoneyError as error:
        raise UsageError(f"{flag}: {error.message}", error.hint) from error


def _numbers(text: str, flag: str) -> tuple[Fraction, ...]:
    from fractions import Fraction

    return tuple(Fraction(found) for found in _rates(text, flag))


def _exactly(value: Any) -> Fraction | None:
    from fractions import Fraction

    return None if value is None else Fraction(value)


def _api_price(
    given: _Given, planned: StageWorkload | None, unit: WorkUnit, book: PriceBook, currency: str
) -> tuple[Fraction, str]:
    import time
    from fractions import Fraction

    from ledger.breakeven import api_quote

    if given.api_price and given.api:
        raise UsageError("the API's price is given twice", "give --api or --api-price-per-hour, not both")
    if given.api_price:
        return _numbers(given.api_price, "--api-price-per-hour")[0], "given"
    if not given.api and planned is not None and planned.api_price is not None:
        each, usage = Fraction(planned.api_price), planned.usage
        if usage:
            # What goes out is paid for what goes in: one price for both.
            each += Fraction(planned.output_usage) * Fraction(planned.output_price) / Fraction(usage)
        return each, "worksheet"
    stage = find_stage(given.stage)
    name = given.api or (stage.usual_api if stage else "")
    if not name:
        raise UsageError(f"the API's price for {given.stage} is not known", "give --api PROVIDER/MODEL or --api-price")
    share = _numbers(given.output_share, "--output-share")[0] if given.output_share else None
    now = time.time_ns() // 1_000_000
    quote = api_quote(book, name, unit, now, share)
    if quote.currency != currency:
        raise UsageError(
            f"{name} is priced in {quote.currency}", f"add --currency {quote.currency}, and GPU prices in it"
        )
    seen = max(row.observed_at for row in quote.rows)
    least = max((row.minimum_quantity for row in quote.rows), default=0)
    billed = f", at least {least} a request" if least else ""
    return quote.price, f"{name}, {quote.rows[0].model_remark(now)}, price book, seen {seen}{billed}"


def _gpu_prices(
    given: _Given, planned: StageWorkload | None, book: PriceBook, currency: str
) -> tuple[tuple[Fraction, ...], str]:
    from fractions import Fraction

    from ledger.breakeven import node_prices

    if given.gpu_price and given.node:
        raise UsageError("the GPU's price is given twice", "give --gpu-price or --node, not both")
    single = None
    if given.gpu_price:
        prices = _numbers(given.gpu_price, "--gpu-price")
        if len(prices) > 1:
            return prices, "given"
        single, source = prices[0], "given"
    elif not given.node and planned is not None and planned.gpu_price_per_hour is not None:
        single, source = Fraction(planned.gpu_price_per_hour), "worksheet"
    if single:
        return (single / 2, single, single * 2), f"{source}; also at half and twice"
    if single is not None:
        return (single,), source
    name = given.node or _USUAL_NODE
    rows = node_prices(book, name, currency)
    kinds = ", ".join(f"{row.unit_price / row.per} {'spot' if row.spot else 'on demand'}" for row in rows)
    return tuple(Fraction(row.unit_price) / row.per for row in rows), f"{name}, price book: {kinds}"


def _people(
    given: _Given, profile: WorkloadProfile | None, currency: str
) -> tuple[tuple[Money, Money] | None, tuple[str, ...]]:
    from ledger.tax import EngineeringTax, Hours

    tax = profile.engineering if profile else EngineeringTax(currency)
    hourly = _rates(given.hourly, "--engineering-rate")[0] if given.hourly else tax.rate_per_hour
    if given.hours:
        tax = EngineeringTax(currency, hourly, lump=Hours.parse(given.hours))
    else:
        tax = EngineeringTax(currency, hourly, tax.hours, tax.lump)
    # Without any hours, one sum is what is asked for here, not six of them.
    nothing = not tax.hours and tax.lump is None
    unset = ("hours", *(("hourly rate",) if hourly is None else ())) if nothing else tax.unset
    return tax.monthly(), unset


def _as_json(found: Sweep, question: _Question) -> dict[str, Any]:
    """Ratios as decimal text: JSON's numbers are floats to most who read them."""
    from cli.money.break_even_chart import number

    def text(value: Fraction | None) -> str | None:
        return None if value is None else number(value, 9).replace(",", "")

    def cell(one: SweepCell) -> dict[str, Any]:
        return {
            "gpu_price_per_hour": text(one.gpu_price),
            "utilization": text(one.utilization),
            "break_even_speed": text(one.break_even),
            "machine_cost_per_unit": text(one.machine_cost),
            "cheaper_without_people": None if one.cheaper is None else one.cheaper.value,
            "usage_that_pays_people": None if one.pays_people is None else [text(end) for end in one.pays_people],
        }

    return {
        "stage": found.inputs.stage,
        "unit": question.unit.value,
        "speed_unit": question.unit.speed_name,
        "currency": question.currency,
        "api_price": text(question.api_price),
        "api_source": question.api_source,
        "gpu_source": question.gpu_source,
        "speed": text(question.speed),
        "people_monthly_nano": None if question.people is None else [end.nano for end in question.people],
        "break_even_utilization": [
            {"gpu_price_per_hour": text(price), "utilization": text(needed)}
            for price, needed in zip(question.gpu_prices, found.needed, strict=True)
        ],
        "rows": [[cell(one) for one in row] for row in found.rows],
    }


def _print(found: Sweep, question: _Question, svg: Path | None) -> None:
    from rich.console import Console

    from cli.money.break_even_chart import break_even_text, number, speed_text
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
    from cli.money.break_even_chart import number, percent_of

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
    from cli.money.break_even_chart import number, percent_of

    for price, needed, last in zip(question.gpu_prices, found.needed, found.rows[-1], strict=True):
        if question.speed is None:
            break
        at = f"at {number(price)} {question.currency}/h"
        if needed is None or needed >= 1:
            console.print(f"{at}: never cheaper at this speed")
            continue
        line = f"{at}: cheaper from {percent_of(needed)} busy"
        if last.pays_people is not None:
            low, high = last.pays_people
            span = number(low) if low == high else f"{number(low)} to {number(high)}"
            line += (
                f"; pays the people from {span} {question.unit.plural} a month ({percent_of(last.utilization)} busy)"
            )
        console.print(line)
    if question.people is None:
        console.print(
            f"machines only, and no verdict: what people cost is unknown, without {question.people_unset} "
            "(--engineering-hours, --engineering-rate)"
        )
