"""Idle time of a fleet: who pays for machines that ran while no job caused it.

The rule ``shared``: a month's idle, boot and increments of the fleet's machines are shared by the jobs that had time on
these machines in that month, by their node time there. What a job carries is entered twice, to the job and, negative,
to nobody: every sum over the fleet stays what it was. The rule ``fleet`` leaves all of it with the fleet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from accounting.fleet_ledger import FleetLedger
from accounting.periods import now_ms
from accounting.sharing.month_use import NODE_TIME, IdleTime, MonthUse, Payer, month_uses
from core.money import split
from ledger.allocation import entry_id
from ledger.entries import SHARED_IDLE, Bucket, LedgerEntry, Quality, Unpriced


class IdleRule(StrEnum):
    """Who carries a fleet's idle."""

    #: The jobs of the month, by their node time.
    SHARED = "shared"
    #: No job.
    FLEET = "fleet"


def with_shared_idle(ledger: FleetLedger, rule: IdleRule, *, job: str = "") -> FleetLedger:
    """The books with each month's idle shared; ``job``: only what this one carries, and that without its reversal."""
    if rule is IdleRule.FLEET:
        return ledger
    owners = {name: card.owner for name, card in ledger.owners.items()}
    entries: list[LedgerEntry] = []
    unpriced: list[Unpriced] = []
    for use in month_uses(ledger).values():
        entries += shared_entries(use, owners)
        unpriced += shared_unpriced(use, owners)
    if job:
        return ledger.adding(
            [each for each in entries if each.job == job], [each for each in unpriced if each.job == job]
        )
    return ledger.adding(entries, unpriced)


def shared_entries(use: MonthUse, owners: Mapping[str, str]) -> Iterator[LedgerEntry]:
    """What each job carries of a month's idle, and the reversals; they sum to zero in each bucket and currency."""
    quality = Quality.ESTIMATED if use.month.end > now_ms() else Quality.MEASURED
    for (bucket, caused, currency), idle in sorted(use.idle.items()):
        for payer, nano, ms in _shares(idle, use.fleet, caused):
            yield LedgerEntry(
                *_about(use, bucket, (caused, currency), payer, owners),
                language="",
                unit_ms=ms,
                start=use.month.start,
                end=use.month.end,
                nano=nano,
                currency=currency,
                price_row=SHARED_IDLE,
                quality=quality,
                fake=payer[2],
            )


def shared_unpriced(use: MonthUse, owners: Mapping[str, str]) -> Iterator[Unpriced]:
    """As `shared_entries`, of machines without a price."""
    for (bucket, caused, why), idle in sorted(use.idle_unpriced.items()):
        for payer, ms, _ in _shares(idle, use.fleet, caused):
            about = _about(use, bucket, (caused, why), payer, owners)
            yield Unpriced(*about, NODE_TIME, ms, use.month.start, use.month.end, why, payer[2])


def _about(
    use: MonthUse, bucket: Bucket, kind: tuple[str, str], payer: Payer, owners: Mapping[str, str]
) -> tuple[str, str, str, Bucket, str, str, str, str]:
    """Id, session, attempt, bucket, stage, engine, job and owner of a share."""
    job, stage, fake = payer
    name = entry_id("idle", str(use.month.start), bucket.value, *kind, job, stage, str(fake))
    return name, "", "", bucket, stage, "", job, owners.get(job, "")


def _shares(idle: IdleTime, fleet: Mapping[Payer, int], stage: str) -> Iterator[tuple[Payer, int, int]]:
    """Each job's part of an amount and of its time, then the whole once more, negative, for nobody."""
    payers = sorted((payer, ms) for payer, ms in fleet.items() if ms > 0)
    weights = [ms for _, ms in payers]
    if not weights:
        return
    parts = zip(payers, split(idle.amount, weights), split(idle.ms, weights), strict=True)
    for (payer, _), amount, ms in parts:
        if amount or ms:
            yield payer, amount, ms
    if idle.amount or idle.ms:
        yield ("", stage, False), -idle.amount, -idle.ms
