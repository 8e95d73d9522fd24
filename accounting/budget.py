"""The most that jobs may cost: at the cap no new work is taken, what is finished stays, and it can be continued.

The cap holds for the jobs, not for one run of them: what earlier runs paid for the same jobs counts. A batch is begun
only if it is expected to end within the cap, at the pace of this run's batches of its stage so far (of this store's
where it has had none), with the loading of its engine; an API's calls count as estimated. One that is not is halved
until it is, and only where a single unit would go past the cap the run ends. What was never measured is
begun while anything is left, and a batch that takes longer than its kind did is finished: by so much a job may cost
more than its cap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from accounting.spending import Prices, Spending, batch_ahead, now_ms
from core.errors import StoreError, UsageError
from core.money import CurrencyError, Money, quote
from core.specs import EngineSpec
from journals.facts import AttemptEnded, AttemptStarted, EngineLoaded
from journals.lines import AttemptLine
from ledger.billing import machine_cost
from ledger.speed import RECENT, Speeds, measured_ms
from pipeline.budget import BudgetEnd
from pipeline.stages import is_done_in_turn, loaded_for, stage_named
from pipeline.stages.stage import Unit

if TYPE_CHECKING:
    from pipeline.runtime import Runtime

#: Of budgets that say no currency, where no price says one either.
USUAL_CURRENCY = "USD"


def parse_budget(text: str, currency: str) -> Money:
    """``2.50 EUR``, or ``2.50`` of ``currency``, as an amount above 0. Raises MoneyError, UsageError."""
    cap = Money.parse(text if len(text.split()) != 1 else f"{text} {currency}")
    if cap.nano <= 0:
        raise UsageError(f"a budget of {cap} buys nothing", "give an amount above 0, such as --budget 2.50")
    return cap


def budget_of(text: str, node_rate: str, currency: str = USUAL_CURRENCY) -> Money:
    """The cap that ``--budget`` says; without a currency it is in that of the machine's price, else in ``currency``.

    Raises MoneyError, UsageError.
    """
    return parse_budget(text, quote(node_rate)[1] if node_rate else currency)


def check_node_rate(text: str, cap: Money, prices: Prices) -> Fraction:
    """What the machine costs an hour, in the cap's currency by today's exchange rate; refuses what cannot be set
    against the cap. Raises UsageError, MoneyError.
    """
    if not text:
        raise UsageError(
            "a budget needs a price, and what this machine costs an hour is not known",
            f"say --node-rate '0.526 {cap.currency}' (or SEGUE_NODE_PRICE); '0 {cap.currency}' if it costs nothing",
        )
    price = prices.hourly(text, cap.currency)
    if price is None:
        said = quote(text)[1]
        raise CurrencyError(
            f"the budget is in {cap.currency} and the machine's price in {said}",
            f"give both in the same currency, or a rate: {prices.exchange.into(cap.currency).why_none(said, now_ms())}",
        )
    return price


class RunBudget:
    """An embedded run's cap and its account: the machine from `begin` on, and what APIs charge. Thread-safe."""

    def __init__(self, cap: Money, node_rate: str, prices: Prices, spending: Spending) -> None:
        #: An hour of the machine; a run that goes on over midnight is counted by this day's rate until it ends.
        self._price = check_node_rate(node_rate, cap, prices)
        self.cap = cap
        self._node_rate, self._spending, self._meter = node_rate, spending, prices.meter(cap.currency)
        self._lock = threading.Lock()
        self._jobs: set[str] = set()
        #: Nanoseconds that only go forward.
        self.clock: Callable[[], int] = time.monotonic_ns
        self._earlier = 0
        self._fees: dict[str, int] = {}
        self._open: dict[str, AttemptStarted] = {}
        #: When each batch under way is expected to be through, on the same clock.
        self._due: dict[str, int] = {}
        #: As in `Spending`, of this run alone.
        self._batches, self._loads = Speeds[tuple[str, str]](RECENT), Speeds[str](RECENT)
        self._ahead: Money | None = None
        self._begun: int | None = None
        #: Why the account cannot be trusted, in one line; empty while it can.
        self.trouble = ""
        self._not_counted = ""

    @classmethod
    def open(cls, cap: Money, runtime: Runtime, prices: Prices, roles: Sequence[str]) -> RunBudget:
        """The account of a run that is about to begin and that needs engines for these roles.

        Raises UsageError where anything that will be used has no price: unknown is not 0.
        """
        budget = cls(cap, runtime.settings.node_price, prices, Spending(runtime.store, prices))
        for role in filter(runtime.is_remote, roles):
            spec = runtime.engine_spec(role)
            why = budget._meter.unpriced(stage_named(loaded_for(role)), spec)
            if why:
                raise UsageError(
                    f"a budget needs a price: {why}",
                    f"add a row with 'segue prices import FILE', or for an endpoint of your own set SEGUE_OWN_ENGINES="
                    f"'{spec.describe()}', or leave out --budget",
                )
        budget._spending.refresh()
        budget._not_counted = "people" if runtime.settings.engineering_hours else ""
        return budget

    def include(self, job_id: str) -> None:
        """Counts what earlier runs paid for a job; once is enough. Raises StoreError."""
        with self._lock:
            if job_id in self._jobs:
                return
            self._jobs.add(job_id)
            found = self._spending.of([job_id], self.cap.currency, self._node_rate)
            self._earlier += found.nano
            if found.unknown:
                self.trouble = f"earlier work on these jobs has no price that a budget can count: {found.unknown[0]}"

    def begin(self) -> None:
        """From now on the machine is paid for."""
        with self._lock:
            if self._begun is None:
                self._begun = self.clock()

    def take(self, line: AttemptLine) -> None:
        """A line that this run's own journal was given: an API's call counts as estimated until its usage is known."""
        fact = line.fact("")
        with self._lock:
            if isinstance(fact, AttemptStarted):
                self._open[fact.attempt] = fact
                self._due[fact.attempt] = self.clock() + self._predicted_ns(fact)
                if fact.remote:
                    self._charge(fact, None)
            elif isinstance(fact, AttemptEnded) and fact.attempt in self._open:
                started = self._open.pop(fact.attempt)
                self._due.pop(fact.attempt)
                place = started.stage, started.engine
                self._batches.note(place, fact.engine_ms, measured_ms(started, fact))
                if started.remote:
                    self._charge(started, fact)
            elif isinstance(fact, EngineLoaded):
                self._loads.note(fact.engine, fact.seconds_ms, 1)

    def fits(self, stage: str, units: Sequence[Unit], engine: EngineSpec, *, remote: bool) -> bool:
        """Whether a batch may be begun: it is expected to end within the cap, or nothing says when it will end.

        An engine that this run has not used yet is loaded first, which counts too.
        """
        with self._lock:
            batch = batch_ahead(stage, units, engine, remote=remote)
            fee = sum(amount.nano for amount in self._meter.charge(batch)[0])
            predicted = self._predicted_ns(batch)
            until = max([self.clock() + predicted, *self._due.values()])
            ahead = self._nano(until) + fee
            if ahead <= self.cap.nano or (not predicted and not fee):
                self._ahead = None
                return True
            self._ahead = Money(ahead, self.cap.currency)
            return False

    def _predicted_ns(self, batch: AttemptStarted) -> int:
        """How long a batch will keep the machine before it can be left; 0 where nothing was measured."""
        place, audio_ms = (batch.stage, batch.engine), _indivisible_ms(batch)
        ms = self._batches.predict(place, audio_ms)
        ms = self._spending.batches.predict(place, audio_ms) if ms is None else ms
        loaded = batch.remote or batch.engine in self._loads
        loading = 0 if loaded else self._spending.loads.predict(batch.engine, 1)
        return ((ms or 0) + (loading or 0)) * 1_000_000

    def _charge(self, started: AttemptStarted, ended: AttemptEnded | None) -> None:
        fees, unpriced = self._meter.charge(started, ended)
        if unpriced:
            self.trouble = self.trouble or f"a budget needs a price: {unpriced[0]}"
        self._fees[started.attempt] = sum(fee.nano for fee in fees)

    def state(self) -> BudgetEnd:
        """The account as it is now."""
        with self._lock:
            currency = self.cap.currency
            spent, earlier = Money(self._nano(self.clock()), currency), Money(self._earlier, currency)
            return BudgetEnd(
                self.cap, spent, earlier, trouble=self.trouble, ahead=self._ahead, not_counted=self._not_counted
            )

    def final(self) -> BudgetEnd:
        """The account once the run is over: what the ledger says of these jobs, to the nano-unit.

        Where the disk fails, or something has no price, the account as this run kept it.
        """
        kept = self.state()
        with self._lock, suppress(StoreError):
            self._spending.refresh()
            found = self._spending.of(self._jobs, self.cap.currency, self._node_rate)
            if not found.unknown:
                return replace(kept, spent=Money(found.nano, self.cap.currency))
        return kept

    def _nano(self, until: int) -> int:
        """What the jobs will have cost at an instant of the clock, if nothing else is begun."""
        began = until if self._begun is None else self._begun
        ms = Fraction(until - began, 1_000_000)
        return machine_cost(ms, self._price) + sum(self._fees.values()) + self._earlier

    @property
    def exhausted(self) -> bool:
        """True when no new work may be taken."""
        state = self.state()
        return bool(state.trouble) or state.spent >= self.cap


def _indivisible_ms(batch: AttemptStarted) -> int:
    """The speech that is through before a batch can be left: some engines of this machine can be after each unit."""
    lengths = [unit.audio_ms for unit in batch.units]
    return max(lengths, default=0) if is_done_in_turn(batch.stage, remote=batch.remote) else sum(lengths)
