"""`segue status`: in which order it lists, what it shows, and which files it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from segue_cli import SegueHere
from spoken import SPEECH

from cli.wording import told_apart


def test_jobs_are_listed_by_date_with_files_of_one_name_told_apart(segue: SegueHere, tmp_path: Path) -> None:
    for folder in ("day2", "day1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "talk.flac").write_bytes(SPEECH.read_bytes() + folder.encode())
        assert segue("run", f"{folder}/talk.flac", "--to", "es").code == 0
    listed = segue("status", "--json").json["jobs"]
    assert [Path(job["media"][0]).parent.name for job in listed] == ["day2", "day1"]
    assert listed[0]["at"] < listed[1]["at"]
    lines = segue("status").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["day2/talk.flac", "day1/talk.flac"]
    assert all(line.split()[1].count("-") == 2 for line in lines)
    # Delivered anew, the first is the newest.
    assert segue("run", "day2/talk.flac", "--to", "es", "--format", "ass").code == 0
    assert [line.split()[-1] for line in segue("status").stdout.splitlines()] == ["day1/talk.flac", "day2/talk.flac"]


@pytest.mark.parametrize("command", ["run", "submit"])
def test_a_file_that_no_job_could_be_made_of_is_kept_with_its_reason(
    segue: SegueHere, tmp_path: Path, command: str
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("this is text", encoding="utf-8")
    assert segue(command, broken, "--to", "es").code == 3
    (line,) = segue("status").stdout.splitlines()
    assert "failed" in line
    assert line.endswith("broken.mp4: is text, not media (check what this file is)")
    for name in ("broken.mp4", "broken", line.split()[0]):
        assert segue("status", name, "--json").json["reason"].startswith("is text, not media")
    assert "segue cache purge" in segue("status", "broken.mp4").stdout
    assert segue("ledger", "broken.mp4", "--json").json["state"] == "failed"
    assert segue("cache", "gc", "--json").json["files"] == 0
    assert segue("cache", "purge", "broken.mp4", "--yes").code == 0
    assert segue("status", "--json").json["jobs"] == []


def test_a_refused_file_is_forgotten_once_it_succeeds(segue: SegueHere, tmp_path: Path) -> None:
    late = tmp_path / "late.flac"
    late.write_bytes(b"")
    assert segue("run", late, "--to", "es").code == 3
    late.write_bytes(SPEECH.read_bytes())
    assert segue("run", late, "--to", "es").code == 0
    assert [job["state"] for job in segue("status", "--json").json["jobs"]] == ["done"]
    assert segue("status", "late.flac", "--json").json["state"] == "done"
    late.write_bytes(b"")
    assert segue("run", late, "--to", "es").code == 3
    assert [job["state"] for job in segue("status", "--json").json["jobs"]] == ["done", "failed"]
    assert segue("status", "late.flac", "--json").json["state"] == "failed"


def test_an_owner_s_purge_takes_what_was_refused_for_that_owner(segue: SegueHere, tmp_path: Path) -> None:
    for owner in ("ann", "bob"):
        (tmp_path / f"{owner}.mp4").write_bytes(b"text")
        segue("run", f"{owner}.mp4", "--to", "es", "--owner", owner)
    segue("cache", "purge", "--owner", "ann", "--yes")
    assert [job["owner"] for job in segue("status", "--json").json["jobs"]] == ["bob"]


def test_names_have_as_much_of_their_folders_as_tells_them_apart() -> None:
    paths = [Path(text) for text in ("/a/x/talk.mp4", "/b/x/talk.mp4", "/b/y/talk.mp4", "/c/other.mp4", "/talk.mp4")]
    shown = told_apart([*paths, paths[0]])
    assert [shown[path] for path in paths] == ["a/x/talk.mp4", "b/x/talk.mp4", "b/y/talk.mp4", "other.mp4", "/talk.mp4"]
