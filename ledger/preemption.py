"""What it cost that the cloud took machines away. Pure functions over the books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ledger.billing import BilledSession
from ledger.entries import Bucket, LedgerEntry

#: Work that a machine's end made worthless, or that was done twice for it.
_WASTED = (Bucket.LOST, Bucket.DUPLICATE)
#: What a machine takes before it works.
_STARTING = (Bucket.LOAD, Bucket.BOOT)
#: A replacement may begin when the cloud gives notice, two minutes before it takes the machine (AWS; Azure 30 s).
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
NOTICE_MS = 120_000
#: With which the reason of a session begins that ended because its cloud, or a script for it, said so.
CLOUD_REASONS = ("aws:", "azure:", "gcp:", "file:")


@dataclass(frozen=True)
class Preemption:
    """What it cost that machines were taken away."""

    #: Machines that were taken.
    taken: int
    #: Machines that took the place of one: their loading and booting was not needed otherwise.
    replaced: int
    #: Nano-units by bucket and currency: work lost or done twice, and the starting of replacements.
    by_bucket: Mapping[Bucket, Mapping[str, int]]

    @property
    def total(self) -> dict[str, int]:
        """Nano-units by currency."""
        found: dict[str, int] = {}
        for amounts in self.by_bucket.values():
            for currency, nano in amounts.items():
                found[currency] = found.get(currency, 0) + nano
        return dict(sorted(found.items()))


def was_taken(bill: BilledSession) -> bool:
    """Whether a machine ended without a word, or on its cloud's."""
    return bill.end.estimated or bill.end.reason.startswith(CLOUD_REASONS)


def replacements(taken: Iterable[BilledSession], all_bills: Sequence[BilledSession]) -> frozenset[str]:
    """The machines that took the place of others: for each that was taken, in order, the first that began after it (or
    after its notice) and that replaces no other yet."""
    found: set[str] = set()
    begun = sorted(all_bills, key=lambda bill: (bill.start, bill.session))
    for gone in sorted(taken, key=lambda bill: (bill.end.at, bill.session)):
        after = max(gone.end.at - NOTICE_MS, gone.start)
        new = next((bill for bill in begun if bill.start > after and bill.session not in found), None)
        if new is not None:
            found.add(new.session)
    return frozenset(found)


def preemption_cost(
    entries: Iterable[LedgerEntry], bills: Sequence[BilledSession], on_demand: frozenset[str]
) -> Preemption:
    """What it cost that machines were taken; those of ``on_demand`` are not taken by anybody.

    Work that was lost or done twice counts wherever it happened on the others, and so does the loading and booting of
    each machine that took the place of one.
    """
    taken = [bill for bill in bills if bill.session not in on_demand and was_taken(bill)]
    new = replacements(taken, bills)
    found: dict[Bucket, dict[str, int]] = {bucket: {} for bucket in (*_WASTED, *_STARTING)}
    for entry in entries:
        wasted = entry.bucket in _WASTED and entry.session not in on_demand
        if wasted or (entry.bucket in _STARTING and entry.session in new):
            amounts = found[entry.bucket]
            amounts[entry.currency] = amounts.get(entry.currency, 0) + entry.nano
    return Preemption(len(taken), len(new), found)
