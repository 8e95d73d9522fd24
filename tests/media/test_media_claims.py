"""What a container says is a claim: refused by what it states and by its size, before all of it is read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from media_maker import decode, make, sound

from cache.store import Store
from core.errors import MediaError
from media import claims
from media.claims import check_claims, expected_ms, is_thin, plausible_ms
from media.probe import probe
from pipeline.inputs.sources import known_digest

HOUR = 3_600_000


def flac_stating(path: Path, hours: float) -> None:
    """A second of silence whose header states hours."""
    make("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=1", path)
    data = bytearray(path.read_bytes())
    packed = int.from_bytes(data[18:26], "big") & ~0xFFFFFFFFF | int(hours * 3600 * 8000)
    data[18:26] = packed.to_bytes(8, "big")
    path.write_bytes(data)


@pytest.mark.parametrize(("hours", "said"), [(47.0, "less than any recording takes"), (100.0, "more than 48 hours")])
def test_hours_that_cannot_be_are_refused_by_what_is_stated(tmp_path: Path, hours: float, said: str) -> None:
    path = tmp_path / "long.flac"
    flac_stating(path, hours)
    with pytest.raises(MediaError, match=rf"long\.flac: .*{said}"):
        known_digest(path, Store.open(tmp_path / "home"))


def test_more_sound_than_fits_into_the_bytes_is_refused_while_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "thin.flac"
    make("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=120", path)
    monkeypatch.setattr(claims, "_FREE_MS", 10_000)
    monkeypatch.setattr(claims, "_FEWEST_BITS", 2000)
    with pytest.raises(MediaError, match=r"thin\.flac: states or holds more than"):
        decode(path)


def test_the_thinnest_real_recordings_pass() -> None:
    """Bits a second with their container: Opus, AMR and Speex in silence 250 and more; FLAC of nothing at 8 kHz 220."""
    for bits, hours in ((250, 24), (220, 12), (6000, 48)):
        assert plausible_ms(bits * hours * 3600 // 8) >= hours * HOUR
    assert plausible_ms(700_000) < 9 * HOUR


def test_a_plain_file_is_believed_and_a_telephone_call_is_not_thin(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    make(*sound(2), path)
    info = probe(path)
    check_claims(info)
    assert expected_ms(info) == 2000
    assert not is_thin(path, 4 * 60_000)
    assert is_thin(path, 10 * 60_000)


@pytest.mark.parametrize("head", [b"", b"wav"])
def test_a_terabyte_of_nothing_is_not_read(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "huge.wav"
    if head:
        make(*sound(1), path)
    with path.open("ab") as out:
        out.truncate(1 << 40)
    began = time.monotonic()
    with pytest.raises(MediaError, match=r"huge\.wav"):
        known_digest(path, Store.open(tmp_path / "home"))
    # Reading it would take many minutes.
    assert time.monotonic() - began < 60
