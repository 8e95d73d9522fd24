"""A budget reservation: what of a job's budget may still be spent, less what is under way already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from core.keys import Key
from pipeline.stages.stage import Unit

#: (queue, unit) -> what the unit is expected to cost, in nano-units; None where nothing was measured.
Forecast = Callable[[str, Unit], int | None]


@dataclass
class BudgetReservation:
    """One job's, from one look at its account to the next."""

    #: What may still be spent, in nano-units, as of the last look.
    left: int
    forecast: Forecast
    #: The job's units that are in queues or with workers, each with its queue.
    under_way: Callable[[], Iterable[tuple[str, Unit]]]
    #: What each unit that was handed out is expected to cost. Those that have ended since the last look are in it as
    #: well: what they did cost is not in ``left`` yet.
    reserved: dict[Key, int] = field(default_factory=dict)

    def reserve(self) -> set[str]:
        """Takes into account what was handed out; returns the queues with a unit whose cost nobody can tell."""
        blind = set()
        for queue, unit in self.under_way():
            cost = self.forecast(queue, unit)
            if cost is None:
                blind.add(queue)
            self.reserved[unit.key] = max(self.reserved.get(unit.key, 0), cost or 0)
        return blind

    def affordable(self, queue: str, units: Iterable[Unit]) -> Iterator[Unit]:
        """Those units that may be handed out together, in their order, up to the first that would go past the budget.

        Of a stage that nobody has measured, one unit is handed out while anything is left, and more when it is known
        what that one took.
        """
        if queue in self.reserve():
            return
        left = self.left - sum(self.reserved.values())
        if left <= 0:
            return
        for unit in units:
            cost = self.forecast(queue, unit)
            if cost is None:
                yield unit
                return
            left -= cost
            if left < 0:
                return
            yield unit

    def next_cost(self, ready: Iterable[tuple[str, Collection[Unit]]]) -> int | None:
        """What the cheapest first unit of any queue is expected to cost; None without any, or where one is unknown."""
        costs = [self.forecast(queue, unit) for queue, units in ready for unit in list(units)[:1]]
        known = [cost for cost in costs if cost is not None]
        return min(known) if known and len(known) == len(costs) else None
