"""Which ffmpeg is used, for making copies of videos with subtitles; nothing is decoded by it."""

from __future__ import annotations

import errno
import functools
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.environment import find_program, foreign_environment
from core.errors import EngineMissingError

_VERSION_SECONDS = 30
#: A machine without room for one more process or file says nothing of the program.
_LACKS = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_FIX = "install ffmpeg, or run: pip install imageio-ffmpeg"


class FfmpegSource(StrEnum):
    """Where the ffmpeg in use was found."""

    SETTING = "setting"
    SYSTEM = "system"
    PACKAGE = "imageio-ffmpeg"


@dataclass(frozen=True)
class FfmpegBuild:
    """One ffmpeg binary that runs."""

    path: Path
    #: As ffmpeg states it: ``7.1.1``, ``n9.0.2-17-g2a571b6068``.
    version: str
    source: FfmpegSource


@functools.lru_cache(maxsize=8)
def find_ffmpeg(preferred: str = "") -> FfmpegBuild:
    """The ffmpeg to use: ``preferred`` (a path or a command's name) if given, else the system's, else the package's.

    The answer is kept for the life of the process. Raises EngineMissingError when none runs.
    """
    if preferred:
        return _preferred_build(preferred)
    system = find_program("ffmpeg")
    if system is not None:
        build = _try_build(Path(system), FfmpegSource.SYSTEM)
        if build is not None:
            return build
    packaged = _packaged_ffmpeg()
    if packaged is not None:
        build = _try_build(packaged, FfmpegSource.PACKAGE)
        if build is not None:
            return build
    raise EngineMissingError("no ffmpeg that runs was found", _FIX)


def _preferred_build(preferred: str) -> FfmpegBuild:
    found = find_program(preferred)
    build = _try_build(Path(found), FfmpegSource.SETTING) if found is not None else None
    if build is None:
        raise EngineMissingError(
            f"the ffmpeg that was asked for, {preferred!r}, is not a program that runs",
            f"correct the setting, or leave it out and {_FIX}",
        )
    return build


def _packaged_ffmpeg() -> Path | None:
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    # Not the package's own search: it runs what it finds, with all of our environment.
    return next(iter(sorted(Path(imageio_ffmpeg.__file__).parent.glob("binaries/ffmpeg-*"))), None)


def _try_build(path: Path, source: FfmpegSource) -> FfmpegBuild | None:
    """The build at ``path``, or None when it does not run or is not ffmpeg. Raises OSError when nothing would run."""
    path = path.absolute()
    try:
        result = subprocess.run(
            [str(path), "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_SECONDS,
            check=False,
            env=foreign_environment(),
        )
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        if error.errno in _LACKS:
            raise
        return None
    text = result.stdout.decode("utf-8", "replace")
    words = text.split(maxsplit=3)
    if result.returncode != 0 or words[:2] != ["ffmpeg", "version"] or len(words) < 3:
        return None
    return FfmpegBuild(path=path, version=words[2], source=source)
