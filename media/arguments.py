"""ffmpeg's arguments, built with ffmpeg-python; files stand in them as ``file:`` and an absolute path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media.builds import FfmpegBuild

#: Before everything else: no reading from the terminal, errors only.
QUIET = ("-nostdin", "-hide_banner", "-loglevel", "error")


def file_url(path: Path) -> str:
    """How ffmpeg is told of a file, so that no name can be taken for an option, a protocol or a pattern."""
    return f"file:{path.absolute()}"


def compiled(output: Any, build: FfmpegBuild, files: Mapping[str, Path]) -> list[str]:
    """The command of an ffmpeg-python graph in which the names in ``files`` stand for real files.

    ffmpeg-python hashes its nodes as UTF-8, which names that are not Unicode cannot be; so it never sees them.
    """
    parts = [str(part) for part in output.compile(cmd=str(build.path))]
    return [file_url(files[part]) if part in files else part for part in parts]
