"""What a media file holds, and the choice of one audio track."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from core.errors import MediaError
from media.sources import shown


@dataclass(frozen=True)
class AudioTrack:
    """One audio stream."""

    #: Position among the file's audio tracks, from 0; it is what a person names it by.
    index: int
    #: BCP 47, empty when the file does not say.
    language: str
    #: ffmpeg's name: ``aac``, ``opus``, ``pcm_s16le``; empty when unknown.
    codec: str
    #: 0 when unknown before decoding.
    channels: int
    #: ffmpeg's name of the channel layout: ``stereo``, ``5.1(side)``, ``12 channels``.
    layout: str
    #: Hz; 0 when unknown before decoding.
    sample_rate: int
    #: As the file has it, on one line; often empty.
    title: str
    #: True for a track that players choose by themselves.
    default: bool
    #: When its first sample is heard, from the start of the file as a player shows it.
    start_ms: int
    #: When it ends by the file's own statement; 0 when the container does not say.
    end_ms: int

    def describe(self) -> str:
        """One short line for a person: ``0: ja, aac, stereo, "Commentary"``."""
        title = f'"{self.title}"' if self.title else ""
        parts = (self.language or "language not stated", self.codec, self.layout, title)
        return f"{self.index}: " + ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class MediaInfo:
    """What a media file says of itself."""

    path: Path
    #: From the start to the end as a player shows it; 0 when the container does not say.
    duration_ms: int
    #: ffmpeg's short name of the container: ``mov`` (also MP4), ``matroska`` (also WebM), ``mpegts``, ``wav``.
    container: str
    #: True when there is a moving picture; cover art is not one.
    has_video: bool
    #: Mean frames a second, None without video or when unknown.
    frame_rate: Fraction | None
    size_bytes: int
    audio_tracks: tuple[AudioTrack, ...]
    #: How many subtitle streams there are already.
    subtitle_count: int
    #: True when streams were found only by looking deep into the file; the decoder must look as deep.
    deep: bool = False


@dataclass(frozen=True)
class Lost:
    """Sound that the file should hold and that did not come out of it."""

    start_ms: int
    end_ms: int
    #: For a person; without the file's name.
    reason: str
    #: How much of the stretch is missing.
    missing_ms: int

    def as_json(self) -> list[int | str]:
        """As records and plans hold it: the arguments that make it again."""
        return [self.start_ms, self.end_ms, self.reason, self.missing_ms]


def select_track(info: MediaInfo, wanted: str = "") -> AudioTrack:
    """The track that ``wanted`` names: an index from 0 (``"1"``), a language (``"ja"``), or, when empty, the default.

    Without a default flag the first track is the default. Raises MediaError that lists the tracks.
    """
    tracks = info.audio_tracks
    if not tracks:
        raise MediaError(f"{shown(info.path)}: has no audio track", "there is nothing to transcribe in it")
    wanted = wanted.strip()
    if not wanted:
        return _default_of(tracks)
    if wanted.isascii() and wanted.isdigit():
        matches = tuple(track for track in tracks if track.index == int(wanted))
    else:
        matches = _in_language(tracks, wanted)
    if not matches:
        listing = "; ".join(track.describe() for track in tracks)
        raise MediaError(f"{shown(info.path)}: has no audio track {wanted!r}", f"its tracks are {listing}")
    return _default_of(matches)


def _default_of(tracks: tuple[AudioTrack, ...]) -> AudioTrack:
    return next((track for track in tracks if track.default), tracks[0])


def _in_language(tracks: tuple[AudioTrack, ...], wanted: str) -> tuple[AudioTrack, ...]:
    tag = bcp47(wanted)
    exact = tuple(track for track in tracks if tag and track.language == tag)
    if exact:
        return exact
    primary = tag.partition("-")[0]
    return tuple(track for track in tracks if primary and track.language.partition("-")[0] == primary)


def bcp47(code: str) -> str:
    """The BCP 47 tag of a container's language code (``jpn`` -> ``ja``); empty when it says nothing."""
    import langcodes

    try:
        tag = langcodes.standardize_tag(code.strip().replace("_", "-"))
    except ValueError:
        return ""
    return "" if tag.partition("-")[0] in ("", "und", "mis", "mul", "zxx") else tag
