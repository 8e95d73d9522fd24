"""What is inside a media file, read in-process through PyAV from an open file: no name, no protocol, listed containers.

PyAV carries its own libavformat (imageio-ffmpeg has no ffprobe). It only reads headers here; `media.decoding` decodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.errors import MediaError
from media.claims import check_written
from media.containers import (
    FORMAT_WHITELIST,
    JUMPING_DEMUXERS,
    LENGTH_STATING_DEMUXERS,
    demuxer_name,
    looks_like_mp4,
    looks_like_text,
    name_pointer,
)
from media.headers import counts_frames
from media.parts import FilePart
from media.sources import one_line, open_source, shown
from media.tracks import AudioTrack, MediaInfo, bcp47

if TYPE_CHECKING:
    from av.container import InputContainer

_MICROSECONDS = 1_000_000
_HEAD_BYTES = 4096
_OPEN_SECONDS = 60.0
_LONGEST_TITLE = 120

#: How far into a file its streams are looked for, in bytes and microseconds: libavformat's options.
#: The second, deeper look is only for containers without a header, when the first left a track unknown.
SHALLOW_LOOK: dict[str, str] = {}
DEEP_LOOK = {"probesize": "100000000", "analyzeduration": "120000000"}


@dataclass(frozen=True)
class _Timeline:
    """The container's own clock."""

    #: Microseconds at which the file starts.
    start_us: int
    demuxer: str
    #: Microseconds from start to end, 0 when not stated.
    duration_us: int
    #: True when nothing but sound could have decided the duration.
    sound_only: bool
    #: True for an MP3 file whose first frame says how many follow.
    counted: bool


def probe(path: Path) -> MediaInfo:
    """What the file says of itself: container, length, picture, audio tracks. Nothing but the file is opened.

    Raises MediaError for what is not one self-contained media file, in one line that names it.
    """
    with open_source(path) as handle:
        check_written(path, handle)
        info = _probe_once(path, handle, deep=False)
        vague = any(not track.sample_rate or not track.channels for track in info.audio_tracks)
        if info.container in JUMPING_DEMUXERS and (vague or not info.audio_tracks):
            handle.seek(0)
            info = _probe_once(path, handle, deep=True)
    return info


def _probe_once(path: Path, handle: BinaryIO, *, deep: bool) -> MediaInfo:
    import av

    try:
        with open_container(FilePart(handle), None, DEEP_LOOK if deep else SHALLOW_LOOK) as container:
            counted = container.format.name == "mp3" and counts_frames(handle)
            return _read_info(path, container, counted=counted, deep=deep)
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError) as error:
        handle.seek(0)
        raise refusal(path, handle.read(_HEAD_BYTES)) from error


def open_container(part: FilePart, demuxer: str | None, options: Mapping[str, str]) -> InputContainer:
    """The container in an open file, of one kind or of any that is listed. Raises libav's errors."""
    import av

    # "none" is no protocol's name, so a container that refers to others can open nothing at all.
    guarded = {**options, "format_whitelist": FORMAT_WHITELIST, "protocol_whitelist": "none"}
    return av.open(part, "r", demuxer, container_options=guarded, metadata_errors="replace", timeout=_OPEN_SECONDS)


def refusal(path: Path, head: bytes) -> MediaError:
    """Why a file whose first bytes are ``head`` cannot be opened, in plain words."""
    pointer = name_pointer(head)
    if pointer:
        return MediaError(
            f"{shown(path)}: is {pointer}, which points to other files; those are never opened",
            "give the media files themselves",
        )
    if looks_like_mp4(head):
        return MediaError(
            f"{shown(path)}: is an MP4 without a readable index: it was cut off or is still being written",
            "copy or record it again",
        )
    if looks_like_text(head):
        return MediaError(f"{shown(path)}: is text, not media", "check what this file is")
    return MediaError(
        f"{shown(path)}: is not a media file that can be read, or it is damaged",
        "check that a player opens it; convert it to MP4, MKV or WAV",
    )


def _read_info(path: Path, container: InputContainer, *, counted: bool, deep: bool) -> MediaInfo:
    demuxer = demuxer_name(container.format.name)
    pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
    duration_us = max(0, container.duration or 0)
    timeline = _Timeline(container.start_time or 0, demuxer, duration_us, sound_only=not pictures, counted=counted)
    tracks = tuple(_read_track(index, stream, timeline) for index, stream in enumerate(container.streams.audio))
    return MediaInfo(
        path=path,
        duration_ms=timeline.duration_us // 1000,
        container=demuxer,
        has_video=bool(pictures),
        frame_rate=_frame_rate(pictures[0]) if pictures else None,
        size_bytes=container.size,
        audio_tracks=tracks,
        subtitle_count=len(container.streams.subtitles),
        deep=deep,
    )


def _is_cover(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(Disposition(stream.disposition) & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _frame_rate(stream: Any) -> Fraction | None:
    rate = stream.average_rate or stream.base_rate
    return Fraction(rate) if rate else None


def _read_track(index: int, stream: Any, timeline: _Timeline) -> AudioTrack:
    from av.stream import Disposition

    context = stream.codec_context
    metadata = {name.lower(): text for name, text in stream.metadata.items()}
    start_us = _start_us(stream, timeline)
    return AudioTrack(
        index=index,
        language=bcp47(metadata.get("language", "")),
        codec=context.codec.canonical_name if context is not None else "",
        channels=context.channels if context is not None else 0,
        layout=context.layout.name if context is not None else "",
        sample_rate=context.sample_rate if context is not None else 0,
        title=one_line(metadata.get("title", ""))[:_LONGEST_TITLE],
        default=bool(Disposition(stream.disposition) & Disposition.default),
        start_ms=start_us // 1000,
        end_ms=_end_us(stream, metadata, start_us, timeline) // 1000,
    )


def _start_us(stream: Any, timeline: _Timeline) -> int:
    if stream.start_time is None or stream.time_base is None:
        return 0
    return max(0, int(stream.start_time * stream.time_base * _MICROSECONDS) - timeline.start_us)


def _end_us(stream: Any, metadata: dict[str, str], start_us: int, timeline: _Timeline) -> int:
    """When the track ends by the container's statement (not by an estimate from the bit rate); 0 when unknown."""
    if timeline.demuxer not in LENGTH_STATING_DEMUXERS and not timeline.counted:
        return 0
    if timeline.demuxer == "matroska":
        # Matroska's DURATION tag of a track counts from the file's start, not from the track's.
        own_end_us = _clock_us(metadata.get("duration", ""))
    elif timeline.demuxer == "flv":
        # It states one length, of sound and picture together.
        own_end_us = 0
    elif stream.duration and stream.time_base is not None:
        own_end_us = start_us + int(stream.duration * stream.time_base * _MICROSECONDS)
    else:
        own_end_us = 0
    return own_end_us or (timeline.duration_us if timeline.sound_only else 0)


def _clock_us(text: str) -> int:
    """Microseconds in ``00:01:02.500000000``; 0 for anything else."""
    try:
        hours, minutes, seconds = text.strip("\0 ").split(":")
        return int((int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)) * _MICROSECONDS)
    except ValueError:
        return 0
