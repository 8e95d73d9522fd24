"""What can be said of work that is not there yet: here and at APIs, as ranges, and which is cheaper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accounting.estimates.estimate_report import ApiEstimate, StageEstimate, TextEstimate
from core.money import Money
from ledger.api import Basis
from ledger.catalogue import CatalogueWork, DubOffer
from ledger.price_book.tiers import Tier
from ledger.speed import Spread
from ledger.verdict import CostVerdict, Range


@dataclass(frozen=True)
class UsefulShare:
    """How much of paid machine time is useful; None where nobody said and nothing was measured."""

    share: Fraction | None
    #: Where it is from, in words.
    basis: str


@dataclass(frozen=True)
class CatalogueHere:
    """Our own side. Amounts in nano-units of `currency`."""

    hardware: str
    stages: tuple[StageEstimate, ...]
    useful: UsefulShare
    #: ``0.149 USD`` an hour; empty where nobody says.
    node_rate: str
    currency: str
    #: Engine time of the stages that were measured and run here, in ms.
    engine_ms: Spread
    #: Paid machine time for that; None where the share of useful time is not known.
    machine_ms: Spread | None
    #: What the machines cost, idle included where it is known, and fees of our own engines elsewhere; as far as known.
    paid: Spread
    #: Of the likely figure, what is not useful; None where that is not known.
    idle: int | None
    #: What the people cost; None where ``people_basis`` says why.
    people: Range | None
    people_basis: str
    #: Machines that do it in time; None where not all of its machine time is known.
    machines: int | None
    #: What is in no amount, one line each.
    unknown: tuple[str, ...]

    @property
    def all_measured(self) -> bool:
        """Whether the engine of each stage was measured here."""
        return all(stage.engine_ms is not None for stage in self.stages)


@dataclass(frozen=True)
class StageOffers:
    """What APIs charge for one stage."""

    stage: str
    noun: str
    #: By API, cheapest first.
    offers: tuple[Mapping[Basis, ApiEstimate], ...]
    #: The cheapest whose price was read at its source, and the one that was named; silence skipped.
    cheapest: ApiEstimate | None
    named: ApiEstimate | None
    #: The class of our own model; None where it is not known.
    tier: Tier | None
    #: The cheapest of that class.
    alike: ApiEstimate | None


@dataclass(frozen=True)
class CatalogueVerdict:
    """Our side against one choice of APIs."""

    #: Which APIs, in words.
    against: str
    #: What these charge for everything but dubbing; None where one of the stages has no price.
    api: Range | None
    without_people: CostVerdict
    with_people: CostVerdict
    #: Where the models are of different classes, or it is not known whether they are; one line each.
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be said of a catalogue."""

    work: CatalogueWork
    here: CatalogueHere
    apis: tuple[StageOffers, ...]
    texts: tuple[TextEstimate, ...]
    #: What APIs charge for dubbing, cheapest first; no stage of ours does it yet.
    dubs: tuple[DubOffer, ...]
    dub: DubOffer | None
    verdicts: tuple[CatalogueVerdict, ...]

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units, times in ms; null where nothing is known."""
        work, here, people = self.work, self.here, self.here.people
        return {
            "work": {
                "hours": str(work.hours),
                "languages": work.languages,
                "months": str(work.months),
                "media_ms": work.media_ms,
                "speech_ms": work.speech_ms,
                "translated_ms": work.translated_ms,
                "dubbed_ms": work.dubbed_ms,
            },
            "here": {
                "hardware": here.hardware,
                "stages": [stage.as_json() for stage in here.stages],
                "dub": None,
                "useful_share": None if here.useful.share is None else round(float(here.useful.share), 6),
                "useful_share_basis": here.useful.basis,
                "node_rate": here.node_rate,
                "currency": here.currency,
                "engine_ms": here.engine_ms.as_json(),
                "machine_ms": None if here.machine_ms is None else here.machine_ms.as_json(),
                "machines": here.machines,
                "known_amount": here.paid.as_json(),
                "idle": here.idle,
                "people": None if people is None else _range_json(people),
                "people_basis": here.people_basis,
                "unknown": list(here.unknown),
            },
            "apis": [
                {
                    "stage": each.stage,
                    "offers": [api.as_json() for ways in each.offers for api in ways.values()],
                    "cheapest": None if each.cheapest is None else each.cheapest.as_json(),
                    "named": None if each.named is None else each.named.as_json(),
                    "tier_here": each.tier,
                    "same_class": None if each.alike is None else each.alike.as_json(),
                }
                for each in self.apis
            ],
            "usage": {
                text.stage: {name: spread.as_json() for name, spread in text.usage.items()} for text in self.texts
            },
            "usage_rests_on": {text.stage: text.rests_on for text in self.texts},
            "dubbing": {
                "measured_here": False,
                "offers": [_dub_json(offer) for offer in self.dubs],
                "cheapest": None if self.dub is None else _dub_json(self.dub),
            },
            "verdicts": [
                {
                    "against": each.against,
                    "api": None if each.api is None else _range_json(each.api),
                    "without_people": each.without_people.as_json(),
                    "with_people": each.with_people.as_json(),
                    "classes": list(each.classes),
                }
                for each in self.verdicts
            ],
        }


def _range_json(amount: Range) -> dict[str, Any]:
    ends = {"low": amount.low.nano, "point": amount.point.nano, "high": amount.high.nano}
    return {**ends, "currency": amount.currency}


def _dub_json(offer: DubOffer) -> dict[str, Any]:
    amount: Money = offer.amount
    return {
        "provider": offer.row.provider,
        "model": offer.row.sku,
        "amount": amount.nano,
        "currency": amount.currency,
        "price_row": offer.row.id,
        "remark": offer.remark,
    }
