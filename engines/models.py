"""From a model's name to its files: a local directory, else a packaged model, else the hub.

A model is a name (``base``, ``gemma3-270m``, ``qwen3-4b``), a hub id (``Systran/faster-whisper-small``) or a local
directory (for GGUF also a file). Nothing is downloaded before `EngineResources.announce` was told its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import EngineError, EngineMissingError
from core.keys import Digest
from engines.digests import files_revision
from engines.hub import (
    LOCAL_HINT,
    WHISPER_WEIGHTS,
    Hub,
    HubFiles,
    cached_gguf,
    cached_whisper,
    download_gguf,
    download_whisper,
    gguf_repository,
    is_whisper_file,
    whisper_repository,
)
from engines.packaged import PACKAGED_MODELS, ModelKind, PackagedModel, find_packaged, install_hint, packaged_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.resources import EngineResources

_WHISPER_NEEDS = (WHISPER_WEIGHTS, "config.json", "tokenizer.json")
#: A single GGUF file's name does not matter to its engine, so its revision does not know it.
_GGUF_NAME = "model.gguf"


class ModelSource(StrEnum):
    """Where a model's files come from."""

    DIRECTORY = "directory"
    PACKAGE = "package"
    HUB = "hub"


@dataclass(frozen=True)
class ModelFiles:
    """A model that is ready on disk."""

    #: As a person names it: a name, a hub id, or a local directory's own name.
    name: str
    #: The directory (Whisper) or the file (GGUF) that an engine is pointed at.
    path: Path
    #: Digest of the names, sizes and contents of the files that the engine reads.
    revision: Digest
    source: ModelSource
    #: Size of those files together.
    bytes: int


@dataclass(frozen=True)
class ModelCatalog:
    """Where names are looked up; the defaults are the real ones."""

    packaged: Sequence[PackagedModel] = PACKAGED_MODELS
    hub: Hub = field(default_factory=Hub)


_CATALOG = ModelCatalog()


def resolve_whisper(name: str, resources: EngineResources, catalog: ModelCatalog = _CATALOG) -> ModelFiles:
    """A CTranslate2 Whisper directory for ``name``, downloaded or assembled if need be.

    Raises EngineError when the name means nothing or the files are damaged, EngineMissingError when the model would
    have to be downloaded and that is forbidden or fails.
    """
    local = _local_path(name, WHISPER_WEIGHTS)
    if local is not None:
        missing = [needed for needed in _WHISPER_NEEDS if not (local / needed).is_file()]
        if missing:
            raise EngineError(
                f"{name} is not a Whisper model for CTranslate2: it has no {', '.join(missing)}",
                "give the directory that faster-whisper would load",
            )
        return _whisper_files(local.resolve().name, local, ModelSource.DIRECTORY, resources)
    packaged = find_packaged(name, ModelKind.WHISPER, catalog.packaged)
    if packaged is not None:
        path = _packaged(packaged, resources)
        return _whisper_files(name, path, ModelSource.PACKAGE, resources)
    _refuse_uninstalled(name, ModelKind.WHISPER, resources, catalog)
    repository = whisper_repository(name)
    files = cached_whisper(repository, catalog.hub)
    if files is None:
        _refuse_offline(name, resources)
        files = download_whisper(name, repository, catalog.hub, resources.announce)
    return _whisper_files(name, files.folder, ModelSource.HUB, resources)


def resolve_gguf(name: str, resources: EngineResources, catalog: ModelCatalog = _CATALOG) -> ModelFiles:
    """A GGUF file for ``name``, downloaded or assembled if need be; errors as in `resolve_whisper`."""
    local = _local_path(name, "*.gguf")
    if local is not None:
        path = _only_gguf(name, local)
        return _gguf_files(path.stem, [path], ModelSource.DIRECTORY, resources)
    packaged = find_packaged(name, ModelKind.GGUF, catalog.packaged)
    if packaged is not None:
        return _gguf_files(name, [_packaged(packaged, resources)], ModelSource.PACKAGE, resources)
    _refuse_uninstalled(name, ModelKind.GGUF, resources, catalog)
    repository, glob = gguf_repository(name)
    files = cached_gguf(repository, glob, catalog.hub)
    if files is None:
        _refuse_offline(name, resources)
        files = download_gguf(name, repository, glob, catalog.hub, resources.announce)
    return _gguf_files(name, _paths(files), ModelSource.HUB, resources)


