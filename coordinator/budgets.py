"""Budgets: a job is handed out as far as its budget goes; when nothing more fits it ends, and keeps what is finished.

Work counts before it is done: what is under way is reserved at the pace that was measured on its queue, at the dearest
worker's price, and an API's calls as estimated. What was never measured is handed out one unit at a time.
What a job has cost is read from the facts of its attempts on disk, whoever made them; nothing is kept in memory that a
new coordinator could not read again.
"""

from __future__ import annotations

import time
from fractions import Fraction
from functools import cached_property

from accounting.spending import Prices, Spending
from coordinator.active import ActiveJob
from coordinator.active_jobs import ActiveJobs
from coordinator.announcements import Announcements
from coordinator.defects import blaming
from coordinator.finalizer import Finalizer
from coordinator.in_flight import InFlightBatches
from coordinator.rates import Rates
from coordinator.register import JobRegister
from coordinator.reservation import BudgetReservation, Forecast
from coordinator.roster import Worker, WorkerRoster
from core.errors import UsageError
from core.keys import Key
from core.money import Money, MoneyError, quote
from ledger.billing import machine_cost
from pipeline.budget import PLACES
from pipeline.report import left_of
from pipeline.runtime import Runtime
from pipeline.stages.stage import Unit

#: How often the account is looked at, in seconds.
LOOK_S = 2.0
#: The same while a job waits for nothing else than its account.
STARVED_S = 0.2
#: And never sooner than after so many times what the last look took: what was handed out since then is reserved.
LOOK_SHARE = 10


