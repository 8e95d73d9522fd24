"""What a transcriber's calls spend their time on: passes of the encoder, steps of the decoder, alignments.

A call of an engine has one length, and yet three costs that answer to different things: the encoder to the number of
windows, the decoder to the text and to how many texts are written side by side, the aligner to the number of texts.
Who wants to know what other windows would have cost needs them apart.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum


class Part(StrEnum):
    """What a worker of the engine is busy with."""

    #: Sound to the encoder's output, features included.
    ENCODER = "encoder"
    #: The encoder's output to text, or to a language.
    DECODER = "decoder"
    #: Words to their times.
    ALIGNER = "aligner"
    #: All of these for a text that is written again because the first one is a suspect.
    LOOK = "look"


class EffortMeter:
    """Adds up what the workers did since it was last read. Safe for several threads.

    Times are the workers' own, by a monotonic clock: two workers that are busy for a second are two seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """``clock`` gives seconds."""
        self.clock = clock
        self._seconds: dict[Part, float] = {}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.local()

    @contextmanager
    def second_look(self) -> Iterator[None]:
        """Whatever this thread does in the block is one of the second looks: time and nothing else."""
        with self.busy(Part.LOOK):
            self._thread.looks = True
            try:
                yield
            finally:
                self._thread.looks = False

    @contextmanager
    def busy(self, part: Part) -> Iterator[None]:
        """Counts the time of its block, also of one that fails."""
        if getattr(self._thread, "looks", False):
            yield
            return
        began = self.clock()
        try:
            yield
        finally:
            took = self.clock() - began
            with self._lock:
                self._seconds[part] = self._seconds.get(part, 0.0) + took

    def count(self, **numbers: int) -> None:
        """Counts what came of it."""
        if getattr(self._thread, "looks", False):
            return
        with self._lock:
            self._counts.update(numbers)

    def seconds(self, part: Part) -> float:
        """What a part took since the last time."""
        with self._lock:
            return self._seconds.get(part, 0.0)

    def take(self) -> Mapping[str, int]:
        """``<part>_ms`` for each part, and the counts, since the last time it was taken."""
        with self._lock:
            found = {f"{part}_ms": round(took * 1000) for part, took in self._seconds.items()}
            found.update(self._counts)
            self._seconds.clear()
            self._counts.clear()
        return found
