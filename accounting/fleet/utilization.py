"""How the machines of a period were used: at work, idle while work was queued, and idle while none was."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from accounting.facts import openings
from accounting.fleet_ledger import FleetLedger
from accounting.sharing.month_use import NODE_TIME
from journals.facts import AttemptStarted, DemandInterval, ProcessStarted, SessionOpened
from ledger.entries import WORK_BUCKETS, Bucket, LedgerEntry, Unpriced
from ledger.spans import Span, Spans, union
from ledger.utilization import PaidTime, idle_amounts, time_use

_FREE = frozenset({Bucket.IDLE, Bucket.BOOT})
#: Kind of a machine that left no description.
UNKNOWN = "a machine not described"


@dataclass(frozen=True)
class Utilization:
    """How the machines of a period were used."""

    #: All of them.
    whole: PaidTime = field(default_factory=PaidTime)
    #: By kind of machine, most paid time first.
    by_kind: Mapping[str, PaidTime] = field(default_factory=dict)
    #: What idle and boot cost while work was queued, in nano-units by currency.
    idle_queued: Mapping[str, int] = field(default_factory=dict)
    #: And while none was.
    idle_unqueued: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Times in ms, amounts in nano-units."""
        return {
            **self.whole.as_json(),
            "by_kind": {kind: use.as_json() for kind, use in self.by_kind.items()},
            "idle_queued": dict(self.idle_queued),
            "idle_unqueued": dict(self.idle_unqueued),
        }


def utilization(ledger: FleetLedger) -> Utilization:
    """How the machines of these books were used, all sums exact.

    A machine of the fleet may take any job's work; a run's own machine only that of its own jobs.
    """
    work = work_times(ledger)
    queues = Queues(ledger, work)
    found = openings(ledger.facts.facts)
    by_kind: dict[str, PaidTime] = {}
    for bill in ledger.folded.bills:
        life, until = _within(ledger, (bill.start, bill.end.at)), _within(ledger, (bill.start, bill.billed_until))[1]
        use = time_use(life, until, work.get(bill.session, ()), queues.of(bill.session))
        kind = kind_of(found.get(bill.session))
        if use.paid_ms:
            by_kind[kind] = by_kind.get(kind, PaidTime()) + use
    amounts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for entry in ledger.entries:
        if entry.bucket not in _FREE or not entry.session:
            continue
        times = work.get(entry.session, ()), queues.of(entry.session)
        parts = idle_amounts(entry.nano, (entry.start, entry.end), *times)
        for sums, nano in zip(amounts, parts, strict=True):
            sums[entry.currency] = sums.get(entry.currency, 0) + nano
    ordered = dict(sorted(by_kind.items(), key=lambda pair: (-pair[1].paid_ms, pair[0])))
    return Utilization(sum(by_kind.values(), PaidTime()), ordered, *amounts)


def useful_share(ledger: FleetLedger) -> Fraction | None:
    """Share of the paid time of these books' machines that was useful; None where none was.

    Machines on which fake engines worked are left out: they say nothing of real ones.
    """
    busy = [line for line in _lines(ledger) if line.bucket is Bucket.BUSY]
    fakes = {line.session for line in busy if line.fake}
    useful = sum(ms_of(line) for line in busy if line.session not in fakes)
    paid = 0
    for bill in ledger.folded.bills:
        start, end = _within(ledger, (bill.start, bill.billed_until))
        paid += 0 if bill.session in fakes else end - start
    return Fraction(useful, paid) if useful and paid else None


def ms_of(line: LedgerEntry | Unpriced) -> int:
    """Node time of an entry, or of usage of a machine without a price."""
    return line.unit_ms if isinstance(line, LedgerEntry) else line.quantity


