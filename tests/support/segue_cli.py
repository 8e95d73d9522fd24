"""The real command in a child process, with its own home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finished:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass
class Segue:
    """Runs commands in one folder."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, **env: str) -> Finished:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
        settings = {
            "SEGUE_HOME": str(self.folder / "home"),
            "SEGUE_TRANSCRIBER": "fake",
            "SEGUE_TRANSLATOR": "fake",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cli.main", *map(str, arguments)],
            cwd=self.folder,
            env=clean | settings | self.env | env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr)


class SegueHere(Segue):
    """The command in this process: a hundred starts of Python would take longer than all that is tested."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder)
        self._patch, self._capsys = patch, capsys

    def __call__(self, *arguments: str | Path, **env: str) -> Finished:
        fakes = {"SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake"}
        settings = {"SEGUE_HOME": str(self.folder / "home"), "COLUMNS": "200", "NO_COLOR": "1", **fakes}
        with self._patch.context() as patch:
            for name in [name for name in os.environ if name.startswith("SEGUE_")]:
                patch.delenv(name)
            for name, text in (settings | self.env | env).items():
                patch.setenv(name, text)
            patch.chdir(self.folder)
            # A process that has just begun has read no file, and these names are relative.
            patch.setattr(sys, "argv", ["segue", *map(str, arguments)])
            with pytest.raises(SystemExit) as left:
                main()
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err, said.err
        return Finished(int(left.value.code or 0), said.out, said.err)
