"""Environments for child processes: built from what a child needs, so that no secret travels by habit.

Lists of folders keep only absolute entries: an empty or relative one stands for the working directory, which is
somebody else's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping

#: What any program may need: where things are, and how to speak.
_ANYBODY = frozenset(
    {"DYLD_LIBRARY_PATH", "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"}
)
_ANYBODY_BEGINS = ("LC_",)
#: What Segue's own processes need besides: settings, terminal, folders, the way into the network, compute libraries.
_OURS = frozenset(
    {
        "COLUMNS",
        "CURL_CA_BUNDLE",
        "FORCE_COLOR",
        "NO_COLOR",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TERM",
        *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
    }
)
_OURS_BEGINS = (
    *("SEGUE_", "XDG_", "PYTHON"),
    # Models are downloaded by engines, some with the user's token.
    *("HF_", "HUGGINGFACE_", "HUGGING_FACE_"),
    *("CUDA_", "NVIDIA_", "GGML_", "LLAMA_", "CT2_", "ORT_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "MALLOC_"),
)
_FOLDERS = frozenset({"DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH"})


def foreign_environment() -> dict[str, str]:
    """For programs that are not Segue's (ffmpeg, the broker's server): no setting, no proxy, no secret."""
    return _kept(os.environ, _ANYBODY, _ANYBODY_BEGINS)


def segue_environment(*, without: Collection[str] = ()) -> dict[str, str]:
    """For Segue's own child processes, which never import from the working directory; not the settings ``without``,
    given as ``notify_secret``."""
    kept = _kept(os.environ, _ANYBODY | _OURS, _ANYBODY_BEGINS + _OURS_BEGINS)
    unwanted = {f"SEGUE_{name.upper()}{end}" for name in without for end in ("", "_FILE")}
    return {name: value for name, value in kept.items() if name.upper() not in unwanted} | {"PYTHONSAFEPATH": "1"}


def find_program(name: str) -> str | None:
    """The path of a program by its path, or by its name in the absolute folders of ``PATH``; None for none."""
    return shutil.which(name, path=_absolute(os.environ.get("PATH", os.defpath)))


def _kept(given: Mapping[str, str], names: Collection[str], beginnings: tuple[str, ...]) -> dict[str, str]:
    # Proxies are written in small letters as well, and settings may be.
    kept = {
        name: value for name, value in given.items() if name.upper() in names or name.upper().startswith(beginnings)
    }
    return {name: _absolute(value) if name in _FOLDERS else value for name, value in kept.items()}


def _absolute(folders: str) -> str:
    return os.pathsep.join(folder for folder in folders.split(os.pathsep) if os.path.isabs(folder))  # noqa: PTH117 - text, not a path
