"""The flags of ``segue compare``, ``breakeven`` and ``decide``, and how they and a worksheet become one workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import UsageError
from pipeline.stages import charged_by, compared_first, priced_names
from pipeline.stages.stage import ChargedBy

if TYPE_CHECKING:
    from fractions import Fraction

    from ledger.decision.breakeven import Quote
    from ledger.decision.compare import WorkUnit
    from ledger.decision.workload import StageWorkload, WorkloadProfile
    from ledger.price_book.prices import PriceBook

_API, _GPU, _PEOPLE = "The API", "Own GPUs", "People and money"
#: What flags alone start from; the help of the flags says so.
_START: dict[str, Any] = {"currency": "USD", "month_hours": "730", "extreme_ratio": "5"}

WorksheetFlag = Annotated[
    Path | None,
    typer.Option("--worksheet", help="TOML worksheet ('segue decide --example' prints one); flags override it."),
]
StageFlag = Annotated[
    str | None,
    typer.Option("--stage", help="The stage that the flags are about. Default: transcribe, or the only one."),
]
HoursFlag = Annotated[
    str | None,
    typer.Option(
        "--engineering-hours",
        metavar="HOURS",
        help="People's hours a month: 10, or 8-14; or by category: on_call=6-10,security=2. Left out, their cost is "
        "unknown, not zero.",
        rich_help_panel=_PEOPLE,
    ),
]
HourlyFlag = Annotated[
    str | None,
    typer.Option(
        "--engineering-rate", metavar="PRICE", help="What an hour of these people costs.", rich_help_panel=_PEOPLE
    ),
]
MonthFlag = Annotated[
    str | None,
    typer.Option("--month-hours", metavar="N", help="The month's length. Default: 730.", rich_help_panel=_PEOPLE),
]
CurrencyFlag = Annotated[
    str | None, typer.Option("--currency", help="Of every price. Default: USD.", rich_help_panel=_PEOPLE)
]
UnitFlag = Annotated[
    str | None,
    typer.Option(
        "--unit",
        help="What usage and prices are for: 'audio hour', 'audio minute', 'audio second', 'million tokens', 'token', "
        "'million characters' or 'character'.",
    ),
]
PeakFlag = Annotated[
    str | None, typer.Option("--peak", metavar="N", help="The busiest hour, in times the average one.")
]
SpeedFlag = Annotated[
    str | None,
    typer.Option(
        "--rtfx",
        "--speed",
        "--throughput",
        metavar="N",
        help="Measured, of one GPU: times real time; or tokens, characters a second.",
        rich_help_panel=_GPU,
    ),
]
ApiFlag = Annotated[
    str | None,
    typer.Option("--api", metavar="PROVIDER/MODEL", help="The API's price from the price book.", rich_help_panel=_API),
]
OutputShareFlag = Annotated[
    str | None,
    typer.Option(
        "--output-share",
        metavar="SHARE",
        help="With --api and tokens: the share that is output, 0.4.",
        rich_help_panel=_API,
    ),
]
PricesFlag = Annotated[Path | None, typer.Option("--prices", help="Price rows of yours, over the shipped ones.")]


@dataclass(frozen=True)
class CostFlags:
    """One stage's month on either side, by the names of the worksheet; None is not given."""

    unit: UnitFlag = None
    usage: Annotated[str | None, typer.Option("--usage", metavar="N", help="Units in an average month.")] = None
    peak_to_average: PeakFlag = None
    api_share: Annotated[
        str | None,
        typer.Option("--api-share", metavar="SHARE", help="Hybrid: the share of usage that goes by API anyway, 0.3."),
    ] = None
    api_price: Annotated[
        str | None, typer.Option("--api-price", metavar="PRICE", help="For one unit.", rich_help_panel=_API)
    ] = None
    output_usage: Annotated[
        str | None,
        typer.Option("--output-usage", metavar="N", help="Units charged apart, such as output.", rich_help_panel=_API),
    ] = None
    output_price: Annotated[
        str | None, typer.Option("--output-price", metavar="PRICE", help="For one of those.", rich_help_panel=_API)
    ] = None
    platform_fees: Annotated[
        str | None, typer.Option("--platform-fees", metavar="PRICE", help="A month.", rich_help_panel=_API)
    ] = None
    api_counts: Annotated[
        str | None,
        typer.Option(
            "--api-counts",
            metavar="EXTRAS",
            help="In the API's usage, or known not to occur: retries,long_outputs,tool_calls,multi_step.",
            rich_help_panel=_API,
        ),
    ] = None
    gpu_price_per_hour: Annotated[
        str | None,
        typer.Option("--gpu-price", metavar="PRICE", help="An hour of one GPU.", rich_help_panel=_GPU),
    ] = None
    gpu_price_per_month: Annotated[
        str | None,
        typer.Option("--gpu-month", metavar="PRICE", help="Instead: a month of one GPU.", rich_help_panel=_GPU),
    ] = None
    speed: SpeedFlag = None
    utilization: Annotated[
        str | None,
        typer.Option("--utilization", metavar="SHARE", help="Of paid GPU time, works: 0.4.", rich_help_panel=_GPU),
    ] = None

    def overrides(self) -> dict[str, Any]:
        """The worksheet's values that these replace."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if self.api_counts is not None:
            given["api_counts"] = _listed(self.api_counts)
        return given


@dataclass(frozen=True)
class DeploymentFlags:
    """What is counted once for everything that is self-hosted, and how months and money are counted."""

    hours: HoursFlag = None
    hours_include: Annotated[
        str | None,
        typer.Option(
            "--hours-include",
            metavar="CATEGORIES",
            help="What one sum of hours includes by name: on_call,security. Of the others nobody thought.",
            rich_help_panel=_PEOPLE,
        ),
    ] = None
    rate_per_hour: HourlyFlag = None
    storage: Annotated[
        str | None, typer.Option("--storage", metavar="PRICE", help="A month.", rich_help_panel=_GPU)
    ] = None
    networking: Annotated[
        str | None, typer.Option("--networking", metavar="PRICE", help="A month.", rich_help_panel=_GPU)
    ] = None
    observability: Annotated[
        str | None, typer.Option("--observability", metavar="PRICE", help="A month.", rich_help_panel=_GPU)
    ] = None
    successful_requests: Annotated[
        str | None,
        typer.Option("--requests", metavar="N", help="That succeed a month: what each of them costs."),
    ] = None
    currency: CurrencyFlag = None
    month_hours: MonthFlag = None

    def overrides(self, tables: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
        """The places of the worksheet ``tables`` that these replace."""
        found: dict[tuple[str, ...], Any] = {("engineering", "rate_per_hour"): self.rate_per_hour}
        if self.hours is not None:
            engineering = tables.get("engineering")
            known = engineering.get("hours") if isinstance(engineering, dict) else None
            found["engineering", "hours"] = hours_of(self.hours, known)
            # What the worksheet's sum includes says nothing about another one.
            found["engineering", "hours_include"] = []
        if self.hours_include is not None:
            found["engineering", "hours_include"] = _listed(self.hours_include)
        for name in ("storage", "networking", "observability"):
            found["self_hosting", name] = getattr(self, name)
        for name in ("successful_requests", "currency", "month_hours"):
            found[name,] = getattr(self, name)
        return found


@dataclass(frozen=True)
class BookFlags:
    """Where the price book is asked for the API's price."""

    api: ApiFlag = None
    output_share: OutputShareFlag = None
    prices: PricesFlag = None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def hours_of(text: str, known: object = None) -> str | dict[str, Any]:
    """Hours as a worksheet has them: one sum, or by category, over those that are ``known``. Raises UsageError."""
    parts = [part.partition("=") for part in _listed(text)]
    named = {category.strip(): hours.strip() for category, equals, hours in parts if equals}
    if not named and len(parts) == 1:
        return text.strip()
    if not parts or len(named) != len(parts):
        raise UsageError(
            f"--engineering-hours: {text!r} is neither one sum nor hours by category",
            "write 26-43, or each category once: on_call=6-10,security=2-3",
        )
    return {**known, **named} if isinstance(known, dict) else dict(named)


