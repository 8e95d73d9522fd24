"""The loop that fuzzes one target: rounds of Hypothesis, each from a seed of its own, for as long as it is told to."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.errors import SegueError

#: Examples of one round; a round is the smallest thing that a seed repeats.
ROUND = 100
#: Innermost frames of a failure that are shown.
FRAMES = 6


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote."""

    name: str
    #: Valid input, damaged or not.
    cases: st.SearchStrategy[Any]
    #: Raises for a case that breaks a promise: anything but a SegueError from the reader, or a silent loss.
    check: Callable[[Any], None]


@dataclass(frozen=True)
class Outcome:
    """What fuzzing a target showed."""

    examples: int
    #: Traceback with the smallest case, and the seed of its round; empty when every case held.
    failure: str = ""
    seed: int = 0


def expect_told(error: SegueError) -> None:
    """An error that a person sees is one printable line."""
    assert str(error).isprintable(), f"not one printable line: {str(error)!r}"
    assert error.message, "nothing is said"


def fuzz(target: Target, seconds: float, seed: int) -> Outcome:
    """Rounds from ``seed`` upwards until the time is over or a case fails; at least one."""
    end, examples = time.monotonic() + seconds, 0
    while True:
        count, failure = _round(target, seed)
        examples += count
        if failure or time.monotonic() >= end:
            return Outcome(examples, failure, seed)
        seed += 1


def _round(target: Target, seed: int) -> tuple[int, str]:
    count = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=ROUND,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases)
    def check(case: Any) -> None:
        nonlocal count
        count += 1
        target.check(case)

    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever a reader raises is what is looked for
        return count, "".join(traceback.format_exception(error, limit=-FRAMES))
    return count, ""
