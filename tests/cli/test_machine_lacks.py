"""Real commands on machines that lack something, or are asked something impossible: one line, and the right code."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from segue_cli import Segue
from spoken import SPEECH


@pytest.mark.parametrize(
    ("name", "proxy"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("all_proxy", "socks://me:very-secret@127.0.0.1:9"),
        ("https_proxy", "http://127.0.0.1:port"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(segue: Segue, proxy: str, name: str) -> None:
    endpoint = {"SEGUE_TRANSLATOR": "openai", "SEGUE_TRANSLATOR_URL": "https://127.0.0.1:9/v1"}
    done = segue("run", SPEECH, "--to", "es", "--out", "out", **endpoint, SEGUE_TRANSLATOR_MODEL="m", **{name: proxy})
    assert done.code == 2
    assert name.upper() in done.stderr.upper()
    assert "defect" not in done.stderr
    assert "very-secret" not in done.stderr


@pytest.mark.parametrize("command", [("settings",), ("settings", "--json")])
@pytest.mark.parametrize("place", ["/dev/full", "&-"])
def test_a_place_that_takes_no_output_is_no_defect(
    segue: Segue, tmp_path: Path, command: tuple[str, ...], place: str
) -> None:
    segue_command = shlex.join([sys.executable, "-P", "-m", "cli.main", *command])
    env = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
    done = subprocess.run(
        ["bash", "-c", f"{segue_command} >{place}"],
        env=env | {"SEGUE_HOME": str(tmp_path / "home")},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == (75 if place == "/dev/full" else 0), done.stderr
    assert ("no room is left" in done.stderr) is (place == "/dev/full")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit", ["-n 7", "-v 60000"])
def test_a_machine_that_lacks_something_is_no_defect(segue: Segue, tmp_path: Path, limit: str) -> None:
    command = shlex.join([sys.executable, "-P", "-m", "cli.main", "run", str(SPEECH), "--to", "es", "--out", "out"])
    env = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
    env |= {"SEGUE_HOME": str(tmp_path / "home"), "SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake"}
    done = subprocess.run(
        ["bash", "-c", f"ulimit {limit}; exec {command}"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (2, 3, 75), done.stderr
    assert "defect" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    # With the limit gone the same command goes through.
    assert segue("run", SPEECH, "--to", "es", "--out", "out").code == 0
