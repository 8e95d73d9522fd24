"""The ledger for finance: rows of FOCUS 1.3 (FinOps Open Cost and Usage Specification), its split allocation included.

https://focus.finops.org/focus-specification/v1-3/. An *origin charge* is what one machine cost under one price in one
month, what one API charged for one stage of a machine's work, or a month's people. Its *allocated charges* are the
rows: one for each job, stage, bucket, engine and language in it. What no job caused is the unallocated row.

``BilledCost`` is 0 in every row: Segue sends no invoice, and the specification forbids others to repeat an invoice's
amounts, so that the file can lie beside the cloud's own export. ``EffectiveCost``, ``ListCost`` and ``ContractedCost``
have the ledger's amount. Usage without a price has a row with empty costs and ``x_Unpriced``, never a 0. The ledger
keeps no quantity of what it charged for fees and people: theirs is empty. It knows no account: the provider's name
stands for it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from accounting.periods import month_of
from core.money import Money, split
from ledger.entries import Bucket, LedgerEntry, Period, Unpriced
from pipeline.stages import charged_by
from pipeline.stages.stage import ChargedBy

VERSION = "1.3"
#: In the specification's order, which is that of the alphabet; then our own.
FOCUS_COLUMNS = (
    "AllocatedMethodDetails",
    "AllocatedMethodId",
    "AllocatedResourceId",
    "AllocatedResourceName",
    "AllocatedTags",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuPriceId",
)
OWN_COLUMNS = (
    "x_Bucket",
    "x_Stage",
    "x_JobId",
    "x_Owner",
    "x_Language",
    "x_Engine",
    "x_NodeSession",
    "x_Quality",
    "x_Fake",
    "x_Unpriced",
    "x_Standing",
    "x_PriceBook",
    "x_FocusVersion",
)
COLUMNS = FOCUS_COLUMNS + OWN_COLUMNS
#: Columns that hold numbers: a sign at their beginning is a sign.
NUMBERS = frozenset(
    {"BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "ConsumedQuantity", "PricingQuantity"}
)
_COSTS = ("ContractedCost", "EffectiveCost", "ListCost")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NODE_TIME = "node_ms"
_MILLISECONDS = "Milliseconds"
#: Parts of an origin charge are told in millionths of a millionth.
_RATIO_PLACES = 12
_OWN_MACHINES, _PEOPLE, _NOWHERE = "own machines", "own people", "Not Applicable"
#: How a charge was divided; docs/ledger.md ("Who pays") is the documentation that the specification asks for.
_METHODS = {
    "machine": "segue-node-time",
    "fee": "segue-batch-share",
    "people": "segue-useful-time",
    "idle": "segue-idle-share",
}
_WORDS = {
    Bucket.BUSY: "useful work",
    Bucket.LOAD: "loading engines",
    Bucket.IDLE: "idle machine",
    Bucket.LOST: "lost work",
    Bucket.DUPLICATE: "duplicate work",
    Bucket.BOOT: "machine booting",
    Bucket.API_FEE: "API fee",
    Bucket.PEOPLE: "people",
    Bucket.UNATTRIBUTED: "billing increment of the machine",
}


@dataclass(frozen=True)
class FocusMachine:
    """What is known of a machine; empty where nobody says."""

    #: azure, aws, gcp; empty for one of one's own.
    cloud: str = ""
    #: As the cloud names it.
    size: str = ""
    #: As the cloud names it.
    region: str = ""
    #: Whether it may be taken away; None when nobody says.
    spot: bool | None = None


@dataclass(frozen=True)
class FocusSource:
    """What rows are made of: the books of a month, or of one job."""

    #: Charged to jobs.
    entries: Sequence[LedgerEntry]
    #: Usage without a price.
    unpriced: Sequence[Unpriced]
    #: By node session.
    machines: Mapping[str, FocusMachine]
    #: Labels by job.
    labels: Mapping[str, Mapping[str, str]]
    #: How final they are.
    standing: str
    #: Digest of the price book.
    book: str
    #: Ids of entries that correct a closed month.
    late: Collection[str] = ()
    #: Names of media by job.
    names: Mapping[str, str] = field(default_factory=dict)
    #: Whether every part of each origin charge is there, so that ratios can be told.
    whole: bool = True


@dataclass(frozen=True, order=True)
class _Origin:
    """What was charged together: rows of one origin differ in who and what for."""

    month: int
    kind: str
    session: str
    provider: str
    service: str
    stage: str
    price_row: str
    currency: str
    late: bool


@dataclass(frozen=True, order=True)
class _Part:
    """Who and what for."""

    job: str
    owner: str
    stage: str
    bucket: str
    engine: str
    language: str
    quality: str
    fake: bool
    why: str
    unit: str


@dataclass
class _RowSum:
    start: int
    end: int
    nano: int = 0
    quantity: int = 0


def focus_rows(source: FocusSource) -> Iterator[dict[str, str]]:
    """Rows by `COLUMNS`, in a stable order; empty text is null. Costs of the rows sum to the entries', exactly."""
    origins: dict[_Origin, dict[_Part, _RowSum]] = {}
    charged: Iterator[LedgerEntry | Unpriced] = chain(source.entries, source.unpriced)
    month = Period(0, 0)
    for one in charged:
        if not month.start <= one.start < month.end:
            month = month_of(one.start)
        part, sums = _part(one)
        parts = origins.setdefault(_origin(one, month.start, source), {})
        held = parts.setdefault(part, sums)
        if held is not sums:
            held.start, held.end = min(held.start, sums.start), max(held.end, sums.end)
            held.nano += sums.nano
            held.quantity += sums.quantity
    for origin in sorted(origins):
        found = origins[origin]
        ordered = sorted(found)
        span = min(found[part].start for part in ordered), max(found[part].end for part in ordered)
        ratios = _ratios([found[part] for part in ordered]) if source.whole else [""] * len(ordered)
        for part, ratio in zip(ordered, ratios, strict=True):
            yield _row(origin, part, found[part], span, ratio, source)


