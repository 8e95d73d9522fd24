"""How busy a GPU is while something runs, and a process that holds its memory.

python -m bench.gpu_load hold BYTES_LEFT     prints the bytes it holds, until its standard input is closed
"""

from __future__ import annotations

import ctypes
import sys
import threading
from types import TracebackType
from typing import Any

_EVERY_S = 0.2
_CHUNK_BYTES = 256 << 20


class LoadMeter:
    """Asks NVML every 200 ms how busy the first GPU is and how much of its memory is used. A context manager."""

    def __init__(self) -> None:
        self._busy: list[int] = []
        self._used: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> LoadMeter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def told(self, clips: int) -> dict[str, Any]:
        """What was seen; nothing where there is no GPU."""
        if not self._used:
            return {}
        grown = (max(self._used) - self._used[0]) / 2**30
        return {
            "busy_share": round(sum(self._busy) / len(self._busy) / 100, 3),
            "samples": len(self._busy),
            "used_gib": round(max(self._used) / 2**30, 2),
            "grown_gib_a_clip": round(grown / clips, 3),
        }

    def _sample(self) -> None:
        import pynvml

        try:
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            while not self._stop.is_set():
                self._used.append(int(pynvml.nvmlDeviceGetMemoryInfo(handle).used))
                self._busy.append(int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu))
                self._stop.wait(_EVERY_S)
        except pynvml.NVMLError:
            return


def hold(left: int) -> int:
    """Takes the GPU's free memory but ``left`` bytes, until the process ends; returns how much that was."""
    driver = ctypes.CDLL("libcuda.so.1")
    device, context = ctypes.c_int(), ctypes.c_void_p()
    _checked(driver.cuInit(0))
    _checked(driver.cuDeviceGet(ctypes.byref(device), 0))
    _checked(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    _checked(driver.cuCtxPushCurrent_v2(context))
    held = 0
    while True:
        free, total, place = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_uint64()
        _checked(driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)))
        wanted = min(_CHUNK_BYTES, free.value - left)
        if wanted < 1 << 20 or driver.cuMemAlloc_v2(ctypes.byref(place), ctypes.c_size_t(wanted)):
            return held
        held += wanted


def _checked(code: int) -> None:
    if code:
        raise RuntimeError(f"the driver refused with error {code}")


if __name__ == "__main__":
    print(hold(int(sys.argv[2])), flush=True)
    sys.stdin.read()
