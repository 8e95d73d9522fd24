"""What the ledger says of one job, ready to be shown: amounts, what was avoided, what APIs would charge, the verdict.

Amounts are whole nano-units of `JobReport.currency`. The same object is printed, written as JSON and drawn as a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from accounting.in_progress import UnderWay
from accounting.media_spans import MediaSpan
from accounting.verdicts.api_bill import ApiBill, api_bill
from accounting.verdicts.unit_costs import MinuteCosts, minute_costs
from core.money import Money
from ledger.api import Basis, Counterfactual
from ledger.entries import SHARED_IDLE, Bucket, LedgerEntry, Unpriced
from ledger.exchange import Exchanged
from ledger.loss import Resumability
from ledger.totals import UnpricedSum
from ledger.verdict import CostVerdict, CostVerdicts, Range


class Finality(StrEnum):
    """How final a report is."""

    #: The months that it is in are open: facts may still come.
    PROVISIONAL = "provisional"
    #: Every month that it is in has been closed.
    CLOSED = "closed"
    #: Every machine that it paid for was checked against the provider's bill.
    RECONCILED = "reconciled"


@dataclass(frozen=True)
class JobSpending:
    """What was paid. Parts of each dimension sum to the total."""

    #: Everything.
    total: Money
    #: By bucket, in the order of `ledger.entries.Bucket`; buckets without an amount are left out.
    by_bucket: Mapping[str, Money]
    #: By stage; under ``""`` what no stage caused.
    by_stage: Mapping[str, Money]
    #: By bucket and then by stage.
    by_bucket_and_stage: Mapping[str, Mapping[str, Money]]
    #: Node time by bucket, shared time divided, in ms.
    ms_by_bucket: Mapping[str, int]
    #: Amounts in currencies for which no dated rate was given; in none of the sums above.
    elsewhere: tuple[Money, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Integer nano-units of the report's currency."""
        return {
            "total": self.total.nano,
            "by_bucket": {name: amount.nano for name, amount in self.by_bucket.items()},
            "by_stage": {name: amount.nano for name, amount in self.by_stage.items()},
            "by_bucket_and_stage": {
                bucket: {stage: amount.nano for stage, amount in stages.items()}
                for bucket, stages in self.by_bucket_and_stage.items()
            },
            "node_ms_by_bucket": dict(self.ms_by_bucket),
            "other_currencies": {amount.currency: amount.nano for amount in self.elsewhere},
        }


@dataclass(frozen=True)
class Avoided:
    """Work that did not have to be done. Never subtracted from what was paid."""

    #: ``silence``, ``cache`` or ``resume``.
    kind: str
    #: Media that no engine was given (silence), or speech of the units that were there already.
    media_ms: int
    #: Units that were there already; 0 for silence.
    units: int
    #: Engine time: measured where the units were computed; for silence this job's own rate. None without a measure.
    engine_ms: int | None
    #: What that engine time cost, or would have; None where it has no measure or no price.
    amount: Money | None
    #: Whether the time was measured on the very same work (``cache``, ``resume``) or carried over from other work.
    measured: bool
    #: Where the figure is from, in words.
    basis: str

    def as_json(self) -> dict[str, Any]:
        """Integer ms and nano-units; null for what is not known."""
        return {
            "media_ms": self.media_ms,
            "units": self.units,
            "engine_ms": self.engine_ms,
            "amount": None if self.amount is None else self.amount.nano,
            "quality": "measured" if self.measured else "estimated",
            "basis": self.basis,
        }


@dataclass(frozen=True)
class NodeUse:
    """One machine that worked for the job."""

    #: Node session.
    session: str
    #: Whether it was a run of `segue run`, whose whole session its jobs pay.
    embedded: bool
    #: GPUs by name; empty on a machine without one.
    gpus: tuple[str, ...]
    #: Cloud, size, region and kind in one line, else the host; ``cpu`` for a machine without a GPU of no cloud.
    description: str
    #: ``0.30 USD/h``, or the ids of the rows that priced it, or ``unpriced``.
    price: str
    #: First instant that is billed, ms since the epoch.
    start: int
    #: First instant that is not billed.
    end: int
    #: Whether the end is a rule's (last sign of life) and no clock's.
    estimated_end: bool
    #: The whole bill, by currency, in nano-units; empty when nobody can price it.
    billed: Mapping[str, int] = field(default_factory=dict)
    #: Its cloud, size and region; empty where nobody says.
    cloud: str = ""
    #: As above.
    size: str = ""
    #: As above.
    region: str = ""
    #: Whether it may be taken away; None when nobody says.
    spot: bool | None = None

    @property
    def hardware(self) -> str:
        """``1 x Tesla T4``, or ``cpu``."""
        return f"{len(self.gpus)} x {self.gpus[0]}" if self.gpus else "cpu"

    def as_json(self) -> dict[str, Any]:
        """Times in ms since the epoch, the bill in nano-units by currency."""
        return {
            "session": self.session,
            "embedded": self.embedded,
            "hardware": self.hardware,
            "gpus": list(self.gpus),
            "description": self.description,
            "price": self.price,
            "start": self.start,
            "end": self.end,
            "estimated_end": self.estimated_end,
            "billed": dict(self.billed),
        }


