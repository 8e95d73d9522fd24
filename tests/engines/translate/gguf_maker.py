"""Writes small GGUF files: only what a file says about itself, no tensors."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path


def write_gguf(path: Path, values: Mapping[str, str | int | list[str]]) -> Path:
    """A GGUF file of version 3 with these pairs (text, uint32 or an array of text)."""
    body = b"".join(_text(name) + _value(value) for name, value in values.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(values)) + body)
    return path


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: str | int | list[str]) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
