"""Before work is even there: a catalogue of so many hours into so many languages, here and at APIs, as ranges.

Engine time comes from what this store measured, idle from its own machines or from what somebody says, and nothing that
was never measured is guessed: it is named, and can turn the verdict only against our side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from accounting.estimates.catalogue_report import (
    Catalogue,
    CatalogueHere,
    CatalogueVerdict,
    StageOffers,
    UsefulShare,
)
from accounting.estimates.estimate import NEVER_MEASURED, chosen_hardware, estimate_text
from accounting.estimates.estimate_report import ApiEstimate, StageEstimate, TextEstimate
from accounting.estimates.measured_speeds import ELSEWHERE, MeasuredSpeeds, measure_speeds
from accounting.periods import month_of
from accounting.sharing.people import PeopleRules
from accounting.spending import Prices
from accounting.verdicts.workload import stage_counterfactuals
from core.money import NANO, Money, quote
from core.specs import EngineSpec
from ledger.api import Basis, Counterfactual, Workload
from ledger.billing import machine_cost
from ledger.catalogue import CatalogueWork, chosen_dub, dub_offers, machine_time, machines_needed
from ledger.entries import Quality
from ledger.exchange import Exchange
from ledger.price_book.model_tiers import tier_of
from ledger.price_book.tiers import Tier
from ledger.speed import Spread
from ledger.verdict import CostOutcome, Grounds, Range, verdict
from pipeline.runtime import Runtime
from pipeline.stages import charged_stages
from pipeline.stages.stage import ChargedBy, Stage

#: Audio that one request for text is assumed to be about: engines are given windows of up to 30 s.
_REQUEST_MS = 30_000
_ENDS = ("low", "point", "high")


@dataclass(frozen=True)
class CatalogueRules:
    """What a catalogue is estimated with."""

    prices: Prices
    #: Rates into the report's currency.
    exchange: Exchange
    #: The report's currency.
    currency: str
    people: PeopleRules
    #: The instant of asking.
    now: int
    #: APIs to compare with as well, ``provider/model``.
    against: tuple[str, ...] = ()
    #: Hardware that the store knows; empty: this machine.
    hardware: str = ""
    #: Share of paid time that is useful, as somebody says; None: as measured.
    useful: Fraction | None = None
    #: The same as it was measured; None where it was not.
    measured: Fraction | None = None


def estimate_catalogue(work: CatalogueWork, runtime: Runtime, rules: CatalogueRules) -> Catalogue:
    """Raises SettingsError, EngineError, StoreError, UsageError, MoneyError."""
    speeds = measure_speeds(runtime.store)
    hardware = chosen_hardware(rules.hardware, speeds)
    stages = [stage for stage in charged_stages() if _audio(stage, work)]
    estimates = tuple(_stage(stage, work, runtime, speeds, hardware) for stage in stages)
    texts = tuple(
        estimate_text(each.stage, each.engine, each.audio_ms, -(-each.audio_ms // _REQUEST_MS), speeds)
        for stage, each in zip(stages, estimates, strict=True)
        if stage.charged_by is ChargedBy.TEXT
    )
    offers = tuple(_offers(stage, runtime.engine_spec(stage.role), work, texts, rules) for stage in stages)
    here = _here(work, estimates, offers, runtime, rules, hardware)
    dubs = dub_offers(rules.prices.book, rules.now, work.dubbed_ms, rules.exchange) if work.dubbed_ms else []
    return Catalogue(
        work,
        here,
        offers,
        texts,
        tuple(dubs),
        chosen_dub(dubs, rules.currency, rules.against),
        tuple(_verdicts(here, offers, work)),
    )


def _audio(stage: Stage, work: CatalogueWork) -> int:
    """Speech that a stage is given; text once for each language."""
    return work.translated_ms if stage.charged_by is ChargedBy.TEXT else work.speech_ms


def _stage(stage: Stage, work: CatalogueWork, runtime: Runtime, speeds: MeasuredSpeeds, hardware: str) -> StageEstimate:
    spec, audio_ms = runtime.engine_spec(stage.role), _audio(stage, work)
    measured = speeds.time_on(hardware, stage.name, spec.describe())
    return StageEstimate(
        stage.name,
        spec.describe(),
        audio_ms,
        None if measured is None else measured.times(audio_ms),
        Spread(0, 0, 0),
        0 if measured is None else measured.batches,
        spec.fake,
        "" if measured is None else measured.hardware,
        measured is not None and measured.hardware not in (hardware, ELSEWHERE),
    )


# -- here ----------------------------------------------------------------------------------------------------


def _here(
    work: CatalogueWork,
    stages: Sequence[StageEstimate],
    offers: Sequence[StageOffers],
    runtime: Runtime,
    rules: CatalogueRules,
    hardware: str,
) -> CatalogueHere:
    remote = {stage.name: stage for stage in charged_stages() if runtime.is_remote(stage.role)}
    unknown = [f"{each.stage} by {each.engine} {NEVER_MEASURED}" for each in stages if each.engine_ms is None]
    measured = {each.stage: each.engine_ms for each in stages if each.engine_ms is not None}
    engine_ms = sum((time for name, time in measured.items() if name not in remote), Spread(0, 0, 0))
    useful = _useful(rules)
    machine_ms = None if useful.share is None else machine_time(engine_ms, useful.share)
    paid, idle = Spread(0, 0, 0), None
    if engine_ms.high:
        price = _hourly(runtime.settings.node_price, rules)
        if isinstance(price, str):
            unknown.append(price)
        else:
            paid = _cost(machine_ms or engine_ms, price)
            idle = None if machine_ms is None else paid.point - machine_cost(engine_ms.point, price)
    for each, of in zip(stages, offers, strict=True):
        if each.stage in remote:
            fee = _fee(of, runtime.engine_spec(remote[each.stage].role), rules)
            if isinstance(fee, str):
                unknown.append(fee)
            else:
                paid = paid + fee
    people, basis = _people(work, rules)
    return CatalogueHere(
        hardware=hardware,
        stages=tuple(stages),
        useful=useful,
        node_rate=runtime.settings.node_price,
        currency=rules.currency,
        engine_ms=engine_ms,
        machine_ms=machine_ms,
        paid=paid,
        idle=idle,
        people=people,
        people_basis=basis,
        machines=None
        if machine_ms is None or len(measured) < len(stages)
        else machines_needed(machine_ms.point, work.months),
        unknown=tuple(unknown),
    )


def _useful(rules: CatalogueRules) -> UsefulShare:
    if rules.useful is not None:
        return UsefulShare(rules.useful, "as you say")
    if rules.measured is None:
        return UsefulShare(None, "no machine was useful here in the last days: say it, --utilization 60")
    return UsefulShare(rules.measured, "as this store's machines were in the last days")


def _hourly(said: str, rules: CatalogueRules) -> Fraction | str:
    """What a machine costs an hour in the report's currency; why that is not known, in words. Raises MoneyError."""
    if not said:
        return "what a machine costs an hour is not known: --node-rate '0.526 USD'"
    amount, currency = quote(said)
    price = rules.exchange.price(Fraction(amount), currency, rules.now)
    return f"a machine costs {said} an hour: {rules.exchange.why_none(currency, rules.now)}" if price is None else price


