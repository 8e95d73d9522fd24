"""What became of each stretch of a job's media."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SpanStatus(StrEnum):
    """What became of a stretch of the media."""

    #: No speech in it: no engine was given it.
    SKIPPED = "skipped"
    #: Computed before, for another job.
    CACHED = "cached"
    #: Computed for this job.
    COMPUTED = "computed"
    #: Computed for this job, and a death took some of it at least once.
    LOST = "lost"
    #: An engine could not do it.
    FAILED = "failed"
    #: Not computed yet.
    MISSING = "missing"


@dataclass(frozen=True)
class MediaSpan:
    """A stretch of the media and what became of it; spans follow each other without gaps."""

    #: First millisecond of the media.
    start_ms: int
    #: First millisecond after it.
    end_ms: int
    #: What became of it.
    status: SpanStatus

    def as_json(self) -> list[int | str]:
        """``[start_ms, end_ms, status]``."""
        return [self.start_ms, self.end_ms, self.status.value]
