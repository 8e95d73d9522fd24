"""How much room the models take that lie in a store's folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cache.survey import FileCount
from engines.packaged import assembled_models


def count_models(models_dir: Path) -> dict[str, FileCount]:
    """By the name of its folder, what each model holds. What lies in the hub's own cache is not counted."""
    return {folder.name: _tally(folder) for folder in assembled_models(models_dir)}


def _tally(folder: Path) -> FileCount:
    tally = FileCount()
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # Another process has just finished or removed it.
            if path.is_file():
                tally = tally.plus(path.stat().st_size)
    return tally
