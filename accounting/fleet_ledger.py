"""The books of a store: its facts folded under a price book, and charged to jobs. `segue ledger` shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from accounting.charge import Charging, Weights
from accounting.facts import LedgerFacts
from accounting.report import Finality
from journals.node_session import BEAT_SECONDS
from ledger.activity import Provenance
from ledger.demand import Demand
from ledger.entries import LedgerEntry, Period, Residual, Unpriced
from ledger.fold import FoldRules, Ledger, fold_with
from ledger.prices import PriceBook
from ledger.totals import Dimension, LedgerTotals, Sum

#: Name under which all labels of a job are one.
_ALL_LABELS = "*"


@dataclass(frozen=True)
class PricingRules:
    """How facts are priced, beside the price book."""

    #: Price an hour, ``0.30 USD``, of machines that say none themselves; empty: the book's.
    node_rate: str = ""
    #: Engines (as entries name them) that machines of one's own serve over the network: they charge no fee.
    own_engines: frozenset[str] = frozenset()
    #: The instant of asking: what a process that has not missed its beats began is no loss. None for the past.
    now: int | None = None

    def fold_rules(self) -> FoldRules:
        """As the fold is told."""
        return FoldRules(round(BEAT_SECONDS * 1000), self.node_rate, self.now, self.own_engines)


@dataclass(frozen=True)
class FleetLedger:
    """What was spent on every machine, in a period or ever; charged to jobs where a job caused it."""

    #: Entries after charging, by session, start, attempt and id.
    entries: tuple[LedgerEntry, ...]
    #: Sums of the entries.
    totals: LedgerTotals
    #: Usage without a price, after charging.
    unpriced: tuple[Unpriced, ...]
    #: Billed time that no life accounts for.
    residuals: tuple[Residual, ...]
    #: The books before charging.
    folded: Ledger
    #: What they were made from.
    facts: LedgerFacts
    #: The period; None for everything.
    period: Period | None
    #: What is wrong with the facts, one line each.
    errors: tuple[str, ...] = ()
    #: Differences of closed months that were entered here; among the entries.
    late: tuple[LedgerEntry, ...] = ()
    #: How final they are.
    standing: Finality = Finality.PROVISIONAL
    #: Labels by job.
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: The price book that they were folded with.
    book: PriceBook = field(default_factory=lambda: PriceBook(()))
    #: And the rules.
    rules: PricingRules = field(default_factory=PricingRules)

    def adding(self, entries: Iterable[LedgerEntry], unpriced: Iterable[Unpriced] = ()) -> FleetLedger:
        """These books with more entries and usage."""
        more = tuple(entries)
        totals = LedgerTotals.of(more)
        totals.merge(self.totals)
        return replace(self, entries=(*self.entries, *more), totals=totals, unpriced=(*self.unpriced, *unpriced))

    def by(self, dimension: Dimension, *, fake: bool | None = None) -> dict[str, dict[str, Sum]]:
        """Value -> currency -> sum; what no job caused is under ``""``."""
        return self.totals.by(dimension, fake=fake)

    def by_labels(self) -> dict[str, dict[str, Sum]]:
        """As `by`, by all labels of a job together: ``season=1, team=dub``."""
        return self.totals.by_label(_ALL_LABELS, lambda job: {_ALL_LABELS: self.label_of(job)})

    def by_label(self, name: str, *, fake: bool | None = None) -> dict[str, dict[str, Sum]]:
        """As `by`, by the value of a label."""
        return self.totals.by_label(name, lambda job: self.labels.get(job, {}), fake=fake)

    def label_of(self, job: str, name: str = "") -> str:
        """The value of a job's label, or all its labels together; empty where it has none."""
        labels = self.labels.get(job, {})
        return labels.get(name, "") if name else ", ".join(f"{each}={text}" for each, text in sorted(labels.items()))


def fold_facts(facts: LedgerFacts, book: PriceBook, rules: PricingRules, period: Period | None = None) -> FleetLedger:
    """The books over these facts. Pure."""
    made, demand = Provenance(facts.made_by, facts.made_at), Demand(facts.demand)
    folded = fold_with(facts.facts, made, demand, book, period, rules.fold_rules())
    weights = Weights.of(folded.entries, folded.unpriced)
    if period is not None and (crossing := _crossing(folded, period)):
        whole = fold_with(facts.facts, made, demand, book, None, rules.fold_rules(), crossing)
        lives = Weights.of(whole.entries, whole.unpriced)
        weights = Weights({**weights.by_session, **lives.by_session})
    charging = Charging(weights, facts.embedded, facts.demand)
    entries = tuple(sorted(charging.entries(folded.entries), key=_place))
    unpriced = tuple(sorted(charging.unpriced(folded.unpriced), key=_place))
    return FleetLedger(
        entries=entries,
        totals=LedgerTotals.of(entries),
        unpriced=unpriced,
        residuals=folded.residuals,
        folded=folded,
        facts=facts,
        period=period,
        errors=tuple(sorted({*folded.errors, *facts.errors})),
        labels={job: whose.labels for job, whose in facts.owners.items()},
        book=book,
        rules=rules,
    )


def _crossing(folded: Ledger, period: Period) -> frozenset[str]:
    """Machines that live on both sides of an edge of the period."""
    return frozenset(
        bill.session
        for bill in folded.bills
        if (bill.start < period.start < bill.billed_until) or (bill.start < period.end < bill.billed_until)
    )


def _place(each: LedgerEntry | Unpriced) -> tuple[str, int, str, str]:
    return each.session, each.start, each.attempt, each.id
