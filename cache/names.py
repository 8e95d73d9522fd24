"""Where things lie under the store's home. Only this module turns an id into a path."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import count

from core.keys import is_digest

OBJECTS = "objects"
BLOBS = "blobs"
QUARANTINE = "quarantine"
IDENTITY = "store.json"
IDENTITY_COPY = "store.json.copy"

#: Folder of the jobs, one folder each.
JOBS = "jobs"
#: Folder of notes that come and go: orders to the queue, and which jobs are open.
QUEUE = "queue"
#: Top-level folders for files that callers name. The store never looks into others: a person may keep models,
#: or anything else, under the same home.
NAMED_ROOTS = ("attempts", JOBS, "ledger", "nodes", "overlays", "owners", QUEUE, "state")

#: The 256 folders that records are spread over, by the first two digits of their key.
SHARDS = tuple(f"{number:02x}" for number in range(256))

#: Suffix of append-only files; everything else that a caller names is written once, or is a state.
JOURNAL_SUFFIX = ".jsonl"
#: Suffix of small files that are replaced whole and are never the truth.
STATE_SUFFIX = ".state"

TEMP_PREFIX = ".tmp-"
#: Joins the parts of a document's path into one quarantine name; no part may contain it.
PART_JOINT = "+"
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@=-]{0,127}")
_LONGEST_PATH = 180
_counter = count()


def record_shard(key: str) -> str:
    """The folder of a record inside ``objects``. Raises ValueError for anything but a digest."""
    if not is_digest(key):
        raise ValueError(f"not a key: {key!r}")
    return key[:2]


def check_blob(digest: str) -> str:
    """The digest itself. Raises ValueError for anything else, so that no other text becomes a path."""
    if not is_digest(digest):
        raise ValueError(f"not a blob's digest: {digest!r}")
    return digest


def check_parts(parts: Sequence[str]) -> tuple[str, ...]:
    """The parts of a path below home. Raises ValueError for what could leave home or meet the store's own files."""
    if isinstance(parts, str) or not parts:
        raise ValueError(f"a path is a sequence of names, not {parts!r}")
    for part in parts:
        if not isinstance(part, str) or not _PART.fullmatch(part) or part.endswith("."):
            raise ValueError(f"not a name the store accepts: {part!r}")
    if parts[0] not in NAMED_ROOTS:
        raise ValueError(f"the store keeps named files in {', '.join(NAMED_ROOTS)}, not in {parts[0]!r}")
    if sum(len(part) + 1 for part in parts) > _LONGEST_PATH:
        raise ValueError(f"path too long: {'/'.join(parts)!r}")
    return tuple(parts)


def temp_name(target: str, token: str) -> str:
    """A name for an unfinished file that tells what it was to become; unique with the writer's ``token``."""
    return f"{TEMP_PREFIX}{target}-{token}-{os.getpid():x}-{next(_counter):x}"


def is_temp(name: str) -> bool:
    return name.startswith(TEMP_PREFIX)


def temp_target(name: str) -> str | None:
    """What an unfinished file was to become; None for another name."""
    return name[len(TEMP_PREFIX) :].rsplit("-", 3)[0] if is_temp(name) else None


def quarantine_stem(parts: Sequence[str]) -> str:
    """How a file's place is written inside ``quarantine``: ``objects+ab+abcdef...``."""
    return PART_JOINT.join(parts)


def quarantine_name(parts: Sequence[str], token: str) -> str:
    """A fresh name in ``quarantine`` for the file at ``parts``."""
    return f"{quarantine_stem(parts)}{PART_JOINT}{PART_JOINT}{token}-{os.getpid():x}-{next(_counter):x}"


def quarantined_parts(name: str) -> tuple[str, ...] | None:
    """Where a quarantined file came from; None for a name that the store did not make."""
    stem, joint, _ = name.partition(PART_JOINT + PART_JOINT)
    return tuple(stem.split(PART_JOINT)) if joint else None
