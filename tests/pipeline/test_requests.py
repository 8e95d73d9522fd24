"""Manifests as people write them, and runs in which an engine dies."""

from __future__ import annotations

from pathlib import Path

import pytest
from job_bench import Bench
from spoken import SPEECH, samples_of, write_wav

from core.errors import UsageError
from pipeline import executor
from pipeline.requests import RunOptions, gather


def test_a_manifest_may_point_out_of_its_folder_and_at_names_with_a_tilde(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    for path in (tmp_path / "a.wav", folder / "~b.wav"):
        path.write_bytes(b"x")
    manifest = folder / "list.csv"
    manifest.write_bytes(b"\xef\xbb\xbfmedia,to\r\n../a.wav,es\r\n~b.wav,ja\r\n")
    found = {request.file.path: request.options.targets for request in gather([manifest], RunOptions()).requests}
    assert found == {tmp_path / "a.wav": ("es",), folder / "~b.wav": ("ja",)}


def test_rows_that_contradict_each_other_are_refused_and_repeated_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    manifest = tmp_path / "list.csv"
    manifest.write_text("media,to\na.wav,es\na.wav,es\n", encoding="utf-8")
    assert len(gather([manifest, manifest, tmp_path / "a.wav"], RunOptions()).requests) == 1
    manifest.write_text("media,to\na.wav,es\na.wav,ja\n", encoding="utf-8")
    with pytest.raises(UsageError, match="row 3"):
        gather([manifest], RunOptions())


def test_a_dead_engine_ends_the_run_however_many_files_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "LOOKAHEAD_JOBS", 2)
    samples = samples_of(SPEECH)
    folder = bench.folder / "many"
    folder.mkdir()
    for number in range(5):
        write_wav(folder / f"{number}.wav", samples[: len(samples) - 1600 * number])
    report = bench.run(folder, fake_faults="crash:1")
    assert [result.state for result in report.files] == ["failed"] * 5
    assert all("crashed" in result.reason for result in report.files)
    assert bench.run(folder).flawless


def test_names_that_are_no_text_get_outputs_too(bench: Bench) -> None:
    media = bench.folder / "\udcff\udcfe.flac"
    try:
        media.write_bytes(SPEECH.read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert bench.run_one(media).state == "done"
    assert bench.run_one(media).state == "done"


def test_long_japanese_names_get_outputs_too(bench: Bench) -> None:
    media = bench.folder / f"{'日本語' * 26}.flac"
    media.write_bytes(SPEECH.read_bytes())
    assert bench.run_one(media).state == "done"


def test_an_unforeseen_failure_of_an_engine_delivers_what_is_finished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("engines.translate.fake.FakeTranslator.translate", broken)
    result = bench.run_one()
    assert result.state == "partial"
    assert "defect in Segue" in result.reason
    assert any(path.name == "tickets.partial.en.srt" for path in result.outputs)
    monkeypatch.undo()
    assert bench.run_one().state == "done"
