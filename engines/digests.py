"""Digests of model files, remembered between runs: hashing 3 GB at each start would cost more than loading it."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from core.keys import Digest, digest_chunks, digest_value, is_digest

#: A file younger than this when it is hashed may change again within its timestamp's grain: not remembered.
_SETTLED_NS = 2_000_000_000
_CHUNK_BYTES = 1 << 20
_CACHE_NAME = "digests.json"
#: Older entries go first when the cache has grown beyond this.
_CACHE_ENTRIES = 500


def files_revision(files: Iterable[tuple[str, Path]], models_dir: Path) -> Digest:
    """The revision of a model: one digest of its files' names, sizes and contents.

    ``files`` are (name inside the model, path) pairs. Digests of unchanged files (same path, size, modification time
    and inode) come from ``models_dir/digests.json``; a cache that is damaged or cannot be written only costs time.
    Raises OSError when a file cannot be read.
    """
    cache = _DigestCache(models_dir / _CACHE_NAME)
    listed = [[name, path.stat().st_size, cache.digest(path)] for name, path in sorted(files)]
    cache.save()
    return digest_value({"model-files": listed})


def file_digest(path: Path, models_dir: Path) -> Digest:
    """SHA-256 of one file, remembered as in `files_revision`."""
    cache = _DigestCache(models_dir / _CACHE_NAME)
    digest = cache.digest(path)
    cache.save()
    return digest


def content_digest(path: Path) -> Digest:
    """SHA-256 of one file, read now."""
    return digest_chunks(_read_chunks(path))


class _DigestCache:
    """What was hashed before. Two processes may lose each other's additions, which costs one more hashing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read_cache(path)
        self._added: dict[str, str] = {}

    def digest(self, path: Path) -> Digest:
        real = path.resolve()
        before = real.stat()
        identity = f"{real}|{before.st_size}|{before.st_mtime_ns}|{before.st_ino}"
        known = self._known.get(identity)
        if known is not None:
            return Digest(known)
        digest = content_digest(real)
        after = real.stat()
        unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        if unchanged and time.time_ns() - after.st_mtime_ns > _SETTLED_NS:
            self._added[identity] = digest
        return digest

    def save(self) -> None:
        if not self._added:
            return
        merged = {**_read_cache(self._path), **self._added}
        kept = dict(list(merged.items())[-_CACHE_ENTRIES:])
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_text(self._path, json.dumps(kept, indent=0))


def replace_text(path: Path, text: str) -> None:
    """Puts a text file in place at once: readers see the old one or the new one, never half."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read_cache(path: Path) -> dict[str, str]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {str(name): digest for name, digest in value.items() if is_digest(digest)}


def _read_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
