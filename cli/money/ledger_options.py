"""What the commands of the ledger share: flags, the price book and the rules that flags and settings make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import open_runtime
from cli.signatures import with_fields
from core.errors import UsageError

if TYPE_CHECKING:
    from accounting.fleet_ledger import PricingRules
    from accounting.job import ReportRules
    from accounting.sharing.people import PeopleRules
    from cache.store import Store
    from ledger.entries import Period
    from ledger.price_book.prices import PriceBook
    from pipeline.runtime import Runtime

NodeRateFlag = Annotated[
    str,
    typer.Option(
        "--node-rate",
        metavar="PRICE",
        help='Price an hour of machines whose own price is not known, such as "0.30 USD".',
        show_default=False,
    ),
]
PriceFileFlag = Annotated[
    Path | None,
    typer.Option(
        "--price-file",
        metavar="FILE",
        help="Your own price rows, over the shipped ones. [SEGUE_PRICE_FILE]",
        show_default=False,
    ),
]
AgainstFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        metavar="PROVIDER/MODEL",
        help="API for the verdict, such as openai/whisper-1; once for each stage; default: the cheapest known.",
        show_default=False,
    ),
]

SinceFlag = Annotated[
    str,
    typer.Option(
        "--since", metavar="DAY", help="First day of the period, UTC; default: this month's.", show_default=False
    ),
]
UntilFlag = Annotated[
    str, typer.Option("--until", metavar="DAY", help="First day after the period, UTC.", show_default=False)
]
FocusFlag = Annotated[
    Path | None,
    typer.Option(
        "--focus",
        metavar="FILE",
        help="Write the rows of FOCUS 1.3 (FinOps Open Cost and Usage Specification) as CSV, for finance.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class PriceFlags:
    """What was said of prices on the command line."""

    #: Price an hour of machines that say none.
    node_rate: NodeRateFlag = ""
    #: File of price rows.
    price_file: PriceFileFlag = None

    @property
    def unsaid(self) -> bool:
        """Whether prices are the store's own."""
        return self == PriceFlags()


#: For commands with the flags of prices: in place of their parameter ``prices``.
with_price_flags = with_fields("prices", PriceFlags)


def rules_of(runtime: Runtime, said: PriceFlags) -> tuple[PriceBook, PricingRules]:
    """The price book and how facts are priced. Raises PriceBookError, MoneyError."""
    from accounting.fleet_ledger import PricingRules
    from accounting.spending import Prices
    from core.money import quote

    prices = Prices.of(runtime.settings, said.price_file)
    # The setting is one machine's price: it does not go before what the book says of another.
    node_rate, book_first = said.node_rate or runtime.settings.node_price, not said.node_rate
    if node_rate:
        quote(node_rate)
    return prices.book, PricingRules(node_rate, prices.own_engines, book_first=book_first and bool(node_rate))


def open_books(home: Path | None, said: PriceFlags) -> tuple[Runtime, PriceBook, PricingRules]:
    """The store, and `rules_of` its settings. Raises SettingsError, PriceBookError, MoneyError."""
    runtime = open_runtime({"home": home})
    return runtime, *rules_of(runtime, said)


def report_rules(runtime: Runtime, against: Sequence[str], book: PriceBook, rules: PricingRules) -> ReportRules:
    """How a job's report is made. Raises UsageError."""
    from accounting.bills.bill import reconciled_sessions
    from accounting.closing import closed_months
    from accounting.exchange_rates import exchange_of
    from accounting.job import ReportRules
    from accounting.sharing.idle import IdleRule

    settings = runtime.settings
    checked_against(book, against)
    return ReportRules(
        pricing=replace(rules, exchange=exchange_of(settings)),
        people=people_rules(runtime),
        idle=IdleRule(settings.idle_rule),
        against=tuple(against),
        closed=closed_months(runtime.store),
        reconciled=reconciled_sessions(runtime.store, node_rate=rules.said, book=book),
    )


def checked_against(book: PriceBook, against: Sequence[str]) -> Sequence[str]:
    """The names of APIs, as ``--against`` gives them. Raises UsageError for one that the price book does not know."""
    known = {f"{row.provider}/{row.sku}" for row in book.rows if row.stage}
    for name in against:
        if not all(name.partition("/")[::2]):
            raise UsageError(f"'{name}' names no API", "write provider/model, such as openai/whisper-1")
        if name not in known:
            raise UsageError(f"the price book knows no API '{name}'", "see its names: segue prices list")
    return against


def people_rules(runtime: Runtime) -> PeopleRules:
    """Hours and rate of the people: of closed months as their closings have them."""
    from accounting.closing import closed_people
    from accounting.exchange_rates import exchange_of
    from accounting.sharing.expected_use import ExpectedUse
    from accounting.sharing.people import PeopleRules

    settings = runtime.settings
    if settings.expected_use:
        ExpectedUse.parse(settings.expected_use)
    frozen = closed_people(runtime.store)
    rate = settings.engineering_rate
    if len(rate.split()) == 1:
        # One setting is one amount: not euros in a month whose machines were priced in euros, and dollars in the next.
        rate = f"{rate} {settings.currency}"
    return PeopleRules(
        settings.engineering_hours,
        rate,
        settings.expected_use,
        frozen,
        exchange_of(settings),
    )


def currency_of(runtime: Runtime, currencies: Iterable[str]) -> str:
    """The currency that was asked for, else that of the entries where they agree, else the default."""
    found = set(currencies)
    return _said_currency(runtime) or (found.pop() if len(found) == 1 else runtime.settings.currency)


def _said_currency(runtime: Runtime) -> str:
    settings = runtime.settings
    return settings.currency if "currency" in settings.model_fields_set else ""


def find_ledger_job(store: Store, wanted: str) -> str:
    """A job's id, also of a job whose folder a purge has taken. Raises UsageError."""
    from accounting.typed_facts import read_processes
    from jobs.submissions import find_submitted

    try:
        return find_submitted(store, wanted)
    except UsageError:
        attempts = (attempt for process in read_processes(store, []) for attempt in process.started)
        jobs = {unit.job for attempt in attempts for unit in attempt.units if unit.job}
        found = sorted(job for job in jobs if wanted and job.startswith(wanted))
        if len(found) == 1:
            return found[0]
        raise


def period_of(since: str, until: str) -> Period:
    """From the first day to the day after the last, UTC; without days, this month. Raises UsageError."""
    from ledger.entries import Period
    from ledger.price_book.price_files import instant

    try:
        now = datetime.now(UTC)
        first = instant(since) if since else Period.month(now.strftime("%Y-%m")).start
        last = instant(until) if until else None
    except ValueError as error:
        raise UsageError(str(error), "write days as 2026-11-01") from error
    if last is None:
        month = Period.month(now.strftime("%Y-%m"))
        last = month.end
        if last <= first:
            raise UsageError("the period begins after this month", "give --until as well, or an earlier --since")
    if last <= first:
        raise UsageError("the period ends before it begins", "--until names the first day after it")
    return Period(first, last)
