"""Models to look for: none at all, in fake packages, or at a hub that does not answer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from model_samples import WEIGHTS

from engines.hub import Hub
from engines.models import announce_once
from engines.packaged import (
    ModelKind,
    PackagedModel,
    PackageFile,
)
from engines.resources import EngineResources


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def resources(tmp_path: Path, heard: list[str]) -> EngineResources:
    announce_once.cache_clear()
    return EngineResources(models_dir=tmp_path / "models", announce=heard.append)


@pytest.fixture
def nowhere(tmp_path: Path) -> Hub:
    """A hub whose port nobody listens on, with an empty cache."""
    return Hub(endpoint="http://127.0.0.1:9", cache_dir=tmp_path / "hub", answer_seconds=1, request_seconds=1)


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PackagedModel, ...]:
    """Two installed fake packages that hold a Whisper model in two parts, and a GGUF model in one."""
    site = tmp_path / "site"
    for package, files in {
        "fake_whisper_1": {"data/part1": WEIGHTS[:5000]},
        "fake_whisper_2": {"data/part2": WEIGHTS[5000:], "data/config.json": b"{}", "data/tokenizer.json": b"{}"},
        "fake_gguf": {"data/fake.gguf": b"GGUF" + WEIGHTS},
    }.items():
        for name, data in {"__init__.py": b"raise RuntimeError('imported')", **files}.items():
            path = site / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    monkeypatch.syspath_prepend(str(site))
    return (
        PackagedModel(
            name="two-parts",
            kind=ModelKind.WHISPER,
            packages=("fake-whisper-1", "fake-whisper-2"),
            weights="model.bin",
            parts=(PackageFile("fake_whisper_1", "data/part1"), PackageFile("fake_whisper_2", "data/part2")),
            sha256=hashlib.sha256(WEIGHTS).hexdigest(),
            others=(
                PackageFile("fake_whisper_2", "data/config.json"),
                PackageFile("fake_whisper_2", "data/tokenizer.json"),
            ),
            licence="MIT",
        ),
        PackagedModel(
            name="one-piece",
            kind=ModelKind.GGUF,
            packages=("fake-gguf",),
            weights="fake.gguf",
            parts=(PackageFile("fake_gguf", "data/fake.gguf"),),
            sha256=hashlib.sha256(b"GGUF" + WEIGHTS).hexdigest(),
            others=(),
            licence="Fake terms",
            notice="one-piece is provided under the fake terms",
        ),
    )
