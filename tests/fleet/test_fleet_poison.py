"""One clip kills every engine that it meets: it alone fails, and `segue retry` takes it up again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fleet import Fleet
from fleet_storm import undisturbed
from long_speech import write_speech
from segue_process import Place, read_outputs

from cache.store import Store
from engines.transcribe.fake import clip_digest
from engines.transcribe.interface import Clip
from pipeline.analysis import open_audio, window_samples
from pipeline.job import SPEECH
from pipeline.jobs import JobFolder
from pipeline.report import JobState


def poison(home: Path, job: str) -> str:
    """The fault that strikes one clip of the job, and no other of anybody."""
    with Store.open(home, create=False) as store:
        plan = JobFolder(store, job).read_plan()
        assert plan is not None
        with open_audio(store, plan.view(SPEECH)) as audio:
            samples = window_samples(audio, plan.windows[1].window)
    digest = clip_digest(Clip("", np.asarray(samples), (), ""))
    return f"kill:{int(digest[:8], 16)}"


@pytest.mark.long
def test_a_clip_that_kills_engines_fails_alone_and_retry_clears_it(tmp_path: Path) -> None:
    bad = write_speech(tmp_path / "bad.wav", 2)
    good = [write_speech(tmp_path / f"good {number}.wav", 1, 0.9 - 0.1 * number) for number in range(2)]
    expected = undisturbed([bad, *good], tmp_path / "reference")
    settings = {"SEGUE_FAKE_DELAY_MS": "100", "SEGUE_BATCH_SIZE": "4"}
    with Fleet(tmp_path / "fleet", settings) as fleet:
        jobs = fleet.submit([bad, *good])
        fault = poison(Place(tmp_path / "reference").home, jobs[0])
        fleet.start_coordinator()
        sick = [fleet.start_worker(SEGUE_FAKE_FAULTS=fault) for _ in range(2)]
        views = fleet.wait(jobs)
        assert [views[job].state for job in jobs] == [JobState.PARTIAL, JobState.DONE, JobState.DONE]
        assert all(worker.running for worker in sick), fleet.report("workers that met a bad clip work on")
        with fleet.store() as store:
            folder = JobFolder(store, jobs[0])
            (reason,) = folder.failures().values()
            (key,) = folder.failures()
            deaths = folder.incidents.deaths(folder.round())[key]
        assert "deaths of the engine" in reason
        assert "the fake engine was told to die of this one" in reason
        assert sum(death.alone for death in deaths) == 3
        partial = read_outputs(fleet.place.out)
        assert {name: partial[name] for name in expected if name.startswith("good")} == {
            name: content for name, content in expected.items() if name.startswith("good")
        }
        assert [name for name in expected if partial.get(name) != expected[name]], "the gap is to be seen"
        for worker in sick:
            fleet.lose(worker)
        fleet.start_worker()
        before = len(fleet.attempts())
        ended = fleet.segue("retry", jobs[0])
        assert ended.code == 0, ended.err
        fleet.until(lambda: fleet.views(jobs)[jobs[0]].state is JobState.DONE, "the job is done")  # type: ignore[union-attr]
        assert read_outputs(fleet.place.out) == expected
        # Only the clip that failed, and what hung on it.
        again = [attempt for attempt in fleet.attempts()[before:] if attempt.stage == "transcribe"]
        assert [list(attempt.units) for attempt in again] == [[key]]
