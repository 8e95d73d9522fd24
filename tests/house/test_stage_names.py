"""A stage, a role and a provider are named where they are declared, and nowhere else: no code compares with a name."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.roles import ROLES
from pipeline.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
HOME = "pipeline/stages"
#: What is said of stages without being one.
VOCABULARY = {"stage", "reading"}
STAGE_CLASSES = {type(stage).__name__ for stage in STAGES}
STAGE_FILES = {file.stem for file in (ROOT / HOME).glob("*.py")} - VOCABULARY - {"__init__"}
NAMES = {stage.name for stage in STAGES} | set(ROLES) | {name for providers in ROLES.values() for name in providers}
#: A provider's own file says its own name.
OWN_NAMES = {
    (found.module.replace(".", "/") + ".py", name) for providers in ROLES.values() for name, found in providers.items()
}
#: The places that may say a name, each with the reason.
EXCEPTIONS = {
    ("core/specs.py", "fake"): "the one mark of engines that only pretend",
    ("accounting/report.py", "fake"): "a field of JSON",
    ("accounting/estimates/estimate_report.py", "fake"): "a field of JSON",
    ("cli/money/ledger_export.py", "fake"): "a field of CSV and JSON",
    ("cli/options.py", "transcriber"): "a setting's name; families of settings come with the engines by API",
    ("cli/options.py", "translator"): "a setting's name; families of settings come with the engines by API",
    ("pipeline/runtime.py", "transcriber"): "a setting's name",
    ("pipeline/runtime.py", "translator"): "a setting's name",
    ("jobs/checkup.py", "faster-whisper"): "a package whose version is shown",
    ("engines/transcribe/decoding.py", "transcribe"): "Whisper's own word for what it is to do",
    ("ledger/price_book/tiers.py", "transcribe"): "a column of the price book: whose work a class of models does",
    ("ledger/price_book/tiers.py", "translate"): "a column of the price book: whose work a class of models does",
}


def _rooms() -> list[str]:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    return sorted({name.split(".")[0] for name in packages})


def _names_in(code: str) -> Iterator[str]:
    """The names that code says, and the stages that it imports one by one."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Constant(value=str(text)):
                if text in NAMES or re.fullmatch(rf"pipeline\.stages\.({'|'.join(STAGE_FILES)})(\..*)?", text):
                    yield text
            case ast.keyword(arg=str(text)) if text in NAMES and text not in ("fake", "probe"):
                yield text
            case ast.ImportFrom(module="pipeline.stages", names=names):
                yield from (each.name for each in names if each.name in STAGE_CLASSES | STAGE_FILES | {"*"})
            case ast.ImportFrom(module=str(module)) if module.removeprefix("pipeline.stages.") in STAGE_FILES:
                yield module
            case ast.ImportFrom(module="pipeline", names=names) if "stages" in [each.name for each in names]:
                yield "pipeline.stages"
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name.startswith("pipeline.stages"))


def test_nothing_outside_its_home_says_the_name_of_a_stage_role_or_provider() -> None:
    found = set()
    for path in (path for room in _rooms() for path in (ROOT / room).rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith(f"{HOME}/") and place != "engines/roles.py":
            found |= {(place, name) for name in _names_in(path.read_text("utf-8"))} - OWN_NAMES
    assert found == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "code",
    [
        'if unit.stage == "transcribe": pass',
        'TABLE = {"translate": 3}',
        'match role:\n    case "translator": pass',
        'Slot("spoken-language")',
        'engine.provider in ("openai", "x")',
        "dict(detect=1)",
        "from pipeline.stages import Transcribe",
        "from pipeline.stages import transcribe",
        "from pipeline.stages.cues import cues_slot",
        "import pipeline.stages.translate",
        "from pipeline import stages",
        'import_module("pipeline.stages.detect")',
    ],
)
def test_every_way_to_name_one_is_found(code: str) -> None:
    assert list(_names_in(code))


@pytest.mark.parametrize(
    "code",
    ["stage_named(unit.stage)", "from pipeline.stages import STAGES", "from pipeline.stages.reading import cues_of"],
)
def test_what_names_none_is_not_found(code: str) -> None:
    assert not list(_names_in(code))


@pytest.mark.parametrize("name", ["detect", "probe"])
def test_without_a_stage_everything_can_be_imported_and_a_job_that_needs_it_not_still_runs(
    name: str, tmp_path: Path
) -> None:
    house = tmp_path / "house"
    for room in _rooms():
        shutil.copytree(ROOT / room, house / room, ignore=shutil.ignore_patterns("__pycache__"))
    declared = house / HOME / "__init__.py"
    (stage,) = (type(stage).__name__ for stage in STAGES if stage.name == name)
    text, imports = re.subn(
        rf"^from pipeline\.stages\.\w+ import {stage}\n", "", declared.read_text("utf-8"), flags=re.M
    )
    text, entries = re.subn(rf"\b{stage}\(\)(, )?", "", text)
    assert (imports, entries) == (1, 1)
    declared.write_text(text, "utf-8")
    program = f"""
import importlib, pkgutil, sys
for room in {_rooms()!r}:
    package = importlib.import_module(room)
    assert package.__path__[0].startswith({str(house)!r})
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if module.name not in ("media.decoding", "media.resampler", "cli.queue.child"):
            importlib.import_module(module.name)
from pipeline.stages import STAGES
assert {name!r} not in [stage.name for stage in STAGES] and len(STAGES) == {len(STAGES) - 1}
from cli.main import main
sys.argv[0] = "segue"
main()
"""
    fakes = {"SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake", "SEGUE_HOME": str(tmp_path / "home")}
    media = ROOT / "demo" / "sample.mp4"
    command = [sys.executable, "-c", program, "run", str(media), "--from", "en", "--to", "es", "--out", str(tmp_path)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(house), "HOME": str(tmp_path)} | fakes
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sample.es.srt").exists()