def _origin(one: LedgerEntry | Unpriced, month: int, source: FocusSource) -> _Origin:
    price_row, currency = (one.price_row, one.currency) if isinstance(one, LedgerEntry) else ("", "")
    late = isinstance(one, LedgerEntry) and one.id in source.late
    if one.bucket is Bucket.PEOPLE:
        return _Origin(month, "people", "", _PEOPLE, "Engineering", "", "", currency, late)
    if one.bucket is Bucket.API_FEE:
        provider = price_row.split("/")[0] or one.engine.split(" ")[0]
        return _Origin(month, "fee", one.session, provider, one.engine, one.stage, price_row, currency, late)
    if not one.session:
        # Rows of it sum to zero in a month: to the jobs what they carry, and the reversal of it.
        return _Origin(month, "idle", "", _OWN_MACHINES, "Fleet idle", "", price_row, currency, late)
    machine = source.machines.get(one.session, FocusMachine())
    return _Origin(
        month,
        "machine",
        one.session,
        machine.cloud or _OWN_MACHINES,
        machine.size or "Machine",
        "",
        price_row,
        currency,
        late,
    )


def _part(one: LedgerEntry | Unpriced) -> tuple[_Part, _RowSum]:
    # A fee is charged at an instant, and the end of a charge's period is the first instant after it.
    sums = _RowSum(one.start, max(one.end, one.start + 1))
    if isinstance(one, LedgerEntry):
        timed = one.bucket not in (Bucket.API_FEE, Bucket.PEOPLE)
        quality, language, why, unit = one.quality.value, one.language, "", _MILLISECONDS if timed else ""
        sums.nano, sums.quantity = one.nano, one.unit_ms
    else:
        quality, language, why = "", "", one.why
        unit = _MILLISECONDS if one.meter == _NODE_TIME else one.meter.replace("_", " ").title().replace(" ", "-")
        sums.quantity = one.quantity
    part = _Part(one.job, one.owner, one.stage, one.bucket.value, one.engine, language, quality, one.fake, why, unit)
    return part, sums


def _ratios(sums: Sequence[_RowSum]) -> list[str]:
    """Each part's share of the origin charge as decimal text; they sum to 1. Empty where there is nothing to divide."""
    for weights in ([one.nano for one in sums], [one.quantity for one in sums]):
        if sum(weights) > 0 and min(weights) >= 0:
            scale = 10**_RATIO_PLACES
            return [f"{part // scale}.{part % scale:0{_RATIO_PLACES}d}" for part in split(scale, weights)]
    return [""] * len(sums)


