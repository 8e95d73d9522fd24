"""Names of outputs: a media file's name without its suffix, as long as the file system takes."""

from __future__ import annotations

import os
from pathlib import Path

from core.keys import digest_bytes
from media.containers import MEDIA_SUFFIXES

#: What most file systems take, in bytes, where one does not say.
_USUAL_BYTES = 255
_MARK_LENGTH = 8


def without_suffix(path: Path) -> Path:
    """``ep1.mp4`` -> ``ep1``; a suffix that is no medium's is a part of the name (``Mr. Robot``, ``talk.v2``)."""
    return path.with_suffix("") if path.suffix.lower() in MEDIA_SUFFIXES else path


def longest_name(folder: Path) -> int:
    """Bytes that a name may have in ``folder``, which need not be there yet: fewer where names are encrypted."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):
        return _USUAL_BYTES


def fitting_path(folder: Path, stem: str, ending: str) -> Path:
    """``<folder>/<stem><ending>``; a stem that is too long is cut and marked by what it was, so that none meet."""
    room = longest_name(folder) - len(os.fsencode(ending))
    if len(os.fsencode(stem)) <= room:
        return folder / f"{stem}{ending}"
    mark = f"~{digest_bytes(os.fsencode(stem))[:_MARK_LENGTH]}"
    # By characters, but counted in bytes: half a letter is none.
    while stem and len(os.fsencode(stem)) > room - len(mark):
        stem = stem[:-1]
    return folder / f"{stem}{mark}{ending}"
