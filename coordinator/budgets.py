"""Budgets: a job is handed out as far as its budget goes; when nothing more fits it ends, and keeps what is finished.

Work counts before it is done: what is under way is reserved at the pace that was measured on its queue, at the dearest
worker's price, and an API's calls as estimated. What was never measured is handed out one unit at a time.
What a job has cost is read from the facts of its attempts on disk, whoever made them; nothing is kept in memory that a
new coordinator could not read again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from accounting.spending import Prices, Spending
from coordinator.active import ActiveJob
from coordinator.admission import Admission
from coordinator.defects import blaming
from coordinator.finalizer import Finalizer
from coordinator.floor import Floor
from coordinator.reservation import BudgetReservation, Forecast
from core.errors import UsageError
from core.keys import Key
from core.money import Money, MoneyError, quote
from ledger.billing import machine_cost
from pipeline.budget import PLACES
from pipeline.report import left_of
from pipeline.stages.stage import Unit

#: How often the account is looked at, in seconds.
LOOK_S = 2.0
#: The same while a job waits for nothing else than its account.
STARVED_S = 0.2
#: And never sooner than after so many times what the last look took: what was handed out since then is reserved.
LOOK_SHARE = 10


class Budgets:
    """Ends jobs whose budget is spent. Jobs without one cost it nothing."""

    def __init__(self, floor: Floor, admission: Admission, finalizer: Finalizer) -> None:
        self._floor, self._admission, self._finalizer = floor, admission, finalizer
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
        jobs = [job for job in self._floor.active.values() if job.wanted.budget]
        self._known = {job.job_id: job for job in jobs if self._known.get(job.job_id) is job}
        now = time.monotonic()
        fresh = [job for job in jobs if job.job_id not in self._known]
        pause = STARVED_S if any(self._starved(job) for job in jobs) else LOOK_S
        pause = max(pause, LOOK_SHARE * self._took)
        # A worker that has come since may cost more than those that were reckoned with, or nobody knows what.
        came = self._workers() - self._priced if jobs else frozenset()
        if fresh or came or (jobs and now - self._looked >= pause):
            self._looked, self._priced = now, self._workers()
            self._look([job for job in jobs if not job.halted])
            self._took = time.monotonic() - now
            self._known = {job.job_id: job for job in jobs}
        for job in jobs:
            if job.reservation is not None:
                with blaming(job.job_id):
                    job.reservation.reserve()
        for job in jobs:
            if job.halted and not job.work.finished and not self._in_flight(job):
                # What was in flight when it was halted has cost something since.
                self._look([job])
                self._floor.log(job.job_id, "budget", job.halted)
                self._admission.withdraw(job)
                self._finalizer.spent_up(job, f"{job.halted}; {left_of(job.work)}")
                self._floor.register.drop(job.job_id)

    def _workers(self) -> frozenset[tuple[str, str, str]]:
        """(worker, queue, price) of each queue that is served."""
        return frozenset(
            (str(info.get("id") or ""), str(each.get("queue") or ""), str(info.get("price") or ""))
            for info in self._floor.workers
            for each in info.get("serves", ())
        )

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
            left.nano, self._forecast(job, allowed.currency, spending), lambda: self._under_way(job)
        )
        ahead = job.reservation.next_cost(job.ready().items())
        if ahead is not None and ahead > left.nano and not self._in_flight(job):
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
            fee, rates = fees[unit.key], self._floor.rates
            if prices[queue] and not rates.is_measured(queue):
                return fee or None
            ms = rates.predict(queue, unit.stage, unit.audio_ms)
            return fee + machine_cost(ms, prices[queue])

        return forecast

    def _dearest(self, job: ActiveJob, queue: str, currency: str, spending: Spending) -> Fraction:
        """The highest price an hour of the workers that serve a queue."""
        found = [Fraction(quote(job.wanted.node_rate)[0])] if job.wanted.node_rate else []
        for info in self._floor.workers:
            if any(each.get("queue") == queue for each in info.get("serves", ())):
                price = _said_price(info, currency)
                if price is None and not job.wanted.node_rate:
                    price = spending.price_of(str(info.get("node") or ""), currency)
                found += [price] if price is not None else []
        return max(found, default=Fraction(0))

    def _starved(self, job: ActiveJob) -> bool:
        """True when nothing of a job is under way, and what was is still counted as if it were."""
        return job.reservation is not None and bool(job.reservation.reserved) and not self._in_flight(job)

    def _under_way(self, job: ActiveJob) -> Iterable[tuple[str, Unit]]:
        for batch in self._floor.in_flight.sent.values():
            for unit in batch.units.values():
                if unit.job_id == job.job_id:
                    yield batch.queue, unit

    def _halt(self, job: ActiveJob, why: str) -> None:
        job.halted = why
        self._admission.hold_back(job)

    def _account(self) -> Spending:
        if self._spending is None:
            self._spending = Spending(self._floor.store, Prices.of(self._floor.runtime.settings))
        return self._spending

    def _unpriced_workers(self, job: ActiveJob, currency: str) -> str:
        """Which worker could be given the job's work whose machine nobody can price; empty when there is none."""
        if job.wanted.node_rate:
            return ""
        names = set(job.ready())
        for info in self._floor.workers:
            if not any(each.get("queue") in names for each in info.get("serves", ())):
                continue
            price = str(info.get("price") or "")
            if price and quote(price)[1] != currency:
                return f"worker {info.get('id', '')} is priced in {quote(price)[1]}, the budget in {currency}"
            if not price and self._account().price_of(str(info.get("node") or ""), currency) is None:
                return f"what the machine of worker {info.get('id', '')} costs an hour is not known"
        return ""

    def _in_flight(self, job: ActiveJob) -> bool:
        return any(True for _ in self._under_way(job))


def _said_price(info: Mapping[str, Any], currency: str) -> Fraction | None:
    """What a worker says that its machine costs an hour; None for nothing that can be read, or another currency."""
    try:
        amount, unit = quote(str(info.get("price") or ""))
    except MoneyError:
        return None
    return Fraction(amount) if unit == currency else None
