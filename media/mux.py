"""Soft subtitles into a copy of a video: every stream is copied as it is, the original is only read."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import MediaError
from media.arguments import QUIET, compiled, file_url
from media.builds import FfmpegBuild
from media.containers import FORMAT_WHITELIST
from media.names import fitting_path, without_suffix
from media.probe import DEEP_LOOK, probe
from media.process import FfmpegRun, TimeLimits
from media.sources import check_source, one_line, shown
from media.tracks import MediaInfo

#: Stands before the suffix of every copy that Segue makes; a folder's search passes such files over.
MUXED_MARK = ".subtitled"
_SUBTITLE_DEMUXERS = {".srt": "srt", ".vtt": "webvtt", ".ass": "ass", ".ssa": "ass"}
#: Seconds for a copy, whatever its size, and bytes a second that any disk can do.
_COPY_BASE_S = 300.0
_COPY_BYTES_A_SECOND = 2_000_000


class MuxContainer(StrEnum):
    """The containers that a copy can have, by ffmpeg's muxer."""

    MP4 = "mp4"
    MOV = "mov"
    MATROSKA = "matroska"
    WEBM = "webm"


_CONTAINERS = {
    ".mp4": MuxContainer.MP4,
    ".m4v": MuxContainer.MP4,
    ".mov": MuxContainer.MOV,
    ".mkv": MuxContainer.MATROSKA,
    ".webm": MuxContainer.WEBM,
}
_SUBTITLE_CODECS = {
    MuxContainer.MP4: "mov_text",
    MuxContainer.MOV: "mov_text",
    MuxContainer.MATROSKA: "subrip",
    MuxContainer.WEBM: "webvtt",
}
#: Where each container keeps a track's title for players to show.
_TITLE_FIELDS = {
    MuxContainer.MP4: "handler_name",
    MuxContainer.MOV: "handler_name",
    MuxContainer.MATROSKA: "title",
    MuxContainer.WEBM: "title",
}


@dataclass(frozen=True)
class SubtitleInput:
    """One subtitle file to put into a video."""

    #: An ``.srt``, ``.vtt`` or ``.ass`` file.
    path: Path
    #: BCP 47.
    language: str
    #: What players show in their menu; empty leaves it to them.
    title: str = ""


@dataclass(frozen=True)
class MuxReport:
    """The copy that was written."""

    path: Path
    #: Lines for a person: what could not be copied.
    warnings: tuple[str, ...] = ()


def muxed_path(video: Path, folder: Path) -> Path:
    """Where a copy belongs: ``ep1.mp4`` -> ``folder/ep1.subtitled.mp4``; other containers become ``.mkv``."""
    suffix = video.suffix.lower()
    ending = f"{MUXED_MARK}{suffix if suffix in _CONTAINERS else '.mkv'}"
    return fitting_path(folder, without_suffix(Path(video.name)).name, ending)


def mux_subtitles(
    video: Path, subtitles: Sequence[SubtitleInput], out: Path, build: FfmpegBuild, *, replace: bool = False
) -> MuxReport:
    """Writes ``out``: a copy of ``video`` with ``subtitles`` as further streams, all other streams as they were.

    The suffix of ``out`` is one of .mp4, .m4v, .mov, .mkv, .webm (see `muxed_path`). It appears complete or not at
    all, and an existing file is kept unless ``replace``. Raises MediaError.
    """
    container = _CONTAINERS.get(out.suffix.lower())
    if container is None:
        raise MediaError(f"{shown(out)}: subtitles cannot be put into a file of this kind", "end its name in .mkv")
    info = probe(video)
    if not info.has_video:
        raise MediaError(f"{shown(video)}: has no picture to show subtitles on", "use the subtitle files beside it")
    for subtitle in subtitles:
        check_source(subtitle.path)
        if subtitle.path.suffix.lower() not in _SUBTITLE_DEMUXERS:
            raise MediaError(f"{shown(subtitle.path)}: is not a subtitle file", "give .srt, .vtt or .ass")
    if out.exists() and (not replace or out.samefile(video)):
        raise MediaError(f"{shown(out)}: is there already", "choose another folder, or allow it to be replaced")
    with _temporary_beside(out) as temporary:
        warnings = _write_copy(info, subtitles, container, temporary, build)
        _publish(temporary, out, replace=replace)
    return MuxReport(out, warnings)


