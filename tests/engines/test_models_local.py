"""A name that is a local directory or file, and the digests that are remembered of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from model_samples import WEIGHTS, WHISPER, age, make_whisper

from core.errors import EngineError
from engines.hub import Hub
from engines.models import ModelCatalog, ModelSource, resolve_gguf, resolve_whisper
from engines.packaged import (
    PackagedModel,
)
from engines.resources import EngineResources


def test_a_local_directory_wins_over_everything(tmp_path: Path, resources: EngineResources) -> None:
    folder = make_whisper(tmp_path / "my whisper")
    files = resolve_whisper(str(folder), resources)
    assert (files.name, files.path, files.source) == ("my whisper", folder, ModelSource.DIRECTORY)
    assert files.bytes == sum(len(data) for name, data in WHISPER.items() if name != "README.md")


def test_the_revision_follows_content_and_not_place(tmp_path: Path, resources: EngineResources) -> None:
    first = resolve_whisper(str(make_whisper(tmp_path / "a")), resources)
    same = resolve_whisper(str(make_whisper(tmp_path / "b", {**WHISPER, "README.md": b"other words"})), resources)
    other = resolve_whisper(str(make_whisper(tmp_path / "c", {**WHISPER, "config.json": b"{ }"})), resources)
    assert first.revision == same.revision
    assert first.revision != other.revision


def test_a_folder_of_videos_named_like_a_model_hides_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resources: EngineResources,
    packaged: tuple[PackagedModel, ...],
    nowhere: Hub,
) -> None:
    (tmp_path / "two-parts").mkdir()
    (tmp_path / "two-parts" / "ep1.mp4").write_bytes(b"film")
    monkeypatch.chdir(tmp_path)
    files = resolve_whisper("two-parts", resources, ModelCatalog(packaged, nowhere))
    assert files.source is ModelSource.PACKAGE


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json"])
def test_a_directory_that_lacks_a_file_is_refused_by_name(
    tmp_path: Path, resources: EngineResources, missing: str
) -> None:
    folder = make_whisper(tmp_path / "m", {name: data for name, data in WHISPER.items() if name != missing})
    with pytest.raises(EngineError, match=missing):
        resolve_whisper(str(folder), resources)


def test_a_path_that_does_not_exist_is_not_looked_up_in_the_hub(resources: EngineResources, nowhere: Hub) -> None:
    with pytest.raises(EngineError, match=r"no model at \./absent"):
        resolve_whisper("./absent", resources, ModelCatalog((), nowhere))
    with pytest.raises(EngineError, match=r"no model at absent\.gguf"):
        resolve_gguf("absent.gguf", resources, ModelCatalog((), nowhere))


def test_a_gguf_file_and_its_directory_are_the_same_model(tmp_path: Path, resources: EngineResources) -> None:
    file = tmp_path / "m" / "tiny-q4_k_m.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF" + WEIGHTS)
    by_file = resolve_gguf(str(file), resources)
    assert by_file == resolve_gguf(str(file.parent), resources)
    assert (by_file.name, by_file.path) == ("tiny-q4_k_m", file)
    renamed = file.rename(file.with_name("other.gguf"))
    assert resolve_gguf(str(renamed), resources).revision == by_file.revision


def test_a_directory_with_two_gguf_files_asks_which(tmp_path: Path, resources: EngineResources) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(EngineError, match=r"2 \.gguf files"):
        resolve_gguf(str(tmp_path), resources)


def test_a_text_file_named_gguf_is_refused(tmp_path: Path, resources: EngineResources) -> None:
    (tmp_path / "a.gguf").write_text("hello")
    with pytest.raises(EngineError, match="not a GGUF file"):
        resolve_gguf(str(tmp_path / "a.gguf"), resources)


def test_settled_files_are_hashed_once(
    tmp_path: Path, resources: EngineResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_whisper(tmp_path / "m")
    for path in folder.iterdir():
        age(path)
    first = resolve_whisper(str(folder), resources)
    read: list[Path] = []
    monkeypatch.setattr("engines.digests._read_chunks", lambda path: read.append(path) or iter(()))
    assert resolve_whisper(str(folder), resources) == first
    assert read == []


def test_a_changed_file_is_hashed_again(tmp_path: Path, resources: EngineResources) -> None:
    folder = make_whisper(tmp_path / "m")
    for path in folder.iterdir():
        age(path)
    first = resolve_whisper(str(folder), resources)
    (folder / "model.bin").write_bytes(WEIGHTS[::-1])
    assert resolve_whisper(str(folder), resources).revision != first.revision


def test_a_file_written_just_now_is_never_remembered(tmp_path: Path, resources: EngineResources) -> None:
    folder = make_whisper(tmp_path / "m")
    before = (folder / "model.bin").stat()
    first = resolve_whisper(str(folder), resources)
    with (folder / "model.bin").open("r+b") as file:
        file.write(b"changed")
    os.utime(folder / "model.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert resolve_whisper(str(folder), resources).revision != first.revision


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"x": "y"}', b"\xff\xfe"])
def test_a_damaged_digest_cache_only_costs_time(tmp_path: Path, resources: EngineResources, damage: bytes) -> None:
    folder = make_whisper(tmp_path / "m")
    for path in folder.iterdir():
        age(path)
    first = resolve_whisper(str(folder), resources)
    (resources.models_dir / "digests.json").write_bytes(damage)
    assert resolve_whisper(str(folder), resources) == first