def _cost(ms: Spread, price: Fraction) -> Spread:
    return Spread(*(machine_cost(end, price) for end in (ms.low, ms.point, ms.high)))


def _fee(of: StageOffers, spec: EngineSpec, rules: CatalogueRules) -> Spread | str:
    """What the job's own engine elsewhere charges, which is what its API does; or why that is not known, in words."""
    if spec.describe() in rules.prices.own_engines:
        return f"the machine that serves {spec.describe()} has no price here"
    ways = next((ways for ways in of.offers if _name(ways) == f"{spec.provider}/{spec.model}"), {})
    found = ways.get(Basis.SPEECH_ONLY)
    if found is None or found.amount is None or not _is_in(found, rules.currency):
        return f"what {spec.describe()} charges is not known in {rules.currency}"
    return found.amount


def _people(work: CatalogueWork, rules: CatalogueRules) -> tuple[Range | None, str]:
    """All of a month's people for the months of the work, or why they are unknown. Raises MoneyError, UsageError."""
    people = rules.people.of(month_of(rules.now).start)
    monthly = people.monthly(rules.currency)
    if monthly is None:
        return None, people.why_none(rules.currency)
    low, high = (Money.of(Fraction(end.nano, NANO), work.months, end.currency) for end in monthly)
    return Range.between(low, high), f"{people.hours} hours a month at {people.rate}, months: {work.months}"


# -- APIs ----------------------------------------------------------------------------------------------------


def _offers(
    stage: Stage, spec: EngineSpec, work: CatalogueWork, texts: Sequence[TextEstimate], rules: CatalogueRules
) -> StageOffers:
    sums: dict[tuple[str, str, Basis, str], dict[str, Counterfactual]] = {}
    for end in _ENDS:
        load = _workload(stage, work, texts, end)
        for one in stage_counterfactuals(stage, load, rules.prices.book, rules.now, rules.exchange.valid(rules.now)):
            if one.basis in (Basis.WHOLE_FILE, Basis.SPEECH_ONLY):
                sums.setdefault((one.provider, one.model, one.basis, one.price_row), {})[end] = one
    by_api: dict[tuple[str, str], dict[Basis, ApiEstimate]] = {}
    for (provider, model, basis, _), ends in sums.items():
        amounts = [ends[end].amount for end in _ENDS]
        known = [amount.nano for amount in amounts if amount is not None]
        spread = Spread(*known) if len(known) == len(_ENDS) else None
        by_api.setdefault((provider, model), {}).setdefault(basis, ApiEstimate(ends["point"], spread))
    offers = tuple(sorted(by_api.values(), key=_place))
    skipped = [ways[Basis.SPEECH_ONLY] for ways in offers if Basis.SPEECH_ONLY in ways]
    priced = [one for one in skipped if one.amount is not None and _is_in(one, rules.currency)]
    sold = [one for one in priced if not one.like.retired]
    tier = tier_of(stage.name, spec.provider, spec.model, rules.prices.book)
    alike = [one for one in sold if tier is not None and one.like.tier is tier]
    named = [one for one in priced if f"{one.like.provider}/{one.like.model}" in rules.against]
    return StageOffers(stage.name, stage.noun, offers, _cheapest(sold), _least(named), tier, _cheapest(alike))