def numbers(text: str, flag: str) -> tuple[Fraction, ...]:
    """The numbers of a flag, separated by commas, to count with. Raises UsageError."""
    from fractions import Fraction

    from core.money import MoneyError, rate

    try:
        return tuple(Fraction(rate(part.strip())) for part in text.split(","))
    except MoneyError as error:
        raise UsageError(f"{flag}: {error.message}", error.hint) from error


def usual_unit(stage: str) -> WorkUnit:
    """What APIs charge for, where nothing else is said."""
    from ledger.decision.compare import WorkUnit

    return WorkUnit.AUDIO_HOUR if charged_by(stage) is ChargedBy.AUDIO else WorkUnit.MILLION_TOKENS


def load_prices(prices: Path | None) -> PriceBook:
    """The price book, with rows of one's own over the shipped ones."""
    from ledger.price_book.price_files import load_book

    return load_book(prices, priced_names())


def quoted(
    book: PriceBook, api: str, unit: WorkUnit, currency: str, output_share: Fraction | None
) -> tuple[Quote, str]:
    """The API's price of today, and its source in words. Raises UsageError where there is none in this currency."""
    import time

    from ledger.decision.breakeven import api_quote

    now = time.time_ns() // 1_000_000
    quote = api_quote(book, api, unit, now, output_share)
    if quote.currency != currency:
        raise UsageError(
            f"{api} is priced in {quote.currency}", f"add --currency {quote.currency}, and GPU prices in it"
        )
    seen = max(row.observed_at for row in quote.rows)
    least = max((row.minimum_quantity for row in quote.rows), default=0)
    billed = f", at least {least} a request" if least else ""
    return quote, f"{api}, {quote.rows[0].model_remark(now)}, price book, seen {seen}{billed}"


