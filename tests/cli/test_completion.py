"""TAB in a shell: what `segue --install-completion` sets up, and what is offered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shellingham
from segue_cli import ROOT, Segue, SegueHere
from typer.testing import CliRunner

from cache.store import Store
from cli.main import app

BASH = shutil.which("bash")


def offered(*words: str, home: Path) -> list[str]:
    """What stands after TAB behind the last word."""
    done = CliRunner().invoke(
        app,
        prog_name="segue",
        env={
            "_SEGUE_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["segue", *words]),
            "COMP_CWORD": str(len(words)),
            "SEGUE_HOME": str(home),
        },
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A store with two jobs."""
    with Store.open(tmp_path / "home") as store:
        for name in ("ab" * 12, "ac" * 12):
            store.write_once(("jobs", name, "plan.json"), b"{}")
    return tmp_path / "home"


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash_completes_once_it_is_installed(home: Path, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "segue"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom cli.entry import main\n\nmain()\n")
    command.chmod(0o755)
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SEGUE_HOME": str(home),
    }
    script = (
        "segue --install-completion >/dev/null && . ~/.bashrc && COMP_WORDS=(segue status ab) COMP_CWORD=2 && "
        'complete -p segue && _segue_completion segue && echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [BASH or "", "--norc", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["complete -o default -F _segue_completion segue", "ab" * 12]


@pytest.mark.parametrize("command", ["status", "watch", "wait", "cancel", "logs", "export", "ledger", "cache purge"])
def test_jobs_are_offered_where_a_job_is_named(command: str, home: Path) -> None:
    assert offered(*command.split(), "a", home=home) == ["ab" * 12, "ac" * 12]
    assert "last" in offered(*command.split(), "l", home=home)


def test_the_store_that_is_named_is_the_one_that_is_read(home: Path, tmp_path: Path) -> None:
    assert offered("status", "--home", str(home), "ab", home=tmp_path / "other") == ["ab" * 12]
    assert offered("status", "", home=tmp_path / "other") == []
    assert not (tmp_path / "other").exists()


def test_groups_offer_their_commands_and_what_the_one_left_out_takes(home: Path) -> None:
    assert offered("ledger", "", home=home) == [
        "show",
        "forecast",
        "fleet",
        "verify",
        "replay",
        "close",
        "reconcile",
        "last",
        "ab" * 12,
        "ac" * 12,
    ]
    assert "--since" in offered("ledger", "--s", home=home)
    assert offered("prices", "", home=home) == ["list", "check", "import"]


def test_lists_are_completed_at_their_last_word(home: Path) -> None:
    assert offered("run", "--to", "es,j", home=home) == ["es,ja"]
    assert offered("submit", "--format", "srt,vtt,", home=home) == ["srt,vtt,ass", "srt,vtt,ttml", "srt,vtt,json"]
    assert offered("plan", "--from", "au", home=home) == ["auto"]


def test_files_are_left_to_the_shell(home: Path) -> None:
    assert offered("run", "demo/sa", home=home) == []


def test_an_unknown_shell_is_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_shell() -> None:
        raise shellingham.ShellDetectionFailure

    monkeypatch.setattr(shellingham, "detect_shell", no_shell)
    segue: Segue = SegueHere(tmp_path, monkeypatch, capsys)
    done = segue("--show-completion")
    assert done.code == 2
    assert "not supported" in done.stderr
