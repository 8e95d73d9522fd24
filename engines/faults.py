"""What an exception of an engine's library is about: memory, the device, or what it was given. Pure rules over texts.

CTranslate2 raises RuntimeError with what CUDA, cuBLAS or Thrust said: "CUDA failed with error out of memory",
"cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED", "parallel_for failed: cudaErrorInvalidDevice: invalid device
ordinal". The last one means memory as well: Thrust says so when it cannot allocate what it needs to ask the device.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Fault(StrEnum):
    """Whose fault an exception is."""

    #: Memory ran out: less at once may fit.
    MEMORY = "memory"
    #: The device, its driver or its libraries do not work: whatever is computed next fails as well.
    DEVICE = "device"
    #: Neither: what the engine was given, or the engine itself.
    OTHER = "other"


_MEMORY = re.compile(
    r"out of memory|out_of_memory|erroroutofmemory|cudaerrormemoryallocation|status_alloc_failed|bad_?alloc|"
    r"(?:failed|unable) to allocate|(?:cannot|can't|could not) allocate memory(?! in static tls)|insufficient memory|"
    # Not cudaErrorInvalidDeviceFunction or -Pointer, and not from anybody else: those are the device's.
    r"parallel_for failed: cudaerrorinvaliddevice\b"
)
_DEVICE = re.compile(
    # CUDA's, cuBLAS's and cuDNN's own names for an error, and how CTranslate2 introduces each.
    r"cuda_?error|cuda error|(?:cuda|cublas|cublaslt|cudnn|nccl|hip|nvrtc|nvml)(?:_status_\w+| ?failed)|"
    r"(?:cublas|cudnn)_status_|"
    # A library that is not there, or is another driver's.
    r"is not found or cannot be loaded|cannot open shared object file|static tls|driver/library version mismatch|"
    r"cuda driver|no cuda-capable device|no cuda gpus|invalid device ordinal|unsupported toolchain|ptx jit|"
    r"no kernel image|invalid device function|"
    # A device that has failed, with or without a word in front.
    r"illegal memory access|illegal instruction|misaligned address|unspecified launch failure|device-side assert|"
    r"launch timed out|hardware stack error|uncorrectable|ecc error|\bxid\b|fallen off the bus|gpu is lost|"
    r"device is busy or unavailable|devices? unavailable|all cuda-capable devices"
)


def classify(error: BaseException) -> Fault:
    """What ``error`` is about, by its type and its text."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or _MEMORY.search(text):
        return Fault.MEMORY
    return Fault.DEVICE if _DEVICE.search(text) else Fault.OTHER