@dataclass(frozen=True)
class People:
    """The engineering tax that the job carries."""

    #: At least, as shown, at most; None while hours or rate are not set: unknown, not zero.
    amount: Range | None
    #: What is unset, or how the amount was found, in words.
    basis: str
    #: What of it each stage carries; the parts sum to the amount, end by end.
    by_stage: Mapping[str, Range] = field(default_factory=dict)


@dataclass(frozen=True)
class SharedIdle:
    """What a job carries of the fleet's idle, boot and increments that no job caused; it is in what was paid."""

    #: By currency, nano-units.
    amounts: Mapping[str, int]
    #: How it was shared, in words; empty where nothing was.
    basis: str

    def as_json(self) -> dict[str, Any]:
        """Nano-units by currency."""
        return {"amounts": dict(self.amounts), "basis": self.basis}


@dataclass(frozen=True)
class JobVerdict:
    """Which was cheaper, against which APIs, for which form of sending."""

    #: For the job and by stage; None when nothing was computed for this job that an API could have done.
    found: CostVerdicts | None
    #: Why there is none; empty when there is.
    why_none: str
    #: What was compared with: stage -> invoice.
    against: Mapping[str, Counterfactual] = field(default_factory=dict)
    #: What was paid, by stage compared; people not included.
    paid: Mapping[str, Range] = field(default_factory=dict)

    @property
    def job(self) -> CostVerdict | None:
        """The whole job's."""
        return None if self.found is None else self.found.job

    @property
    def line(self) -> str:
        """One line for people."""
        return f"undecided: {self.why_none}" if self.found is None else self.found.job.line

    def as_json(self) -> dict[str, Any]:
        """The verdict's own object, and what it was compared with."""
        if self.found is None:
            return {"outcome": "undecided", "difference": None, "undecided_because": [self.why_none], "by_stage": {}}
        against = {stage: f"{one.provider} {one.model}" for stage, one in self.against.items()}
        return {**self.found.as_json(), "line": self.line, "against": against}