class Budgets:
    """Ends jobs whose budget is spent. Jobs without one cost it nothing."""

    def __init__(
        self,
        runtime: Runtime,
        jobs: ActiveJobs,
        in_flight: InFlightBatches,
        roster: WorkerRoster,
        rates: Rates,
        register: JobRegister,
        finalizer: Finalizer,
        announcements: Announcements,
    ) -> None:
        self._runtime, self._jobs, self._in_flight, self._roster = runtime, jobs, in_flight, roster
        self._rates, self._register, self._finalizer, self._announcements = rates, register, finalizer, announcements
        self._spending: Spending | None = None
        self._looked = self._took = 0.0
        #: Jobs whose account has been looked at since they were opened.
        self._known: dict[str, ActiveJob] = {}
        #: Workers as of the last look: which queues each serves, and for what price.
        self._priced: frozenset[tuple[str, str, str]] = frozenset()

    def enforce(self) -> None:
        """Holds back jobs that have spent their budget and ends those of them with nothing in flight.

        Called before anything is handed out. Raises StoreError.
        """
        jobs = [job for job in self._jobs.values() if job.wanted.budget]
        self._known = {job.job_id: job for job in jobs if self._known.get(job.job_id) is job}
        now = time.monotonic()
        fresh = [job for job in jobs if job.job_id not in self._known]
        pause = STARVED_S if any(self._starved(job) for job in jobs) else LOOK_S
        pause = max(pause, LOOK_SHARE * self._took)
        # A worker that has come since may cost more than those that were reckoned with, or nobody knows what.
        came = self._roster.offers() - self._priced if jobs else frozenset()
        if fresh or came or (jobs and now - self._looked >= pause):
            self._looked, self._priced = now, self._roster.offers()
            self._look([job for job in jobs if not job.halted])
            self._took = time.monotonic() - now
            self._known = {job.job_id: job for job in jobs}
        for job in jobs:
            if job.reservation is not None:
                with blaming(job.job_id):
                    job.reservation.reserve()
        for job in jobs:
            if job.halted and not job.work.finished and not self._is_under_way(job):
                # What was in flight when it was halted has cost something since.
                self._look([job])
                self._announcements.log(job.job_id, "budget", job.halted)
                self._jobs.withdraw(job)
                self._finalizer.spent_up(job, f"{job.halted}; {left_of(job.work)}")
                self._register.drop(job.job_id)

    def _look(self, jobs: list[ActiveJob]) -> None:
        if not jobs:
            return
        try:
            spending = self._account()
            spending.refresh()
        except UsageError as error:
            # Without its price book nothing can be counted, so nothing that is limited goes on.
            for job in jobs:
                self._halt(job, f"its budget cannot be counted: {error}")
            return
        for job in jobs:
            with blaming(job.job_id):
                self._judge(job, spending)

    def _judge(self, job: ActiveJob, spending: Spending) -> None:
        wanted = job.wanted
        try:
            cap = Money.parse(wanted.budget)
            allowed = Money(cap.nano * (1 + wanted.retried), cap.currency)
            unknown = self._unpriced_workers(job, allowed.currency)
            found = spending.of([job.job_id], allowed.currency, wanted.node_rate)
        except UsageError as error:
            self._halt(job, f"its budget cannot be counted: {error}")
            return
        if found.unknown or unknown:
            why = (*found.unknown, unknown)[0]
            self._halt(job, f"a budget needs a price: {why}; submit it with --node-rate, or without --budget")
            return
        spent = Money(found.nano, allowed.currency)
        if spent >= allowed:
            self._halt(job, f"its budget of {allowed} is spent ({spent.amount(PLACES)} {spent.currency})")
            return
        left = allowed - spent
        job.reservation = BudgetReservation(
            left.nano, self._forecast(job, allowed.currency, spending), lambda: self._in_flight.under_way(job.job_id)
        )
        ahead = job.reservation.next_cost(job.ready().items())
        if ahead is not None and ahead > left.nano and not self._is_under_way(job):
            said = f"{left.amount(PLACES)} of it is left, and what comes next is expected to cost"
            self._halt(job, f"its budget of {allowed}: {said} {Money(ahead, left.currency).amount(PLACES)}")

    def _forecast(self, job: ActiveJob, currency: str, spending: Spending) -> Forecast:
        """What a unit is expected to cost on the dearest of the workers that may be given it."""
        prices: dict[str, Fraction] = {}
        fees: dict[Key, int] = {}

        def forecast(queue: str, unit: Unit) -> int | None:
            if queue not in prices:
                prices[queue] = self._dearest(job, queue, currency, spending)
            if unit.key not in fees:
                fees[unit.key] = spending.expected_fee(unit, unit.spec, currency)
            fee, rates = fees[unit.key], self._rates
            if prices[queue] and not rates.is_measured(queue):
                return fee or None
            ms = rates.predict(queue, unit.stage, unit.audio_ms)
            return fee + machine_cost(ms, prices[queue])

        return forecast

    def _dearest(self, job: ActiveJob, queue: str, currency: str, spending: Spending) -> Fraction:
        """The highest price an hour of the workers that serve a queue."""
        prices = self._prices
        said = prices.hourly(job.wanted.node_rate, currency) if job.wanted.node_rate else None
        found = [] if said is None else [said]
        for worker in self._roster:
            if queue in worker.queues:
                price = _said_price(worker, currency, prices)
                if price is None and not job.wanted.node_rate:
                    price = spending.price_of(worker.node, currency)
                found += [price] if price is not None else []
        return max(found, default=Fraction(0))

    def _starved(self, job: ActiveJob) -> bool:
        """True when nothing of a job is under way, and what was is still counted as if it were."""
        return job.reservation is not None and bool(job.reservation.reserved) and not self._is_under_way(job)

    def _halt(self, job: ActiveJob, why: str) -> None:
        job.halted = why
        self._in_flight.hold_back(job.job_id)

    def _account(self) -> Spending:
        if self._spending is None:
            self._spending = Spending(self._runtime.store, self._prices)
        return self._spending

    @cached_property
    def _prices(self) -> Prices:
        return Prices.of(self._runtime.settings)

    def _unpriced_workers(self, job: ActiveJob, currency: str) -> str:
        """Which worker could be given the job's work whose machine nobody can price; empty when there is none."""
        if (text := job.wanted.node_rate) and self._prices.hourly(text, currency) is None:
            said = quote(text)[1]
            return self._prices.why_none(f"its --node-rate is in {said}", said, currency)
        if text:
            return ""
        names = set(job.ready())
        for worker in self._roster:
            if names.isdisjoint(worker.queues):
                continue
            if worker.price and self._prices.hourly(worker.price, currency) is None:
                said = quote(worker.price)[1]
                return self._prices.why_none(f"worker {worker.id} is priced in {said}", said, currency)
            if not worker.price and self._account().price_of(worker.node, currency) is None:
                return f"what the machine of worker {worker.id} costs an hour is not known"
        return ""

    def _is_under_way(self, job: ActiveJob) -> bool:
        return any(True for _ in self._in_flight.under_way(job.job_id))


def _said_price(worker: Worker, currency: str, prices: Prices) -> Fraction | None:
    """What a worker says that its machine costs an hour; None for nothing that can be read, or that no exchange rate
    leads from."""
    try:
        return prices.hourly(worker.price, currency)
    except MoneyError:
        return None
