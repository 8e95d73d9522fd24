"""How a job ends because of what it lacks: one table."""

from __future__ import annotations

import pytest

from core.speech import Span
from pipeline.outputs.completeness import MOST_MISSED_MS, Completeness, Gap, reason_of, state_of

WHOLE = Completeness(finished=True, units=4, failed=0, cues=3)
LONG = Gap(Span(61_000, 70_000), "nothing was written", 9_000)
FAINT = Gap(Span(61_000, 90_000), "nothing was written", 0)
SHORT = Gap(Span(0, MOST_MISSED_MS), "a cough", MOST_MISSED_MS)


def _lacking(**changes: object) -> Completeness:
    return Completeness(**{"finished": True, "units": 4, "failed": 0, "cues": 3, **changes})  # type: ignore[arg-type]


FAILED_TOO = {"failed": 1, "failure": "boom"}
SAID_FAILED = "1 of 4 units failed; the first: boom"
SAID_MISSED = "9 s of speech have no subtitle; most of it from 1:01 to 1:10: nothing was written"
SAID_EMPTY = "nothing was translated into es"
SAID_UNFINISHED = "not everything is computed yet"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (_lacking(**FAILED_TOO, gaps=(LONG,)), [SAID_FAILED, SAID_MISSED]),
        (_lacking(**FAILED_TOO, untranslated={"es": 3}), [SAID_FAILED, SAID_EMPTY]),
        (_lacking(gaps=(LONG,), untranslated={"es": 3}), [SAID_MISSED, SAID_EMPTY]),
        (_lacking(**FAILED_TOO, finished=False), [SAID_FAILED, SAID_UNFINISHED]),
        (_lacking(finished=False, gaps=(LONG,)), [SAID_UNFINISHED, SAID_MISSED]),
        (
            _lacking(**FAILED_TOO, finished=False, gaps=(LONG,), untranslated={"es": 3}),
            [SAID_FAILED, SAID_UNFINISHED, SAID_MISSED, SAID_EMPTY],
        ),
    ],
)
def test_all_that_a_job_lacks_is_said(found: Completeness, said: list[str]) -> None:
    assert reason_of(found) == "; ".join(said)
    assert state_of(found) == "partial"


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (WHOLE, "done", ""),
        (_lacking(cues=0), "done", ""),
        (_lacking(gaps=(FAINT,)), "done", ""),
        (_lacking(gaps=(FAINT, SHORT)), "done", ""),
        (
            _lacking(gaps=(LONG,)),
            "partial",
            "9 s of speech have no subtitle; most of it from 1:01 to 1:10: nothing was",
        ),
        (_lacking(gaps=(SHORT, Gap(Span(5_000, 5_900), "low", 900))), "partial", "4 s of speech have no subtitle"),
        (_lacking(gaps=(LONG,), cues=0), "failed", "9 s of speech have no subtitle"),
        (_lacking(failed=1, failure="boom", gaps=(LONG,)), "partial", "1 of 4 units failed; the first: boom"),
        (_lacking(failed=4, failure="boom", cues=0), "failed", "4 of 4 units failed"),
        (_lacking(finished=False), "partial", "not everything is computed yet"),
        (_lacking(untranslated={"es": 3, "fr": 1}), "partial", "nothing was translated into es"),
        (_lacking(untranslated={"es": 2}), "done", ""),
        (_lacking(untranslated={"es": 0}, cues=0), "done", ""),
    ],
)
def test_a_job_ends_as_badly_as_what_it_lacks(found: Completeness, state: str, said: str) -> None:
    assert state_of(found) == state
    assert reason_of(found).startswith(said)
    assert bool(reason_of(found)) == (state != "done")
