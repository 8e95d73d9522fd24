"""Kills with the real engines: the same text and cues as an uninterrupted run."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from killing import Storm
from long_speech import write_takes
from moments import Moment, Phase
from real_engines import PATIENCE_S, REAL, missing_models
from segue_process import Job, Place, read_outputs, run_job

SEED = int(os.environ.get("CRASH_SEED", "20261"))


@pytest.fixture(scope="module")
def real_job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Three files with a window each, and one unit a batch, so that a kill always finds one in flight."""
    missing = missing_models()
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    takes = write_takes(tmp_path_factory.mktemp("media"), 3)
    settings = {**REAL, "SEGUE_BATCH_SIZE": "1"}
    return Job(takes, targets="es", settings=settings, extra=("--from", "en"), patience_s=PATIENCE_S)


@pytest.mark.real
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_real_engines_killed_three_times_give_the_same_cues(real_job: Job, tmp_path: Path) -> None:
    undisturbed = Place(tmp_path / "reference")
    disturbed = Place(tmp_path / "storm")
    undisturbed.base.mkdir()
    disturbed.base.mkdir()
    assert run_job(real_job, undisturbed).code == 0
    reference = read_outputs(undisturbed.out)
    assert json.loads(reference["take 1.json"])["cues"]
    storm, chance = Storm(real_job, disturbed, reference), random.Random(SEED)
    for phase in (Phase.COMMITTED, Phase.COMPUTING, Phase.COMMITTED):
        storm.kill_at(Moment(phase, 1, chance.uniform(0, 0.3)))
    storm.finish()
    toll = storm.settle()
    assert toll.kills == 3
    assert toll.breaches == []
    assert toll.differing == []