def kind_of(opened: SessionOpened | None) -> str:
    """``1 x Tesla T4, azure Standard_NC4as_T4_v3 spot``; what nobody said is left out."""
    if opened is None:
        return UNKNOWN
    gpus = f"{len(opened.gpu)} x {opened.gpu[0]}" if opened.gpu else "cpu"
    kind = {True: "spot", False: "on demand", None: ""}[opened.spot]
    place = " ".join(part for part in (opened.cloud, opened.size, kind) if part)
    return f"{gpus}, {place}" if place else gpus


class Queues:
    """When work was queued, for each machine of some books."""

    def __init__(self, ledger: FleetLedger, work: Mapping[str, Spans]) -> None:
        """``work``: `work_times` of these books."""
        facts = ledger.facts
        now = ledger.rules.now
        self._runs = facts.embedded
        lives = {bill.session: (bill.start, bill.end.at) for bill in ledger.folded.bills}
        own: dict[str, list[tuple[str, Span]]] = {}
        for session, jobs in facts.embedded.items():
            for job in jobs:
                if session in lives:
                    own.setdefault(job, []).append((session, lives[session]))
        fleet: list[Span] = []
        self._own: dict[str, list[Span]] = {session: [] for session in facts.embedded}
        for want in facts.demand:
            span = queued_span(want, facts.made_at, now)
            # A run wants its jobs' units from within its own life, and nobody else gets them.
            runs = [session for session, (start, end) in own.get(want.job, ()) if start <= want.at <= end]
            for session in runs:
                self._own[session].append(span)
            if not runs:
                fleet.append(span)
        fleet += _purged_work(ledger, work)
        self._fleet = union(fleet)
        self._own_spans = {session: union(spans) for session, spans in self._own.items()}

    @property
    def fleet(self) -> Spans:
        """When the fleet had work."""
        return self._fleet

    def of(self, session: str) -> Spans:
        """When a machine had work."""
        return self._own_spans[session] if session in self._runs else self._fleet


def queued_span(want: DemandInterval, made_at: Mapping[str, int], now: int | None) -> Span:
    """When a job wanted units that were not finished: not the time in which it only put its results together."""
    if want.until is None:
        return want.at, max(want.at, now) if now is not None else want.at
    made = [made_at.get(key) for key in want.keys]
    last = want.until
    if made and None not in made:
        last = min(last, max((at for at in made if at is not None), default=last))
    return want.at, max(want.at, last)


def _purged_work(ledger: FleetLedger, work: Mapping[str, Spans]) -> Iterable[Span]:
    """Of a job whose folder is gone nothing says when it wanted its units, but what it did was wanted."""
    facts, known = ledger.facts.facts, {*ledger.facts.owners, ""}
    homes = {fact.process: fact.session or fact.process for fact in facts if isinstance(fact, ProcessStarted)}
    for fact in facts:
        if not isinstance(fact, AttemptStarted) or all(unit.job in known for unit in fact.units):
            continue
        spans = work.get(homes.get(fact.process, fact.process), ())
        place = bisect_right(spans, (fact.at, math.inf)) - 1
        if place >= 0 and fact.at < spans[place][1]:
            yield spans[place]


def work_times(ledger: FleetLedger) -> dict[str, Spans]:
    """When anything was active, by machine.

    As the fold found it; of closed months, which are not folded, as their entries say, in which an activity that had
    less than half a millisecond of its own is not to be seen.
    """
    found: dict[str, set[Span]] = {}
    for line in _lines(ledger):
        if line.session and line.bucket in WORK_BUCKETS and line.session not in ledger.folded.work:
            found.setdefault(line.session, set()).add((line.start, line.end))
    return {session: union(spans) for session, spans in found.items()} | dict(ledger.folded.work)


def _lines(ledger: FleetLedger) -> Iterable[LedgerEntry | Unpriced]:
    yield from ledger.entries
    yield from (usage for usage in ledger.unpriced if usage.meter == NODE_TIME)


def _within(ledger: FleetLedger, span: Span) -> Span:
    period = ledger.period
    if period is None:
        return span
    start, end = (min(max(at, period.start), period.end) for at in span)
    return start, end
