"""How the instants of one machine are shared: each equally among those active on it, and free when there is nobody.

With k active, each has 1/k of the instant. Two running sums do it without fractions and without looking at who else is
active: time divided by k, scaled by the least common multiple of every k that occurs, and the time with nobody. What
anybody had between two instants is then the difference of a sum at these instants.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


class Sharing:
    """The shared time of one session. Spans are half-open; every border asked for later must be among ``cuts``."""

    def __init__(self, spans: Sequence[tuple[int, int]], cuts: Iterable[int]) -> None:
        changes: dict[int, int] = dict.fromkeys(cuts, 0)
        for start, end in spans:
            changes[start] = changes.get(start, 0) + 1
            changes[end] = changes.get(end, 0) - 1
        borders = sorted(changes)
        levels, active = set(), 0
        for border in borders:
            active += changes[border]
            levels.add(active)
        levels.discard(0)
        #: Weight of one millisecond that nobody shares.
        self.scale = math.lcm(*levels)
        self._shared: dict[int, int] = {}
        self._free: dict[int, int] = {}
        shared = free = active = 0
        before = borders[0] if borders else 0
        for border in borders:
            if active:
                shared += (border - before) * (self.scale // active)
            else:
                free += border - before
            self._shared[border], self._free[border] = shared, free
            active += changes[border]
            before = border

    def weight(self, start: int, end: int) -> int:
        """What one span that is active from ``start`` to ``end`` has of this time, in ms times `scale`."""
        return self._shared[end] - self._shared[start]

    def free(self, start: int, end: int) -> int:
        """Time without anybody between the two, in ms times `scale`."""
        return (self._free[end] - self._free[start]) * self.scale
