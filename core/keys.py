"""Digests: the one way Segue turns content into a name.

Everything that determines an output is put into one JSON value, written canonically and hashed.
Two values are the same work exactly when their canonical bytes are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NewType

#: 64 lower-case hexadecimal digits: SHA-256 of a canonical value or of raw bytes.
Digest = NewType("Digest", str)

#: Names a record in the store: the digest of everything that determines its payload.
Key = NewType("Key", str)

DIGEST_LENGTH = 64
_HEX = frozenset("0123456789abcdef")


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys, no spaces and no NaN: the same value always gives the same bytes.

    Floats are refused: their text differs between writers, so a key must not depend on one.
    Scale to integers, or pass the decimal as a string. Names of files may hold lone surrogates (bytes that are no
    UTF-8); they survive, and `json.loads` reads them back.
    """
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(
        errors="surrogatepass"
    )


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"a key cannot hold the float {value!r}: scale it to an integer or pass a string")
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"a key's object names are strings, not {name!r}")
            _refuse_floats(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_floats(item)


def digest_bytes(data: bytes | memoryview) -> Digest:
    """SHA-256 of raw bytes."""
    return Digest(hashlib.sha256(data).hexdigest())


def digest_chunks(chunks: Iterable[bytes | memoryview]) -> Digest:
    """SHA-256 of a stream of chunks, as if they had been one run of bytes."""
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(chunk)
    return Digest(state.hexdigest())


def digest_value(value: Any) -> Digest:
    """SHA-256 of a value's canonical JSON."""
    return digest_bytes(canonical_json(value))


def make_key(kind: str, version: int, **parts: Any) -> Key:
    """The key of a record of ``kind``, whose meaning is fixed by ``version``, made from all that determines it."""
    return Key(digest_value({"kind": kind, "version": version, **parts}))


def is_digest(text: object) -> bool:
    """True for 64 lower-case hexadecimal digits, the only names that may become part of a path."""
    return isinstance(text, str) and len(text) == DIGEST_LENGTH and _HEX.issuperset(text)
