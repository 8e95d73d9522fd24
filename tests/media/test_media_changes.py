"""Files that change while they play: channels, rate, container; and channels that cancel each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from media_maker import decode, make, onset_ms, peak, sound

from core.audio import ms_to_samples
from media.downmix import BLOCK, Downmix
from media.placement import Placement

#: name -> what both parts are coded with, of the first, of the second.
JOINED = {
    "channels.mp3": (("-c:a", "mp3", "-write_xing", "0", "-ar", "44100"), ("-ac", "1"), ("-ac", "2")),
    "rate.mp3": (("-c:a", "mp3", "-write_xing", "0"), ("-ar", "44100"), ("-ar", "48000")),
    "channels.aac": (("-c:a", "aac", "-ar", "44100"), ("-ac", "2"), ("-ac", "1")),
    "rate.aac": (("-c:a", "aac"), ("-ar", "24000"), ("-ar", "48000")),
    "channels.ts": (("-c:a", "ac3", "-ar", "48000"), ("-ac", "2"), ("-ac", "6")),
    "rate.ts": (("-c:a", "mp2"), ("-ar", "48000"), ("-ar", "32000")),
    "channels.ac3": (("-c:a", "ac3", "-ar", "48000"), ("-ac", "6"), ("-ac", "1")),
    "channels.opus": (
        (
            "-c:a",
            "libopus",
        ),
        ("-ac", "1"),
        ("-ac", "2"),
    ),
    "channels.ogg": (
        (
            "-c:a",
            "libvorbis",
        ),
        ("-ac", "2"),
        ("-ac", "1"),
    ),
    "rate.ogg": (
        (
            "-c:a",
            "libvorbis",
        ),
        ("-ar", "44100"),
        ("-ar", "22050"),
    ),
    "codec.ogg": ((), ("-c:a", "flac"), ("-c:a", "libopus")),
    "same.opus": (
        (
            "-c:a",
            "libopus",
        ),
        (),
        (),
    ),
}


@pytest.mark.parametrize("name", JOINED)
def test_what_follows_a_change_is_heard_directly_after_it(tmp_path: Path, name: str) -> None:
    both, *each = JOINED[name]
    joined = tmp_path / name
    with joined.open("wb") as out:
        for number, own in enumerate(each):
            part = tmp_path / f"part{number}.{name.partition('.')[2]}"
            make(*sound(3, start=2, rate=48000), *both, *own, part)
            out.write(part.read_bytes())
    samples, report = decode(joined)
    assert report.lost == ()
    assert report.duration_ms == pytest.approx(6000, abs=220)
    assert onset_ms(samples) == pytest.approx(2000, abs=60)
    assert peak(samples[ms_to_samples(3200) : ms_to_samples(4800)]) < 500
    assert 3200 + onset_ms(samples[ms_to_samples(3200) :]) == pytest.approx(5000, abs=180)


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_pause_at_a_change_stays_a_pause(tmp_path: Path, seconds: int) -> None:
    """A step forward in the timestamps just where the channels change too, as in a broadcast with a gap."""
    path = tmp_path / "gap.ts"
    parts = []
    for number, channels in enumerate((2, 1)):
        part = tmp_path / f"{number}.ts"
        offset = ("-output_ts_offset", str(number * (3 + seconds)))
        make(*sound(3, rate=48000), "-c:a", "mp2", "-ac", str(channels), "-muxdelay", "0", *offset, part)
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    samples, report = decode(path)
    assert report.duration_ms == pytest.approx(6000 + seconds * 1000, abs=110)
    if seconds:
        assert peak(samples[ms_to_samples(3200) : ms_to_samples(4800)]) < 50


def _stereo_file(path: Path, left: str, right: str, *codec: str) -> None:
    make("-f", "lavfi", "-i", f"aevalsrc={left}|{right}:s=48000:d=3", *codec, path)


VOICE = "0.5*sin(2*PI*300*t)*gte(sin(2*PI*1.5*t)\\,0)"


@pytest.mark.parametrize(
    ("left", "right", "least"),
    [
        (VOICE, f"-1*{VOICE}", 15_000),
        (VOICE, f"-0.6*{VOICE}", 15_000),
        (f"-0.6*{VOICE}", VOICE, 15_000),
        (VOICE, f"{VOICE}*if(gt(t\\,1.5)\\,-1\\,1)", 15_000),
        (VOICE, "0", 7_500),
        ("0", VOICE, 7_500),
        (VOICE, VOICE, 15_000),
        (f"{VOICE}+0.05*sin(2*PI*1000*t)", f"-1*{VOICE}+0.05*sin(2*PI*1000*t)", 15_000),
        (VOICE, VOICE.replace("*t)*", "*(t-0.012))*"), 7_000),
    ],
    ids=["inverted", "weaker", "weaker-left", "from-the-middle", "right-dead", "left-dead", "equal", "partly", "late"],
)
def test_a_voice_survives_channels_that_cancel(tmp_path: Path, left: str, right: str, least: int) -> None:
    path = tmp_path / "voice.flac"
    _stereo_file(path, left, right)
    samples, _ = decode(path)
    for second in range(3):
        assert peak(samples[second * 16_000 : (second + 1) * 16_000]) >= least


def test_channels_that_cancel_are_said_and_others_are_simply_added(tmp_path: Path) -> None:
    inverted, plain = tmp_path / "inverted.wav", tmp_path / "plain.wav"
    _stereo_file(inverted, VOICE, f"-1*{VOICE}")
    assert "cancel each other" in decode(inverted)[1].warnings[0]
    noise = np.random.default_rng(3).integers(-9000, 9000, (32_000, 2)).astype("<i2")
    (tmp_path / "raw").write_bytes(noise.tobytes())
    make("-f", "s16le", "-ar", "16000", "-ac", "2", "-i", tmp_path / "raw", plain)
    samples, report = decode(plain)
    assert report.warnings == ()
    np.testing.assert_array_equal(samples, np.rint(noise.astype(float).mean(axis=1)))


@pytest.mark.parametrize("layout", ["5.1", "quad", "7.1", "octagonal"])
def test_a_voice_in_inverted_surrounds_survives(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "surround.wav"
    channels = {"5.1": 6, "quad": 4, "7.1": 8, "octagonal": 8}[layout]
    waves = ["0"] * channels
    waves[-2:] = [VOICE, f"-1*{VOICE}"]
    make("-f", "lavfi", "-i", f"aevalsrc={'|'.join(waves)}:s=48000:d=2:c={layout}", "-c:a", "pcm_s16le", path)
    assert peak(decode(path)[0]) > 6_000


def _tone(length: int, hertz: float = 300.0) -> npt.NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(length) / 16_000)).astype(np.float32)


def test_going_from_one_choice_of_channels_to_another_makes_no_click() -> None:
    tone, mixer = _tone(3 * BLOCK), Downmix()
    right = tone.copy()
    right[BLOCK : 2 * BLOCK] *= -1
    both = np.stack([tone, right], axis=1)
    mono = np.concatenate([mixer.mix(both[at : at + BLOCK]) for at in range(0, len(both), BLOCK)])
    assert np.abs(np.diff(mono.astype(int))).max() < 1.2 * np.abs(np.diff((tone * 32768).astype(int))).max()
    assert mixer.cancelled == BLOCK


def test_numbers_that_are_none_and_too_loud_ones_stay_in_range() -> None:
    block = np.full((BLOCK, 2), np.nan, np.float32)
    block[100:200], block[200:300], block[300:400] = np.inf, -7.0, 7.0
    mono = Downmix().mix(block)
    assert (mono[0], mono[250], mono[350]) == (0, -32768, 32767)


def test_timestamps_are_followed_within_rounding_and_jumps_are_closed() -> None:
    placement = Placement(jumping=True, subject="a.ts")
    placement.note_frame(160, 1600)
    assert placement.place(160, 1600) == (160, 0)
    # Half a millisecond off is rounding; slow drift is put right in one step, forwards and backwards.
    assert placement.place(1760 + 8, 1600) == (0, 0)
    assert placement.place(3360 + 900, 1600) == (900, 0)
    assert placement.place(placement.end - 900, 1600) == (0, 900)
    end = placement.end
    placement.note_frame(end, 1600)
    placement.place(end, 1600)
    placement.note_frame(0, 1600)
    assert placement.place(0, 1600) == (0, 0)
    assert placement.place(None, 1600) == (0, 0)
