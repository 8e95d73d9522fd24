"""What comes out of the decoder: the right samples at the right time, from every kind of file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from media_maker import PICTURE, decode, make, onset_ms, peak, sound

from core.errors import MediaError
from media.decode import DecodeLimits, decode_pcm
from media.probe import probe
from media.tracks import select_track

VIDEO = ("-c:v", "mpeg4", "-q:v", "31")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", ("-c:a", "aac")),
        ("a.mov", ("-c:a", "pcm_s16le")),
        ("a.m4a", ("-c:a", "aac")),
        ("a.mkv", ("-c:a", "libopus")),
        ("a.webm", ("-c:a", "libopus")),
        ("a.ts", ("-c:a", "aac")),
        ("a.mpg", ("-c:a", "mp2", "-ar", "44100")),
        ("a.avi", ("-c:a", "mp3")),
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.opus", ("-c:a", "libopus")),
        ("a.mp3", ("-c:a", "mp3")),
        ("a.wav", ("-c:a", "pcm_s16le")),
        ("a.flac", ("-c:a", "flac")),
        ("a.wma", ("-c:a", "wmav2")),
        ("a.flv", ("-c:a", "mp3", "-ar", "44100")),
        ("a.aac", ("-c:a", "aac")),
        ("a.ac3", ("-c:a", "ac3", "-ar", "48000")),
        ("a.aiff", ("-c:a", "pcm_s16be")),
        ("a.caf", ("-c:a", "pcm_s16le")),
    ],
)
def test_sound_is_heard_when_it_was_made_in_every_container(tmp_path: Path, name: str, codec: tuple[str, ...]) -> None:
    path = tmp_path / name
    make(*sound(3, start=1.5, rate=48000), *codec, path)
    samples, report = decode(path)
    # A raw stream has no way to say that its encoder's delay is to be left out: up to 2048 samples at 48 kHz.
    assert onset_ms(samples) == pytest.approx(1500, abs=60)
    assert report.duration_ms == pytest.approx(3000, abs=110)
    assert report.lost == ()
    assert report.warnings == ()


def test_a_16_khz_mono_file_comes_out_sample_by_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(7).integers(-20000, 20000, 50_001).astype("<i2")
    (tmp_path / "raw").write_bytes(noise.tobytes())
    make("-f", "s16le", "-ar", "16000", "-ac", "1", "-i", tmp_path / "raw", path)
    samples, report = decode(path)
    np.testing.assert_array_equal(samples, noise)
    assert report.samples == 50_001


def test_decoding_twice_gives_the_same_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    make("-f", "lavfi", "-i", "anoisesrc=d=5:r=44100:seed=3", "-ac", "2", "-c:a", "aac", path)
    first, _ = decode(path)
    second, _ = decode(path, limits=DecodeLimits(block_ms=700))
    np.testing.assert_array_equal(first, second)


def test_blocks_have_the_asked_length_and_only_the_last_is_shorter(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    make(*sound(3.1), path)
    info = probe(path)
    blocks = list(decode_pcm(info, select_track(info), DecodeLimits(block_ms=1000)))
    assert [len(block) for block in blocks] == [16000, 16000, 16000, 1600]
    assert {block.dtype for block in blocks} == {np.dtype(np.int16)}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov", "ogv", "webm", "mpg"])
def test_sound_that_starts_after_the_picture_keeps_its_place(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"late.{suffix}"
    codecs = {
        "webm": ("-c:v", "libvpx", "-b:v", "50k", "-c:a", "libopus"),
        "ogv": ("-c:v", "libtheora", "-c:a", "libvorbis", "-ar", "48000"),
        "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2", "-ar", "48000"),
    }.get(suffix, (*VIDEO, "-c:a", "aac"))
    make(*PICTURE, "-itsoffset", "1.25", *sound(1.5), "-map", "0", "-map", "1", *codecs, path)
    samples, _ = decode(path)
    assert onset_ms(samples) == pytest.approx(1250, abs=45)


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_a_file_whose_clock_starts_late_is_rebased(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clock.{suffix}"
    inputs = (*PICTURE, *sound(3, start=0.5))
    make(*inputs, *VIDEO, "-c:a", "mp2", "-output_ts_offset", "100", path)
    samples, report = decode(path)
    assert onset_ms(samples) == pytest.approx(500, abs=45)
    assert report.duration_ms == pytest.approx(3000, abs=110)


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "mp2"), ("mpg", "ac3")])
def test_sound_that_starts_long_after_the_picture_keeps_its_place(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"late.{suffix}"
    picture = ("-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=25")
    # More picture comes first than a reader looks at by itself, and more seconds than it takes for a gap by itself.
    codecs = ("-c:v", "mpeg2video", "-qscale:v", "1", "-c:a", codec)
    make(*picture, "-itsoffset", "20", *sound(2, rate=48000), "-map", "0", "-map", "1", *codecs, path)
    assert probe(path).deep
    samples, _ = decode(path)
    assert onset_ms(samples) == pytest.approx(20_000, abs=60)


def test_a_clock_that_is_set_back_does_not_lose_what_follows(tmp_path: Path) -> None:
    part, path = tmp_path / "part.ts", tmp_path / "joined.ts"
    make(*sound(2, start=1), "-c:a", "mp2", part)
    path.write_bytes(part.read_bytes() * 2)
    samples, report = decode(path)
    assert report.duration_ms == pytest.approx(4000, abs=100)
    assert peak(samples[50_000:60_000]) > 10_000


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "pcm_s16le"), ("ts", "mp2"), ("ogg", "libvorbis")])
@pytest.mark.parametrize("gap_s", [2, 20])
def test_a_gap_in_the_timestamps_becomes_silence(tmp_path: Path, suffix: str, codec: str, gap_s: int) -> None:
    path = tmp_path / f"gap.{suffix}"
    gap = f"asetpts='if(gte(T,1),PTS+{gap_s}/TB,PTS)'"
    make(*sound(2, rate=48000), "-af", gap, "-c:a", codec, path)
    samples, report = decode(path)
    assert report.duration_ms == pytest.approx((2 + gap_s) * 1000, abs=80)
    assert peak(samples[18_000 : (gap_s + 1) * 16_000 - 2_000]) < 2
    assert peak(samples[(gap_s + 1) * 16_000 + 2_000 :]) > 10_000


def test_variable_frame_rate_does_not_move_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "vfr.mkv"
    picture = "setpts='PTS+0.4*floor(T)/TB'"
    make(*PICTURE, *sound(4, start=2), "-vf", picture, "-fps_mode", "vfr", *VIDEO, "-c:a", "aac", path)
    info = probe(path)
    assert info.has_video
    assert info.frame_rate is not None
    samples, _ = decode(path)
    assert onset_ms(samples) == pytest.approx(2000, abs=45)


def test_each_track_decodes_to_its_own_sound(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    tags = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=jpn")
    make(*sound(2, start=0.5), *sound(2, start=1), "-map", "0", "-map", "1", *tags, "-c:a", "flac", path)
    assert onset_ms(decode(path)[0]) == pytest.approx(500, abs=5)
    assert onset_ms(decode(path, "ja")[0]) == pytest.approx(1000, abs=5)
    assert onset_ms(decode(path, "1")[0]) == pytest.approx(1000, abs=5)


@pytest.mark.parametrize("channels", [3, 4, 6, 8, 12, 17])
@pytest.mark.parametrize("where", ["first", "last", "all"])
def test_many_channels_are_mixed_without_losing_a_voice_or_clipping(tmp_path: Path, channels: int, where: str) -> None:
    path = tmp_path / "many.wav"
    voice = "0.9*sin(2*PI*440*t)"
    speaks = {"first": {0}, "last": {channels - 1}, "all": set(range(channels))}[where]
    waves = "|".join(voice if channel in speaks else "0" for channel in range(channels))
    make("-f", "lavfi", "-i", f"aevalsrc={waves}:s=48000:d=1", "-c:a", "pcm_s24le", path)
    assert probe(path).audio_tracks[0].channels == channels
    samples, report = decode(path)
    assert 6_000 < peak(samples) < 32_000
    assert report.duration_ms == 1000


@pytest.mark.parametrize("layout", ["5.1", "5.1(side)", "7.1", "7.1.4", "hexadecagonal", "octagonal", "ambisonic 1"])
def test_every_named_layout_is_mixed(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "layout.mkv"
    channels = {"7.1": 8, "7.1.4": 12, "hexadecagonal": 16, "octagonal": 8, "ambisonic 1": 4}.get(layout, 6)
    waves = "|".join(["0.5*sin(2*PI*440*t)"] * channels)
    make("-f", "lavfi", "-i", f"aevalsrc={waves}:s=48000:d=1:c={layout}", "-c:a", "pcm_s16le", path)
    assert peak(decode(path)[0]) > 6_000


def test_a_voice_on_the_right_only_survives(tmp_path: Path) -> None:
    path = tmp_path / "right.wav"
    make("-f", "lavfi", "-i", "aevalsrc=0|0.5*sin(2*PI*440*t):s=44100:d=1", path)
    assert 7_500 < peak(decode(path)[0]) < 8_900


def test_loud_correlated_stereo_does_not_clip(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    wave = "0.99*sin(2*PI*440*t)"
    make("-f", "lavfi", "-i", f"aevalsrc={wave}|{wave}:s=16000:d=1", path)
    assert peak(decode(path)[0]) <= 32_500


def test_8_bit_8_khz_sound_decodes(tmp_path: Path) -> None:
    path = tmp_path / "phone.wav"
    make(*sound(1, rate=8000), "-c:a", "pcm_u8", "-ar", "8000", path)
    samples, report = decode(path)
    assert report.samples == 16_000
    assert peak(samples) > 10_000


def test_a_twentieth_of_a_second_and_pure_silence_decode(tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    make(*sound(0.05), short)
    assert decode(short)[1].samples == 800
    silent = tmp_path / "silent.flac"
    make("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=2", silent)
    samples, report = decode(silent)
    assert report.samples == 32_000
    assert peak(samples) == 0


def test_a_cut_off_file_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    make("-f", "lavfi", "-i", "anoisesrc=d=20:r=16000", "-c:a", "aac", "-movflags", "+faststart", whole)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    samples, report = decode(cut)
    assert report.lost[0].end_ms == pytest.approx(20_000, abs=70)
    assert 5_000 < report.duration_ms < 15_000
    assert len(samples) == report.samples
    assert "cut.mp4: is cut off" in report.warnings[0]
    assert "of 20.0 s" in report.warnings[0]


def test_a_track_with_nothing_to_decode_is_an_error(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    make("-f", "lavfi", "-i", "anoisesrc=d=20:r=16000", "-c:a", "aac", "-movflags", "+faststart", whole)
    data = whole.read_bytes()
    header_only = tmp_path / "header.mp4"
    header_only.write_bytes(data[: data.index(b"mdat") + 4])
    with pytest.raises(MediaError, match=r"header\.mp4"):
        decode(header_only)


def test_damage_in_the_middle_is_passed_over_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp3"
    make("-f", "lavfi", "-i", "anoisesrc=d=20:r=16000", "-c:a", "mp3", path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(data)
    _, report = decode(path)
    assert report.duration_ms > 18_000


def test_more_audio_than_allowed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    make("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=60", path)
    with pytest.raises(MediaError, match=r"long\.flac: holds more than"):
        decode(path, limits=DecodeLimits(max_ms=30_000))


def test_a_gap_of_hours_is_refused_before_it_fills_memory_or_disk(tmp_path: Path) -> None:
    path = tmp_path / "hours.mkv"
    make(*sound(2), "-af", "asetpts='if(gte(T,1),PTS+72000/TB,PTS)'", "-c:a", "pcm_s16le", path)
    with pytest.raises(MediaError, match=r"hours\.mkv: has a gap of more than an hour"):
        decode(path)


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hour") / "hour.flac"
    make("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=3600", path)
    return path


_MEASURE = """
import resource, sys
from pathlib import Path
from media.decode import decode_pcm
from media.probe import probe
from media.tracks import select_track

info = probe(Path(sys.argv[1]))
samples = sum(len(block) for block in decode_pcm(info, select_track(info)))
scale = 1 if sys.platform == "darwin" else 1024
own, decoders = (resource.getrusage(who).ru_maxrss * scale for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
status = Path("/proc/self/status")
if status.exists():
    # ru_maxrss survives exec, so it also remembers the test runner that this process was forked from.
    own = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
print(samples, own, decoders)
"""


def test_an_hour_is_decoded_in_little_memory(hour: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _MEASURE, str(hour)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=120, check=True)
    samples, own, decoders = map(int, result.stdout.split())
    assert samples == 3600 * 16_000
    # All the samples are 115 MB; the two processes together have an import's worth.
    assert own + decoders < 300_000_000


def test_leaving_early_ends_the_decoder_and_the_report_is_not_there_yet(hour: Path) -> None:
    info = probe(hour)
    stream = decode_pcm(info, select_track(info))
    next(iter(stream))
    stream.close()
    with pytest.raises(ValueError, match="every block"):
        _ = stream.report
