"""The model hub: what its cache already holds, whether it answers, and downloads that resume."""

from __future__ import annotations

import errno
import fnmatch
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import EngineError, EngineMissingError
from engines.resumable import fetch_large_file

#: Files of a CTranslate2 Whisper model that its engine reads.
WHISPER_PATTERNS = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*")
WHISPER_WEIGHTS = "model.bin"
#: What a GGUF repository is searched for when no file is named.
DEFAULT_GGUF_GLOB = "*q4_k_m*.gguf"
#: GGUF repositories by short name: (repository, file glob).
GGUF_NAMES = {
    "qwen3-8b": ("Qwen/Qwen3-8B-GGUF", DEFAULT_GGUF_GLOB),
    "qwen3-4b": ("Qwen/Qwen3-4B-GGUF", DEFAULT_GGUF_GLOB),
    "qwen3-1.7b": ("unsloth/Qwen3-1.7B-GGUF", DEFAULT_GGUF_GLOB),
}
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True)
class Hub:
    """Which hub, and where its cache is; the defaults are the hub library's own."""

    #: Base address; None for the library's.
    endpoint: str | None = None
    #: Folder of cached models; None for the library's.
    cache_dir: Path | None = None
    #: Seconds to wait for the hub to say whether it is there.
    answer_seconds: float = 3.0
    #: Seconds to wait for a model's description before a download.
    request_seconds: float = 10.0

    def folder(self) -> Path:
        """Where downloads go."""
        from huggingface_hub import constants

        return self.cache_dir or Path(constants.HF_HUB_CACHE)


@dataclass(frozen=True)
class HubFiles:
    """A model in the hub's cache."""

    #: The snapshot folder.
    folder: Path
    #: The model's files inside it, first the one that an engine is pointed at.
    names: tuple[str, ...]


def whisper_repository(name: str) -> str:
    """The hub id of a Whisper model: a known size (``small``, ``large-v3``) or a hub id with a slash, as it is.

    Raises EngineError for a name that is neither.
    """
    if "/" in name:
        return name
    from faster_whisper.utils import _MODELS

    if name not in _MODELS:
        raise EngineError(
            f"there is no Whisper model named {name!r}",
            f"use a local directory, a hub id such as Systran/faster-whisper-small, or one of {', '.join(_MODELS)}",
        )
    return str(_MODELS[name])


def gguf_repository(name: str) -> tuple[str, str]:
    """(hub id, file glob) of a GGUF model: a known short name, ``owner/repo`` or ``owner/repo:glob``.

    Raises EngineError for a name that is none of these.
    """
    if name.lower() in GGUF_NAMES:
        return GGUF_NAMES[name.lower()]
    repository, _, glob = name.partition(":")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise EngineError(
            f"there is no GGUF model named {name!r}",
            "use a .gguf file, a hub id such as Qwen/Qwen3-4B-GGUF or Qwen/Qwen3-4B-GGUF:*Q5_K_M.gguf, "
            f"or one of {', '.join(GGUF_NAMES)}",
        )
    return repository, glob or DEFAULT_GGUF_GLOB


def cached_whisper(repository: str, hub: Hub) -> HubFiles | None:
    """The Whisper model, if it is whole in the hub's cache; nothing is asked of the network."""
    folder = _cached_snapshot(repository, [*WHISPER_PATTERNS, WHISPER_WEIGHTS], hub)
    if folder is None:
        return None
    names = [path.name for path in folder.iterdir() if path.is_file()]
    if not {WHISPER_WEIGHTS, "config.json", "tokenizer.json"}.issubset(names):
        return None
    return HubFiles(folder, tuple(sorted(name for name in names if is_whisper_file(name))))


def cached_gguf(repository: str, glob: str, hub: Hub) -> HubFiles | None:
    """The GGUF model, if it is whole in the hub's cache; nothing is asked of the network."""
    folder = _cached_snapshot(repository, None, hub)
    if folder is None:
        return None
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    chosen = _matching_gguf(names, glob)
    return HubFiles(folder, chosen) if _is_one_model(chosen) else None


def download_whisper(name: str, repository: str, hub: Hub, announce: Callable[[str], None]) -> HubFiles:
    """Fetches a Whisper model, saying its size first; what an earlier attempt left is continued.

    Raises EngineError when the hub cannot be reached or does not have the model.
    """
    sizes = {file: size for file, size in _described(name, repository, hub).items() if is_whisper_file(file)}
    if WHISPER_WEIGHTS not in sizes:
        raise EngineError(
            f"{repository} is not a Whisper model for CTranslate2: it has no {WHISPER_WEIGHTS}",
            "name a converted model, such as Systran/faster-whisper-small",
        )
    _say_size(name, repository, sum(sizes.values()), hub, announce)
    # The weights come last, so that their presence means that the rest is there.
    _fetch(name, repository, list(WHISPER_PATTERNS), hub)
    _fetch(name, repository, [WHISPER_WEIGHTS], hub, large=(WHISPER_WEIGHTS,))
    files = cached_whisper(repository, hub)
    if files is None:
        raise EngineError(f"{repository} lacks a file that Whisper needs", "name another model")
    return files


