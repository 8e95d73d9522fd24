"""What it cost that the cloud took machines away. Pure functions over the books.

A machine was taken when it left at its cloud's word, or was a spot machine and died without one. Another made up for it
when it began while work had been queued ever since: what that one took to boot, and to load what the other had loaded,
was paid for again. Work that was lost, broken off or done twice for it counts wherever it was paid for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from journals.facts import AttemptEnded, AttemptStarted, EngineLoaded, SessionOpened
from ledger.billing import BilledSession
from ledger.entries import Bucket, LedgerEntry, Period, Unpriced
from ledger.spans import Span, Spans

#: A replacement may begin when the cloud gives notice, two minutes before it takes the machine (AWS; Azure 30 s).
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
NOTICE_MS = 120_000
#: With which the reason of a session begins that ended because its cloud, or a script for it, said so.
CLOUD_REASONS = ("aws:", "azure:", "gcp:", "file:")
#: Work that a machine's end made worthless, or that was done twice for it, and what a machine takes before it works.
PREEMPTION_BUCKETS = (Bucket.LOST, Bucket.DUPLICATE, Bucket.LOAD, Bucket.BOOT)

Line = LedgerEntry | Unpriced


@dataclass(frozen=True)
class Preemption:
    """What it cost that machines were taken away."""

    #: Machines that were taken.
    taken: int
    #: Machines that took the place of one: their loading and booting was not needed otherwise.
    replaced: int
    #: Nano-units by bucket and currency: work lost or done twice, and the starting of replacements.
    by_bucket: Mapping[Bucket, Mapping[str, int]]
    #: The same nano-units by machine and currency.
    by_machine: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: Node time of it in ms by machine, also of machines without a price.
    ms_by_machine: Mapping[str, int] = field(default_factory=dict)
    #: Of that, time without a price.
    unpriced_ms: int = 0

    @property
    def total(self) -> dict[str, int]:
        """Nano-units by currency."""
        found: dict[str, int] = {}
        for amounts in self.by_bucket.values():
            for currency, nano in amounts.items():
                found[currency] = found.get(currency, 0) + nano
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class FleetHistory:
    """What preemption is found from."""

    #: Bills of the fleet's machines, runs' own not among them.
    bills: Sequence[BilledSession]
    #: Openings by session.
    opened: Mapping[str, SessionOpened]
    #: Loadings by session.
    loads: Mapping[str, Sequence[EngineLoaded]]
    #: Attempts by session.
    started: Mapping[str, Sequence[AttemptStarted]]
    #: Their ends.
    ends: Mapping[str, AttemptEnded]
    #: Attempt that made a record, by key.
    made_by: Mapping[str, str]
    #: When the fleet had work.
    queued: Spans
    #: The instant of asking; None for the past.
    now: int | None = None

    @property
    def taken(self) -> list[BilledSession]:
        """The machines that were taken, by when."""
        found = [bill for bill in self.bills if was_taken(bill, self.opened.get(bill.session), self.now)]
        return sorted(found, key=lambda bill: (bill.end.at, bill.session))

    def is_spot(self, session: str) -> bool:
        """Whether a machine says that it may be taken."""
        return session in self.opened and bool(self.opened[session].spot)


def was_taken(bill: BilledSession, opened: SessionOpened | None, now: int | None = None) -> bool:
    """Whether a machine ended on its cloud's word, or is known to be a spot machine and ended without one.

    One that lives now has not ended; one on demand is taken by nobody; one that does not say what it is and dies
    without a word may have died of anything.
    """
    spot = opened.spot if opened else None
    if spot is False:
        return False
    alive = now is not None and bill.end.at >= now
    return bill.end.reason.startswith(CLOUD_REASONS) or (bool(spot) and bill.end.estimated and not alive)


def replacements(taken: Iterable[BilledSession], all_bills: Sequence[BilledSession], queued: Spans) -> dict[str, str]:
    """The machine that took the place of each other one: for those that were taken, in order, the first that began
    after it (or after its notice) and that replaces no other yet, if work was queued at the end and ever since."""
    found: dict[str, str] = {}
    begun = sorted(all_bills, key=lambda bill: (bill.start, bill.session))
    for gone in sorted(taken, key=lambda bill: (bill.end.at, bill.session)):
        after = max(gone.end.at - NOTICE_MS, gone.start)
        until = next((end for start, end in queued if start <= gone.end.at <= end), after)
        new = next((bill for bill in begun if after < bill.start < until and bill.session not in found.values()), None)
        if new is not None:
            found[gone.session] = new.session
    return found


def preemption_cost(history: FleetHistory, lines: Sequence[Line], period: Period) -> Preemption:
    """What it cost in a period; ``lines``: its entries, and its time of machines without a price."""
    causes = _Causes(history, lines, period)
    by_bucket: dict[Bucket, dict[str, int]] = {bucket: {} for bucket in PREEMPTION_BUCKETS}
    by_machine: dict[str, dict[str, int]] = {}
    times: dict[str, int] = {}
    unpriced_ms = 0
    for line in lines:
        if not causes.explain(line):
            continue
        ms = line.unit_ms if isinstance(line, LedgerEntry) else line.quantity
        times[line.session] = times.get(line.session, 0) + ms
        if isinstance(line, Unpriced):
            unpriced_ms += ms
            continue
        for amounts in (by_bucket[line.bucket], by_machine.setdefault(line.session, {})):
            amounts[line.currency] = amounts.get(line.currency, 0) + line.nano
    taken = sum(period.start <= bill.end.at < period.end for bill in history.taken)
    replaced = sum(period.start <= bill.start < period.end for bill in history.bills if bill.session in causes.again)
    return Preemption(taken, replaced, by_bucket, by_machine, times, unpriced_ms)


class _Causes:
    """Which lines being taken away is the reason for."""

    def __init__(self, history: FleetHistory, lines: Sequence[Line], period: Period) -> None:
        self._history = history
        self._gone = {bill.session: bill.end.at for bill in history.taken}
        places = replacements(history.taken, history.bills, history.queued)
        #: The machines that took the place of others.
        self.again = frozenset(places.values())
        # What a machine was at when it was taken; what an earlier process of it lost is another death's.
        self._dying = {
            line.attempt
            for line in lines
            if line.bucket is Bucket.LOST
            and line.session in self._gone
            and line.end >= min(self._gone[line.session], period.end)
        }
        self._twice = self._done_twice()
        self._reloads = {
            new: _first_loads(history.loads.get(new, ()), history.loads.get(gone, ())) for gone, new in places.items()
        }

    def explain(self, line: Line) -> bool:
        """Whether a machine that was taken is the reason for it."""
        if line.bucket is Bucket.LOST:
            return line.attempt in self._dying
        if line.bucket is Bucket.DUPLICATE:
            return line.attempt in self._twice
        if line.bucket is Bucket.LOAD:
            spans = self._reloads.get(line.session, ())
            return any(start <= line.start and line.end <= end for start, end in spans)
        return line.bucket is Bucket.BOOT and line.session in self.again

    def _done_twice(self) -> set[str]:
        """Attempts that a machine broke off to go, and those that began after a machine was taken at what it had been
        at or had just done: nobody knew yet that it was there."""
        history, found = self._history, set[str]()
        left_at: dict[str, int] = {}
        for session, gone in self._gone.items():
            for attempt in history.started.get(session, ()):
                end = history.ends.get(attempt.attempt)
                if end is not None and end.left:
                    found.add(attempt.attempt)
                for unit in attempt.units:
                    if end is None or history.made_by.get(unit.key) == attempt.attempt:
                        left_at[unit.key] = min(gone, left_at.get(unit.key, gone))
        for attempt in (each for attempts in history.started.values() for each in attempts):
            if any(attempt.at >= left_at[unit.key] - NOTICE_MS for unit in attempt.units if unit.key in left_at):
                found.add(attempt.attempt)
        return found


def _first_loads(loads: Sequence[EngineLoaded], before: Sequence[EngineLoaded]) -> tuple[Span, ...]:
    """When each engine that the machine before had loaded was first loaded again."""
    had = {(load.stage, load.engine) for load in before}
    found: dict[tuple[str, str], Span] = {}
    for load in sorted(loads, key=lambda load: load.at):
        if (load.stage, load.engine) in had:
            found.setdefault((load.stage, load.engine), (load.at - load.seconds_ms, load.at))
    return tuple(found.values())
