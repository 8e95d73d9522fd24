"""How a file of a run ended, and how a job stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.work import JobWork

if TYPE_CHECKING:
    from pipeline.budget import BudgetEnd


class JobState(StrEnum):
    """How a job stands."""

    #: Planned, nothing computed in this run yet.
    QUEUED = "queued"
    #: Some units are there, some are not, and nothing has failed.
    RUNNING = "running"
    #: Everything is there and delivered.
    DONE = "done"
    #: Delivered with gaps, each of them reported.
    PARTIAL = "partial"
    #: Nothing could be delivered.
    FAILED = "failed"
    #: Stopped before its end; the same command continues it.
    INTERRUPTED = "interrupted"
    #: Taken off the queue by a person; what is finished stays, and submitting or retrying continues it.
    CANCELLED = "cancelled"
    #: Its budget is spent; what is finished stays, and a higher budget, or none, continues it.
    BUDGET_STOPPED = "budget-stopped"


@dataclass(frozen=True)
class JobCounts:
    """Numbers for one file's line on the last screen."""

    duration_ms: int = 0
    speech_ms: int = 0
    cues: int = 0
    #: Cues, of the source or a translation, that carry a flag a person should look at.
    review: int = 0
    #: Texts that an engine wrote over what is not speech, and that were dropped.
    dropped: int = 0
    #: Breaches of a subtitle rule that remain.
    lint: int = 0
    #: Stretches of speech or sound that have no cue.
    gaps: int = 0
    #: How much of them surely is missing.
    missed_ms: int = 0
    #: Units by stage: (total, done, cached, failed).
    units: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)

    @property
    def skipped_ms(self) -> int:
        return self.duration_ms - self.speech_ms


@dataclass(frozen=True)
class LeftBehind:
    """An earlier output beside newer ones, which says something else than they do."""

    path: Path
    #: How it differs, in a few words.
    why: str
    #: What the same command must have as well to renew it: ``--mux``, ``ja in --to``; empty when nothing would.
    renewal: str

    def as_json(self) -> dict[str, str]:
        return {"path": str(self.path), "why": self.why, "renewal": self.renewal}


@dataclass(frozen=True)
class FileResult:
    """How one input file ended."""

    media: Path
    state: JobState
    #: None when there was nothing to make a job of.
    job_id: str | None = None
    reason: str = ""
    outputs: tuple[Path, ...] = ()
    language: str = ""
    tally: JobCounts = JobCounts()
    warnings: tuple[str, ...] = ()
    #: Names of the engines the job is frozen with.
    engines: str = ""
    #: When it was noted in the store, UTC, ISO 8601; empty for one that was not read from there.
    noted_at: str = ""
    #: Earlier outputs that are out of date beside these; never kept, because they may be gone the next moment.
    left_behind: tuple[LeftBehind, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The object that `segue run --json` prints for a file."""
        return {
            **outcome_json(self),
            "language": self.language,
            "duration_ms": self.tally.duration_ms,
            "speech_ms": self.tally.speech_ms,
            "skipped_ms": self.tally.skipped_ms,
            "cues": self.tally.cues,
            "review": self.tally.review,
            "dropped": self.tally.dropped,
            "lint": self.tally.lint,
            "gaps": self.tally.gaps,
            "missed_ms": self.tally.missed_ms,
            "units": units_json(self.tally.units),
            "warnings": list(self.warnings),
            "engines": self.engines,
            "left_behind": [left.as_json() for left in self.left_behind],
        }


class FileOutcome(Protocol):
    """What became of a file that was given to a command."""

    @property
    def job_id(self) -> str | None: ...

    @property
    def media(self) -> Path: ...

    @property
    def state(self) -> JobState: ...

    @property
    def outputs(self) -> tuple[Path, ...]: ...

    @property
    def reason(self) -> str: ...


def outcome_json(found: FileOutcome) -> dict[str, Any]:
    """How `segue run --json` and `segue submit --json` begin the object of a file."""
    return {
        "id": found.job_id,
        "media": str(found.media),
        "state": str(found.state),
        "outputs": [str(path) for path in found.outputs],
        "reason": found.reason,
    }


def units_json(units: Mapping[str, tuple[int, int, int, int]]) -> dict[str, dict[str, int]]:
    """Units by stage and state."""
    return {
        stage: {"total": total, "done": done, "cached": cached, "failed": failed, "missing": total - done - failed}
        for stage, (total, done, cached, failed) in units.items()
    }


def count_units(work: JobWork) -> dict[str, tuple[int, int, int, int]]:
    """The units of a job by stage."""
    return {
        stage: (count.total, count.done, count.cached, count.failed)
        for stage, count in work.counts.items()
        if count.total
    }


def tally_of(work: JobWork) -> JobCounts:
    """The numbers of a job that has not been delivered."""
    plan = work.plan
    return JobCounts(plan.media.duration_ms, plan.segmentation.speech_ms, units=count_units(work))


def left_of(work: JobWork) -> str:
    """``26 of 40 units are left``."""
    counts = count_units(work).values()
    total = sum(count[0] for count in counts)
    return f"{total - sum(count[1] + count[3] for count in counts)} of {total} units are left"


@dataclass(frozen=True)
class RunReport:
    """How a run ended."""

    files: tuple[FileResult, ...]
    interrupted: bool = False
    #: One line, when the run had to stop for a reason of its own (disk full, store gone).
    stopped: str = ""
    elapsed_seconds: float = 0.0
    #: How it stands to its budget; None without one.
    budget: BudgetEnd | None = None

    @property
    def flawless(self) -> bool:
        return not self.interrupted and all(result.state is JobState.DONE for result in self.files)
