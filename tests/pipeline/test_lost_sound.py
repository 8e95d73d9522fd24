"""Sound that the media should hold and that did not come out of it: a gap, and a job that is partial."""

from __future__ import annotations

from pathlib import Path

from job_bench import Bench
from spoken import SPEECH, samples_of, write_wav


def test_media_that_were_cut_off_make_a_partial_job_with_a_gap(bench: Bench, tmp_path: Path) -> None:
    cut = tmp_path / "cut.flac"
    cut.write_bytes(SPEECH.read_bytes()[: SPEECH.stat().st_size // 2])
    result = bench.run_one(cut)
    assert result.state == "partial"
    assert "is cut off" in result.reason
    assert any("cut.flac: is cut off" in warning for warning in result.warnings)
    gap = bench.document("cut.partial")["gaps"][-1]
    assert "is cut off" in gap["reason"]
    assert gap["missed_ms"] == gap["end_ms"] - gap["start_ms"] > 3_000


def test_a_header_that_states_too_little_costs_nothing(bench: Bench, tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "tickets.wav", samples_of(SPEECH))
    expected = bench.document()["cues"] if bench.run_one(wav).state == "done" else []
    data = bytearray(wav.read_bytes())
    data[40:44] = (32_000).to_bytes(4, "little")
    other = tmp_path / "short.wav"
    other.write_bytes(data)
    result = bench.run_one(other)
    assert result.state == "done"
    assert "states 1.0 s of sound" in result.warnings[0]
    assert [cue["text"] for cue in bench.document("short")["cues"]] == [cue["text"] for cue in expected] != []
