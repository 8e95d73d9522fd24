"""The books of a store: its facts folded under a price book, and charged to jobs. `segue ledger` shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

from accounting.facts import JobOwner, LedgerFacts
from accounting.in_progress import UnderWay, under_way_of
from accounting.periods import month_of, now_ms
from accounting.report import Finality
from accounting.sharing.charge import Charging, Weights
from accounting.verdicts.month_work import StageWork
from journals.node_session import BEAT_SECONDS
from ledger.activity import Provenance
from ledger.demand import Demand
from ledger.entries import LedgerEntry, Period, Residual, Unpriced
from ledger.exchange import NATIVE, Exchange, Exchanged, ExchangeUse
from ledger.fold import FoldRules, Ledger, fold_with
from ledger.price_book.prices import PriceBook
from ledger.totals import Dimension, LedgerTotals, Sum, UnpricedTotals

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
    #: The report's currency, and the rates into it.
    exchange: Exchange = NATIVE
    #: Whether entries are cut at midnight, UTC, also where nothing is converted: a closing's, so that they can be.
    by_day: bool = False
    #: Whether the book goes before ``node_rate``, which is then for what would have no price at all.
    book_first: bool = False

    @property
    def native(self) -> PricingRules:
        """The same with every amount in the currency of its price."""
        return replace(self, exchange=NATIVE)

    def fold_rules(self) -> FoldRules:
        """As the fold is told."""
        by_day = self.by_day or bool(self.exchange)
        beat_ms = round(BEAT_SECONDS * 1000)
        return FoldRules(beat_ms, self.node_rate, self.now, self.own_engines, by_day, self.book_first)

    @property
    def said(self) -> str:
        """What these books are told of machines of no known price, as kept bills name it."""
        return f"{self.node_rate}, after the price book" if self.node_rate and self.book_first else self.node_rate


@dataclass(frozen=True)
class FleetLines:
    """The books line by line."""

    #: Entries after charging, by session, start, attempt and id.
    entries: tuple[LedgerEntry, ...]
    #: Usage without a price, after charging.
    unpriced: tuple[Unpriced, ...]
    #: The books before charging, in the currencies of the prices.
    folded: Ledger
    #: What they were made from.
    facts: LedgerFacts


@dataclass(frozen=True)
class PeriodSums:
    """Sums of a period, of what has a price and of what has none."""

    #: Sums of the entries.
    totals: LedgerTotals
    #: Sums of the usage without a price.
    unpriced: UnpricedTotals


#: A month's first instant, job, stage and language: what audio is counted by.
AudioPlace = tuple[int, str, str, str]


@dataclass(frozen=True)
class FleetLedger:
    """What was spent on every machine, in a period or ever; charged to jobs where a job caused it.

    Sums are there at once. Lines (`entries`, `unpriced`, `folded`, `facts`) are read and folded when they are first
    asked for, where the sums were kept.
    """

    #: The lines; called more than once, it gives the same.
    lines: Callable[[], FleetLines]
    #: Sums of the entries.
    totals: LedgerTotals
    #: Sums of the usage without a price.
    unpriced_totals: UnpricedTotals
    #: Billed time that no life accounts for.
    residuals: tuple[Residual, ...]
    #: Owner and labels by job; jobs whose folder is gone are not there.
    owners: Mapping[str, JobOwner]
    #: Jobs of each embedded run, by its session.
    embedded: Mapping[str, tuple[str, ...]]
    #: What had not ended when the books were asked for; None where everything had.
    under_way: UnderWay | None
    #: When the first machine of all began; 0 without any.
    began: int
    #: The period; None for everything.
    period: Period | None
    #: Sums of each month that it touches, or of the part of it, by the month's first instant; None where they have to
    #: be made from the lines.
    by_month: Mapping[int, PeriodSums] | None = None
    #: Audio of finished units of real engines, in ms; None where it has to be counted from the lines.
    audio: Mapping[AudioPlace, int] | None = None
    #: What real engines computed, by month and stage; None where it has to be counted from the lines.
    work: Mapping[tuple[int, str], StageWork] | None = None
    #: Exchange rates that the entries have; None where they have to be found in the lines.
    exchange_use: ExchangeUse | None = None
    #: Digest over every entry; None where nobody took it.
    digest: str | None = None
    #: What is wrong with the facts, one line each.
    errors: tuple[str, ...] = ()
    #: Differences of closed months that were entered here; among the entries.
    late: tuple[LedgerEntry, ...] = ()
    #: How final they are.
    standing: Finality = Finality.PROVISIONAL
    #: The price book that they were folded with.
    book: PriceBook = field(default_factory=lambda: PriceBook(()))
    #: And the rules.
    rules: PricingRules = field(default_factory=PricingRules)

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """Entries after charging, by session, start, attempt and id."""
        return self.lines().entries

    @property
    def unpriced(self) -> tuple[Unpriced, ...]:
        """Usage without a price, after charging."""
        return self.lines().unpriced

    @property
    def folded(self) -> Ledger:
        """The books before charging."""
        return self.lines().folded

    @property
    def facts(self) -> LedgerFacts:
        """What they were made from."""
        return self.lines().facts

    @cached_property
    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """Labels by job."""
        return {job: whose.labels for job, whose in self.owners.items()}

    def adding(self, entries: Iterable[LedgerEntry], unpriced: Iterable[Unpriced] = ()) -> FleetLedger:
        """These books with more entries and usage."""
        more, without = tuple(entries), tuple(unpriced)
        totals, unpriced_totals = LedgerTotals.of(more), UnpricedTotals.of(without)
        totals.merge(self.totals)
        unpriced_totals.merge(self.unpriced_totals)
        use, lines = self.exchange_use, self.lines
        if use is not None:
            both = self.rules.exchange.use_of(more)
            both.merge(use)
            use = both

        @cache
        def longer() -> FleetLines:
            found = lines()
            return replace(found, entries=(*found.entries, *more), unpriced=(*found.unpriced, *without))

        return replace(self, lines=longer, totals=totals, unpriced_totals=unpriced_totals, exchange_use=use)

    def with_late(self, late: tuple[LedgerEntry, ...]) -> FleetLedger:
        """These books with the differences of closed months that are entered here."""
        more, months = self.adding(late), dict(self.by_month or {})
        for entry in late:
            start = month_of(entry.start).start
            held = months.get(start, PeriodSums(LedgerTotals(), UnpricedTotals()))
            totals = LedgerTotals.of([entry])
            totals.merge(held.totals)
            months[start] = PeriodSums(totals, held.unpriced)

        @cache
        def ordered() -> FleetLines:
            found = more.lines()
            return replace(found, entries=tuple(sorted(found.entries, key=_place)))

        return replace(more, lines=ordered, late=late, by_month=None if self.by_month is None else months)

    def exchanged(self) -> Exchanged:
        """The exchange rates that the amounts rest on, and what lacks one."""
        exchange = self.rules.exchange
        if not exchange.currency:
            return Exchanged()
        use = exchange.use_of(self.entries) if self.exchange_use is None else self.exchange_use
        return exchange.told_of(use, self.rules.now or now_ms())

    def of_jobs(self, owner: str, labels: Mapping[str, str]) -> FleetLedger:
        """What jobs of this owner (empty: any) and with these labels were charged; nothing that no job caused."""

        @cache
        def mine(job: str) -> bool:
            whose = self.owners.get(job)
            return (
                whose is not None
                and (not owner or whose.owner == owner)
                and all(whose.labels.get(name) == text for name, text in labels.items())
            )

        lines = self.lines

        @cache
        def fewer() -> FleetLines:
            found = lines()
            return replace(
                found,
                entries=tuple(entry for entry in found.entries if mine(entry.job)),
                unpriced=tuple(usage for usage in found.unpriced if mine(usage.job)),
            )

        # Cells have the job in their third place.
        return replace(
            self,
            lines=fewer,
            totals=LedgerTotals({cell: sums for cell, sums in self.totals.cells.items() if mine(cell[2])}),
            unpriced_totals=UnpricedTotals(
                {cell: sums for cell, sums in self.unpriced_totals.cells.items() if mine(cell[2])}
            ),
            residuals=(),
            under_way=None,
            late=tuple(entry for entry in self.late if mine(entry.job)),
            by_month=None,
        )

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
    """The books over these facts, in the currency of the rules as far as their rates lead to it. Pure."""
    return ledger_of(fold_lines(facts, book, rules, period), book, rules, period)


def ledger_of(lines: FleetLines, book: PriceBook, rules: PricingRules, period: Period | None) -> FleetLedger:
    """The books that these lines are."""
    folded, facts = lines.folded, lines.facts
    return FleetLedger(
        lines=lambda: lines,
        totals=LedgerTotals.of(lines.entries),
        unpriced_totals=UnpricedTotals.of(lines.unpriced),
        residuals=folded.residuals,
        owners=facts.owners,
        embedded=facts.embedded,
        under_way=under_way_of(lines.entries, lines.unpriced, folded.under_way),
        began=min((bill.start for bill in folded.bills), default=0),
        period=period,
        errors=tuple(sorted({*folded.errors, *facts.errors})),
        book=book,
        rules=rules,
    )


def fold_lines(facts: LedgerFacts, book: PriceBook, rules: PricingRules, period: Period | None) -> FleetLines:
    """The lines of these books. Pure."""
    made, demand = Provenance(facts.made_by, facts.made_at), Demand(facts.demand)
    folded = fold_with(facts.facts, made, demand, book, period, rules.fold_rules())
    weights = Weights.of(folded.entries, folded.unpriced)
    if period is not None and (crossing := _crossing(folded, period)):
        whole = fold_with(facts.facts, made, demand, book, None, rules.fold_rules(), crossing)
        lives = Weights.of(whole.entries, whole.unpriced)
        weights = Weights({**weights.by_session, **lives.by_session})
    charging = Charging(weights, facts.embedded, facts.demand)
    entries = tuple(sorted(rules.exchange.entries(charging.entries(folded.entries)), key=_place))
    unpriced = tuple(sorted(charging.unpriced(folded.unpriced), key=_place))
    return FleetLines(entries, unpriced, folded, facts)


def _crossing(folded: Ledger, period: Period) -> frozenset[str]:
    """Machines that live on both sides of an edge of the period."""
    return frozenset(
        bill.session
        for bill in folded.bills
        if (bill.start < period.start < bill.billed_until) or (bill.start < period.end < bill.billed_until)
    )


def _place(each: LedgerEntry | Unpriced) -> tuple[str, int, str, str]:
    return each.session, each.start, each.attempt, each.id
