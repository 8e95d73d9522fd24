"""The wall time of an engine on a machine that nobody else uses, measured on one that others use."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from engines.transcribe.metering import EffortMeter, Part


@dataclass(frozen=True)
class Batch:
    """CPU time of one batch of the engine."""

    took_s: float
    #: Of it, for looking again.
    looks_s: float


class QuietPool(ThreadPoolExecutor):
    """Runs the engine's batches one after the other and remembers the CPU time of each."""

    def __init__(self, meter: EffortMeter) -> None:
        super().__init__(1)
        self._meter = meter
        self._batches: list[Batch] = []

    def submit(self, call: Any, /, *args: Any, **names: Any) -> Future[Any]:
        """The batch, timed."""

        def timed() -> Any:
            began, looked = time.process_time(), self._meter.seconds(Part.LOOK)
            try:
                return call(*args, **names)
            finally:
                took_s, looks_s = time.process_time() - began, self._meter.seconds(Part.LOOK) - looked
                self._batches.append(Batch(took_s, looks_s))

        return super().submit(timed)

    def take(self) -> tuple[Batch, ...]:
        """The batches so far, which are forgotten."""
        found = tuple(self._batches)
        self._batches.clear()
        return found


def makespan_s(batches_s: Sequence[float], workers: int) -> float:
    """When the last of so many workers is through; the next batch is the first free one's."""
    free = [0.0] * workers
    for length in batches_s:
        first = min(range(workers), key=free.__getitem__)
        free[first] += length
    return max(free)