def is_at_hand(name: str, kind: ModelKind, catalog: ModelCatalog = _CATALOG) -> bool:
    """True when the model needs no download: a local directory, an installed package or the hub's cache has it."""
    if _local_path(name, WHISPER_WEIGHTS if kind is ModelKind.WHISPER else "*.gguf") is not None:
        return True
    if find_packaged(name, kind, catalog.packaged) is not None:
        return True
    if kind is ModelKind.WHISPER:
        return cached_whisper(whisper_repository(name), catalog.hub) is not None
    return cached_gguf(*gguf_repository(name), catalog.hub) is not None


@lru_cache(maxsize=256)
def announce_once(announce: Callable[[str], None], line: str) -> None:
    """Says a line to this listener, unless it has heard it before in this process."""
    announce(line)


def _local_path(name: str, holds: str) -> Path | None:
    """The local directory or file that ``name`` means, or None for a name that is to be looked up elsewhere.

    A bare word means a directory only if a model lies in it, so that a folder of videos named ``base`` hides nothing.
    """
    path = Path(name).expanduser()
    written_as_path = path.is_absolute() or name.startswith((".", "~")) or name.lower().endswith(".gguf")
    if written_as_path and ":" not in name:
        if not path.exists():
            raise EngineError(f"there is no model at {name}", "check the path, or name a model instead")
        return path
    return path if path.is_dir() and any(path.glob(holds)) else None


def _only_gguf(name: str, path: Path) -> Path:
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise EngineError(f"{name} is not a GGUF file", "give a .gguf file made for llama.cpp")
        return path
    found = sorted(path.glob("*.gguf"))
    if len(found) != 1:
        raise EngineError(f"{name} holds {len(found) or 'no'} .gguf files", "name the one file to use")
    return _only_gguf(str(found[0]), found[0])


def _packaged(model: PackagedModel, resources: EngineResources) -> Path:
    path = packaged_path(model, resources.models_dir)
    if model.notice:
        announce_once(resources.announce_once or resources.announce, model.notice)
    return path


def _refuse_uninstalled(name: str, kind: ModelKind, resources: EngineResources, catalog: ModelCatalog) -> None:
    """A name that only a package has cannot be looked up in the hub: say which package to install."""
    for model in catalog.packaged:
        if model.name == name and model.kind is kind and (kind is ModelKind.GGUF or resources.offline):
            raise EngineMissingError(f"the packages of the model {name} are not installed", install_hint(model))


def _refuse_offline(name: str, resources: EngineResources) -> None:
    if resources.offline:
        raise EngineMissingError(f"the model {name} is not on this machine, and downloads are off", LOCAL_HINT)


def _whisper_files(name: str, folder: Path, source: ModelSource, resources: EngineResources) -> ModelFiles:
    files = [(path.name, path) for path in folder.iterdir() if path.is_file() and is_whisper_file(path.name)]
    return _model_files(name, folder, files, source, resources)


def _gguf_files(name: str, paths: list[Path], source: ModelSource, resources: EngineResources) -> ModelFiles:
    files = [(_GGUF_NAME, paths[0])] if len(paths) == 1 else [(path.name, path) for path in paths]
    return _model_files(name, paths[0], files, source, resources)


def _model_files(
    name: str, path: Path, files: list[tuple[str, Path]], source: ModelSource, resources: EngineResources
) -> ModelFiles:
    try:
        revision = files_revision(files, resources.models_dir)
        size = sum(file.stat().st_size for _, file in files)
    except OSError as error:
        raise EngineError(f"the model {name} cannot be read: {error.strerror or error}", f"check {path}") from error
    return ModelFiles(name, path, revision, source, size)


def _paths(files: HubFiles) -> list[Path]:
    return [files.folder / name for name in files.names]
