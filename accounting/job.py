"""One job's ledger: what it cost, what it avoided, what APIs would charge, and which was cheaper."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from accounting.avoided import Computed, avoided_by
from accounting.facts import FactReader, openings
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from accounting.in_progress import under_way_of
from accounting.job_machines import machines_of
from accounting.money import spent_of
from accounting.months import late_months, read_period
from accounting.periods import month_after, month_of, month_text, now_ms
from accounting.report import Avoided, Finality, JobReport, JobVerdict, NodeUse, SharedIdle
from accounting.sharing.idle import IdleRule, shared_entries, shared_unpriced
from accounting.sharing.month_use import MonthUse, month_uses
from accounting.sharing.people import JobPeople, PeopleRules, PeopleShares
from accounting.typed_facts import describe_node
from accounting.verdicts.verdict import VerdictInputs, judge
from accounting.verdicts.workload import (
    Fates,
    JobContent,
    compared_stages,
    read_content,
    stage_counterfactuals,
    timeline,
    workload,
)
from cache.store import Store
from core.money import Conversion
from jobs.status import status_of
from journals.facts import AttemptEnded, AttemptStarted
from ledger.api import Counterfactual
from ledger.billing import OWN_PRICE, SAID_PRICE, BilledSession
from ledger.demand import Demand
from ledger.entries import LedgerEntry, Unpriced
from ledger.exchange import Exchanged, UsedRate, day_of
from ledger.loss import units_lost, value_of_resumability
from ledger.price_book.model_tiers import tier_of
from ledger.price_book.prices import PriceBook
from ledger.price_book.tiers import Tier
from pipeline.jobs import JobFolder
from pipeline.stages import is_done_in_turn

PURGED, UNPLANNED = "purged", "unplanned"
DEFAULT_CURRENCY = "USD"


@dataclass(frozen=True)
class ReportRules:
    """How a report is made, beside the price book."""

    #: How facts are priced, and in which currency they are shown: without one, in that of the entries where they
    #: agree, else in USD.
    pricing: PricingRules = field(default_factory=PricingRules)
    #: Hours and rate of the people.
    people: PeopleRules = field(default_factory=PeopleRules)
    #: Who carries the fleet's idle.
    idle: IdleRule = IdleRule.SHARED
    #: APIs to compare with, as ``provider/model``; empty: the cheapest whose price was read at its source.
    against: tuple[str, ...] = ()
    #: Months that are closed, by their first instant.
    closed: frozenset[int] = frozenset()
    #: Machines that were checked against the provider's bill.
    reconciled: frozenset[str] = frozenset()


def job_report(store: Store, job_id: str, book: PriceBook, rules: ReportRules | None = None) -> JobReport:
    """Everything the ledger says of a job, also of one whose folder is gone. Raises StoreError, ConservationError."""
    chosen = rules or ReportRules()
    pricing = replace(chosen.pricing, now=chosen.pricing.now or now_ms())
    reader = FactReader(store, only=machines_of(store, job_id, book, pricing))
    content = read_content(JobFolder(store, job_id)) if job_id in reader.owners else None
    wanted = reader.demand.get(job_id, ())
    keys = frozenset[str]().union(*(interval.keys for interval in wanted), content.keys if content else ())
    reader.keep_usage(keys)
    facts = reader.facts(reader.sessions_of(job_id, keys))
    ledger = fold_facts(facts, book, pricing)
    return _Builder(reader, job_id, book, chosen, ledger, content, keys).report()


class _Builder:
    """Puts one report together."""

    def __init__(
        self,
        reader: FactReader,
        job_id: str,
        book: PriceBook,
        rules: ReportRules,
        ledger: FleetLedger,
        content: JobContent | None,
        keys: Collection[str],
    ) -> None:
        self._reader, self._job, self._book, self._rules = reader, job_id, book, rules
        self._ledger, self._content, self._keys = ledger, content, frozenset(keys)
        #: Of one of the job's months; None where nothing is shared by them.
        self._month_ledger: FleetLedger | None = None
        own = [entry for entry in ledger.entries if entry.job == job_id]
        unpriced = [usage for usage in ledger.unpriced if usage.job == job_id]
        months = {month for line in chain[LedgerEntry | Unpriced](own, unpriced) for month in _months(line)}
        self._months = sorted(months | late_months(reader.store, job_id, months))
        self._uses = self._read_uses(own, unpriced)
        idle, idle_unpriced = self._idle()
        self._shared = self._shared_idle(idle)
        #: When its own work ended; shares of a month's idle end with the month.
        self._worked_until = max((entry.end for entry in own), default=0) or now_ms()
        mine = [*own, *idle]
        self._currency = rules.pricing.exchange.currency or _common_currency(mine)
        self._exchange = rules.pricing.exchange.into(self._currency)
        self._entries = tuple(mine)
        self._unpriced = (*unpriced, *idle_unpriced)
        started = [fact for fact in ledger.facts.facts if isinstance(fact, AttemptStarted)]
        ended = {fact.attempt: fact for fact in ledger.facts.facts if isinstance(fact, AttemptEnded)}
        self._attempts = {attempt.attempt: attempt for attempt in started}
        self._computed = Computed(self._attempts, ended, ledger.entries)
        self._demand = Demand(ledger.facts.demand)
        self._fates = self._find_fates()

    def report(self) -> JobReport:
        """The whole of it."""
        state, media, engines = self._standing()
        # A job that waits, was cancelled or failed early has no plan either, and only a person can purge it.
        why = "was purged" if state == PURGED else f"is {state} and has no plan"
        without_plan = JobVerdict(None, f"the job {why}: nothing to compare with")
        content, rules, facts = self._content, self._rules, self._ledger.facts
        spent_before = spent_of(self._entries, self._currency)
        people = self._people()
        entries = (*self._entries, *people.entries)
        at = self._worked_until
        invoices = self._invoices(content, at, None) if content else []
        reference = VerdictInputs(
            invoices=invoices,
            computed=self._invoices(content, at, self._fates.paid) if content and self._fates.cached else invoices,
            entries=self._entries,
            unpriced=self._unpriced,
            elsewhere=spent_before.elsewhere,
            currency=self._currency,
            people=people.people,
            against=rules.against,
            finished=content is not None and content.work.finished and not content.work.has_failures,
            partly_cached=bool(self._fates.cached),
            tiers=self._tiers(content) if content else {},
        )
        whose = facts.owners.get(self._job)
        nodes = self._nodes()
        return JobReport(
            job_id=self._job,
            owner=self._owner,
            labels=whose.labels if whose else {},
            media=media,
            state=state,
            engines=engines,
            currency=self._currency,
            duration_ms=content.plan.media.duration_ms if content else 0,
            speech_ms=content.plan.segmentation.speech_ms if content else 0,
            spent=spent_of(entries, self._currency),
            avoided=self._avoided(),
            counterfactuals=tuple(invoices),
            verdict=judge(reference) if content else without_plan,
            verdict_whole_file=judge(replace(reference, whole_file=True)) if content else without_plan,
            verdict_same_class=judge(replace(reference, same_tier=True)) if content else without_plan,
            people=people.people,
            unpriced=self._unpriced,
            entries=tuple(sorted(entries, key=lambda entry: (entry.start, entry.session, entry.attempt, entry.id))),
            timeline=timeline(content, self._fates) if content else (),
            nodes=nodes,
            standing=self._final(nodes),
            fake=any(one.fake for one in self._entries) or any(usage.fake for usage in self._unpriced),
            resumability=value_of_resumability(self._entries),
            shared_idle=self._shared,
            fleet_idle={} if rules.idle is IdleRule.SHARED else self._fleet_idle(nodes),
            book=self._book.digest,
            errors=self._ledger.errors,
            under_way=under_way_of(self._entries, self._unpriced, self._ledger.folded.under_way),
            exchanged=self._exchanged(entries, invoices),
        )

    def _read_uses(self, own: Sequence[LedgerEntry], unpriced: Sequence[Unpriced]) -> dict[int, MonthUse]:
        """What everybody used the machines for in the job's months, where anything is shared by that.

        The months are read as their own screens read them, so that what the job carries is the same there.
        """
        rules, embedded = self._rules, self._ledger.facts.embedded
        on_fleet = any(line.session not in embedded for line in (*own, *unpriced))
        said = [rules.people, *(rules.people.of(start) for start in self._months)]
        if not (rules.idle is IdleRule.SHARED and on_fleet) and not any(each.is_set for each in said):
            return {}
        found: dict[int, MonthUse] = {}
        for start in self._months:
            month = month_of(start)
            self._month_ledger = read_period(self._reader.store, self._book, self._ledger.rules, month)
            found[start] = month_uses(self._month_ledger).get(start) or MonthUse(month)
        return found

    def _idle(self) -> tuple[list[LedgerEntry], list[Unpriced]]:
        if self._rules.idle is IdleRule.FLEET:
            return [], []
        owners = {self._job: self._owner}
        entries = [each for use in self._uses.values() for each in shared_entries(use, owners) if each.job == self._job]
        unpriced = [each for use in self._uses.values() for each in shared_unpriced(use, owners)]
        return entries, [each for each in unpriced if each.job == self._job]

    def _shared_idle(self, idle: Iterable[LedgerEntry]) -> SharedIdle:
        amounts: dict[str, int] = {}
        for entry in idle:
            amounts[entry.currency] = amounts.get(entry.currency, 0) + entry.nano
        said = []
        for start, use in self._uses.items():
            mine = sum(ms for (job, _, _), ms in use.fleet.items() if job == self._job and ms > 0)
            if mine:
                every = sum(ms for ms in use.fleet.values() if ms > 0)
                said.append(f"{mine / 1000:,.0f} of {every / 1000:,.0f} s of node time in {month_text(start)}")
        return SharedIdle(amounts, "; ".join(said) if amounts else "")

    @property
    def _owner(self) -> str:
        card = self._ledger.facts.owners.get(self._job)
        return card.owner if card else ""

    def _people(self) -> JobPeople:
        ledger = self._month_ledger or self._ledger
        return PeopleShares(ledger, self._rules.people, self._currency, self._uses).job(self._job)

    def _standing(self) -> tuple[str, tuple[str, ...], str]:
        """State, media names and engines; of a purged job only what the journals say."""
        # A job that nobody has taken up has no folder: how it stands says its order.
        standing = status_of(JobFolder(self._reader.store, self._job))
        if standing is not None:
            return str(standing.state), tuple(path.name for path in standing.media), standing.engines
        engines = {entry.engine for entry in self._entries if entry.engine}
        state = UNPLANNED if self._job in self._reader.owners else PURGED
        return state, (), ", ".join(sorted(engines))

    def _find_fates(self) -> Fates:
        """What became of each unit: paid for by this job, there before, taken by a death."""
        made_by, paid, lost = self._ledger.facts.made_by, set(), set()
        for key in self._keys:
            attempt = self._attempts.get(made_by.get(key, ""))
            if attempt is not None:
                own = next((unit.job for unit in attempt.units if unit.key == key), "")
                if self._job in self._demand.jobs(key, attempt.at, own):
                    paid.add(key)
        made_at, over = self._ledger.facts.made_at, self._computed.ended.keys() | self._ledger.folded.under_way
        for attempt in self._attempts.values():
            if attempt.attempt not in over:
                whose = {unit.key: unit.job for unit in attempt.units}
                in_turn = is_done_in_turn(attempt.stage, remote=attempt.remote)
                taken = units_lost(attempt, made_by, made_at, in_turn=in_turn)
                lost |= {key for key in taken if self._job in self._demand.jobs(key, attempt.at, whose[key])}
        there = {key for key in self._keys if key in made_by}
        return Fates(frozenset(paid), frozenset(there - paid), frozenset(lost & self._keys))

    def _invoices(self, content: JobContent, at: int, only: Collection[str] | None) -> list[Counterfactual]:
        used = self._ledger.facts.used
        return [
            invoice
            for stage in compared_stages(content)
            for invoice in stage_counterfactuals(
                stage, workload(content, stage, used, only), self._book, at, self._exchange.valid(at)
            )
        ]

    def _tiers(self, content: JobContent) -> dict[str, Tier]:
        """The class of the model that the job's plan has for each stage, where it is known."""
        specs = content.plan.settings.engines
        found = {}
        for stage in compared_stages(content):
            spec = specs.get(stage.role)
            tier = tier_of(stage.name, spec.provider, spec.model, self._book) if spec else None
            if tier is not None:
                found[stage.name] = tier
        return found

    def _exchanged(self, entries: Sequence[LedgerEntry], invoices: Sequence[Counterfactual]) -> Exchanged:
        """The rates of the amounts, and those that invoices say in their notes."""
        at = self._worked_until
        day = day_of(at)
        billed = [UsedRate(each, day, day) for each in self._exchange.valid(at) if _is_noted(each, invoices)]
        return self._exchange.told(entries, self._ledger.rules.now or now_ms(), billed)

    def _avoided(self) -> tuple[Avoided, ...]:
        if self._content is None:
            return ()
        resumed = self._reader.resumed.get(self._job, ())
        return avoided_by(
            self._content, self._fates, self._computed, self._ledger.facts.made_by, resumed, self._currency
        )

    def _nodes(self) -> tuple[NodeUse, ...]:
        """The machines that this job pays for."""
        opened = openings(self._ledger.facts.facts)
        mine = {entry.session for entry in self._entries} | {usage.session for usage in self._unpriced}
        found = []
        for bill in self._ledger.folded.bills:
            if bill.session in mine:
                opening = opened.get(bill.session)
                found.append(
                    NodeUse(
                        session=bill.session,
                        embedded=bill.session in self._ledger.facts.embedded,
                        gpus=opening.gpu if opening else (),
                        description=describe_node(self._reader.node(bill.session).opening),
                        price=_price(bill, opening.price if opening else "", self._rules.pricing.node_rate),
                        start=bill.start,
                        end=bill.billed_until,
                        estimated_end=bill.end.estimated,
                        billed=bill.totals(),
                        cloud=opening.cloud if opening else "",
                        size=opening.size if opening else "",
                        region=opening.region if opening else "",
                        spot=opening.spot if opening else None,
                    )
                )
        return tuple(found)

    def _final(self, nodes: Sequence[NodeUse]) -> Finality:
        if nodes and all(node.session in self._rules.reconciled for node in nodes):
            return Finality.RECONCILED
        months = set(self._months)
        return Finality.CLOSED if months and months <= self._rules.closed else Finality.PROVISIONAL

    def _fleet_idle(self, nodes: Iterable[NodeUse]) -> Mapping[str, int]:
        sessions = {node.session for node in nodes if not node.embedded}
        found: dict[str, int] = {}
        for entry in self._ledger.entries:
            if entry.session in sessions and not entry.job:
                found[entry.currency] = found.get(entry.currency, 0) + entry.nano
        return found


def _months(line: LedgerEntry | Unpriced) -> Iterator[int]:
    """First instants of the months that a line is in."""
    month = month_of(line.start)
    yield month.start
    while month.end < line.end:
        month = month_after(month)
        yield month.start


def _is_noted(conversion: Conversion, invoices: Iterable[Counterfactual]) -> bool:
    return any(conversion.words in one.note for one in invoices)


def _common_currency(entries: Iterable[LedgerEntry]) -> str:
    """That of the entries where they agree, else the default."""
    found = {entry.currency for entry in entries}
    return found.pop() if len(found) == 1 else DEFAULT_CURRENCY


def _price(bill: BilledSession, own: str, node_rate: str) -> str:
    """Where a machine's price is from, in words."""
    words = {OWN_PRICE: f"{own}/h, as the machine said", SAID_PRICE: f"{node_rate}/h, as given"}
    rows = [words.get(segment.price_row, segment.price_row) or "unpriced" for segment in bill.segments]
    return ", ".join(dict.fromkeys(rows)) or "unpriced"
