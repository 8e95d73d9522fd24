"""Whose fault an engine's exception is, by texts that CTranslate2, CUDA, cuBLAS, cuDNN, NVML and numpy really give."""

from __future__ import annotations

import pytest

from engines.faults import Fault, classify

_MEMORY = [
    "CUDA failed with error out of memory",
    "CUDA error: out of memory",
    "cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED",
    "cuDNN failed with status CUDNN_STATUS_ALLOC_FAILED",
    "parallel_for failed: cudaErrorInvalidDevice: invalid device ordinal",
    "parallel_for failed: cudaErrorMemoryAllocation: out of memory",
    "std::bad_alloc: cudaErrorMemoryAllocation: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "hipErrorOutOfMemory",
    "Unable to allocate 1.46 GiB for an array with shape (32, 1500, 1280) and data type float64",
    "Failed to allocate memory for requested buffer of size 24576000",
    "std::bad_alloc",
    "[Errno 12] Cannot allocate memory",
]
_DEVICE = [
    # CTranslate2 over cudaGetErrorString.
    "CUDA failed with error an illegal memory access was encountered",
    "CUDA failed with error unspecified launch failure",
    "CUDA failed with error uncorrectable ECC error encountered",
    "CUDA failed with error device-side assert triggered",
    "CUDA failed with error no kernel image is available for execution on the device",
    "CUDA failed with error the provided PTX was compiled with an unsupported toolchain.",
    "CUDA failed with error CUDA driver version is insufficient for CUDA runtime version",
    "CUDA failed with error no CUDA-capable device is detected",
    "CUDA failed with error CUDA-capable device(s) is/are busy or unavailable",
    "CUDA failed with error invalid device ordinal",
    "CUDA failed with error the launch timed out and was terminated",
    "CUDA failed with error too many resources requested for launch",
    "CUDA failed with error unknown error",
    "CUDA failed with error misaligned address",
    # Thrust and CUB.
    "parallel_for failed: cudaErrorIllegalAddress: an illegal memory access was encountered",
    "parallel_for failed: cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device",
    "parallel_for failed: cudaErrorInvalidDeviceFunction: invalid device function",
    "parallel_for: failed to synchronize: cudaErrorLaunchFailure: unspecified launch failure",
    "after reduction step 1: cudaErrorECCUncorrectable: uncorrectable ECC error encountered",
    "transform: failed to synchronize: cudaErrorAssert: device-side assert triggered",
    "cudaErrorInvalidDevice: invalid device ordinal",
    "cudaErrorContained: Invalid access of peer GPU memory over nvlink or a hardware error",
    # cuBLAS and cuDNN.
    "cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED",
    "cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED",
    "cuBLAS failed with status CUBLAS_STATUS_ARCH_MISMATCH",
    "cuBLAS failed with status CUBLAS_STATUS_INTERNAL_ERROR",
    "cuDNN failed with status CUDNN_STATUS_MAPPING_ERROR",
    "cuDNN failed with status CUDNN_STATUS_EXECUTION_FAILED",
    "Library libcublas.so.12 is not found or cannot be loaded",
    "libcublasLt.so.12: cannot open shared object file: No such file or directory",
    "libcublas.so.12: cannot allocate memory in static TLS block",
    # The driver and NVML.
    "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered",
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver / cuda driver combination",
    "CUDA_ERROR_NO_DEVICE",
    "Failed to initialize NVML: Driver/library version mismatch",
    "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', GPU has fallen off the bus.",
    "GPU is lost",
]
_OTHER = [
    "broken clip",
    "Invalid model dimension: expected an input with 80 features, got 128",
    "the engine gave no result for 1 of 4 clips",
    "Unsupported language code: xq",
    "index 448 is out of bounds for axis 0 with size 448",
    "memory of a trip to Cuba",
    "",
]


@pytest.mark.parametrize(
    ("text", "fault"),
    [(text, fault) for fault, texts in zip(Fault, (_MEMORY, _DEVICE, _OTHER), strict=True) for text in texts],
)
def test_a_text_says_whose_fault_it_is(text: str, fault: Fault) -> None:
    assert classify(RuntimeError(text)) is fault


def test_python_s_own_memory_error_needs_no_text() -> None:
    assert classify(MemoryError()) is Fault.MEMORY