def download_gguf(name: str, repository: str, glob: str, hub: Hub, announce: Callable[[str], None]) -> HubFiles:
    """Fetches one GGUF model, saying its size first; what an earlier attempt left is continued.

    Raises EngineError when the hub cannot be reached, or no file or more than one fits.
    """
    sizes = _described(name, repository, hub)
    chosen = _matching_gguf(list(sizes), glob)
    if not _is_one_model(chosen):
        offered = [file for file in sizes if file.lower().endswith(".gguf")][:8]
        raise EngineError(
            f"{len(chosen) or 'no'} files of {repository} fit {glob}",
            f"name one as {repository}:FILE from {', '.join(offered)}" if offered else "name a GGUF repository",
        )
    _say_size(name, repository, sum(sizes[file] for file in chosen), hub, announce)
    folder = _fetch(name, repository, list(chosen), hub, large=chosen)
    return HubFiles(folder, chosen)


def hub_answers(hub: Hub) -> bool:
    """True when the hub says anything within ``hub.answer_seconds``, name lookup included."""
    answered: list[bool] = []

    def ask() -> None:
        answered.append(_asks_well(hub))

    # A thread, because no timeout bounds a name lookup.
    asking = threading.Thread(target=ask, name="segue-hub-question", daemon=True)
    asking.start()
    asking.join(hub.answer_seconds)
    return bool(answered and answered[0])


def is_whisper_file(name: str) -> bool:
    """True for the files of a model directory that a Whisper engine reads."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in (*WHISPER_PATTERNS, WHISPER_WEIGHTS))


def _asks_well(hub: Hub) -> bool:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi(endpoint=hub.endpoint).model_info("Systran/faster-whisper-base", timeout=hub.answer_seconds)
    except HfHubHTTPError as error:
        return error.response is not None and error.response.status_code < 500
    except Exception:  # noqa: BLE001 - each release of the hub's library has another transport and its errors
        return False
    return True


def _cached_snapshot(repository: str, patterns: list[str] | None, hub: Hub) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        path = snapshot_download(
            repository, cache_dir=hub.cache_dir, local_files_only=True, allow_patterns=patterns or ["*.none"]
        )
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise EngineError(f"{repository!r} is not a hub id", "hub ids look like owner/name") from error
    return Path(path)


def _described(name: str, repository: str, hub: Hub) -> dict[str, int]:
    """The repository's files and their sizes in bytes."""
    from huggingface_hub import HfApi

    info = _asked(
        name,
        repository,
        lambda: HfApi(endpoint=hub.endpoint).model_info(repository, files_metadata=True, timeout=hub.request_seconds),
    )
    return {file.rfilename: int(file.size or 0) for file in info.siblings or ()}


def _fetch(name: str, repository: str, patterns: list[str], hub: Hub, large: tuple[str, ...] = ()) -> Path:
    from huggingface_hub import snapshot_download

    def ask() -> str:
        for file in large:
            fetch_large_file(repository, file, hub.endpoint, hub.folder(), hub.request_seconds)
        return snapshot_download(repository, cache_dir=hub.cache_dir, endpoint=hub.endpoint, allow_patterns=patterns)

    return Path(_asked(name, repository, ask))


def _asked(name: str, repository: str, question: Callable[[], Any]) -> Any:
    """The hub's answer, with its library's many errors turned into one clear line."""
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        return question()
    except GatedRepoError as error:
        raise EngineError(
            f"{repository} is gated: the hub gives it only to accounts that accepted its licence",
            "accept it on the model's page and log in with `hf auth login`, or name another model",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise EngineError(
            f"the model hub has no model {repository} (or it needs a login)", "check the name, or name another model"
        ) from error
    except Exception as error:
        if _no_space(error):
            raise EngineError(
                f"{name} does not fit on the disk", "free some space and run again: it resumes"
            ) from error
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise EngineMissingError(
            f"the model {name} is not on this machine, and the model hub cannot be reached ({reason})", LOCAL_HINT
        ) from error


#: What to do when a model is not here and cannot be fetched.
LOCAL_HINT = (
    "connect and run again (a download resumes), or name a packaged model or a local model directory; "
    "`segue doctor` lists what is installed"
)


def _no_space(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def _say_size(name: str, repository: str, size: int, hub: Hub, announce: Callable[[str], None]) -> None:
    called = name if name == repository else f"{name} ({repository})"
    announce(f"downloading {called}, {readable_size(size)}, to {hub.folder()}")


def readable_size(size: int) -> str:
    """``1.6 GB``, ``145 MB``: decimal units, as hubs and disks use them."""
    return f"{size / 1e9:.1f} GB" if size >= 950_000_000 else f"{max(1, round(size / 1e6))} MB"


def _matching_gguf(names: list[str], glob: str) -> tuple[str, ...]:
    pattern = glob.lower()
    return tuple(
        sorted(
            name
            for name in names
            if name.lower().endswith(".gguf")
            and "mmproj" not in name.lower()
            and (fnmatch.fnmatchcase(name.lower(), pattern) or fnmatch.fnmatchcase(Path(name).name.lower(), pattern))
        )
    )


def _is_one_model(names: tuple[str, ...]) -> bool:
    """True for one whole file, or for every shard of one model."""
    shards = [_SHARD.search(name) for name in names]
    if len(names) == 1 and shards[0] is None:
        return True
    stems = {_SHARD.sub("", name) for name in names}
    return bool(names) and len(stems) == 1 and all(shard and int(shard.group(2)) == len(names) for shard in shards)
