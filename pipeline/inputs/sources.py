"""The digests of media files, remembered for as long as the files stay as they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cache.store import Store
from core.keys import Digest, canonical_json, digest_bytes, is_digest
from media.claims import check_claims
from media.probe import probe
from media.sources import check_source, media_digest, stat_signature


def digest_parts(path: Path) -> tuple[str, ...]:
    """Where the store remembers the digest of a media file."""
    name = digest_bytes(os.fsencode(path.absolute()))
    return "state", "digests", name[:2], f"{name}.state"


def known_digest(path: Path, store: Store) -> Digest:
    """The media's SHA-256, remembered for as long as its size, time and inode stay the same. Raises MediaError."""
    check_source(path)
    noted = store.read_state(digest_parts(path))
    if noted is not None:
        value = json.loads(noted)
        if value["stamp"] == _stamp(path) and is_digest(value["digest"]):
            return Digest(value["digest"])
    # What it says of itself is looked at first: to read all of a file costs what its size says.
    check_claims(probe(path))
    return remember_digest(path, store)


def remember_digest(path: Path, store: Store) -> Digest:
    """The media's SHA-256, read now and remembered. Raises MediaError."""
    stamp = _stamp(path)
    digest = media_digest(path)
    # Without it the file is only read again.
    store.replace_state(digest_parts(path), canonical_json({"stamp": stamp, "digest": digest}), durable=False)
    return digest


def _stamp(path: Path) -> list[int]:
    signature = stat_signature(path)
    return [signature.size_bytes, signature.mtime_ns, signature.inode]
