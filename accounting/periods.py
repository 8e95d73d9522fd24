"""Months of the calendar, UTC, as the books use them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ledger.entries import Period

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def month_text(at: int) -> str:
    """The UTC month of an instant in ms since the epoch: ``2026-11``."""
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m")


def month_of(at: int) -> Period:
    """The UTC month that an instant is in."""
    return Period.month(month_text(at))


def month_after(month: Period) -> Period:
    """The month that follows."""
    return month_of(month.end)


def months_of(period: Period) -> Iterator[Period]:
    """The period's parts by month; of its first and last month there may be a part only."""
    at = period.start
    while at < period.end:
        month = month_of(at)
        yield Period(at, min(month.end, period.end))
        at = month.end


def day_text(at: int) -> str:
    """The UTC day of an instant: ``2026-11-21``."""
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%d")


def instant_text(at: int) -> str:
    """An instant as the journals write it: UTC, ISO 8601, with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")


def now_ms() -> int:
    """This instant."""
    return time.time_ns() // 1_000_000
