"""What it cost in some books that machines were taken away: `ledger.preemption` for the machines of the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accounting.facts import openings
from accounting.fleet.utilization import Queues, work_times
from accounting.fleet_ledger import FleetLedger
from accounting.sharing.month_use import NODE_TIME
from journals.facts import AttemptEnded, AttemptStarted, EngineLoaded, ProcessStarted, SessionOpened
from ledger.entries import LedgerEntry, Period, Unpriced
from ledger.preemption import FleetHistory, Line, Preemption, preemption_cost
from ledger.spot_saving import OnDemandPrices, SpotSaving, spot_saving


@dataclass(frozen=True)
class SpotUse:
    """The price of preemption beside what spot saved."""

    #: What it cost that machines were taken away.
    preemption: Preemption
    #: What spot saved all the same.
    saving: SpotSaving


def spot_use(ledger: FleetLedger, period: Period) -> SpotUse:
    """Of the books of this period."""
    history, lines = _history(ledger), _lines(ledger)
    lost = preemption_cost(history, lines, period)
    prices = OnDemandPrices(ledger.book, ledger.rules.exchange)
    return SpotUse(lost, spot_saving(history, lines, lost, prices, period))


def preemption(ledger: FleetLedger, period: Period, opened: Mapping[str, SessionOpened] | None = None) -> Preemption:
    """Of the books of this period; ``opened``: what machines are, where these books suppose something else."""
    return preemption_cost(_history(ledger, opened), _lines(ledger), period)


def _history(ledger: FleetLedger, opened: Mapping[str, SessionOpened] | None = None) -> FleetHistory:
    """Of the machines of the fleet; a run's own machine, which nobody replaces, is not among them."""
    facts = ledger.facts
    homes = {fact.process: fact.session for fact in facts.facts if isinstance(fact, ProcessStarted)}
    loads: dict[str, list[EngineLoaded]] = {}
    started: dict[str, list[AttemptStarted]] = {}
    for fact in facts.facts:
        if isinstance(fact, EngineLoaded):
            loads.setdefault(homes.get(fact.process, ""), []).append(fact)
        elif isinstance(fact, AttemptStarted):
            started.setdefault(homes.get(fact.process, ""), []).append(fact)
    return FleetHistory(
        bills=[bill for bill in ledger.folded.bills if bill.session not in facts.embedded],
        opened=openings(facts.facts) if opened is None else opened,
        loads=loads,
        started=started,
        ends={fact.attempt: fact for fact in facts.facts if isinstance(fact, AttemptEnded)},
        made_by=facts.made_by,
        queued=Queues(ledger, work_times(ledger)).fleet,
        now=ledger.rules.now,
    )


def _lines(ledger: FleetLedger) -> tuple[Line, ...]:
    times: list[LedgerEntry | Unpriced] = [usage for usage in ledger.unpriced if usage.meter == NODE_TIME]
    return (*ledger.entries, *times)
