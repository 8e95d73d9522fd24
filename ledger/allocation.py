"""One machine's bill, divided among those who were active on it; sums to the bill to the nano-unit.

A line of the bill is divided in two steps. First among the intervals of activity, by the time they had, then each
interval's amount among its jobs. So which jobs share an interval never moves the amount of another one, and a job that
is added later changes nothing for those who do not share with it. Both steps divide integers by largest remainder, in
an order that comes from names; nothing is ever rounded and then summed.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.money import split
from ledger.activity import ActivityInterval, Share
from ledger.billing import BilledSegment, BilledSession
from ledger.demand import Demand
from ledger.entries import Bucket, LedgerEntry, Period, Quality, Unpriced
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
    ) -> None:
        self._bill, self._demand, self._period = bill, demand, period
        self._boot_end = min(max(boot_end, bill.start), bill.end.at)
        cuts = {bill.start, self._boot_end, bill.end.at, bill.billed_until}
        cuts |= {segment.start for segment in bill.segments} | {segment.end for segment in bill.segments}
        self._edges = (period.start, period.end) if period else ()
        cuts.update(self._edges)
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
        whole = not self._edges
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
        window = self._window(piece.start, piece.end)
        if window is None:
            return
        before, until, start, end = window
        shares = interval.shares
        if len(shares) == 1:
            times, amounts = [ms], [nano]
        else:
            weights = [share.weight for share in shares]
            times = split(ms, weights)
            amounts = [None] * len(shares) if nano is None else [*split(nano, weights)]
        whole = piece.weight
        for share, time, amount in zip(shares, times, amounts, strict=True):
            if before or until != whole:
                time = _part(time, before, until, whole)
                amount = None if amount is None else _part(amount, before, until, whole)
            if time or amount:
                yield self._result(segment, interval, share, (start, end), time, amount, piece.start)

    def _nobody(
        self, segment: BilledSegment, bucket: Bucket, start: int, end: int, ms: int, nano: int | None
    ) -> Iterator[LedgerEntry | Unpriced]:
        first, last = start, end
        if self._edges:
            first, last = (min(max(edge, start), end) for edge in self._edges)
            if first >= last:
                return
            before, until = self._sharing.free(start, first), self._sharing.free(start, last)
            whole = self._sharing.free(start, end)
            ms = _part(ms, before, until, whole)
            nano = None if nano is None else _part(nano, before, until, whole)
            if not ms and not nano:
                return
        estimated = self._bill.end.estimated and last >= self._bill.end.at
        interval = ActivityInterval(first, last, "", "", "", "", False, estimated, ())
        yield self._result(segment, interval, Share(bucket, "", "", 1), (first, last), ms, nano, start)

    def _window(self, start: int, end: int) -> tuple[int, int, int, int] | None:
        """(weight before the period, weight until its end, first instant, last) of a slice; None outside of it.

        Amounts are cut at an edge by what has run up until it, rounded down; the parts of any two neighbouring periods
        then sum to the amount of both together.
        """
        if not self._edges:
            return 0, self._sharing.weight(start, end), start, end
        first, last = (min(max(edge, start), end) for edge in self._edges)
        if first >= last:
            return None
        return self._sharing.weight(start, first), self._sharing.weight(start, last), first, last

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
    return whole * until // weight - whole * before // weight


def entry_id(*about: str) -> str:
    """An id from what an entry is about; names hold no control characters, so that the separator is safe."""
    return hashlib.blake2b("\x1f".join(about).encode(), digest_size=_ID_BYTES).hexdigest()