@dataclass(frozen=True)
class JobReport:
    """Everything the ledger says of a job."""

    #: Job.
    job_id: str
    #: Whose it is; empty when its folder is gone (purged): the ledger keeps opaque ids only.
    owner: str
    #: Labels.
    labels: Mapping[str, str]
    #: Names of its media files; empty when its folder is gone.
    media: tuple[str, ...]
    #: State as `segue status` says it; ``purged`` when its folder is gone, ``unplanned`` without a plan.
    state: str
    #: Engines in one line.
    engines: str
    #: ISO 4217 code of every amount.
    currency: str
    #: Length of the media.
    duration_ms: int
    #: Speech in it.
    speech_ms: int
    #: What was paid.
    spent: JobSpending
    #: Silence, cache, resume; those that apply.
    avoided: tuple[Avoided, ...]
    #: What APIs would charge, by stage and basis.
    counterfactuals: tuple[Counterfactual, ...]
    #: With silence skipped on both sides, for what this job computed.
    verdict: JobVerdict
    #: Against the whole file sent as it is.
    verdict_whole_file: JobVerdict
    #: Against the cheapest API of the same class of model.
    verdict_same_class: JobVerdict
    #: The people.
    people: People
    #: Usage without a price: it is in no amount.
    unpriced: tuple[Unpriced, ...]
    #: Every entry, in order of time.
    entries: tuple[LedgerEntry, ...]
    #: The media from its start to its end.
    timeline: tuple[MediaSpan, ...]
    #: Machines that worked for it.
    nodes: tuple[NodeUse, ...]
    #: How final it is.
    standing: Finality
    #: Whether fake engines did any of the work: amounts of such work enter no verdict.
    fake: bool
    #: Deaths and what they took, by what they would have taken without checkpoints.
    resumability: Resumability
    #: What it carries of the fleet's idle, among `spent`.
    shared_idle: SharedIdle
    #: Idle and boot of the machines that it worked on which no job caused, where the rule leaves them with the fleet;
    #: not in `spent`. By currency, nano-units.
    fleet_idle: Mapping[str, int]
    #: Digest of the price book.
    book: str
    #: What is wrong with the facts, one line each.
    errors: tuple[str, ...] = ()
    #: What is still being computed for it; None when nothing is.
    under_way: UnderWay | None = None
    #: The exchange rates that it rests on, and what lacks one.
    exchanged: Exchanged = field(default_factory=Exchanged)

    @property
    def budgeted(self) -> Money:
        """What of it a budget counts: machines and APIs, neither people nor a share of the fleet's idle."""
        counted = (
            entry.nano
            for entry in self.entries
            if entry.bucket is not Bucket.PEOPLE and entry.price_row != SHARED_IDLE and entry.currency == self.currency
        )
        return Money(sum(counted), self.currency)

    @property
    def api_bills(self) -> dict[str, ApiBill]:
        """All stages at the APIs compared with, by form of sending: silence skipped, and the whole file."""
        forms = ((Basis.SPEECH_ONLY, self.verdict), (Basis.WHOLE_FILE, self.verdict_whole_file))
        return {
            basis.value: api_bill(self.counterfactuals, one.against or self.verdict.against, basis, self.currency)
            for basis, one in forms
        }

    @property
    def minute_costs(self) -> MinuteCosts:
        """What a finished minute of its media cost."""
        people = self.spent.by_bucket.get(Bucket.PEOPLE.value, Money(0, self.currency))
        languages: dict[str, int] = {}
        for entry in self.entries:
            languages[entry.language] = languages.get(entry.language, 0) + entry.nano
        known = self.state == "done" and not self.unpriced and not self.spent.elsewhere
        return minute_costs(
            self.duration_ms if known else None,
            self.spent.total - people,
            None if self.people.amount is None else people,
            languages,
        )

    @property
    def unpriced_lines(self) -> tuple[str, ...]:
        """Each kind of unpriced usage once, in words."""
        return unpriced_lines(self.unpriced)

    def as_json(self) -> dict[str, Any]:
        """The object that `segue ledger JOB --json` prints."""
        return {
            "job": self.job_id,
            "owner": self.owner,
            "labels": dict(self.labels),
            "media": list(self.media),
            "state": self.state,
            "engines": self.engines,
            "standing": self.standing.value,
            "fake": self.fake,
            "currency": self.currency,
            "cost_of_finished_minute": self.minute_costs.as_json(),
            "api_bill": {form: bill.as_json() for form, bill in self.api_bills.items()},
            "duration_ms": self.duration_ms,
            "speech_ms": self.speech_ms,
            "spent": self.spent.as_json(),
            "budgeted": self.budgeted.nano,
            "avoided": {one.kind: one.as_json() for one in self.avoided},
            "counterfactuals": [one.as_json() for one in self.counterfactuals],
            "verdict": {
                **self.verdict.as_json(),
                "whole_file": self.verdict_whole_file.as_json(),
                "same_class": self.verdict_same_class.as_json(),
            },
            "people": {
                "basis": self.people.basis,
                "amount": _range_json(self.people.amount),
                "by_stage": {stage: _range_json(share) for stage, share in self.people.by_stage.items()},
            },
            "unpriced": [one.as_json() for one in self.unpriced],
            "entries": [one.as_json() for one in self.entries],
            "timeline": [span.as_json() for span in self.timeline],
            "nodes": [node.as_json() for node in self.nodes],
            "resumability": resumability_json(self.resumability),
            "shared_idle": self.shared_idle.as_json(),
            "fleet_idle": dict(self.fleet_idle),
            "under_way": None if self.under_way is None else self.under_way.as_json(),
            "exchange": self.exchanged.as_json(),
            "price_book": self.book,
            "errors": list(self.errors),
        }


def unpriced_lines(unpriced: Iterable[Unpriced | UnpricedSum]) -> tuple[str, ...]:
    """Each kind of unpriced usage once: how much of it, in which stages, and which price is missing."""
    sums: dict[tuple[str, str], int] = {}
    stages: dict[tuple[str, str], dict[str, None]] = {}
    for one in unpriced:
        place = one.meter, one.why
        sums[place] = sums.get(place, 0) + one.quantity
        stages.setdefault(place, {})[one.stage or one.bucket.value] = None
    lines = []
    for (meter, why), quantity in sums.items():
        much = f"{quantity / 1000:,.1f} s of node time" if meter == "node_ms" else f"{quantity:,} {meter}"
        lines.append(f"{much} ({', '.join(sorted(stages[meter, why]))}): {why}")
    return tuple(lines)


def _range_json(amount: Range | None) -> dict[str, int] | None:
    return None if amount is None else {"low": amount.low.nano, "point": amount.point.nano, "high": amount.high.nano}


def resumability_json(found: Resumability) -> dict[str, Any]:
    """Deaths, what they took, and what they would have taken without checkpoints."""
    return {
        "deaths": found.deaths,
        "lost_ms": found.lost.ms,
        "lost": found.lost.nano,
        "without_checkpoints_ms": found.without.ms,
        "without_checkpoints": found.without.nano,
        "saved_ms": found.saved_ms,
        "saved": found.saved,
    }
