"""What a machine's paid time was used for, set against the time when work was queued. Pure.

Paid time without work is somebody's to mend: while work was queued it is the fleet's (a machine that boots, loads late,
or serves a stage that nothing was queued for), and while none was it is the plan's (more machines, or for longer, than
there was work).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from core.money import split
from ledger.spans import Span, Spans, length, overlap, without


@dataclass(frozen=True)
class PaidTime:
    """Paid time in ms, each millisecond in one part."""

    #: At work while work was queued.
    work_queued_ms: int = 0
    #: At work while nothing was queued: an engine that was loaded ahead, a batch of a job that was cancelled.
    work_unqueued_ms: int = 0
    #: Not at work although work was queued, boot included: the fleet's fault.
    idle_queued_ms: int = 0
    #: Neither at work nor anything queued, boot included: the plan's.
    idle_unqueued_ms: int = 0
    #: Billed after the machine's life: the provider's increment and minimum.
    beyond_ms: int = 0

    @property
    def paid_ms(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def working(self) -> Fraction | None:
        """Share of the paid time that was at work; None where nothing was paid."""
        return Fraction(self.work_queued_ms + self.work_unqueued_ms, self.paid_ms) if self.paid_ms else None

    def __add__(self, other: PaidTime) -> PaidTime:
        return PaidTime(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def as_json(self) -> dict[str, Any]:
        """The parts and their sum, in ms."""
        return {"paid_ms": self.paid_ms, **{field.name: getattr(self, field.name) for field in fields(self)}}


def time_use(life: Span, billed_until: int, work: Spans, queued: Spans) -> PaidTime:
    """How one machine's time was used from the first to the last paid instant of ``life``, and until ``billed_until``.

    ``work``: when any attempt or loading was active on it; ``queued``: when a job wanted units that were not finished.
    """
    alive = (life,) if life[0] < life[1] else ()
    busy = overlap(work, alive)
    free = without(alive, busy)
    work_queued, idle_queued = length(overlap(busy, queued)), length(overlap(free, queued))
    return PaidTime(
        work_queued,
        length(busy) - work_queued,
        idle_queued,
        length(free) - idle_queued,
        max(billed_until - max(life[1], life[0]), 0),
    )


def idle_amounts(nano: int, stretch: Span, work: Spans, queued: Spans) -> tuple[int, int]:
    """What of the amount of a stretch's idle time is of the time when work was queued, and of the rest; sums to it."""
    free = without((stretch,), work) if stretch[0] < stretch[1] else ()
    waiting = length(overlap(free, queued))
    rest = length(free) - waiting
    # What cannot be placed (a correction without a length) is no fault of the fleet's that anybody saw.
    first, second = split(nano, (waiting, rest)) if waiting or rest else (0, nano)
    return first, second
