"""The job that the storms kill, made once for a session, and how it ends when nobody disturbs it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from long_speech import SAMPLE, write_speech
from segue_process import FAKES, Job, Place, read_outputs, run_job


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About four minutes of speech with pauses."""
    return write_speech(tmp_path_factory.mktemp("media") / "long talk.wav", copies=4)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, about a minute, as a copy of its own."""
    return Path(shutil.copy(SAMPLE, tmp_path_factory.mktemp("media") / "sample.mp4"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="session")
def long_job(speech: Path) -> Job:
    """Many small batches: two units each, 40 ms a unit."""
    return Job((speech,), settings={**FAKES, "SEGUE_FAKE_DELAY_MS": "40", "SEGUE_BATCH_SIZE": "2"})


@pytest.fixture(scope="session")
def undelayed_job(long_job: Job) -> Job:
    """The long job with engines that take no time, where nothing is to be interrupted."""
    return replace(long_job, settings={**long_job.settings, "SEGUE_FAKE_DELAY_MS": "0"})


@pytest.fixture(scope="session")
def long_reference(undelayed_job: Job, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outputs of an uninterrupted run."""
    return outputs_of(undelayed_job, Place(tmp_path_factory.mktemp("reference")))


@pytest.fixture(scope="session")
def short_job(sample: Path) -> Job:
    """The sample as it is, with the plain command."""
    return Job((sample,), counted=False)


@pytest.fixture(scope="session")
def short_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where the short job has run once."""
    return Place(tmp_path_factory.mktemp("short"))


@pytest.fixture(scope="session")
def short_reference(short_job: Job, short_place: Place) -> dict[str, bytes]:
    """The outputs of an uninterrupted run, which is kept for `finished`."""
    outputs = outputs_of(short_job, short_place)
    for folder in (short_place.home, short_place.out):
        shutil.copytree(folder, short_place.base / "kept" / folder.name)
    return outputs


@pytest.fixture
def finished(short_reference: dict[str, bytes], short_place: Place) -> Place:
    """The short job, through and untouched, in the folder in which it ran."""
    for folder in (short_place.home, short_place.out):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(short_place.base / "kept" / folder.name, folder)
    return short_place


def outputs_of(job: Job, place: Place) -> dict[str, bytes]:
    """Runs the job to its end; what it wrote."""
    ended = run_job(job, place)
    assert ended.code == 0, ended.err
    outputs = read_outputs(place.out)
    assert len(outputs) == 7, sorted(outputs)
    return outputs
