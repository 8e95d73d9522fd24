"""Soft subtitles in a copy: every stream kept, languages named, the original and existing files untouched."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_maker import PICTURE, decode, make, sound

from core.errors import MediaError
from media.builds import FfmpegBuild
from media.mux import SubtitleInput, iso639_2, mux_subtitles, muxed_path
from media.sources import media_digest

SRT = "1\n00:00:00,500 --> 00:00:01,500\nUn, dos, tres\n\n2\n00:00:02,000 --> 00:00:02,900\n一、二、三\n"


@pytest.fixture
def subtitles(tmp_path: Path) -> list[SubtitleInput]:
    spanish, japanese = tmp_path / "it's [es], 1%d.srt", tmp_path / "ja.srt"
    spanish.write_text(SRT, encoding="utf-8")
    japanese.write_text(SRT, encoding="utf-8")
    return [SubtitleInput(spanish, "es-419", "Español\n(Latinoamérica)"), SubtitleInput(japanese, "ja")]


CODECS = {
    "mp4": ("-c:v", "mpeg4", "-c:a", "aac"),
    "mov": ("-c:v", "mpeg4", "-c:a", "pcm_s16le"),
    "mkv": ("-c:v", "mpeg4", "-c:a", "libopus"),
    "webm": ("-c:v", "libvpx", "-b:v", "50k", "-c:a", "libopus"),
    "avi": ("-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3"),
    "ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
}


@pytest.mark.parametrize("suffix", CODECS)
def test_subtitles_join_every_stream_that_was_there(
    tmp_path: Path, build: FfmpegBuild, subtitles: list[SubtitleInput], suffix: str
) -> None:
    video = tmp_path / f"-ep 1's.{suffix}"
    make(*PICTURE, *sound(3, rate=48000), "-map", "0", "-map", "1", *CODECS[suffix], video)
    before = media_digest(video)
    report = mux_subtitles(video, subtitles, muxed_path(video, tmp_path / "out"), build)
    assert report.path.suffix == (f".{suffix}" if suffix in ("mp4", "mov", "mkv", "webm") else ".mkv")
    assert report.warnings == ()
    assert media_digest(video) == before
    with av.open(str(report.path)) as copy:
        assert [stream.type for stream in copy.streams] == ["video", "audio", "subtitle", "subtitle"]
        assert [stream.metadata.get("language") for stream in copy.streams.subtitles] == ["spa", "jpn"]
        first = copy.streams.subtitles[0]
        titles = (first.metadata.get("title"), first.metadata.get("handler_name"))
        assert "Español (Latinoamérica)" in titles
        texts = [bytes(packet) for packet in copy.demux(first) if packet.size]
        assert b"Un, dos, tres" in b"".join(texts)
    np.testing.assert_array_equal(decode(report.path)[0], decode(video)[0])
    assert [path.name for path in (tmp_path / "out").iterdir()] == [report.path.name]


def test_subtitles_are_added_after_those_that_are_there(
    tmp_path: Path, build: FfmpegBuild, subtitles: list[SubtitleInput]
) -> None:
    video = tmp_path / "a.mkv"
    tag = ("-metadata:s:s:0", "language=eng")
    make(*PICTURE, "-i", subtitles[0].path, "-map", "0", "-map", "1", "-c:v", "mpeg4", "-c:s", "ass", *tag, video)
    report = mux_subtitles(video, subtitles[1:], tmp_path / "b.mkv", build)
    with av.open(str(report.path)) as copy:
        assert [stream.metadata.get("language") for stream in copy.streams.subtitles] == ["eng", "jpn"]
        assert [stream.codec_context.name for stream in copy.streams.subtitles] == ["ssa", "srt"]


def test_a_stream_that_has_no_place_in_the_copy_is_left_out_with_a_warning(
    tmp_path: Path, build: FfmpegBuild, subtitles: list[SubtitleInput]
) -> None:
    video = tmp_path / "a.mov"
    make(*PICTURE, "-c:v", "mpeg4", "-timecode", "00:00:00:00", video)
    with av.open(str(video)) as original:
        assert [stream.type for stream in original.streams] == ["video", "data"]
    report = mux_subtitles(video, subtitles, tmp_path / "out.mkv", build)
    assert "left out" in report.warnings[0]
    with av.open(str(report.path)) as copy:
        assert [stream.type for stream in copy.streams] == ["video", "subtitle", "subtitle"]


def test_an_existing_file_is_replaced_only_when_told_and_the_original_never(
    tmp_path: Path, build: FfmpegBuild, subtitles: list[SubtitleInput]
) -> None:
    video = tmp_path / "a.mp4"
    make(*PICTURE, "-c:v", "mpeg4", video)
    out = tmp_path / "b.mp4"
    out.write_text("mine")
    with pytest.raises(MediaError, match=r"b\.mp4: is there already"):
        mux_subtitles(video, subtitles, out, build)
    assert out.read_text() == "mine"
    mux_subtitles(video, subtitles, out, build, replace=True)
    assert out.stat().st_size > 1000
    with pytest.raises(MediaError, match=r"a\.mp4: is there already"):
        mux_subtitles(video, subtitles, video, build, replace=True)
    assert not list(tmp_path.glob(".segue-*"))


def test_what_cannot_carry_subtitles_is_refused_in_one_line(
    tmp_path: Path, build: FfmpegBuild, subtitles: list[SubtitleInput]
) -> None:
    sound_only = tmp_path / "a.m4a"
    make(*sound(1), sound_only)
    with pytest.raises(MediaError, match=r"a\.m4a: has no picture"):
        mux_subtitles(sound_only, subtitles, tmp_path / "b.mp4", build)
    video = tmp_path / "a.mp4"
    make(*PICTURE, "-c:v", "mpeg4", video)
    with pytest.raises(MediaError, match=r"b\.avi: subtitles cannot"):
        mux_subtitles(video, subtitles, tmp_path / "b.avi", build)
    with pytest.raises(MediaError, match=r"gone\.srt: there is no such file"):
        mux_subtitles(video, [SubtitleInput(tmp_path / "gone.srt", "es")], tmp_path / "b.mp4", build)
    with pytest.raises(MediaError, match="is not a subtitle file"):
        mux_subtitles(video, [SubtitleInput(video, "es")], tmp_path / "b.mp4", build)
    with pytest.raises(MediaError, match=r"a\.mp4: subtitles could not be put into a copy: ffmpeg says"):
        mux_subtitles(video, subtitles, tmp_path / "b.webm", build)
    assert not (tmp_path / "b.webm").exists()
    assert not list(tmp_path.glob(".segue-*"))


def test_a_full_folder_leaves_nothing_behind(
    tmp_path: Path, build: FfmpegBuild, subtitles: list[SubtitleInput]
) -> None:
    video = tmp_path / "a.mp4"
    make(*PICTURE, "-c:v", "mpeg4", video)
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(MediaError, match="cannot be made"):
        mux_subtitles(video, subtitles, blocked / "out.mp4", build)


@pytest.mark.parametrize(
    ("tag", "code"),
    [("es", "spa"), ("pt-BR", "por"), ("zh-Hans", "zho"), ("de", "deu"), ("yue", "yue"), ("", "und"), ("!", "und")],
)
def test_languages_become_three_letters(tag: str, code: str) -> None:
    assert iso639_2(tag) == code
