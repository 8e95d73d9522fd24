"""Earlier outputs that a run leaves behind are named, with what renews or removes them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from segue_cli import SegueHere
from spoken import SAMPLE, SPEECH, many_windows


@pytest.fixture
def segue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> SegueHere:
    (tmp_path / "talk.flac").write_bytes(SPEECH.read_bytes())
    (tmp_path / "terms.csv").write_text("pebble,GUIJARRO\norchard,HUERTO\ngarnet,GRANATE\n", encoding="utf-8")
    return SegueHere(tmp_path, monkeypatch, capsys)


def run(segue: SegueHere, *arguments: str, **env: str) -> dict[str, str]:
    """Name -> why, of what this run says is out of date; the same as `segue status` says."""
    done = segue("run", *arguments, "--from", "en", "--json", **env)
    (job,) = done.json["jobs"]
    found = why(job["left_behind"])
    assert why(segue("status", "last", "--json").json["left_behind"]) == found
    return found


def why(left: list[dict[str, Any]]) -> dict[str, str]:
    return {Path(each["path"]).name: each["why"] for each in left}


def test_a_muxed_copy_keeps_the_subtitles_of_before_a_glossary_change(segue: SegueHere, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(SAMPLE.read_bytes())
    assert run(segue, "film.mp4", "--to", "es", "--mux") == {}
    # The copy still says what the job says, only nobody asked for it again.
    assert run(segue, "film.mp4", "--to", "es") == {}
    found = run(segue, "film.mp4", "--to", "es", "--glossary", "terms.csv")
    assert found == {"film.subtitled.mp4": "with the subtitles of an earlier run"}
    # Also when there is nothing left to do.
    text = segue("run", "film.mp4", "--to", "es", "--from", "en", "--glossary", "terms.csv").stdout
    assert "out of date (with the subtitles of an earlier run): film.subtitled.mp4" in text
    assert "to renew: the same command with --mux as well" in text
    assert "to remove: rm film.subtitled.mp4" in text
    assert "film.subtitled.mp4" in segue("status", "film.mp4").stdout
    assert run(segue, "film.mp4", "--to", "es", "--glossary", "terms.csv", "--mux") == {}


def test_languages_and_formats_that_are_not_asked_for_any_more_are_out_of_date(segue: SegueHere) -> None:
    assert run(segue, "talk.flac", "--to", "es,ja", "--format", "srt,ass", "--bilingual", "--out", "out") == {}
    assert segue("export", "last", "--format", "ttml").code == 0
    assert run(segue, "talk.flac", "--to", "es,ja", "--out", "out") == {}
    found = run(segue, "talk.flac", "--to", "es", "--glossary", "terms.csv", "--out", "out")
    older = "of an earlier run"
    assert found["talk.es.ass"] == found["talk.es.ttml"] == found["talk.en+es.srt"] == older
    gone = {name for name, said in found.items() if said == "ja is not asked for any more"}
    assert gone == {f"talk.{name}" for name in ("ja.srt", "ja.vtt", "ja.ass", "ja.ttml", "en+ja.srt", "en+ja.ass")}
    # The source's own subtitles are what they were.
    assert not [name for name in found if name.startswith("talk.en.")]


def test_the_command_that_is_said_removes_them(segue: SegueHere, tmp_path: Path) -> None:
    run(segue, "talk.flac", "--to", "es,ja", "--out", "my subs")
    text = segue("run", "talk.flac", "--to", "es", "--from", "en", "--out", "my subs").stdout
    (command,) = [line.partition("to remove: ")[2] for line in text.splitlines() if "to remove: " in line]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert run(segue, "talk.flac", "--to", "es", "--out", "my subs") == {}
    assert {path.name for path in (tmp_path / "my subs").iterdir()} >= {"talk.es.srt", "talk.es.vtt", "talk.json"}


def test_edited_files_and_other_folders_are_nobody_s_leftovers(segue: SegueHere, tmp_path: Path) -> None:
    run(segue, "talk.flac", "--to", "ja", "--out", "a")
    (tmp_path / "a" / "talk.ja.srt").write_text("mine", encoding="utf-8")
    assert run(segue, "talk.flac", "--to", "es", "--out", "b") == {}
    assert run(segue, "talk.flac", "--to", "es", "--out", "a") == {"talk.ja.vtt": "ja is not asked for any more"}
    assert "out of date (ja is not asked for any more): a/talk.ja.vtt" in segue("watch", "last").stderr
    # Seen from the first job, what came since is no older.
    first = next(job["id"] for job in segue("status", "--json").json["jobs"] if job["targets"] == ["ja"])
    assert segue("status", first, "--json").json["left_behind"] == []


def test_partial_files_beside_finished_ones_are_out_of_date(segue: SegueHere, tmp_path: Path) -> None:
    media = str(many_windows(tmp_path / "sample.wav"))
    failing = {"SEGUE_FAKE_FAULTS": "fail:3"}
    assert run(segue, media, "--to", "es", "--format", "srt,ass", "--out", "out", **failing) == {}
    found = run(segue, media, "--to", "es", "--format", "srt", "--out", "out")
    gaps = "with gaps, unlike the finished ones"
    assert found == {"sample.partial.en.ass": gaps, "sample.partial.es.ass": gaps}