def _workload(stage: Stage, work: CatalogueWork, texts: Sequence[TextEstimate], end: str) -> Workload:
    if stage.charged_by is ChargedBy.AUDIO:
        return Workload(work.media_ms, work.speech_ms)
    usage = next(text.usage for text in texts if text.stage == stage.name)
    counts = {meter: getattr(spread, end) for meter, spread in usage.items()}
    return Workload(requests=max(1, -(-work.translated_ms // _REQUEST_MS)), **counts)


def _is_in(one: ApiEstimate, currency: str) -> bool:
    return one.like.amount is not None and one.like.amount.currency == currency


def _cheapest(offers: Sequence[ApiEstimate]) -> ApiEstimate | None:
    """Of those whose price was read at its source, else of all."""
    return _least([one for one in offers if one.like.verified] or offers)


def _least(offers: Sequence[ApiEstimate]) -> ApiEstimate | None:
    return min(offers, key=lambda one: (one.amount.point if one.amount else 0, _names(one)), default=None)


def _names(one: ApiEstimate) -> tuple[str, str]:
    return one.like.provider, one.like.model


def _name(ways: Mapping[Basis, ApiEstimate]) -> str:
    return "/".join(_names(next(iter(ways.values()))))


def _place(ways: Mapping[Basis, ApiEstimate]) -> tuple[bool, bool, int, str]:
    """Cheapest first; then what is no longer sold, and what has no price."""
    amounts = [one.amount.point for one in ways.values() if one.amount is not None]
    return not amounts, any(one.like.retired for one in ways.values()), min(amounts, default=0), _name(ways)


# -- which is cheaper ----------------------------------------------------------------------------------------


def _verdicts(here: CatalogueHere, offers: Sequence[StageOffers], work: CatalogueWork) -> Iterator[CatalogueVerdict]:
    least = [each.cheapest for each in offers]
    cheapest = "cheapest verified" if all(one is not None and one.like.verified for one in least) else "cheapest known"
    tiers = [each.tier for each in offers]
    yield _verdict(f"the {cheapest} API of each stage", here, least, tiers, work)
    alike = [each.alike for each in offers]
    if all(alike) and alike != least:
        yield _verdict("the cheapest APIs of the same class as the models here", here, alike, tiers, work)
    if any(each.named for each in offers):
        named = [each.named or each.cheapest for each in offers]
        yield _verdict(f"the APIs that you name, else the {cheapest}", here, named, tiers, work)


def _verdict(
    against: str,
    here: CatalogueHere,
    chosen: Sequence[ApiEstimate | None],
    tiers: Sequence[Tier | None],
    work: CatalogueWork,
) -> CatalogueVerdict:
    known = [one for one in chosen if one is not None and one.amount is not None]
    api = sum((one.amount for one in known if one.amount), Spread(0, 0, 0)) if len(known) == len(chosen) else None
    paid, other = _range(here.paid, here.currency), None if api is None else _range(api, here.currency)
    rests_on = [f"{one.like.stage}: {one.like.provider} {one.like.model} ({one.like.remark})" for one in known]
    classes = [line for one, tier in zip(chosen, tiers, strict=True) if one and (line := _other_class(one, tier))]
    rests_on += [f"useful share of paid machine time: {here.useful.basis}", f"people: {here.people_basis}"]
    rests_on += ["dubbing is on neither side: no stage here does it yet"] if work.dubbed_ms else []
    grounds = Grounds(
        people_set=True,
        quality=Quality.ESTIMATED,
        unpriced=here.unknown,
        still_to_come=() if here.machine_ms is not None else ("idle, boot and loading, whose share is unknown",),
        fake=any(stage.fake for stage in here.stages),
        ran=_ran(here),
        rests_on=(*rests_on, *classes),
    )
    ours = paid if here.people is None else paid + here.people
    with_people = verdict(ours, other, replace(grounds, people_set=here.people is not None))
    return CatalogueVerdict(against, other, verdict(paid, other, grounds), with_people, tuple(classes))


def _other_class(one: ApiEstimate, tier: Tier | None) -> str:
    """That an API's model is of another class than ours; empty where it is of the same."""
    stage, theirs = one.like.stage, one.like.tier
    if tier is None or theirs is None:
        return f"{stage}: whether both models are of one class is not known"
    return "" if tier is theirs else f"{stage}: NOT of the same class: here a {tier}, there a {theirs}"


def _ran(here: CatalogueHere) -> CostOutcome:
    """Whether all of it would run on machines of one's own."""
    elsewhere = {stage.name for stage in charged_stages()} & {
        each.stage for each in here.stages if each.measured_on == ELSEWHERE
    }
    return CostOutcome.HYBRID if elsewhere else CostOutcome.SELF_HOSTED


def _range(spread: Spread, currency: str) -> Range:
    return Range(*(Money(nano, currency) for nano in (spread.low, spread.point, spread.high)))
