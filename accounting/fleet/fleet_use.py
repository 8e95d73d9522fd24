"""How well a period's machines were used: their time, what being taken away cost, what a successful request cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounting.fleet.preemption import SpotUse, spot_use
from accounting.fleet.utilization import Utilization, utilization
from accounting.fleet_ledger import FleetLedger
from core.money import Money
from journals.facts import AttemptEnded, AttemptStarted
from ledger.decision.unit_cost import cost_per
from ledger.entries import Bucket, Period
from ledger.spot_saving import added


@dataclass(frozen=True)
class RequestCost:
    """What the successful requests of a period cost, everything that was paid divided by how many there were."""

    #: Units of real engines whose record was made in the period.
    successful: int
    #: What was paid for machines and fees, fake work left out; nano-units by currency.
    paid: Mapping[str, int]
    #: The same with the people: all of a month that is over, of one that is not what its work carries of them so far.
    #: None where that is unknown.
    with_people: Mapping[str, int] | None
    #: Whether usage without a price is in neither.
    unpriced: bool

    def each(self, paid: Mapping[str, int] | None) -> dict[str, Money] | None:
        """What one request cost of such a sum; None without a request, and for an unknown sum."""
        if paid is None or not self.successful:
            return None
        found = {name: cost_per(Money(nano, name), self.successful) for name, nano in paid.items()}
        return {name: cost for name, cost in found.items() if cost is not None}

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units; null where there is none."""

        def amounts(paid: Mapping[str, int] | None) -> dict[str, int] | None:
            found = self.each(paid)
            return None if found is None else {name: cost.nano for name, cost in found.items()}

        return {
            "successful": self.successful,
            "cost": amounts(self.paid),
            "cost_with_people": amounts(self.with_people),
            "unpriced": self.unpriced,
        }


@dataclass(frozen=True)
class FleetUse:
    """How well the machines of a period were used."""

    #: The period.
    period: Period
    #: Their time.
    time: Utilization
    #: What being taken away cost, and what spot saved.
    spot: SpotUse
    #: What a successful request cost.
    requests: RequestCost

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units, times in ms."""
        lost = self.spot.preemption
        return {
            "period": {"start": self.period.start, "end": self.period.end},
            "utilization": self.time.as_json(),
            "preemption": {
                "machines_taken": lost.taken,
                "machines_replaced": lost.replaced,
                "cost": {
                    "total": lost.total,
                    "by_bucket": {bucket.value: dict(found) for bucket, found in lost.by_bucket.items()},
                },
                "unpriced_ms": lost.unpriced_ms,
            },
            "spot": self.spot.saving.as_json(),
            "requests": self.requests.as_json(),
        }


def fleet_use(ledger: FleetLedger, period: Period) -> FleetUse:
    """Of the books of this period, people among their entries where they are known."""
    return FleetUse(period, utilization(ledger), spot_use(ledger, period), request_cost(ledger, period))


def request_cost(ledger: FleetLedger, period: Period) -> RequestCost:
    """See `RequestCost`."""
    paid, people = dict[str, int](), dict[str, int]()
    for entry in ledger.entries:
        sums = paid
        if entry.bucket is Bucket.PEOPLE:
            over = ledger.rules.now is None or entry.end <= ledger.rules.now
            sums = people if entry.job or over else {}
        elif not entry.session or entry.fake:
            # What jobs carry of the fleet's idle is entered without a machine, and sums to zero.
            sums = {}
        sums[entry.currency] = sums.get(entry.currency, 0) + entry.nano
    unpriced = any(not usage.fake for usage in ledger.unpriced)
    return RequestCost(successful_units(ledger, period), paid, added(paid, people) if people else None, unpriced)


def successful_units(ledger: FleetLedger, period: Period) -> int:
    """Units of real engines whose record was made in a period: each is one request that came to its end."""
    facts = ledger.facts
    ends = {fact.attempt: fact.at for fact in facts.facts if isinstance(fact, AttemptEnded)}
    made: set[str] = set()
    for fact in facts.facts:
        if not isinstance(fact, AttemptStarted) or fact.fake:
            continue
        for unit in fact.units:
            if facts.made_by.get(unit.key) == fact.attempt:
                at = facts.made_at.get(unit.key, ends.get(fact.attempt, fact.at))
                if period.start <= at < period.end:
                    made.add(unit.key)
    return len(made)
