"""The last lines of a run: what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.summary import print_summary
from pipeline.report import FileResult, JobCounts, JobState, RunReport


@pytest.mark.parametrize(
    ("reviews", "line"),
    [
        ([2], "next: segue status last   (shows the cues to review)"),
        ([0, 3], "next: segue status id-1   (shows the cues to review)"),
        ([1, 0, 3, 4], "next: segue status id-0   (shows the cues to review; 2 more files to review)"),
    ],
)
def test_the_next_command_names_a_job_that_has_cues_to_review(
    capsys: pytest.CaptureFixture[str], reviews: list[int], line: str
) -> None:
    files = tuple(
        FileResult(Path(f"{at}.mp4"), JobState.DONE, f"id-{at}", tally=JobCounts(review=count))
        for at, count in enumerate(reviews)
    )
    print_summary(files, RunReport(files))
    assert capsys.readouterr().out.splitlines()[-1] == line
