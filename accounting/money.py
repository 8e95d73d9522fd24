"""Sums of entries in one currency. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from accounting.report import JobSpending
from core.money import Money
from ledger.entries import Bucket, LedgerEntry


def spent_of(entries: Iterable[LedgerEntry], currency: str) -> JobSpending:
    """What these entries sum to; other currencies apart."""
    total = 0
    cells: dict[tuple[str, str], int] = {}
    times: dict[str, int] = {}
    elsewhere: dict[str, int] = {}
    for entry in entries:
        bucket = entry.bucket.value
        times[bucket] = times.get(bucket, 0) + entry.unit_ms
        if entry.currency != currency:
            elsewhere[entry.currency] = elsewhere.get(entry.currency, 0) + entry.nano
            continue
        total += entry.nano
        cells[bucket, entry.stage] = cells.get((bucket, entry.stage), 0) + entry.nano
    buckets = [bucket.value for bucket in Bucket if any(name == bucket.value for name, _ in cells)]
    stages = sorted({stage for _, stage in cells})
    return JobSpending(
        total=Money(total, currency),
        by_bucket={name: _sum(cells, 0, name, currency) for name in buckets},
        by_stage={stage: _sum(cells, 1, stage, currency) for stage in stages},
        by_bucket_and_stage={
            name: {stage: Money(cells[name, stage], currency) for stage in stages if (name, stage) in cells}
            for name in buckets
        },
        ms_by_bucket={bucket.value: times[bucket.value] for bucket in Bucket if times.get(bucket.value)},
        elsewhere=tuple(Money(nano, name) for name, nano in sorted(elsewhere.items())),
    )


def _sum(cells: Mapping[tuple[str, str], int], place: int, name: str, currency: str) -> Money:
    return Money(sum(nano for cell, nano in cells.items() if cell[place] == name), currency)
