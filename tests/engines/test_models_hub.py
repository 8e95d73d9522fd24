"""A name that the hub holds: what is downloaded, continued and refused."""

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
from model_samples import REPOSITORY_ROOT, WEIGHTS, WHISPER, make_whisper

from core.errors import EngineError, EngineMissingError
from engines.hub import Hub
from engines.models import ModelCatalog, ModelSource, is_at_hand, resolve_gguf, resolve_whisper
from engines.packaged import (
    ModelKind,
)
from engines.resources import EngineResources


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
