"""The GPUs that this process may use and the memory that is free on the first of them, as the driver says it.

The driver is asked and not NVML: only the driver knows which GPUs are this process's under CUDA_VISIBLE_DEVICES, in
which order, and how much of one belongs to a MIG slice.
"""

from __future__ import annotations

import ctypes

_DRIVER = "libcuda.so.1"


def visible_gpus() -> list[tuple[str, int]]:
    """Name and whole memory of each GPU (or MIG slice) that CUDA offers to this process; empty where nobody says."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return []
    count, device, total = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(256)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    found = []
    for index in range(count.value):
        if driver.cuDeviceGet(ctypes.byref(device), index) or driver.cuDeviceGetName(name, 256, device):
            return []
        if driver.cuDeviceTotalMem_v2(ctypes.byref(total), device):
            return []
        found.append((name.value.decode(errors="replace"), total.value))
    return found


def free_gpu_bytes() -> int | None:
    """Free memory of the first GPU that this process may use, after what it holds itself; None when nobody says.

    Other processes on the GPU (a vLLM server, another worker) take and give theirs at any time. The first call makes
    the process's CUDA context, which CTranslate2 then shares; it takes some 300 MB.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return None
    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return None
    try:
        if driver.cuCtxPushCurrent_v2(context):
            return None
        refused = driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        driver.cuCtxPopCurrent_v2(ctypes.byref(context))
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(device)
    return None if refused else free.value