@dataclass(frozen=True)
class Planned:
    """A workload, and what flags say of one of its stages."""

    #: The workload that worksheet and flags describe.
    profile: WorkloadProfile
    #: Name of the stage that the flags are about; empty where they say nothing of any.
    stage: str
    #: Where its API's price comes from, in words.
    api_source: str

    @property
    def workload(self) -> StageWorkload:
        """That stage."""
        return next(stage for stage in self.profile.stages if stage.stage == self.stage)


def read_plan(
    worksheet: Path | None,
    stage: str | None,
    of_stage: Mapping[str, Any],
    deployment: DeploymentFlags,
    book: BookFlags,
    others: Mapping[tuple[str, ...], Any] | None = None,
    *,
    needs_stage: bool = False,
) -> Planned:
    """The workload of a worksheet with flags over it, or of flags alone. Raises UsageError."""
    from ledger.decision.worksheet import parse_worksheet, read_worksheet, with_overrides

    tables: dict[str, Any] = dict(_START) if worksheet is None else read_worksheet(worksheet)
    if worksheet is not None and deployment.currency not in (None, tables.get("currency")):
        raise UsageError(f"the worksheet's prices are in {tables.get('currency')}", "leave out --currency")
    place = _stage_of(tables, stage) if of_stage or stage or book.api or needs_stage else ""
    overrides: dict[tuple[str, ...], Any] = {("stages", place, name): value for name, value in of_stage.items()}
    overrides |= deployment.overrides(tables)
    overrides.update(others or {})
    if worksheet is None and "unit" not in of_stage:
        overrides["stages", place, "unit"] = usual_unit(place).value
    tables = with_overrides(tables, overrides)
    _forget_other_gpu_price(tables, place, of_stage)
    profile = parse_worksheet(tables)
    source = "given" if "api_price" in of_stage else "worksheet"
    if not book.api:
        return Planned(profile, place, source)
    if "api_price" in of_stage:
        raise UsageError("the API's price is given twice", "give --api or --api-price, not both")
    share = numbers(book.output_share, "--output-share")[0] if book.output_share else None
    found = Planned(profile, place, "")
    priced, source = _with_quote(found.workload, load_prices(book.prices), book.api, profile.currency, share)
    stages = tuple(priced if one.stage == place else one for one in profile.stages)
    return Planned(replace(profile, stages=stages), place, source)


def _stage_of(tables: Mapping[str, Any], stage: str | None) -> str:
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


def _forget_other_gpu_price(tables: Mapping[str, Any], stage: str, of_stage: Mapping[str, Any]) -> None:
    """A GPU's price by the hour replaces one by the month, and the other way round."""
    both = ("gpu_price_per_hour", "gpu_price_per_month")
    given = [name for name in both if name in of_stage]
    if len(given) == 1:
        other = both[1 - both.index(given[0])]
        tables["stages"][stage].pop(other, None)


def _with_quote(
    stage: StageWorkload, book: PriceBook, api: str, currency: str, output_share: Fraction | None
) -> tuple[StageWorkload, str]:
    """The stage at an API's price, and its source. Output that is counted apart has its own price."""
    from fractions import Fraction

    from ledger.decision.compare import Counted

    if not stage.output_usage or stage.unit.counted is not Counted.TOKENS:
        quote, source = quoted(book, api, stage.unit, currency, output_share)
        return replace(stage, api_price=quote.price), source
    if output_share is not None:
        raise UsageError("output is counted apart, and as a share too", "leave out --output-share or --output-usage")
    given, source = quoted(book, api, stage.unit, currency, Fraction(0))
    made, _ = quoted(book, api, stage.unit, currency, Fraction(1))
    return replace(stage, api_price=given.price, output_price=made.price), source
