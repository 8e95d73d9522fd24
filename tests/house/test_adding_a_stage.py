"""docs/adding-a-stage.md names the files that a stage touches: no other file knows the one that ships for the tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adding-a-stage.md"
#: How the stage, its role, its options and its engine are called; `media.probe` is something else.
NAMES = re.compile(r"stages\.probe|engines\.probe|\bProbe\(|\bprober\b|(?i:fake_stages|probe_limit)|fake-tones")


def test_only_the_files_that_the_recipe_names_know_the_stage() -> None:
    named = set(re.findall(r"^\| `([a-z_/]+\.py)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert all((ROOT / name).is_file() for name in named), named
    rooms = (
        "accounting",
        "bench",
        "cache",
        "cli",
        "coordinator",
        "core",
        "engines",
        "jobs",
        "journals",
        "ledger",
        "media",
    )
    more = ("pipeline", "segmenter", "subtitles", "tasks", "tests", "worker")
    files = {path for room in (*rooms, *more) for path in (ROOT / room).rglob("*.py")}
    knowing = {str(path.relative_to(ROOT)) for path in files if NAMES.search(path.read_text("utf-8"))}
    assert knowing - {"tests/house/test_adding_a_stage.py"} == named
