"""What a run says of its stages while they go on, and once they are through."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli import progress
from cli.progress import PlainWatcher, RunProgress
from pipeline.report import FileResult, JobState
from pipeline.work import StageCount


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def make_work(job_id: str, units: int) -> Any:
    """A job with units of ten seconds of speech in both stages."""
    counts = {stage: StageCount() for stage in ("detect", "transcribe", "translate")}
    for stage in ("transcribe", "translate"):
        counts[stage] = StageCount(total=units, total_ms=units * 10_000)
    segmentation = SimpleNamespace(duration_ms=60_000, speech_ms=30_000, skipped_ms=30_000, segments=())
    return SimpleNamespace(plan=SimpleNamespace(job_id=job_id, segmentation=segmentation), counts=counts)


def settle(work: Any, stage: str, *, failed: bool = False) -> None:
    count = work.counts[stage]
    if failed:
        count.failed += 1
    else:
        count.done += 1
        count.done_ms += 10_000


def test_a_finished_stage_keeps_its_rate_while_the_next_one_runs(clock: Clock) -> None:
    totals, work = RunProgress(1), make_work("a", 2)
    totals.opened(work)
    for _ in range(2):
        clock.now += 5
        settle(work, "transcribe")
        totals.advanced("transcribe")
    assert totals.ended() == ["transcribe 0:20 of 0:20 speech, 2.0x real time"]
    clock.now += 2
    settle(work, "translate")
    totals.advanced("translate")
    assert totals.ended() == []
    clock.now += 2
    settle(work, "translate", failed=True)
    totals.advanced("translate")
    clock.now += 500
    transcribe, translate = (view.describe() for view in totals.views())
    assert transcribe == "transcribe 0:20 of 0:20 speech, 2.0x real time"
    assert translate == "translate 0:10 of 0:20 speech, 2.5x real time, 1 failed"
    assert totals.ended() == [translate]
    assert totals.ended(all_of_it=True) == []


def test_a_stage_is_through_only_when_no_file_can_bring_more_of_it(clock: Clock) -> None:
    totals, first, second = RunProgress(2), make_work("a", 1), make_work("b", 1)
    totals.opened(first)
    clock.now += 5
    settle(first, "transcribe")
    totals.advanced("transcribe")
    assert totals.ended() == []
    totals.opened(second)
    clock.now += 5
    settle(second, "transcribe")
    totals.advanced("transcribe")
    assert totals.ended() == ["transcribe 0:20 of 0:20 speech, 2.0x real time"]


def test_plain_output_has_a_line_for_each_stage_also_when_it_was_stopped(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher, work = PlainWatcher(1), make_work("a", 2)
    watcher.opened(Path("talk.mp4"), work)
    clock.now += 4
    settle(work, "transcribe")
    watcher.advanced("transcribe", 10_000, failed=False)
    assert "real time" not in capsys.readouterr().err
    watcher.finished(FileResult(Path("talk.mp4"), JobState.INTERRUPTED, "a"))
    watcher.tell_ended(all_of_it=True)
    said = capsys.readouterr().err
    assert "transcribe 0:10 of 0:20 speech, 2.5x real time, 0:04 left" in said
    assert "translate 0:00 of 0:20 speech" in said
