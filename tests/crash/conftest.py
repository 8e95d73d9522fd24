"""The job that the storms kill, made once for a session, and how it ends when nobody disturbs it."""

from __future__ import annotations

import shutil
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
def long_reference(long_job: Job, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outputs of an uninterrupted run."""
    return reference_of(long_job, tmp_path_factory)


@pytest.fixture(scope="session")
def short_job(sample: Path) -> Job:
    """The sample as it is, with the plain command."""
    return Job((sample,), counted=False)


@pytest.fixture(scope="session")
def short_reference(short_job: Job, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outputs of an uninterrupted run."""
    return reference_of(short_job, tmp_path_factory)


def reference_of(job: Job, folders: pytest.TempPathFactory) -> dict[str, bytes]:
    place = Place(folders.mktemp("reference"))
    ended = run_job(job, place)
    assert ended.code == 0, ended.err
    outputs = read_outputs(place.out)
    assert len(outputs) == 7, sorted(outputs)
    return outputs
