"""What a file says of itself, which track is taken, and what is said of files that are no media."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest
from media_maker import PICTURE, decode, make, sound

from core.errors import EngineMissingError, MediaError
from core.keys import digest_bytes
from media import builds
from media.builds import FfmpegBuild, FfmpegSource, find_ffmpeg
from media.probe import probe
from media.sources import media_digest, stat_signature
from media.tracks import MediaInfo, bcp47, select_track


@pytest.fixture(scope="module")
def two_tracks(tmp_path_factory: pytest.TempPathFactory) -> MediaInfo:
    path = tmp_path_factory.mktemp("two") / "two.mkv"
    english = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Main\nmix", "-disposition:a:0", "0")
    japanese = ("-metadata:s:a:1", "language=jpn", "-disposition:a:1", "default")
    make(
        *PICTURE,
        *sound(3),
        *sound(3),
        "-map",
        "0",
        "-map",
        "1",
        "-map",
        "2",
        "-c:v",
        "mpeg4",
        *english,
        *japanese,
        path,
    )
    return probe(path)


def test_a_video_with_two_languages_is_described(two_tracks: MediaInfo) -> None:
    assert two_tracks.container == "matroska"
    assert two_tracks.has_video
    assert two_tracks.frame_rate == Fraction(25)
    assert two_tracks.duration_ms == pytest.approx(3000, abs=30)
    assert two_tracks.size_bytes == two_tracks.path.stat().st_size
    first, second = two_tracks.audio_tracks
    assert (first.index, first.language, first.title) == (0, "en", "Main mix")
    assert (second.index, second.language, second.default) == (1, "ja", True)
    assert (first.channels, first.layout, first.sample_rate) == (1, "mono", 16000)


@pytest.mark.parametrize(
    ("wanted", "index"), [("", 1), ("0", 0), ("1", 1), ("ja", 1), ("jpn", 1), ("JA-jp", 1), ("en-US", 0), (" en ", 0)]
)
def test_a_track_is_chosen_by_default_flag_index_or_language(two_tracks: MediaInfo, wanted: str, index: int) -> None:
    assert select_track(two_tracks, wanted).index == index


@pytest.mark.parametrize("wanted", ["2", "-1", "fr", "und", "no such!", "１"])
def test_a_track_that_is_not_there_is_answered_with_those_that_are(two_tracks: MediaInfo, wanted: str) -> None:
    with pytest.raises(MediaError, match=r"two\.mkv: has no audio track") as caught:
        select_track(two_tracks, wanted)
    assert "0: en" in caught.value.hint
    assert "1: ja" in caught.value.hint


@pytest.mark.parametrize(("code", "tag"), [("jpn", "ja"), ("ger", "de"), ("pt-BR", "pt-BR"), ("und", ""), ("", "")])
def test_language_codes_become_bcp_47(code: str, tag: str) -> None:
    assert bcp47(code) == tag


def test_cover_art_is_not_a_picture(tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    make("-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1", cover)
    for suffix in ("mp3", "m4a", "flac"):
        path = tmp_path / f"song.{suffix}"
        attach = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
        make(*sound(1), "-i", cover, *attach, path)
        info = probe(path)
        assert not info.has_video
        assert info.frame_rate is None
        assert decode(path)[1].duration_ms == pytest.approx(1000, abs=90)


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    make(*PICTURE, "-c:v", "mpeg4", path)
    with pytest.raises(MediaError, match=r"mute\.mp4: has no audio track"):
        select_track(probe(path))


def test_what_is_no_media_is_named_in_plain_words(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("Dear diary, today I renamed a file.\n" * 50)
    with pytest.raises(MediaError, match=r"text\.mp4: is text, not media"):
        probe(text)
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 64)
    with pytest.raises(MediaError, match=r"noise\.mp4: is not a media file"):
        probe(noise)
    whole = tmp_path / "whole.mp4"
    make("-f", "lavfi", "-i", "anoisesrc=d=5:r=16000", "-c:a", "aac", whole)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(MediaError, match=r"cut\.mp4: is an MP4 without a readable index"):
        probe(cut)
    picture = tmp_path / "picture.mp4"
    make("-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1", "-f", "image2", tmp_path / "p.png")
    (tmp_path / "p.png").rename(picture)
    with pytest.raises(MediaError, match=r"picture\.mp4: is not a media file"):
        probe(picture)


def test_errors_are_written_to_nobodys_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(range(256)) * 64)
    with pytest.raises(MediaError):
        probe(path)
    assert capfd.readouterr() == ("", "")


def test_a_digest_is_of_the_bytes_and_a_signature_follows_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"one" * 1_000_000)
    assert media_digest(path) == digest_bytes(b"one" * 1_000_000)
    before = stat_signature(path)
    assert before == stat_signature(path)
    path.write_bytes(b"two" * 1_000_000)
    os.utime(path, ns=(1, 1))
    assert before != stat_signature(path)
    with pytest.raises(MediaError, match=r"gone: there is no such file"):
        stat_signature(tmp_path / "gone")


def test_the_build_is_named(build: FfmpegBuild) -> None:
    assert build.version
    assert build is find_ffmpeg()
    chosen = find_ffmpeg(str(build.path))
    assert chosen.source is FfmpegSource.SETTING
    assert chosen.version == build.version


@pytest.mark.parametrize("preferred", ["/no/such/ffmpeg", "true", "/etc"])
def test_a_setting_that_is_no_ffmpeg_is_an_error_with_its_mend(preferred: str) -> None:
    with pytest.raises(EngineMissingError, match="imageio-ffmpeg"):
        find_ffmpeg(preferred)


def test_the_system_comes_first_and_a_broken_one_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: FfmpegBuild
) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(builds, "find_program", lambda _name: str(broken))
    monkeypatch.setattr(builds, "_packaged_ffmpeg", lambda: build.path)
    assert find_ffmpeg.__wrapped__("").source is FfmpegSource.PACKAGE
    broken.write_text("#!/bin/sh\necho ffmpeg version 99.1 Copyright\n")
    assert find_ffmpeg.__wrapped__("").source is FfmpegSource.SYSTEM
    assert find_ffmpeg.__wrapped__("").version == "99.1"


def test_without_any_ffmpeg_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "find_program", lambda _name: None)
    monkeypatch.setattr(builds, "_packaged_ffmpeg", lambda: None)
    with pytest.raises(EngineMissingError, match="pip install imageio-ffmpeg"):
        find_ffmpeg.__wrapped__("")
