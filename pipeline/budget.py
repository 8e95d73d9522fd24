"""What a run asks of a budget before it begins a batch, and how it stands to it in the end.

The account itself is `accounting.budget`: this room knows no prices.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.money import Money
from core.specs import EngineSpec
from journals.lines import AttemptLine
from pipeline.stages.stage import Unit

#: Decimals of amounts that people are shown.
PLACES = 4


@dataclass(frozen=True)
class BudgetEnd:
    """How a run with a budget stands to it."""

    #: The most that its jobs may cost.
    cap: Money
    #: What they have cost, earlier runs included.
    spent: Money
    #: What earlier runs paid of that.
    earlier: Money
    #: Whether it stopped the run.
    stopped: bool = False
    #: Why the account could not be trusted any more, in one line; empty while it could.
    trouble: str = ""
    #: What the batch that was not begun was expected to bring the cost to; None where none was held back.
    ahead: Money | None = None
    #: What the ledger counts of the jobs and a budget does not, in words; empty for nothing.
    not_counted: str = ""

    @property
    def left(self) -> Money:
        """What may still be spent; never below 0."""
        return Money(max(self.cap.nano - self.spent.nano, 0), self.cap.currency)

    def as_json(self) -> dict[str, Any]:
        """Nano-units of ``currency``."""
        return {
            "currency": self.cap.currency,
            "cap": self.cap.nano,
            "spent": self.spent.nano,
            "earlier": self.earlier.nano,
            "left": self.left.nano,
            "ahead": self.ahead.nano if self.stopped and self.ahead is not None else None,
            "stopped": self.stopped,
            "trouble": self.trouble,
            "not_counted": self.not_counted,
        }

    def describe(self) -> str:
        """``budget 2.5 USD: spent 2.4031 USD, 1.2 USD of it in earlier runs, 0.0969 USD left``."""
        currency = self.cap.currency
        earlier = f", {self.earlier.amount(PLACES)} {currency} of it in earlier runs" if self.earlier else ""
        left = f", {self.left.amount(PLACES)} {currency} left"
        if self.stopped and self.ahead is not None and self.left:
            left += f" (another batch would bring it to about {self.ahead.amount(PLACES)} {currency})"
        without = f"; not counted: {self.not_counted}" if self.not_counted else ""
        return f"budget {self.cap}: spent {self.spent.amount(PLACES)} {currency}{earlier}{left}{without}"


class Budget(Protocol):
    """An embedded run's cap and its account. Thread-safe."""

    def include(self, job_id: str) -> None:
        """Counts what earlier runs paid for a job; once is enough. Raises StoreError."""

    def begin(self) -> None:
        """From now on the machine is paid for."""

    def take(self, line: AttemptLine) -> None:
        """A line that this run's own journal was given."""

    def fits(self, stage: str, units: Sequence[Unit], engine: EngineSpec, *, remote: bool) -> bool:
        """Whether a batch may be begun."""

    def state(self) -> BudgetEnd:
        """The account as it is now."""

    def final(self) -> BudgetEnd:
        """The account once the run is over and its machine's session closed: as the ledger has it."""

    @property
    def exhausted(self) -> bool:
        """True when no new work may be taken."""


class BudgetGate:
    """Ends a run when its budget forbids new work; what has no budget passes. Thread-safe."""

    def __init__(self, budget: Budget | None, stop: Callable[[], None]) -> None:
        """``stop`` ends the run as if it were asked to."""
        self._budget, self._stop = budget, stop
        self._lock = threading.Lock()
        #: True once it was the budget that ended the run.
        self.closed = False

    def refuses(self) -> bool:
        """True when nothing new may be begun at all."""
        return self._budget is not None and self._budget.exhausted and self._close()

    def fits(self, units: Sequence[Unit], spec: EngineSpec, remote: bool) -> bool:
        """Whether these units would stay within the cap; ends nothing."""
        with self._lock:
            return self._fits(units, spec, remote)

    def affordable(self, units: list[Unit], spec: EngineSpec, remote: bool) -> list[Unit]:
        """The first of these units that may be begun together: all, or half as many as often as it takes.

        None where not even one would stay within the cap; that ends the run.
        """
        with self._lock:
            while not self._fits(units, spec, remote):
                if self.closed or len(units) == 1:
                    self._close()
                    return []
                units = units[: len(units) // 2]
            return units

    def _fits(self, units: Sequence[Unit], spec: EngineSpec, remote: bool) -> bool:
        """The lock must be held: what ended the run is not asked about again, so that it can be shown."""
        if self._budget is None or not units:
            return True
        return not self.closed and self._budget.fits(units[0].stage, units, spec, remote=remote)

    def _close(self) -> bool:
        self.closed = True
        self._stop()
        return True
