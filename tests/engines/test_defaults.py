"""Defaults follow the device, its memory and what can be had."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from loopback_hub import loopback_hub

from core.errors import EngineError, EngineMissingError
from engines.defaults import (
    DefaultModel,
    choose_default_translator,
    choose_default_whisper,
    default_translator,
    default_whisper,
)
from engines.device import Device, DeviceKind, detect_device
from engines.hub import Hub, hub_answers
from engines.models import ModelCatalog
from engines.packaged import ModelKind, PackagedModel, PackageFile
from engines.resources import EngineResources

GB = 10**9


def gpu(memory_gb: float) -> Device:
    return Device(DeviceKind.CUDA, "a GPU", int(memory_gb * GB), 1, 8, 32 * GB)


def laptop(threads: int, memory_gb: float) -> Device:
    return Device(DeviceKind.CPU, "a CPU", int(memory_gb * GB), 0, threads, int(memory_gb * GB))


@pytest.mark.parametrize(
    ("device", "name", "compute_type"),
    [
        (gpu(85), "large-v3", "float16"),
        (gpu(24.1), "large-v3", "float16"),
        (gpu(15.8), "large-v3", "int8_float16"),
        (gpu(8.5), "medium", "int8_float16"),
        (gpu(4.2), "small", "int8_float16"),
        (laptop(8, 16), "small", "int8"),
        (laptop(4, 16), "base", "int8"),
        (laptop(16, 4), "base", "int8"),
    ],
)
def test_the_transcriber_follows_the_device(device: Device, name: str, compute_type: str) -> None:
    assert default_whisper(device) == DefaultModel(name, compute_type)


@pytest.mark.parametrize(
    ("device", "expected"),
    [(gpu(15.8), "qwen3-4b"), (laptop(8, 16), "qwen3-4b"), (laptop(2, 6), "qwen3-1.7b")],
)
def test_the_translator_follows_the_device(device: Device, expected: str) -> None:
    assert default_translator(device) == expected


@pytest.fixture
def fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PackagedModel, ...]:
    package = tmp_path / "site" / "fallback_models"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "w").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(package.parent))
    return tuple(
        PackagedModel(
            name=f"spare-{kind.value}",
            kind=kind,
            packages=("fallback-models",),
            weights="w",
            parts=(PackageFile("fallback_models", "w"),),
            sha256="0" * 64,
            others=(),
            licence="MIT",
            quality="which is rough",
        )
        for kind in ModelKind
    )


def test_without_a_hub_the_packaged_model_is_used_and_said_once(
    tmp_path: Path, fallback: tuple[PackagedModel, ...]
) -> None:
    heard: list[str] = []
    resources = EngineResources(models_dir=tmp_path, announce=heard.append)
    catalog = ModelCatalog(fallback, Hub("http://127.0.0.1:9", tmp_path / "hub", answer_seconds=1))
    for _ in range(2):
        assert choose_default_translator(laptop(8, 16), resources, catalog) == "spare-gguf"
        assert choose_default_whisper(laptop(8, 16), resources, catalog) == DefaultModel("spare-whisper", "int8")
    assert heard == [
        "the model hub cannot be reached: using the packaged spare-gguf, which is rough (instead of qwen3-4b)",
        "the model hub cannot be reached: using the packaged spare-whisper, which is rough (instead of small)",
    ]


def test_offline_uses_the_packaged_model_without_asking(tmp_path: Path, fallback: tuple[PackagedModel, ...]) -> None:
    heard: list[str] = []
    resources = EngineResources(models_dir=tmp_path, announce=heard.append, offline=True)
    with loopback_hub({}) as server:
        catalog = ModelCatalog(fallback, Hub(server.endpoint, tmp_path / "hub"))
        assert choose_default_whisper(laptop(8, 16), resources, catalog).name == "spare-whisper"
        assert server.asked == []
    assert heard[0].startswith("downloads are off")


def test_a_hub_that_answers_gives_the_preferred_model(tmp_path: Path, fallback: tuple[PackagedModel, ...]) -> None:
    resources = EngineResources(models_dir=tmp_path)
    with loopback_hub({"Systran/faster-whisper-base": {}}) as server:
        catalog = ModelCatalog(fallback, Hub(server.endpoint, tmp_path / "hub"))
        assert choose_default_whisper(laptop(8, 16), resources, catalog).name == "small"
        assert choose_default_translator(laptop(8, 16), resources, catalog) == "qwen3-4b"
        assert len(server.asked) == 1


def test_with_nothing_at_hand_the_error_says_what_to_install(tmp_path: Path) -> None:
    resources = EngineResources(models_dir=tmp_path, offline=True)
    with pytest.raises(EngineMissingError, match=r"segue-localize\[models\]"):
        choose_default_whisper(laptop(2, 4), resources, ModelCatalog((), Hub(cache_dir=tmp_path / "hub")))


def test_a_hub_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(_hub: Hub) -> bool:
        time.sleep(30)
        return True

    monkeypatch.setattr("engines.hub._asks_well", hang)
    assert hub_answers(Hub(answer_seconds=0.05)) is False


# --- the device itself ---


def test_the_cpu_is_always_there() -> None:
    device = detect_device("cpu")
    assert (device.kind, device.count) == (DeviceKind.CPU, 0)
    assert device.threads >= 1
    assert device.memory_bytes == device.host_memory_bytes > 0
    assert "threads" in device.describe()


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(EngineError, match="auto, cpu or cuda"):
        detect_device("tpu")


class FakeDriver:
    """NVML as far as it is asked, for two cards of which CUDA offers ``usable``."""

    class NVMLError(Exception):
        pass

    def __init__(self, memory_gb: list[int], broken: bool = False) -> None:
        self.memory_gb = memory_gb
        self.broken = broken

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlShutdown(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return len(self.memory_gb)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:
        return f"card {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> object:
        return type("Memory", (), {"total": self.memory_gb[handle] * GB})


def given_cards(monkeypatch: pytest.MonkeyPatch, driver: FakeDriver, usable: int, cublas: bool = True) -> None:
    import ctranslate2

    monkeypatch.setitem(__import__("sys").modules, "pynvml", driver)
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: usable)
    monkeypatch.setattr("engines.device._loads", lambda _library: cublas)


def test_the_smallest_card_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    given_cards(monkeypatch, FakeDriver([24, 16]), usable=2)
    device = detect_device("auto")
    assert (device.kind, device.name, device.memory_bytes, device.count) == (DeviceKind.CUDA, "card 1", 16 * GB, 2)
    assert device.describe() == "2 x card 1, 16.0 GB"


def test_a_card_that_cuda_does_not_offer_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    given_cards(monkeypatch, FakeDriver([24]), usable=0)
    assert detect_device("auto").kind is DeviceKind.CPU
    with pytest.raises(EngineError, match="CUDA offers no device"):
        detect_device("cuda")


def test_without_a_driver_cuda_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    given_cards(monkeypatch, FakeDriver([], broken=True), usable=0)
    assert detect_device("auto").kind is DeviceKind.CPU
    assert detect_device("auto").unused_gpu == ""
    with pytest.raises(EngineError, match="Driver Not Loaded"):
        detect_device("cuda")


def test_a_card_without_its_libraries_is_left_alone_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    given_cards(monkeypatch, FakeDriver([16]), usable=1, cublas=False)
    device = detect_device("auto")
    assert device.kind is DeviceKind.CPU
    assert "card 0 needs the library" in device.unused_gpu
    with pytest.raises(EngineError, match="pip install nvidia-cublas-cu12"):
        detect_device("cuda")
