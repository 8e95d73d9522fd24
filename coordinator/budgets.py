"""Budgets: a job that has cost what it may is handed out no more; what is in flight is finished, then it ends.

What a job has cost is read from the facts of its attempts on disk, whoever made them; nothing is kept in memory that a
new coordinator could not read again.
"""

from __future__ import annotations

import time

from coordinator.active import ActiveJob
from coordinator.ending import Ending
from coordinator.floor import Floor
from coordinator.intake import Intake
from core.errors import UsageError
from core.money import Money, quote
from pipeline.budget import PLACES
from pipeline.report import left_of
from pipeline.spending import Prices, Spending

#: How often the account is looked at, in seconds.
LOOK_S = 2.0


class Budgets:
    """Ends jobs whose budget is spent. Jobs without one cost it nothing."""

    def __init__(self, floor: Floor, intake: Intake, ending: Ending) -> None:
        self._floor, self._intake, self._ending = floor, intake, ending
        self._spending: Spending | None = None
        self._looked = 0.0
        #: Jobs whose account has been looked at since they were opened.
        self._known: dict[str, ActiveJob] = {}

    def enforce(self) -> None:
        """Holds back jobs that have spent their budget and ends those of them with nothing in flight.

        Called before anything is handed out. Raises StoreError.
        """
        jobs = [job for job in self._floor.active.values() if job.wanted.budget]
        self._known = {job.job_id: job for job in jobs if self._known.get(job.job_id) is job}
        now = time.monotonic()
        fresh = [job for job in jobs if job.job_id not in self._known]
        if fresh or (jobs and now - self._looked >= LOOK_S):
            self._looked = now
            self._look([job for job in jobs if not job.halted])
            self._known = {job.job_id: job for job in jobs}
        for job in jobs:
            if job.halted and not job.work.finished and not self._in_flight(job):
                self._floor.log(job.job_id, "budget", job.halted)
                self._intake.withdraw(job)
                self._ending.spent_up(job, f"{job.halted}; {left_of(job.work)}")
                self._floor.register.drop(job.job_id)

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
        elif found.nano >= allowed.nano:
            spent = Money(found.nano, allowed.currency)
            self._halt(job, f"its budget of {allowed} is spent ({spent.amount(PLACES)} {spent.currency})")

    def _halt(self, job: ActiveJob, why: str) -> None:
        job.halted = why
        self._intake.hold_back(job)

    def _account(self) -> Spending:
        if self._spending is None:
            self._spending = Spending(self._floor.store, Prices.of(self._floor.runtime.settings))
        return self._spending

    def _unpriced_workers(self, job: ActiveJob, currency: str) -> str:
        """Which worker could be given the job's work whose machine nobody can price; empty when there is none."""
        if job.wanted.node_rate:
            return ""
        names = set(job.ready())
        for card in self._floor.cards:
            if not any(each.get("queue") in names for each in card.get("serves", ())):
                continue
            price = str(card.get("price") or "")
            if price and quote(price)[1] != currency:
                return f"worker {card.get('id', '')} is priced in {quote(price)[1]}, the budget in {currency}"
            if not price and not self._account().knows_price(str(card.get("node") or ""), currency):
                return f"nobody knows what the machine of worker {card.get('id', '')} costs an hour"
        return ""

    def _in_flight(self, job: ActiveJob) -> bool:
        batches = self._floor.desk.sent.values()
        return any(unit.job_id == job.job_id for batch in batches for unit in batch.units.values())
