"""Commands as people and programs use them: output, exit codes, errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from segue_cli import Segue
from spoken import SAMPLE, SPEECH, many_windows

from cache.store import Store


def test_run_prints_jobs_as_json(segue: Segue, tmp_path: Path) -> None:
    done = segue("run", SPEECH, "--to", "es,ja", "--out", "out", "--json")
    assert done.code == 0
    (job,) = done.json["jobs"]
    assert job["state"] == "done"
    assert job["media"] == str(SPEECH)
    assert all(Path(path).is_file() for path in job["outputs"])
    assert {Path(path).name for path in job["outputs"]} >= {"tickets.es.srt", "tickets.ja.vtt", "tickets.json"}


def test_run_ends_on_a_screen_that_says_what_happened(segue: Segue) -> None:
    done = segue("run", SPEECH, "--to", "es", "--out", "out")
    assert done.code == 0
    for expected in ("ok", "tickets.es.srt", "silence skipped", "cues", "fake engines", "next: segue"):
        assert expected in done.stdout, done.stdout


def test_plan_prints_segments_before_any_model_runs(segue: Segue) -> None:
    done = segue("plan", SAMPLE, "--json", SEGUE_TRANSCRIBER="faster-whisper", SEGUE_TRANSCRIBER_MODEL="/nowhere")
    assert done.code == 0
    plan = done.json
    assert plan["speech_ms"] + plan["skipped_ms"] == plan["duration_ms"]
    assert [segment["index"] for segment in plan["segments"]] == list(range(len(plan["segments"])))
    ends = [0]
    for segment in plan["segments"]:
        assert ends[-1] <= segment["start_ms"] < segment["end_ms"] <= plan["duration_ms"]
        assert segment["end_ms"] - segment["start_ms"] <= 28_000
        ends.append(segment["end_ms"])


def test_plan_diff_says_what_a_change_would_compute_again(segue: Segue) -> None:
    segue("run", SPEECH, "--to", "es", "--from", "en", "--out", "out")
    same = {
        row["stage"]: row
        for row in segue("plan", SPEECH, "--to", "es", "--from", "en", "--diff", "--json").json["diff"]
    }
    assert (same["transcribe"]["computed"], same["translate"]["computed"]) == (0, 0)
    changed = segue("plan", SPEECH, "--to", "es", "--from", "en", "--translator-model", "b", "--diff", "--json")
    rows = {row["stage"]: row for row in changed.json["diff"]}
    assert (rows["transcribe"]["computed"], rows["translate"]["computed"]) == (0, 1)


def test_status_shows_units_and_outputs(segue: Segue) -> None:
    job = segue("run", SPEECH, "--to", "es", "--out", "out", "--json").json["jobs"][0]
    status = segue("status", "last", "--json").json
    assert status["id"] == job["id"]
    assert status["state"] == "done"
    assert status["units"]["translate"] == {"total": 1, "done": 1, "cached": 1, "failed": 0, "missing": 0}
    assert status["outputs"] == job["outputs"]
    assert [each["id"] for each in segue("status", "--json").json["jobs"]] == [job["id"]]
    assert "done" in segue("status", "tickets.flac").stdout


def test_export_writes_other_formats_without_an_engine(segue: Segue, tmp_path: Path) -> None:
    segue("run", SPEECH, "--to", "ja", "--out", "out")
    done = segue(
        "export", "last", "--format", "ass,ttml,json", "--out", "elsewhere", "--json", SEGUE_FAKE_FAULTS="die:1"
    )
    assert done.code == 0
    names = {Path(path).name for path in done.json["outputs"]}
    assert names == {"tickets.en.ass", "tickets.ja.ass", "tickets.en.ttml", "tickets.ja.ttml", "tickets.json"}
    assert all((tmp_path / "elsewhere" / name).is_file() for name in names)


def test_failed_units_exit_with_3_and_a_partial_state(segue: Segue, tmp_path: Path) -> None:
    media = many_windows(tmp_path / "sample.wav")
    done = segue("run", media, "--to", "es", "--from", "en", "--out", "out", "--json", SEGUE_FAKE_FAULTS="fail:3")
    assert done.code == 3
    assert done.json["jobs"][0]["state"] == "partial"
    assert all(".partial." in path for path in done.json["jobs"][0]["outputs"])
    assert segue("status", "last", "--json").json["state"] == "partial"
    whole = segue("run", media, "--to", "es", "--from", "en", "--out", "out", "--json")
    assert (whole.code, whole.json["jobs"][0]["state"]) == (0, "done")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", str(SPEECH), "--to", "klingonese"], "klingonese"),
        (["run", str(SPEECH), "--format", "docx"], "docx"),
        (["run", str(SPEECH), "--transcriber", "whisperr"], "whisperr"),
        (["run", str(SPEECH), "--transcript", "none.srt"], "none.srt"),
        (["run", str(SPEECH), "--glossary", "none.csv"], "none.csv"),
        (["run"], "MEDIA"),
        (["run", str(SPEECH), "--no-such-flag"], "--no-such-flag"),
        (["status", "nothing"], "nothing"),
        (["export", "nothing"], "nothing"),
        (["cache", "purge", "--owner", "nobody at all"], "nobody at all"),
    ],
)
def test_bad_usage_exits_with_2_and_one_clear_line(segue: Segue, arguments: list[str], expected: str) -> None:
    done = segue(*arguments)
    assert done.code == 2
    assert expected in done.stderr


def test_errors_are_json_too_when_asked(segue: Segue) -> None:
    done = segue("run", SPEECH, "--to", "klingonese", "--json")
    assert done.code == 2
    assert "klingonese" in done.json["error"]["message"]


def test_a_name_that_is_not_there_is_bad_usage_and_one_in_a_manifest_fails_alone(segue: Segue, tmp_path: Path) -> None:
    for command in ("run", "submit", "estimate"):
        refused = segue(command, "none.mp4", SPEECH, "--to", "es")
        assert refused.code == 2
        assert "none.mp4: there is no such file" in refused.stderr
    assert segue("plan", "none.mp4").code == 2
    assert not (tmp_path / "home" / "jobs").exists()
    (tmp_path / "list.csv").write_text(f"media\nnone.mp4\n{SPEECH}\n", encoding="utf-8")
    done = segue("run", "list.csv", "--to", "es", "--out", "out", "--json")
    assert done.code == 3
    states = {Path(job["media"]).name: job["state"] for job in done.json["jobs"]}
    assert states == {"none.mp4": "failed", "tickets.flac": "done"}


def test_cache_commands_look_after_the_store(segue: Segue, tmp_path: Path) -> None:
    segue("run", SPEECH, "--to", "es", "--out", "out", "--owner", "ann")
    assert segue("cache", "stats", "--json").json["records"]["transcribe"]["files"] == 1
    assert segue("cache", "verify", "--json").json["ok"] is True
    dry = segue("cache", "purge", "--owner", "ann", "--dry-run", "--json").json
    assert dry["files"] > 0
    assert len(dry["outputs"]) == 5
    assert segue("cache", "stats", "--json").json["records"]["transcribe"]["files"] == 1
    (tmp_path / "out" / "tickets.es.vtt").write_text("edited", encoding="utf-8")
    segue("cache", "purge", "--owner", "ann", "--outputs", "--yes")
    assert "transcribe" not in segue("cache", "stats", "--json").json["records"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tickets.es.vtt"]
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and "attempts" not in path.parts]
    assert not [path for path in left if b"tickets" in path.read_bytes()]


def test_purging_one_owner_keeps_what_another_owns(segue: Segue) -> None:
    for owner in ("ann", "bob"):
        segue("run", SPEECH, "--to", "es", "--out", owner, "--owner", owner)
    segue("cache", "purge", "--owner", "ann", "--yes")
    again = segue("run", SPEECH, "--to", "es", "--out", "new", "--owner", "bob", "--json", SEGUE_FAKE_FAULTS="die:1")
    assert again.code == 0


def test_blobs_are_told_by_what_they_are(segue: Segue, tmp_path: Path) -> None:
    segue("run", SPEECH, "--to", "es", "--out", "out")
    with Store.open(tmp_path / "home") as store, store.blob_writer("audio") as writer:
        writer.write(b"nobody's")
    size = (tmp_path / "home" / "blobs" / str(writer.digest)).stat().st_size
    blobs = segue("cache", "stats", "--json").json["blobs"]
    assert blobs["views"]["speech"]["files"] == 1
    assert blobs["unreferenced"] == {"files": 1, "bytes": size}
    assert (blobs["results"]["files"], blobs["scratch"]["files"]) == (0, 0)
    assert "blobs: view speech" in segue("cache", "stats").stdout
    assert segue("cache", "verify", "--json").json["blobs"] == {
        "ok": 2,
        "damaged": 0,
        "unreferenced": {"files": 1, "bytes": size},
    }
    assert "1 blob, " in segue("cache", "verify").stdout
    assert any(check["name"] == "blobs" for check in segue("doctor", "--json").json["checks"])


def test_models_under_the_home_are_counted(segue: Segue, tmp_path: Path) -> None:
    segue("run", SPEECH, "--out", "out")
    assert segue("cache", "stats", "--json").json["models"] == {}
    models = tmp_path / "home" / "models"
    for folder, name, data in (
        ("whisper-base-0123456789ab", "model.bin", b"weights"),
        ("whisper-base-0123456789ab", "config.json", b"{}"),
        (".assembling-killed", "model.bin", b"wei"),
        ("places", "0123", b"a note, no model"),
    ):
        (models / folder).mkdir(parents=True, exist_ok=True)
        (models / folder / name).write_bytes(data)
    assert segue("cache", "stats", "--json").json["models"] == {
        ".assembling-killed": {"files": 1, "bytes": 3},
        "whisper-base-0123456789ab": {"files": 2, "bytes": 9},
    }
    lines = segue("cache", "stats").stdout.splitlines()
    assert [line.split() for line in lines if "whisper-base" in line] == [
        ["models:", "whisper-base-0123456789ab", "2", "files", "9", "B"]
    ]


def test_gc_keeps_what_jobs_refer_to(segue: Segue) -> None:
    segue("run", SPEECH, "--to", "es", "--out", "out")
    assert segue("cache", "gc", "--json").json["files"] == 0
    assert segue("cache", "gc", "--views", "--dry-run", "--json").json["files"] == 1
    segue("cache", "gc", "--views")
    assert segue("run", SPEECH, "--to", "es,ja", "--out", "out", "--json").code == 0


def test_doctor_checks_this_machine(segue: Segue) -> None:
    done = segue("doctor", "--json")
    names = {check["name"] for check in done.json["checks"]}
    assert {"segue", "ffmpeg", "device", "transcriber", "translator", "disk: publish"} <= names
    assert done.code == 0, done.stdout


def test_version(segue: Segue) -> None:
    assert segue("--version").stdout.startswith("segue ")


def test_owner_is_part_of_a_job(segue: Segue) -> None:
    ids = {
        segue("run", SPEECH, "--to", "es", "--out", owner, "--owner", owner, "--json").json["jobs"][0]["id"]
        for owner in ("ann", "bob", "ann")
    }
    assert len(ids) == 2


def test_a_manifest_gives_each_file_its_options(segue: Segue, tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(SPEECH.read_bytes())
    (tmp_path / "b.flac").write_bytes(SPEECH.read_bytes())
    manifest = tmp_path / "list.csv"
    manifest.write_text('media,to,from\na.flac,"es,ja",en\nb.flac,pt-BR,\n', encoding="utf-8")
    done = segue("run", manifest, "--out", "out", "--json")
    assert done.code == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"a.es.srt", "a.ja.srt", "b.pt-BR.srt"} <= names
    assert "b.es.srt" not in names
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert segue("run", manifest, "--out", "out", SEGUE_FAKE_FAULTS="die:1").code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


def test_all_bad_rows_of_a_manifest_are_reported_before_any_work(segue: Segue, tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(SPEECH.read_bytes())
    rows = [
        {"media": "a.flac", "to": "es"},
        {"media": "none.flac", "to": "es"},
        {"media": "a.flac", "to": "nonsense-tag-here"},
        {"to": "es"},
        {"media": "a.flac", "colour": "red"},
        {"media": "a.flac", "transcript": "none.srt"},
    ]
    text = "\n".join(json.dumps(row) for row in rows) + "\nnot json\n"
    (tmp_path / "list.jsonl").write_text(text, encoding="utf-8")
    done = segue("run", "list.jsonl", "--out", "out")
    assert done.code == 2
    for number in range(2, 8):
        assert f"row {number}:" in done.stderr
    assert "row 1:" not in done.stderr
    assert not (tmp_path / "out").exists()
