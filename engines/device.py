"""The machine's compute device: found without loading a model, so that defaults can follow it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.errors import EngineError
from engines.gpu_memory import visible_gpus

_CUBLAS = "libcublas.so.12"
_CUBLAS_LT = "libcublasLt.so.12"


class DeviceKind(StrEnum):
    """Where an engine computes; the values are what CTranslate2 calls them."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class Device:
    """What there is to compute on."""

    kind: DeviceKind
    #: As the driver or the processor calls itself: ``Tesla T4``, ``AMD EPYC 7763``.
    name: str
    #: Memory that a model can use: the smallest visible GPU's, or the computer's own.
    memory_bytes: int
    #: GPUs that can be used; 0 on a CPU.
    count: int
    #: CPU threads that this process may use.
    threads: int
    #: The computer's own memory, within the container's limit.
    host_memory_bytes: int
    #: Why a GPU that is there is not used, and what to do; empty when there is nothing to say.
    unused_gpu: str = ""

    def describe(self) -> str:
        """One short line for a person: ``Tesla T4, 15.8 GB`` or ``cpu, 8 threads, 16.4 GB``."""
        memory = f"{self.memory_bytes / 1e9:.1f} GB"
        if self.kind is DeviceKind.CPU:
            return f"cpu ({self.name}), {self.threads} threads, {memory}"
        return f"{self.count} x {self.name}, {memory}" if self.count > 1 else f"{self.name}, {memory}"


@dataclass(frozen=True)
class _Gpu:
    """One GPU as the driver describes it."""

    name: str
    memory_bytes: int


def detect_device(wanted: str = "auto") -> Device:
    """The device to use: a GPU when one works and ``wanted`` allows it, else the CPU.

    ``wanted`` is ``auto``, ``cpu`` or ``cuda``. Raises EngineError for another word, and when ``cuda`` is wanted but
    no GPU can be used.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise EngineError(f"unknown device {wanted!r}", "use auto, cpu or cuda")
    if wanted == "cpu":
        return _cpu()
    gpus, reason, fix = _usable_gpus()
    if gpus:
        smallest = min(gpus, key=lambda gpu: gpu.memory_bytes)
        return Device(
            DeviceKind.CUDA, smallest.name, smallest.memory_bytes, len(gpus), cpu_threads(), host_memory_bytes()
        )
    if wanted == "cuda":
        raise EngineError(f"no GPU can be used: {reason}", fix or "choose the device auto or cpu")
    return _cpu(f"{reason}; {fix}" if fix else "")


def _cpu(unused_gpu: str = "") -> Device:
    memory = host_memory_bytes()
    return Device(DeviceKind.CPU, _cpu_name(), memory, 0, cpu_threads(), memory, unused_gpu)


def _usable_gpus() -> tuple[list[_Gpu], str, str]:
    """GPUs that work for CTranslate2; else none, one line saying why, and what to do if there is a GPU to be had.

    The driver is asked first: it answers in milliseconds on a machine without one, and CTranslate2's own import does
    not have to be paid there. NVML ignores CUDA_VISIBLE_DEVICES, knows whole cards where a process has a MIG slice, and
    orders cards differently: which ones may be used is CUDA's to say. Where it does not, the smallest are reported.
    """
    gpus, reason = _driver_gpus()
    if not gpus:
        return [], reason, ""
    import ctranslate2

    usable = int(ctranslate2.get_cuda_device_count())
    if usable == 0:
        reason = f"the driver sees {gpus[0].name}, but CUDA offers no device to this process"
        return [], reason, "check CUDA_VISIBLE_DEVICES and the driver's version"
    if not load_cublas():
        return [], f"{gpus[0].name} needs the library {_CUBLAS}", "install it with `pip install nvidia-cublas-cu12`"
    visible = [_Gpu(name, memory) for name, memory in visible_gpus()]
    return visible or sorted(gpus, key=lambda gpu: gpu.memory_bytes)[:usable], "", ""


def load_cublas() -> bool:
    """Makes the one library that CTranslate2 opens at its first multiplication available; False when it is not there.

    Without this check a machine with a driver but without CUDA's libraries would choose its GPU and then fail. The
    copy that pip installs lies in a folder that the loader does not search: loaded here, it is found by its name.
    """
    if not sys.platform.startswith("linux"):
        return True
    folders = [""]
    spec = importlib.util.find_spec("nvidia")
    folders += [f"{place}/cublas/lib/" for place in (spec.submodule_search_locations or ())] if spec else []
    return any(_loads(f"{folder}{_CUBLAS_LT}") and _loads(f"{folder}{_CUBLAS}") for folder in folders)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def _driver_gpus() -> tuple[list[_Gpu], str]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return [], f"the NVIDIA driver does not answer ({error})"
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name = pynvml.nvmlDeviceGetName(handle)
            memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
            found.append(_Gpu(name.decode() if isinstance(name, bytes) else str(name), memory))
    except pynvml.NVMLError as error:
        return [], f"the NVIDIA driver failed ({error})"
    finally:
        pynvml.nvmlShutdown()
    return found, "" if found else "the NVIDIA driver sees no GPU"


def cpu_threads() -> int:
    """CPU threads that this process may use, within its affinity and the container's quota."""
    affine = hasattr(os, "sched_getaffinity")  # Not on macOS.
    threads = len(os.sched_getaffinity(0)) if affine else os.cpu_count() or 1
    quota, _, period = _cgroup_text("cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        threads = min(threads, max(1, int(quota) // int(period)))
    return threads


def host_memory_bytes() -> int:
    """The computer's memory, or the container's limit where that is lower; 0 when the system does not say."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
    limit = _cgroup_text("memory.max")
    return min(memory, int(limit)) if limit.isdigit() else memory


def _cgroup_text(name: str) -> str:
    """A limit of this container (cgroup v2), or an empty string where there is none."""
    try:
        return Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()
