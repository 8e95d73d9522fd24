"""What a job's outputs lack, and how it ends because of it: the one place that decides done, partial or failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.speech import Span
from pipeline.report import JobState

#: So much of what surely is missing, in all, does not yet make a job partial: a breath, a cough, a filler.
MOST_MISSED_MS = 3_000


@dataclass(frozen=True)
class Gap:
    """A stretch of the media whose speech has no cue, or whose sound is lost."""

    span: Span
    #: One phrase for a person.
    reason: str
    #: How much of it surely is missing; 0 where it may be no speech at all (laughter, music).
    missed_ms: int

    def as_json(self) -> dict[str, int | str]:
        """The gap as outputs list it."""
        span = self.span
        return {
            "start_ms": span.start_ms,
            "end_ms": span.end_ms,
            "reason": self.reason,
            "missed_ms": self.missed_ms,
        }


@dataclass(frozen=True)
class Completeness:
    """How much of a job there is."""

    #: False while units are neither done nor failed.
    finished: bool
    units: int
    failed: int
    #: Cues in the spoken language.
    cues: int
    gaps: tuple[Gap, ...] = ()
    #: Why the first unit failed; empty when none did.
    failure: str = ""
    #: Target language -> cues that have no translation.
    untranslated: Mapping[str, int] = field(default_factory=dict)

    @property
    def missed_ms(self) -> int:
        """Speech and sound that surely are missing."""
        return sum(gap.missed_ms for gap in self.gaps)


def state_of(found: Completeness) -> JobState:
    """Done, partial, or failed when there is nothing to deliver."""
    if not _lacks(found):
        return JobState.DONE
    return JobState.PARTIAL if found.cues else JobState.FAILED


def reason_of(found: Completeness) -> str:
    """One line that says what is missing; empty for a job that is done."""
    return "; ".join(_lacks(found))


def _lacks(found: Completeness) -> list[str]:
    """Everything that keeps the job from being done."""
    lacks = []
    if found.failed:
        lacks.append(f"{found.failed} of {found.units} units failed; the first: {found.failure}")
    if not found.finished:
        lacks.append("not everything is computed yet")
    if found.missed_ms > MOST_MISSED_MS:
        lacks.append(_missed(found))
    empty = [target for target, lines in found.untranslated.items() if 0 < found.cues == lines]
    if empty:
        lacks.append(f"nothing was translated into {', '.join(empty)}")
    return lacks


def _missed(found: Completeness) -> str:
    worst = max(found.gaps, key=lambda gap: gap.missed_ms)
    start, end = (f"{ms // 60_000}:{ms // 1000 % 60:02}" for ms in (worst.span.start_ms, worst.span.end_ms))
    seconds = found.missed_ms / 1000
    return f"{seconds:.0f} s of speech have no subtitle; most of it from {start} to {end}: {worst.reason}"