def _row(
    origin: _Origin, part: _Part, sums: _RowSum, span: tuple[int, int], ratio: str, source: FocusSource
) -> dict[str, str]:
    month = month_of(origin.month)
    machine = source.machines.get(origin.session, FocusMachine()) if origin.kind == "machine" else FocusMachine()
    quantity, unit = (str(sums.quantity), part.unit) if part.unit else ("", "")
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "AllocatedMethodDetails": _details(ratio, unit, quantity),
        "AllocatedMethodId": _METHODS[origin.kind],
        "AllocatedResourceId": part.job,
        "AllocatedResourceName": source.names.get(part.job, "") or part.job,
        "AllocatedTags": _tags(part, source.labels.get(part.job, {})),
        "BilledCost": "0",
        "BillingAccountId": origin.provider,
        "BillingCurrency": origin.currency,
        "BillingPeriodStart": _time(month.start),
        "BillingPeriodEnd": _time(month.end),
        "ChargeCategory": "Adjustment" if origin.kind == "idle" else "Usage",
        "ChargeClass": "Correction" if origin.late else "",
        "ChargeDescription": _description(origin, part),
        "ChargeFrequency": "Recurring" if origin.kind == "people" else "Usage-Based",
        "ChargePeriodStart": _time(span[0]),
        "ChargePeriodEnd": _time(span[1]),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "HostProviderName": _NOWHERE if origin.kind == "people" else origin.provider,
        "InvoiceIssuerName": origin.provider,
        "PricingCategory": _pricing(origin, machine),
        "PricingQuantity": "" if part.why else quantity,
        "PricingUnit": "" if part.why else unit,
        "ProviderName": origin.provider,
        "PublisherName": origin.provider,
        "RegionId": machine.region,
        "ServiceName": origin.service,
        "ServiceProviderName": origin.provider,
        "SkuId": origin.service,
        "SkuPriceId": origin.price_row,
        "x_Bucket": part.bucket,
        "x_Stage": part.stage,
        "x_JobId": part.job,
        "x_Owner": part.owner,
        "x_Language": part.language,
        "x_Engine": part.engine,
        "x_NodeSession": origin.session,
        "x_Quality": part.quality,
        "x_Fake": "true" if part.fake else "false",
        "x_Unpriced": part.why,
        "x_Standing": source.standing,
        "x_PriceBook": source.book,
        "x_FocusVersion": VERSION,
    }
    row["ServiceCategory"], row["ServiceSubcategory"] = _category(origin)
    if origin.kind == "machine":
        row |= {"ResourceId": origin.session, "ResourceName": origin.session, "ResourceType": "Virtual Machine"}
    if not part.why:
        row |= dict.fromkeys(_COSTS, Money(sums.nano, origin.currency).amount())
    return row


def _details(ratio: str, unit: str, quantity: str) -> str:
    """The specification's object, written by hand: a number of JSON must not become a float on its way."""
    if not ratio:
        return ""
    used = f', "UsageUnit": {json.dumps(unit)}, "UsageQuantity": {quantity}' if unit else ""
    return f'{{"Elements": [{{"AllocatedRatio": {ratio}{used}}}]}}'


def _tags(part: _Part, labels: Mapping[str, str]) -> str:
    """The job's labels as they were given, and our own with a prefix."""
    tags = dict(sorted(labels.items()))
    own = {"bucket": part.bucket, "stage": part.stage, "owner": part.owner, "language": part.language}
    tags |= {f"segue/{name}": text for name, text in own.items() if text}
    return json.dumps(tags, ensure_ascii=False)


def _description(origin: _Origin, part: _Part) -> str:
    what = _WORDS[Bucket(part.bucket)]
    stage = f" ({part.stage})" if part.stage else ""
    whose = f", job {part.job}" if part.job else ", no job caused it"
    said = f"{what}{stage} on {origin.service}" if origin.kind == "machine" else f"{what}{stage}, {origin.service}"
    return f"{'UNPRICED: ' if part.why else ''}{said}{whose}{f': {part.why}' if part.why else ''}"


def _pricing(origin: _Origin, machine: FocusMachine) -> str:
    if origin.kind == "machine":
        return {True: "Dynamic", False: "Standard", None: "Other"}[machine.spot]
    return "Standard" if origin.kind == "fee" else "Other"


def _category(origin: _Origin) -> tuple[str, str]:
    """The specification's words for a service."""
    if origin.kind == "machine":
        return "Compute", "Virtual Machines"
    if origin.kind in ("people", "idle"):
        return "Other", "Other (Other)"
    narrow = (
        "Natural Language Processing"
        if charged_by(origin.stage) is ChargedBy.TEXT
        else "Other (AI and Machine Learning)"
    )
    return "AI and Machine Learning", narrow


def _time(at: int) -> str:
    """``2026-11-21T23:16:42.125Z``."""
    return f"{(_EPOCH + timedelta(milliseconds=at)).strftime('%Y-%m-%dT%H:%M:%S')}.{at % 1000:03d}Z"
