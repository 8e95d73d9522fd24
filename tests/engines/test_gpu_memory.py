"""Free GPU memory, asked of a driver that the test plays."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from core.errors import SettingsError
from engines import device as device_module
from engines import gpu_memory
from engines.device import Device, DeviceKind, detect_device
from engines.engine import EngineChoice
from engines.gpu_memory import free_gpu_bytes, visible_gpus
from engines.resources import EngineResources
from engines.transcribe import faster_whisper


class _Driver:
    """Answers as libcuda does: 0 and what was asked for, or the number of an error."""

    def __init__(self, free: int, failing: str = "") -> None:
        self._free, self._failing = free, failing
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.called.append(name)
            if name == "cuMemGetInfo_v2":
                arguments[0]._obj.value = self._free
            elif name == "cuDeviceGetCount":
                arguments[0]._obj.value = 1
            elif name == "cuDeviceGetName":
                arguments[0].value = b"NVIDIA H100 80GB HBM3 MIG 1g.10gb"
            elif name == "cuDeviceTotalMem_v2":
                arguments[0]._obj.value = self._free
            return 999 if name == self._failing else 0

        return call


def _play(monkeypatch: pytest.MonkeyPatch, driver: _Driver) -> None:
    monkeypatch.setattr(gpu_memory.ctypes, "CDLL", lambda _name: driver)


def test_the_driver_says_what_is_free_and_its_context_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = _Driver(7 << 30)
    _play(monkeypatch, driver)
    assert free_gpu_bytes() == 7 << 30
    assert driver.called[-2:] == ["cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"]


def test_a_slice_of_a_gpu_is_as_large_as_the_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = device_module._Gpu("NVIDIA H100 80GB HBM3", 80 << 30)
    monkeypatch.setattr(device_module, "_driver_gpus", lambda: ([whole], ""))
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(device_module, "load_cublas", lambda: True)
    _play(monkeypatch, _Driver(10 << 30))
    found = detect_device("cuda")
    assert (found.name, found.memory_bytes, found.count) == ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 10 << 30, 1)
    _play(monkeypatch, _Driver(10 << 30, "cuDeviceGetName"))
    assert detect_device("cuda").memory_bytes == 80 << 30


@pytest.mark.parametrize("failing", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuMemGetInfo_v2"])
def test_a_driver_that_refuses_says_nothing(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _play(monkeypatch, _Driver(7 << 30, failing))
    assert free_gpu_bytes() is None
    assert (visible_gpus() == []) is (failing in ("cuInit", "cuDeviceGet"))


def test_without_a_driver_nobody_says_anything() -> None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        assert free_gpu_bytes() is None
    else:
        pytest.skip("this machine has a driver")


@pytest.mark.parametrize("name", ["bfloat16", "int8_bfloat16", "int4", "auto", "float17"])
def test_a_compute_type_that_no_result_comes_back_in_is_refused_when_frozen(name: str, tmp_path: Any) -> None:
    choice = EngineChoice("faster-whisper", "tiny.en", name)
    with pytest.raises(SettingsError) as caught:
        faster_whisper.freeze(choice, EngineResources(models_dir=tmp_path, device="cpu", offline=True))
    assert "SEGUE_TRANSCRIBER_COMPUTE_TYPE" in caught.value.message
    assert "int8_float16" in caught.value.hint


def test_a_gpu_of_any_size_begins_with_what_free_memory_has_room_for() -> None:
    resources = EngineResources(models_dir=None)  # type: ignore[arg-type]
    card = Device(DeviceKind.CUDA, "Tesla T4", 15_800_000_000, 1, 4, 16_000_000_000)
    shape = faster_whisper._shape(card, resources)
    assert (shape.workers, shape.batch) == (1, 32)
