"""What a GGUF file says about itself, read without loading the model.

Layout after https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: magic, version, tensor count, then pairs of a
name and a typed value, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection
from pathlib import Path

from core.errors import EngineError

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
#: Value type -> struct format, for those of a fixed size.
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_MOST_PAIRS = 100_000

#: `general.file_type` -> the name people use for it.
_FILE_TYPES = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s", 12: "q3_k_m",
    13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 25: "iq4_nl",
    30: "iq4_xs", 32: "bf16",
}  # fmt: skip


def read_metadata(path: Path, wanted: Collection[str]) -> dict[str, str | int | float]:
    """The wanted scalar and text values that the file has. Raises EngineError for a file that is no GGUF or is cut."""
    found: dict[str, str | int | float] = {}
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != _MAGIC:
                raise EngineError(f"{path.name} is not a GGUF file", "give a .gguf file made for llama.cpp")
            (pairs,) = struct.unpack_from("<Q", data, 16)
            offset = 24
            for _ in range(min(pairs, _MOST_PAIRS)):
                name, offset = _text(data, offset)
                (kind,) = struct.unpack_from("<I", data, offset)
                value, offset = _value(data, offset + 4, kind, name in wanted)
                if name in wanted and value is not None:
                    found[name] = value
    except (OSError, ValueError, struct.error, IndexError, KeyError) as error:
        raise EngineError(f"{path.name} cannot be read as a GGUF file", "fetch or copy the file again") from error
    return found


def compute_type(metadata: dict[str, str | int | float]) -> str:
    """``q4_k_m`` and the like from `general.file_type`; empty when the file does not say."""
    kind = metadata.get("general.file_type")
    return _FILE_TYPES.get(kind, f"type{kind}") if isinstance(kind, int) else ""


def _text(data: mmap.mmap, offset: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, offset)
    end = offset + 8 + length
    if end > len(data):
        raise ValueError("cut off")
    return data[offset + 8 : end].decode("utf-8", "replace"), end


def _value(data: mmap.mmap, offset: int, kind: int, keep: bool) -> tuple[str | int | float | None, int]:
    if kind == _STRING:
        if keep:
            return _text(data, offset)
        return None, offset + 8 + int(struct.unpack_from("<Q", data, offset)[0])
    if kind == _ARRAY:
        return None, _after_array(data, offset)
    form = _SCALARS[kind]
    (value,) = struct.unpack_from(form, data, offset)
    return value, offset + struct.calcsize(form)


def _after_array(data: mmap.mmap, offset: int) -> int:
    kind, length = struct.unpack_from("<IQ", data, offset)
    offset += 12
    if kind in _SCALARS:
        return offset + int(length) * struct.calcsize(_SCALARS[kind])
    for _ in range(length):
        _, offset = _value(data, offset, kind, keep=False)
    return offset
