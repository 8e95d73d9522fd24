"""The same job again costs nothing; two processes over the same job at once both end well."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

from books import session_names
from segue_process import Job, Place, SegueProcess, read_outputs, run_job


def test_the_same_job_again_calls_no_engine(short_job: Job, short_reference: dict[str, bytes], place: Place) -> None:
    counted = replace(short_job, counted=True)
    assert run_job(counted, place).code == 0
    sessions, calls = session_names(place.home), place.calls.read_text()
    for removed in (False, True):
        if removed:
            shutil.rmtree(place.out)
        ended = run_job(counted, place)
        assert ended.code == 0
        assert all(count["cached"] == count["total"] for count in ended.jobs[0]["units"].values())
        assert read_outputs(place.out) == short_reference
    assert session_names(place.home) == sessions
    assert place.calls.read_text() == calls


def test_the_same_media_under_another_name_calls_no_engine(short_job: Job, place: Place) -> None:
    counted = replace(short_job, counted=True)
    assert run_job(counted, place).code == 0
    calls = place.calls.read_text()
    copy = shutil.copy(short_job.media[0], place.base / "renamed.mp4")
    assert run_job(replace(counted, media=(place.base / "renamed.mp4",)), place).code == 0
    assert copy.exists()
    assert place.calls.read_text() == calls


def test_two_runs_over_the_same_job_at_once_both_end_well(
    long_job: Job, long_reference: dict[str, bytes], place: Place
) -> None:
    with SegueProcess.of(long_job, place) as one, SegueProcess.of(long_job, place) as other:
        ends = [one.wait(), other.wait()]
    assert [ended.code for ended in ends] == [0, 0], [ended.err + ended.out for ended in ends]
    assert read_outputs(place.out) == long_reference
    for line in place.calls.read_text().splitlines():
        assert set(json.loads(line)) == {"pid", "stage", "keys", "finished"}
