"""`segue cache purge`: what it shows, what it asks, and what stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from segue_cli import SegueHere
from spoken import SPEECH


@pytest.fixture
def segue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> SegueHere:
    (tmp_path / "talk.flac").write_bytes(SPEECH.read_bytes())
    here = SegueHere(tmp_path, monkeypatch, capsys)
    assert here("run", "talk.flac", "--to", "es,ja", "--out", "out", "--owner", "ann").code == 0
    return here


def delivered(folder: Path) -> set[str]:
    return {path.name for path in (folder / "out").iterdir()}


@pytest.mark.parametrize("which", [["talk.flac"], ["--owner", "ann"]])
def test_without_a_terminal_or_yes_nothing_goes_and_all_of_it_is_shown(segue: SegueHere, which: list[str]) -> None:
    refused = segue("cache", "purge", *which)
    assert refused.code == 2
    for expected in ("1 job:", "talk.flac", "records, audio and plans:", "stay without --outputs"):
        assert expected in refused.stdout
    assert "nothing was removed" in refused.stderr
    assert "--yes" in refused.stderr
    assert "out/: " in refused.stdout
    assert segue("status", "talk.flac", "--json").json["state"] == "done"


def test_files_of_one_name_are_told_apart(segue: SegueHere, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "talk.flac").write_bytes(SPEECH.read_bytes())
    assert segue("run", "b/talk.flac", "--to", "fr", "--out", "out2", "--owner", "ann").code == 0
    shown = segue("cache", "purge", "--owner", "ann", "--dry-run").stdout
    assert "b/talk.flac" in shown
    assert f"{tmp_path.name}/talk.flac" in shown


def test_a_refusal_is_one_json_document_and_says_how_much_would_go(segue: SegueHere) -> None:
    refused = segue("cache", "purge", "last", "--outputs", "--json")
    assert refused.code == 2
    assert "would remove 1 job and" in refused.json["error"]["message"]


def test_delivered_files_stay_and_are_renewed_by_a_later_run(segue: SegueHere, tmp_path: Path) -> None:
    before = delivered(tmp_path)
    done = segue("cache", "purge", "talk", "--yes", "--json").json
    assert (done["with_outputs"], len(done["outputs"])) == (False, len(before))
    assert delivered(tmp_path) == before
    assert segue("status", "--json").json["jobs"] == []
    again = segue("run", "talk.flac", "--to", "es,ja", "--out", "out", "--bilingual")
    assert again.code == 0, again.stderr


def test_delivered_files_go_with_outputs_but_never_what_somebody_edited(segue: SegueHere, tmp_path: Path) -> None:
    (tmp_path / "out" / "talk.es.srt").write_text("mine now", encoding="utf-8")
    (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    done = segue("cache", "purge", "last", "--outputs", "--yes", "--json").json
    assert done["edited"] == [str(tmp_path / "out" / "talk.es.srt")]
    assert delivered(tmp_path) == {"talk.es.srt", "notes.txt"}


def test_what_another_job_uses_or_delivers_stays(segue: SegueHere, tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text("ticket,billete\n", encoding="utf-8")
    assert segue("run", "talk.flac", "--to", "es", "--out", "out", "--glossary", "terms.csv").code == 0
    old, new = (job["id"] for job in sorted(segue("status", "--json").json["jobs"], key=lambda job: job["targets"][1:]))
    done = segue("cache", "purge", new, "--outputs", "--yes", "--json").json
    assert (done["jobs"], done["shared"] > 0) == ([new], True)
    assert {Path(path).suffixes[0] for path in done["outputs"]} == {".ja"}
    assert "talk.es.srt" in delivered(tmp_path)
    assert [job["id"] for job in segue("status", "--json").json["jobs"]] == [old]
    assert segue("run", "talk.flac", "--to", "es", "--out", "new", "--glossary", "terms.csv").code == 0


def test_a_job_that_only_waits_in_the_queue_is_taken_with_its_order(segue: SegueHere) -> None:
    job = segue("submit", "talk.flac", "--to", "fr", "--json").json["jobs"][0]["id"]
    dry = segue("cache", "purge", job[:10], "--dry-run", "--json").json
    assert (dry["jobs"], dry["waiting"], dry["dry_run"]) == ([job], 1, True)
    assert segue("cache", "purge", job[:10], "--yes").code == 0
    assert segue("status", job).code == 2


@pytest.mark.parametrize("wrong", [[], ["last", "--owner", "root"], ["nosuch"], ["--owner", "nobody"]])
def test_what_to_purge_is_said_in_one_way(segue: SegueHere, wrong: list[str]) -> None:
    refused = segue("cache", "purge", *wrong, "--yes", "--json")
    assert refused.code == 2
    assert json.loads(refused.stdout)["error"]["message"]
    assert segue("status", "talk.flac").code == 0
