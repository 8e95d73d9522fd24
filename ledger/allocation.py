"""One machine's bill, divided among those who were active on it; sums to the bill to the nano-unit.

A line of the bill is divided in two steps. First among the intervals of activity, by the time they had, then each
interval's amount among its jobs. So which jobs share an interval never moves the amount of another one, and a job that
is added later changes nothing for those who do not share with it. Both steps divide integers by largest remainder, in
an order that comes from names; nothing is ever rounded and then summed.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.money import split
from ledger.activity import ActivityInterval, Share
from ledger.billing import BilledSegment, BilledSession
from ledger.demand import Demand
from ledger.entries import DAY_MS, Bucket, LedgerEntry, Period, Quality, Unpriced
from ledger.sweep import Sharing

_ID_BYTES = 16


@dataclass(slots=True)
class _Slice:
    """An interval's part of one line of the bill."""

    interval: ActivityInterval
    start: int
    end: int
    weight: int


class Allocation:
    """Divides one session's bill."""

    def __init__(
        self,
        bill: BilledSession,
        intervals: Sequence[ActivityInterval],
        boot_end: int,
        demand: Demand,
        period: Period | None = None,
        *,
        by_day: bool = False,
    ) -> None:
        """``period``: only what falls into it; ``by_day``: what crosses a midnight, UTC, is cut there."""
        self._bill, self._demand = bill, demand
        self._boot_end = min(max(boot_end, bill.start), bill.end.at)
        cuts = {bill.start, self._boot_end, bill.end.at, bill.billed_until}
        cuts |= {segment.start for segment in bill.segments} | {segment.end for segment in bill.segments}
        self._edges = (period.start, period.end) if period else ()
        self._midnights = range(-(-bill.start // DAY_MS) * DAY_MS, bill.billed_until, DAY_MS) if by_day else range(0)
        cuts.update(self._edges, self._midnights)
        self._sharing = Sharing([(interval.start, interval.end) for interval in intervals], cuts)
        self._slices = self._cut(intervals)

    def results(self) -> list[LedgerEntry | Unpriced]:
        """Entries for priced stretches, unpriced usage for the others."""
        found: list[LedgerEntry | Unpriced] = []
        for segment, slices in zip(self._bill.segments, self._slices, strict=True):
            self._divide(segment, slices, found)
        return found

    def _cut(self, intervals: Sequence[ActivityInterval]) -> list[list[_Slice]]:
        """Each interval's slices by line of the bill. The lines cover the machine's life; intervals do not leave it."""
        segments = self._bill.segments
        found: list[list[_Slice]] = [[] for _ in segments]
        starts = [segment.start for segment in segments]
        if len(segments) == 1:
            weight = self._sharing.weight
            return [
                [
                    _Slice(interval, interval.start, interval.end, weight(interval.start, interval.end))
                    for interval in intervals
                ]
            ]
        for interval in intervals:
            place = max(bisect_right(starts, interval.start) - 1, 0)
            while place < len(segments) and segments[place].start < interval.end:
                start, end = max(interval.start, starts[place]), min(interval.end, segments[place].end)
                if start < end:
                    found[place].append(_Slice(interval, start, end, self._sharing.weight(start, end)))
                place += 1
        return found

    def _divide(self, segment: BilledSegment, slices: Sequence[_Slice], found: list[LedgerEntry | Unpriced]) -> None:
        spare = self._spare(segment)
        weights = [piece.weight for piece in slices] + [self._sharing.free(start, end) for _, start, end in spare]
        times = split(segment.end - segment.start, weights)
        amounts: list[int | None] = [None] * len(weights)
        if segment.nano is not None:
            amounts = [*split(segment.nano, weights)]
        whole = not self._edges and not self._midnights
        for piece, ms, nano in zip(slices, times, amounts, strict=False):
            interval, start = piece.interval, piece.start
            if not whole or len(interval.shares) > 1:
                found += self._share_out(segment, piece, ms, nano)
            elif ms or nano:
                found.append(self._result(segment, interval, interval.shares[0], (start, piece.end), ms, nano, start))
        rest = len(slices)
        for (bucket, start, end), ms, nano in zip(spare, times[rest:], amounts[rest:], strict=True):
            if ms or nano:
                found += self._nobody(segment, bucket, start, end, ms, nano)

    def _spare(self, segment: BilledSegment) -> list[tuple[Bucket, int, int]]:
        """The stretches of a line in which time without anybody is boot, idle, or beyond the machine's life."""
        borders = (
            (Bucket.BOOT, self._bill.start, self._boot_end),
            (Bucket.IDLE, self._boot_end, self._bill.end.at),
            (Bucket.UNATTRIBUTED, self._bill.end.at, self._bill.billed_until),
        )
        clipped = [(bucket, max(a, segment.start), min(b, segment.end)) for bucket, a, b in borders]
        return [(bucket, start, end) for bucket, start, end in clipped if start < end]

    def _share_out(
        self, segment: BilledSegment, piece: _Slice, ms: int, nano: int | None
    ) -> Iterator[LedgerEntry | Unpriced]:
        interval = piece.interval
        shares = interval.shares
        if len(shares) == 1:
            times, amounts = [ms], [nano]
        else:
            weights = [share.weight for share in shares]
            times = split(ms, weights)
            amounts = [None] * len(shares) if nano is None else [*split(nano, weights)]
        for start, end in self._windows(piece.start, piece.end):
            run = self._sharing.weight(piece.start, start), self._sharing.weight(piece.start, end), piece.weight
            for share, whole_time, whole_amount in zip(shares, times, amounts, strict=True):
                time = _part(whole_time, *run)
                amount = None if whole_amount is None else _part(whole_amount, *run)
                if time or amount:
                    yield self._result(segment, interval, share, (start, end), time, amount, piece.start)

    def _nobody(
        self, segment: BilledSegment, bucket: Bucket, start: int, end: int, ms: int, nano: int | None
    ) -> Iterator[LedgerEntry | Unpriced]:
        free = self._sharing.free
        for first, last in self._windows(start, end):
            run = free(start, first), free(start, last), free(start, end)
            time, amount = _part(ms, *run), None if nano is None else _part(nano, *run)
            if time or amount:
                estimated = self._bill.end.estimated and last >= self._bill.end.at
                interval = ActivityInterval(first, last, "", "", "", "", False, estimated, ())
                yield self._result(segment, interval, Share(bucket, "", "", 1), (first, last), time, amount, start)

    def _windows(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """A stretch as far as it is in the period, cut at midnights.

        Amounts are cut by what has run up until an edge, rounded down; the parts of any two neighbouring windows then
        sum to the amount of both together.
        """
        if self._edges:
            start, end = (min(max(edge, start), end) for edge in self._edges)
        if start >= end:
            return
        inner = self._midnights[bisect_right(self._midnights, start) : bisect_left(self._midnights, end)]
        yield from pairwise((start, *inner, end))

    def _result(
        self,
        segment: BilledSegment,
        interval: ActivityInterval,
        share: Share,
        span: tuple[int, int],
        ms: int,
        nano: int | None,
        origin: int,
    ) -> LedgerEntry | Unpriced:
        session, (start, end), owner = self._bill.session, span, self._demand.owner(share.job)
        about = (session, interval.attempt, interval.part, share.bucket.value, share.job, share.language, str(origin))
        name = entry_id(*about, str(start) if start != origin else "")
        same = name, session, interval.attempt, share.bucket, interval.stage, interval.engine, share.job, owner
        if nano is None:
            return Unpriced(*same, "node_ms", ms, start, end, "this machine has no price at this time", interval.fake)
        row = f"{segment.price_row}#{segment.rule}" if segment.rule else segment.price_row
        quality = Quality.ESTIMATED if interval.estimated or segment.guessed else Quality.MEASURED
        return LedgerEntry(*same, share.language, ms, start, end, nano, segment.currency, row, quality, interval.fake)


def _part(whole: int, before: int, until: int, weight: int) -> int:
    """What of ``whole`` runs up between two points of its weight; neighbouring parts sum exactly."""
    if not before and until == weight:
        return whole
    return whole * until // weight - whole * before // weight


def entry_id(*about: str) -> str:
    """An id from what an entry is about; names hold no control characters, so that the separator is safe."""
    return hashlib.blake2b("\x1f".join(about).encode(), digest_size=_ID_BYTES).hexdigest()
