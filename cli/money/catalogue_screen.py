"""A catalogue for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.wording import printable
from core.money import Money
from ledger.api import Basis
from ledger.speed import Spread

if TYPE_CHECKING:
    from accounting.estimates.catalogue_report import Catalogue, CatalogueHere, CatalogueVerdict, StageOffers
    from accounting.estimates.estimate_report import ApiEstimate, StageEstimate

_HOUR_MS = 3_600_000
#: APIs with a line, of each kind of work.
_APIS = 5
_UNKNOWN = "unknown"


def print_catalogue(found: Catalogue) -> None:
    """What is planned, our side, the APIs, the verdicts."""
    work = found.work
    dubs = f", {_hours(work.dubbed_ms)} to dub" if work.dubbed_ms else ""
    print(
        f"{_hours(work.media_ms)} of media into {work.languages} languages: {_hours(work.speech_ms)} of speech, "
        f"{_hours(work.translated_ms)} to translate{dubs} (an estimate)"
    )
    print()
    _print_here(found.here, dubbed=bool(work.dubbed_ms))
    print()
    for each in found.apis:
        _print_offers(each)
    if work.dubbed_ms:
        _print_dubs(found)
    for text in found.texts:
        counts = ", ".join(
            f"{spread.low:,} to {spread.high:,} {name.replace('_', ' ')}" for name, spread in text.usage.items()
        )
        print(f"{text.stage} is taken to need {counts} ({printable(text.rests_on)})")
    print()
    for verdict in found.verdicts:
        print(f"against {verdict.against}: {_api_total(found, verdict)}")
        print(f"  without people  {printable(verdict.without_people.line)}")
        print(f"  with people     {printable(verdict.with_people.line)}")
        for line in verdict.classes:
            print(f"  {printable(line)}")


def _api_total(found: Catalogue, verdict: CatalogueVerdict) -> str:
    """``105.20 USD (98.00 to 120.10), and 19008.00 USD for dubbing, which is on neither side below``."""
    api, dub = verdict.api, found.dub
    ends = None if api is None else Spread(api.low.nano, api.point.nano, api.high.nano)
    said = "unpriced" if api is None or ends is None else _amount(ends, api.currency)
    if not found.work.dubbed_ms:
        return said
    price = "no known price" if dub is None else f"{dub.amount.amount(2)} {dub.amount.currency} ({dub.row.provider})"
    return f"{said}, and {price} for dubbing, which is on neither side below"


def _print_here(here: CatalogueHere, *, dubbed: bool) -> None:
    print(f"here, on {printable(here.hardware)}")
    for stage in here.stages:
        print(f"  {stage.stage:<11} {printable(_stage_text(stage))}")
    if dubbed:
        print(f"  {'dub':<11} not measured here: no stage does it yet")
    measured = "" if here.all_measured else "as far as it was measured, "
    if here.machine_ms is None or here.useful.share is None:
        print(
            f"  machines    {measured}{_time(here.engine_ms)} of useful time; idle is {_UNKNOWN}: {here.useful.basis}"
        )
    else:
        share = f"{float(here.useful.share):.1%} of it useful, {here.useful.basis}"
        enough = "" if here.machines is None else f"; machines that do it in time: {here.machines}"
        print(f"  machines    {measured}{_time(here.machine_ms)} of paid time ({share}){enough}")
    rate = f" at {here.node_rate} an hour" if here.node_rate else ""
    idle = "" if here.idle is None else f", {Money(here.idle, here.currency).amount(2)} of it idle, boot and loading"
    known = "as far as it is known " if here.unknown or here.machine_ms is None else ""
    print(f"  cost        {known}{_amount(here.paid, here.currency)}{rate}{idle}")
    for line in here.unknown:
        print(f"    not in it: {printable(line)}")
    if here.people is None:
        print(f"  people      {_UNKNOWN}: {here.people_basis.removeprefix('what people cost is unknown: ')}")
    else:
        low, high = here.people.low.amount(2), here.people.high.amount(2)
        amount = low if low == high else f"{low} to {high}"
        print(f"  people      {amount} {here.currency}: {here.people_basis}")


def _stage_text(stage: StageEstimate) -> str:
    if stage.engine_ms is None:
        return f"{stage.engine}: not measured on this store yet; run a short file first"
    batches = "1 batch" if stage.batches == 1 else f"{stage.batches:,} batches"
    other = f" of OTHER hardware, {stage.measured_on}" if stage.other_hardware else ""
    fake = " (fake: says nothing of real engines)" if stage.fake else ""
    return f"{stage.engine}: {_time(stage.engine_ms)} of engine time; measured on {batches}{other}{fake}"


def _print_offers(each: StageOffers) -> None:
    print(f"{each.noun} by API, silence skipped / the whole file")
    chosen = [_who(one) for one in (each.cheapest, each.named) if one is not None]
    for place, ways in enumerate(each.offers):
        first = next(iter(ways.values()))
        if place >= _APIS and _who(first) not in chosen:
            continue
        ordered = (ways[basis] for basis in (Basis.SPEECH_ONLY, Basis.WHOLE_FILE) if basis in ways)
        shown = " / ".join(dict.fromkeys(_api_amount(one) for one in ordered))
        _print_row(_who(first), shown, first.like.remark, _marks(each, first))
    if len(each.offers) > _APIS:
        print(f"  {len(each.offers)} in all (--json has them)")


def _print_row(who: str, amount: str, remark: str, mark: str = "") -> None:
    print(f"  {printable(who):<40} {amount}  ({remark}){mark}")


def _who(one: ApiEstimate) -> str:
    return f"{one.like.provider} {one.like.model}"


def _marks(each: StageOffers, one: ApiEstimate) -> str:
    words = []
    if each.cheapest is not None and _who(each.cheapest) == _who(one):
        words.append("cheapest verified" if one.like.verified else "cheapest known")
    if each.named is not None and _who(each.named) == _who(one):
        words.append("named")
    return f"  <- {', '.join(words)}" if words else ""


def _print_dubs(found: Catalogue) -> None:
    print("dubbing by API")
    if not found.dubs:
        print("  unpriced: the price book has no row for it")
    for offer in found.dubs[:_APIS]:
        amount = f"{offer.amount.amount(2)} {offer.amount.currency}"
        _print_row(f"{offer.row.provider} {offer.row.sku}", amount, offer.remark)


def _api_amount(one: ApiEstimate) -> str:
    if one.amount is None or one.like.amount is None:
        return f"unpriced ({printable(one.like.note)})"
    return _amount(one.amount, one.like.amount.currency)


def _amount(spread: Spread, currency: str) -> str:
    low, point, high = (Money(nano, currency).amount(2) for nano in (spread.low, spread.point, spread.high))
    return f"{point} {currency}" + ("" if low == high else f" ({low} to {high})")


def _time(spread: Spread) -> str:
    low, point, high = (f"{ms / _HOUR_MS:,.1f}" for ms in (spread.low, spread.point, spread.high))
    return f"{point} h" + ("" if low == high else f" ({low} to {high} h)")


def _hours(ms: int) -> str:
    return f"{ms / _HOUR_MS:,.1f} h"
