"""``segue catalogue``: what work that is not there yet would cost, here and at APIs, as ranges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import HomeFlag, JsonFlag, open_runtime, print_json
from cli.money.estimate import OnFlag
from cli.money.ledger_options import AgainstFlag
from cli.signatures import with_fields
from core.errors import UsageError

if TYPE_CHECKING:
    from accounting.estimates.catalogue import CatalogueRules
    from accounting.estimates.catalogue_report import Catalogue
    from ledger.catalogue import CatalogueWork
    from pipeline.runtime import Runtime

#: What is measured of idle: so many days.
_DAYS = 28


@dataclass(frozen=True)
class CatalogueFlags:
    """What is planned, as the command line says it."""

    hours: Annotated[str, typer.Option("--hours", metavar="N", help="Hours of media.", show_default=False)]
    languages: Annotated[int, typer.Option("--languages", metavar="N", help="Languages that all of it goes into.")]
    speech: Annotated[
        str, typer.Option("--speech", metavar="PERCENT", help="How much of the media is speech; 100 where unsaid.")
    ] = "100"
    dubbed: Annotated[
        str, typer.Option("--dubbed", metavar="PERCENT", help="How much of the media is dubbed, in each language.")
    ] = "0"
    months: Annotated[
        str,
        typer.Option("--months", metavar="N", help="Months that it is given: for people, and for how many machines."),
    ] = "1"
    utilization: Annotated[
        str,
        typer.Option(
            "--utilization",
            metavar="PERCENT",
            help="How much of paid machine time is useful; default: as in this store in the last 28 days.",
            show_default=False,
        ),
    ] = ""

    def work(self) -> CatalogueWork:
        """Raises UsageError."""
        from ledger.catalogue import CatalogueWork

        return CatalogueWork(
            _number(self.hours, "--hours"),
            self.languages,
            _percent(self.speech, "--speech"),
            _percent(self.dubbed, "--dubbed"),
            _number(self.months, "--months"),
        )


with_catalogue_flags = with_fields("planned", CatalogueFlags)


@with_catalogue_flags
def catalogue_command(
    planned: CatalogueFlags,
    said: dict[str, Any],
    against: AgainstFlag = None,
    on: OnFlag = "",
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """Say what a catalogue would take and cost, here and at each API, and which is cheaper; no media is needed.

    Engine time is what this store has measured, idle what its machines had or what you say, people a month's hours for
    each month; what was never measured is not guessed. Dubbing is priced at APIs only: no stage here does it yet.

    Example: [bold]segue catalogue --hours 400 --languages 8 --speech 60 --dubbed 30 --node-rate '0.149 USD'[/bold]
    """
    from accounting.estimates.catalogue import estimate_catalogue
    from cli.money.catalogue_screen import print_catalogue

    work = planned.work()
    runtime = open_runtime({**said, "home": home})
    rules = _rules(runtime, planned, against or [], on)
    found = estimate_catalogue(work, runtime, rules)
    _check_names(found, against or [])
    if json:
        print_json(found.as_json())
    else:
        print_catalogue(found)


def _rules(runtime: Runtime, planned: CatalogueFlags, against: list[str], on: str) -> CatalogueRules:
    from accounting.estimates.catalogue import CatalogueRules
    from accounting.exchange_rates import exchange_of
    from accounting.periods import now_ms
    from accounting.spending import Prices
    from cli.money.ledger_options import people_rules
    from core.money import quote

    now, settings = now_ms(), runtime.settings
    exchange = exchange_of(settings)
    machine = quote(settings.node_price)[1] if settings.node_price else settings.currency
    currency = exchange.currency or machine
    prices = Prices.of(settings)
    return CatalogueRules(
        prices=prices,
        exchange=exchange.into(currency),
        currency=currency,
        people=people_rules(runtime),
        now=now,
        against=tuple(against),
        hardware=on,
        useful=_percent(planned.utilization, "--utilization") if planned.utilization else None,
        measured=None if planned.utilization else _measured(runtime, prices, now),
    )


def _measured(runtime: Runtime, prices: Any, now: int) -> Fraction | None:
    from accounting.fleet.utilization import useful_share
    from accounting.fleet_ledger import PricingRules
    from accounting.months import read_period
    from ledger.entries import DAY_MS, Period

    rules = replace(PricingRules("", prices.own_engines), now=now)
    return useful_share(read_period(runtime.store, prices.book, rules, Period(now - _DAYS * DAY_MS, now)))


def _check_names(found: Catalogue, against: list[str]) -> None:
    """Raises UsageError for an API that has no price for any of this."""
    known = {
        f"{one.like.provider}/{one.like.model}" for each in found.apis for ways in each.offers for one in ways.values()
    }
    known |= {offer.name for offer in found.dubs}
    for name in against:
        if name not in known:
            raise UsageError(f"there is no price for this work at '{name}'", f"choose from {', '.join(sorted(known))}")


def _number(text: str, flag: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise UsageError(f"{flag} '{text}' is no number", f"write it as {flag} 400") from error
    if not number.is_finite():
        raise UsageError(f"{flag} '{text}' is no number", f"write it as {flag} 400")
    return number


def _percent(text: str, flag: str) -> Fraction:
    return Fraction(_number(text.removesuffix("%").strip(), flag)) / 100
