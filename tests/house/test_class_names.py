"""Class names and files of tests: each stands once, so that whoever searches for one finds one thing."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def production_files() -> list[Path]:
    """The files of the packages that are installed."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    return [path for package in packages for path in sorted((ROOT / package.replace(".", "/")).glob("*.py"))]


def test_a_class_name_stands_once_in_production_code() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in production_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert len(places) > 300
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_file_of_tests_has_a_name_of_its_own() -> None:
    """pytest imports them by their names alone: of two with one name it refuses the second, and all tests with it."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name != "conftest.py":
            places[path.name].append(path.relative_to(ROOT).as_posix())
    assert len(places) > 200
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
