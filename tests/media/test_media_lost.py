"""What came out is held against what the container stated: too little is lost sound, too much is said."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from media_maker import PICTURE, decode, make, peak, sound

from core.errors import MediaError
from media.probe import probe

NOISE = ("-f", "lavfi", "-i", "anoisesrc=d=20:r=16000:seed=5")
CODECS = {
    "mp3": ("-c:a", "mp3"),
    "aac": ("-c:a", "aac"),
    "mp4": ("-c:a", "aac"),
    "mkv": ("-c:a", "aac"),
    "opus": ("-c:a", "libopus"),
    "ogg": ("-c:a", "libvorbis"),
    "flac": ("-c:a", "flac"),
    "ts": ("-c:a", "mp2", "-ar", "48000"),
    "wma": ("-c:a", "wmav2"),
    "avi": ("-c:a", "mp3"),
    "wav": (),
    "w64": (),
    "aiff": (),
    "au": (),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    for suffix, codec in CODECS.items():
        make(*NOISE, *codec, folder / f"a.{suffix}")
    return {suffix: (folder / f"a.{suffix}").read_bytes() for suffix in CODECS}


def test_whole_files_have_lost_nothing(whole: dict[str, bytes], tmp_path: Path) -> None:
    for suffix, data in whole.items():
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(data)
        report = decode(path)[1]
        assert (report.lost, report.warnings) == ((), ()), suffix


@pytest.mark.parametrize("suffix", ["mp3", "aac", "mp4", "mkv", "opus", "ogg", "flac", "ts", "wma", "avi"])
@pytest.mark.parametrize("kind", ["zeros", "noise"])
def test_a_fifth_of_a_file_that_is_damaged_is_counted_as_lost(
    whole: dict[str, bytes], tmp_path: Path, suffix: str, kind: str
) -> None:
    data = bytearray(whole[suffix])
    start, end = len(data) * 2 // 5, len(data) * 3 // 5
    data[start:end] = bytes(end - start) if kind == "zeros" else random.Random(7).randbytes(end - start)
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(data)
    report = decode(path)[1]
    assert 3_000 < sum(each.missing_ms for each in report.lost) < 7_500
    assert all(each.reason in " ".join(report.warnings) for each in report.lost)


@pytest.mark.parametrize("suffix", ["mp3", "mkv", "flac", "avi", "wav", "w64", "aiff", "au"])
def test_a_file_that_was_cut_off_lacks_its_second_half(whole: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[suffix][: len(whole[suffix]) // 2])
    (lost,) = decode(path)[1].lost
    assert lost.start_ms == pytest.approx(10_000, abs=600)
    assert lost.missing_ms == pytest.approx(10_000, abs=1_100)


def test_a_scratch_is_said_and_nothing_is_called_lost(whole: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(whole["mp4"])
    middle = len(data) // 2
    data[middle : middle + 1500] = random.Random(7).randbytes(1500)
    path = tmp_path / "scratch.mp4"
    path.write_bytes(data)
    report = decode(path)[1]
    assert report.lost == ()
    assert "scratch.mp4: has damage that cost" in report.warnings[0]


def test_tags_between_joined_files_are_no_damage(whole: dict[str, bytes], tmp_path: Path) -> None:
    body = bytes(120_000)
    tag = b"ID3\4\0\0" + bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0)) + body
    for suffix in ("mp3", "aac"):
        path = tmp_path / f"joined.{suffix}"
        path.write_bytes(whole[suffix] + tag + whole[suffix])
        report = decode(path)[1]
        assert report.lost == (), suffix
        assert report.duration_ms == pytest.approx(40_000, abs=250)


# -- headers that are wrong ----------------------------------------------------------------------------------


def _wav(data_size: int, riff_size: int, samples: bytes, tail: bytes = b"") -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    head = b"RIFF" + struct.pack("<I", riff_size) + b"WAVE" + form
    return head + b"data" + struct.pack("<I", data_size) + samples + tail


LOUD = struct.pack("<h", 9000) * 160_000


@pytest.mark.parametrize(
    ("data_size", "riff_size"),
    [(32_000, 32_036), (0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF000, 0x7FFFF024), (0, 36), (0xFFFFFFFF, 36)],
    ids=["one-second", "zero", "all-ones", "sox", "never-patched", "only-riff-patched"],
)
def test_all_of_a_wav_is_decoded_whatever_its_header_states(tmp_path: Path, data_size: int, riff_size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(_wav(data_size, riff_size, LOUD))
    samples, report = decode(path)
    assert (len(samples), report.lost) == (160_000, ())
    assert bool(report.warnings) == (data_size == 32_000)


def test_chunks_behind_the_samples_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    tags = b"LIST" + struct.pack("<I", 60_000) + b"INFO" + bytes(59_996)
    tags += b"iXML" + struct.pack("<I", 40_001) + b"<" * 40_001
    path.write_bytes(_wav(len(LOUD), 36 + len(LOUD) + len(tags), LOUD, tags))
    samples, report = decode(path)
    assert (len(samples), report.lost, report.warnings) == (160_000, (), ())


def test_a_second_file_behind_a_wav_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "joined.wav"
    one = _wav(len(LOUD), 36 + len(LOUD), LOUD)
    path.write_bytes(one + one)
    samples, report = decode(path)
    assert len(samples) == pytest.approx(320_000, abs=50)
    assert peak(samples[170_000:]) == 9000
    assert "states 10.0 s of sound and holds 20.0 s" in report.warnings[0]


@pytest.mark.parametrize("options", [(), ("-movflags", "+faststart")])
@pytest.mark.parametrize("picture", [(), PICTURE])
def test_a_second_film_behind_an_mp4_is_lost_and_named(
    tmp_path: Path, options: tuple[str, ...], picture: tuple[str, ...]
) -> None:
    film, joined = tmp_path / "film.mp4", tmp_path / "joined.mp4"
    make(*picture, *NOISE, "-c:a", "aac", *options, film)
    assert decode(film)[1].lost == ()
    joined.write_bytes(film.read_bytes() * 2)
    report = decode(joined)[1]
    assert 0.8 * report.duration_ms < sum(each.missing_ms for each in report.lost) < 1.2 * report.duration_ms
    assert "another file was put behind it" in report.lost[0].reason


@pytest.mark.parametrize("suffix", ["aiff", "au", "w64"])
def test_samples_behind_the_end_that_a_header_states_are_lost_or_used(
    whole: dict[str, bytes], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"longer.{suffix}"
    path.write_bytes(whole[suffix] + random.Random(3).randbytes(160_000))
    report = decode(path)[1]
    found = sum(each.missing_ms for each in report.lost)
    assert found == pytest.approx(5_000, abs=60) or report.duration_ms == pytest.approx(25_000, abs=60)


@pytest.mark.parametrize(("stated", "lost"), [(16_000, False), (640_000, True)])
def test_a_flac_with_a_wrong_total_is_decoded_to_its_end(
    whole: dict[str, bytes], tmp_path: Path, stated: int, lost: bool
) -> None:
    data = bytearray(whole["flac"])
    packed = int.from_bytes(data[18:26], "big") & ~0xFFFFFFFFF | stated
    data[18:26] = packed.to_bytes(8, "big")
    path = tmp_path / "total.flac"
    path.write_bytes(data)
    report = decode(path)[1]
    assert report.duration_ms == 20_000
    assert bool(report.lost) is lost
    assert report.warnings


def test_an_edit_list_that_trims_a_file_loses_nothing(tmp_path: Path) -> None:
    whole, trimmed = tmp_path / "whole.mp4", tmp_path / "trimmed.mp4"
    make(*PICTURE, *sound(20), "-c:v", "mpeg4", "-c:a", "aac", whole)
    make("-ss", "3", "-i", whole, "-t", "9", "-c", "copy", trimmed)
    report = decode(trimmed)[1]
    assert report.lost == ()


def test_a_track_that_is_shorter_than_its_picture_has_lost_nothing(tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv"):
        path = tmp_path / f"short.{suffix}"
        make("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=12", *sound(3), "-c:v", "mpeg4", path)
        assert decode(path)[1].lost == ()


def test_a_chain_whose_second_link_cannot_be_read_says_so(tmp_path: Path) -> None:
    first, second, path = tmp_path / "1.opus", tmp_path / "2.opus", tmp_path / "chain.opus"
    for part in (first, second):
        make(*NOISE, "-c:a", "libopus", part)
    broken = second.read_bytes().replace(b"OpusHead", b"OpusBody").replace(b"OpusTags", b"OpusBags")
    path.write_bytes(first.read_bytes() + broken)
    samples, report = decode(path)
    assert len(samples) == 320_000
    assert report.lost[0].missing_ms > 15_000


def test_a_track_in_which_nothing_can_be_decoded_is_an_error(tmp_path: Path, whole: dict[str, bytes]) -> None:
    data = bytearray(whole["mp4"])
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = random.Random(1).randbytes(end - start)
    path = tmp_path / "broken.mp4"
    path.write_bytes(data)
    assert probe(path).audio_tracks
    with pytest.raises(MediaError, match=r"broken\.mp4: nothing can be decoded"):
        decode(path)


@pytest.mark.parametrize("suffix", ["ts", "opus", "ogg"])
def test_a_piece_cut_out_of_a_stream_is_lost_sound_and_no_pause(
    whole: dict[str, bytes], tmp_path: Path, suffix: str
) -> None:
    data = whole[suffix]
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: len(data) * 2 // 5] + data[len(data) * 3 // 5 :])
    report = decode(path)[1]
    assert 2_500 <= sum(each.missing_ms for each in report.lost) <= 7_000


def test_a_pause_between_packets_that_are_all_there_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "pause.ts"
    make(*sound(6), "-af", "asetpts='PTS+gte(T,3)*4/TB'", "-c:a", "mp2", "-ar", "48000", path)
    samples, report = decode(path)
    assert (report.lost, len(samples) > 9 * 16_000) == ((), True)


@pytest.mark.parametrize(("suffix", "codec"), [("caf", "pcm_s16le"), ("flv", "aac"), ("tta", "tta"), ("wv", "wavpack")])
def test_a_header_s_length_tells_that_a_file_was_cut_off(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"a.{suffix}"
    make(*NOISE, "-ar", "22050", "-c:a", codec, path)
    assert decode(path)[1].lost == ()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 5])
    assert sum(each.missing_ms for each in decode(path)[1].lost) == pytest.approx(8_000, abs=2_500)


def test_packets_damaged_one_after_the_other_are_one_place(whole: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(whole["mp4"])
    start, end = len(data) * 2 // 5, len(data) * 3 // 5
    data[start:end] = bytes(end - start)
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)
    assert len(decode(path)[1].lost) == 1
