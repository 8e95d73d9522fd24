"""Promises about the packages themselves."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = (
    *("accounting", "cache", "cli", "coordinator", "core", "engines", "jobs", "journals", "ledger", "media"),
    *("pipeline", "segmenter", "subtitles", "tasks", "worker"),
)


def test_no_dependency_ships_a_module_with_the_name_of_a_room() -> None:
    clashes = []
    for distribution in distributions():
        if distribution.metadata["Name"] == "segue-localize":
            continue
        tops = {
            file.parts[0].removesuffix(".py") for file in distribution.files or () if not file.parts[0].endswith("..")
        }
        clashes += [(distribution.metadata["Name"], room) for room in ROOMS if room in tops]
    assert clashes == []


def test_the_lock_holds_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "--hash=sha256:" in lock
    assert not re.search(r"https?://|--index-url|--find-links|file:", lock)


#: What only the decoding process imports: it exists to run the libraries at the top of its files.
OWN_PROCESS = {"media.decoding", "media.resampler"}


def test_importing_does_nothing() -> None:
    program = """
import builtins, os, pathlib, pkgutil, socket, sys, importlib
touched = []
class Environment(dict):
    def get(self, name, default=None):
        touched.append(name) if str(name).startswith("SEGUE_") else None
        return dict.get(self, name, default)
    def __getitem__(self, name):
        touched.append(name) if str(name).startswith("SEGUE_") else None
        return dict.__getitem__(self, name)
os.environ = Environment(os.environ)
for name in ("mkdir", "makedirs"):
    setattr(os, name, lambda *a, **k: touched.append("mkdir"))
socket.socket.connect = lambda *a: touched.append("connect")
for room in ROOMS:
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if module.name not in OWN_PROCESS:
            importlib.import_module(module.name)
touched.extend(OWN_PROCESS & set(sys.modules))
heavy = {"faster_whisper", "ctranslate2", "onnxruntime", "av", "xllamacpp", "torch"} & set(sys.modules)
print(sorted(touched), sorted(heavy))
"""
    rooms = [room for room in ROOMS if (ROOT / room / "__init__.py").exists()]
    done = subprocess.run(
        [sys.executable, "-c", f"ROOMS, OWN_PROCESS = {rooms!r}, {OWN_PROCESS!r}\n{program}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[] []"


def test_every_file_of_a_room_is_in_the_package() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {ROOT.joinpath(*name.split(".")): name for name in declared["packages"]}
    left_out = []
    for room in ROOMS:
        for file in (ROOT / room).rglob("*"):
            if file.is_dir() or "__pycache__" in file.parts:
                continue
            package = next(folder for folder in file.parents if folder in packages)
            patterns = declared["package-data"].get(packages[package], ())
            is_module = file.suffix == ".py" and file.parent == package
            if not is_module and not any(file.relative_to(package).match(pattern) for pattern in patterns):
                left_out.append(str(file.relative_to(ROOT)))
    assert left_out == []