def _write_copy(
    info: MediaInfo, subtitles: Sequence[SubtitleInput], container: MuxContainer, target: Path, build: FfmpegBuild
) -> tuple[str, ...]:
    complaint = _try_copy(mux_command(info, subtitles, container, target, build), info)
    if complaint is None:
        return ()
    # Timecode, timed metadata and the like often have no place in the target; picture, sound and subtitles do.
    target.unlink(missing_ok=True)
    second = _try_copy(mux_command(info, subtitles, container, target, build, data_streams=False), info)
    if second is None:
        return (f"{shown(info.path)}: data streams (timecode, metadata) could not be copied and are left out",)
    raise MediaError(
        f'{shown(info.path)}: subtitles could not be put into a copy: ffmpeg says "{second}"',
        "try .mkv; check the free space",
    )


def _try_copy(command: list[str], info: MediaInfo) -> str | None:
    """Runs one copy: None when it succeeded, else ffmpeg's complaint."""
    total_s = _COPY_BASE_S + info.size_bytes / _COPY_BYTES_A_SECOND
    with FfmpegRun(command, TimeLimits(stall_s=total_s, total_s=total_s), shown(info.path)) as run:
        while run.read():
            pass
        return None if run.finish() == 0 else run.complaint or "nothing"


def mux_command(
    info: MediaInfo,
    subtitles: Sequence[SubtitleInput],
    container: MuxContainer,
    target: Path,
    build: FfmpegBuild,
    *,
    data_streams: bool = True,
) -> list[str]:
    """ffmpeg's arguments for the copy: named local inputs only, one output."""
    import ffmpeg

    guard = {"protocol_whitelist": "file"}
    # AVI and MPEG leave timestamps out that other containers need.
    look = {"fflags": "+genpts", **(DEEP_LOOK if info.deep else {})}
    files = {"input": info.path, "output": target}
    streams: list[Any] = [
        ffmpeg.input("input", format=info.container, format_whitelist=FORMAT_WHITELIST, **guard, **look)
    ]
    options: dict[str, Any] = {"c": "copy", "format": container.value, "map_metadata": 0, "map_chapters": 0}
    tags: list[str] = []
    for number, subtitle in enumerate(subtitles):
        name = f"subtitle {number}"
        files[name] = subtitle.path
        demuxer = _SUBTITLE_DEMUXERS[subtitle.path.suffix.lower()]
        streams.append(ffmpeg.input(name, format=demuxer, format_whitelist=demuxer, **guard)["s:0"])
        place = info.subtitle_count + number
        options[f"c:s:{place}"] = _SUBTITLE_CODECS[container]
        options[f"disposition:s:{place}"] = "0"
        tags += [f"-metadata:s:s:{place}", f"language={iso639_2(subtitle.language)}"]
        if subtitle.title:
            tags += [f"-metadata:s:s:{place}", f"{_TITLE_FIELDS[container]}={one_line(subtitle.title)}"]
    arguments = compiled(ffmpeg.output(*streams, "output", **options).global_args(*QUIET), build, files)
    # ffmpeg-python holds one value for an option; what is given more than once goes before the output's name.
    before = arguments.index(file_url(target))
    drop = [] if data_streams else ["-map", "-0:d?", "-map", "-0:t?"]
    return [*arguments[:before], "-ignore_unknown", "-n", *drop, *tags, *arguments[before:]]


def iso639_2(tag: str) -> str:
    """The three-letter code (ISO 639-2/T) that containers carry for a BCP 47 tag; ``und`` when there is none."""
    import langcodes

    try:
        return langcodes.get(tag).to_alpha3(variant="T")
    except (LookupError, ValueError):
        return "und"


@contextlib.contextmanager
def _temporary_beside(out: Path) -> Iterator[Path]:
    """A name in the folder of ``out`` that nothing has; what is left under it is removed."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"{shown(out.parent)}: cannot be made: {error.strerror}", "choose another folder") from error
    temporary = out.parent / f".segue-{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, out: Path, *, replace: bool) -> None:
    """Gives the finished copy its name; without ``replace`` an existing file wins."""
    try:
        _sync(temporary)
        if replace:
            temporary.replace(out)
            return
        try:
            out.hardlink_to(temporary)
        except FileExistsError:
            raise
        except OSError:
            # No hard links here (exFAT, some network disks): the name was free when we looked just before.
            if out.exists():
                raise FileExistsError(str(out)) from None
            temporary.rename(out)
    except FileExistsError as error:
        raise MediaError(
            f"{shown(out)}: is there already", "choose another folder, or allow it to be replaced"
        ) from error
    except OSError as error:
        raise MediaError(f"{shown(out)}: cannot be written: {error.strerror}", "check the disk") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
