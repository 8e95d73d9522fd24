"""What child processes are given of our environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.environment import find_program, foreign_environment, segue_environment

SECRETS = {
    "SEGUE_TRANSLATOR_API_KEY": "sk-secret",
    "segue_notify_secret": "sk-secret",
    "SEGUE_BROKER_URL": "redis://:sk-secret@host",
    "SEGUE_BROKER_URL_FILE": "/run/sk-secret",
    "HF_TOKEN": "sk-secret",
    "HTTPS_PROXY": "http://me:sk-secret@proxy",
    "https_proxy": "http://me:sk-secret@proxy",
    "AWS_SECRET_ACCESS_KEY": "sk-secret",
    "OPENAI_API_KEY": "sk-secret",
    "GITHUB_TOKEN": "sk-secret",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    for name, value in {"PATH": ":/usr/bin:.:/bin:", "LC_ALL": "C.UTF-8", "CUDA_VISIBLE_DEVICES": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("LD_LIBRARY_PATH", "PYTHONPATH"):
        monkeypatch.setenv(name, ":/opt/lib:relative")
    monkeypatch.setenv("FFREPORT", "file=x")
    monkeypatch.setenv("LD_PRELOAD", "./x.so")


def test_a_program_that_is_not_ours_gets_no_secret_and_no_setting() -> None:
    assert foreign_environment() == {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": "/opt/lib"}


def test_our_own_children_get_settings_and_what_engines_need_and_nobody_else_s_secrets() -> None:
    given = segue_environment()
    assert {name for name in SECRETS if name in given} == set(SECRETS) - {
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "GITHUB_TOKEN",
    }
    assert (given["CUDA_VISIBLE_DEVICES"], given["PYTHONPATH"], given["PYTHONSAFEPATH"]) == ("1", "/opt/lib", "1")
    assert not {"FFREPORT", "LD_PRELOAD"} & set(given)


def test_a_setting_is_kept_from_a_child_however_it_is_said() -> None:
    given = segue_environment(without=("broker_url", "notify_secret"))
    assert not {name for name in given if "broker" in name.lower() or "notify" in name.lower()}
    assert given["SEGUE_TRANSLATOR_API_KEY"] == "sk-secret"


def test_a_program_is_looked_for_in_absolute_folders_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("here", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "here" / "ffmpeg").write_text("#!/bin/sh\n")
    (tmp_path / "here" / "ffmpeg").chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", f":.:{tmp_path / 'bin'}")
    assert find_program("ffmpeg") is None
    assert find_program("./ffmpeg") == "./ffmpeg"
    (tmp_path / "here" / "ffmpeg").rename(tmp_path / "bin" / "ffmpeg")
    assert find_program("ffmpeg") == str(tmp_path / "bin" / "ffmpeg")
