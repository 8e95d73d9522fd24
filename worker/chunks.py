"""The chunk that an engine process has, and what has become of a message so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.lookup import UnitRef
from worker.protocol import UnitOutcome


@dataclass
class Flight:
    """The chunk that the engine process has."""

    number: int
    refs: tuple[UnitRef, ...]
    endings: dict[int, UnitOutcome] = field(default_factory=dict)
    told_to_stop: bool = False
    #: Seconds without a sign of progress.
    silence_s: float = 0.0

    @property
    def alone(self) -> bool:
        return len(self.refs) == 1

    @property
    def unsettled(self) -> list[UnitRef]:
        return [ref for place, ref in enumerate(self.refs) if place not in self.endings]


@dataclass
class BatchTally:
    """What became of a message."""

    done: int = 0
    failed: int = 0
    #: Not computed here: finished, failed or leased by others, or unknown to the disk.
    skipped: int = 0
    engine_ms: int = 0
    audio_ms: int = 0
    given_back: int = 0
