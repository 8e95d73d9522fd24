"""A stage, a role and a provider are named where they are declared, and nowhere else: no code compares with a name."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from engines.roles import ROLES
from pipeline.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
NAMES = {stage.name for stage in STAGES} | set(ROLES) | {name for providers in ROLES.values() for name in providers}
#: Words that are names by chance.
NAMES -= {"language", "cues"}
#: Where names are at home: declarations, the table of engines, a provider's own file.
HOMES = ("pipeline/stages/", "engines/")
#: And the places that may say one, each with the reason.
EXCEPTIONS = {
    ("core/specs.py", "fake"): "the one mark of engines that only pretend",
    ("accounting/report.py", "fake"): "a field of JSON",
    ("accounting/estimate_report.py", "fake"): "a field of JSON",
    ("cli/money/ledger_export.py", "fake"): "a field of CSV and JSON",
    ("cli/summary.py", "fake"): "looked for in the line of engines that people are shown",
    ("cli/options.py", "transcriber"): "a setting's name; families of settings come with the engines by API",
    ("cli/options.py", "translator"): "a setting's name; families of settings come with the engines by API",
    ("pipeline/runtime.py", "transcriber"): "a setting's name",
    ("pipeline/runtime.py", "translator"): "a setting's name",
    ("pipeline/runtime.py", "faster-whisper"): "a setting's default",
    ("jobs/checkup.py", "faster-whisper"): "a package's name",
}


def _rooms() -> list[str]:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    return sorted({name.split(".")[0] for name in packages})


def test_nothing_outside_its_home_says_the_name_of_a_stage_role_or_provider() -> None:
    found = set()
    for path in (path for room in _rooms() for path in (ROOT / room).rglob("*.py")):
        place = str(path.relative_to(ROOT))
        if place.startswith(HOMES):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and node.value in NAMES:
                found.add((place, node.value))
            if isinstance(node, ast.ImportFrom) and node.module in {f"pipeline.stages.{name}" for name in NAMES}:
                found.add((place, node.module))
    assert found == set(EXCEPTIONS)


@pytest.mark.parametrize("name", ["detect", "probe"])
def test_without_a_stage_everything_can_be_imported_and_a_job_that_needs_it_not_still_runs(
    name: str, tmp_path: Path
) -> None:
    program = f"""
import importlib, pkgutil, sys
import pipeline.stages as stages
stages.STAGES = tuple(stage for stage in stages.STAGES if stage.name != {name!r})
stages._BY_NAME.pop({name!r})
for room in {_rooms()!r}:
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if module.name not in ("media.decoding", "media.resampler", "cli.queue.child"):
            importlib.import_module(module.name)
from cli.main import main
sys.argv[0] = "segue"
main()
"""
    fakes = {"SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake", "SEGUE_HOME": str(tmp_path / "home")}
    media = ROOT / "demo" / "sample.mp4"
    command = [sys.executable, "-c", program, "run", str(media), "--from", "en", "--to", "es", "--out", str(tmp_path)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)} | fakes
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sample.es.srt").exists()
