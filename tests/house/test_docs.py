"""The pages: all of them are found from the index, their links lead somewhere, and what they name is there."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted((*ROOT.glob("*.md"), *DOCS.rglob("*.md")))
#: A link in a page: its target without the title.
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
#: A function as architecture.md names it: `plan_job` in `pipeline/planning.py`.
NAMED = re.compile(r"`([A-Za-z_.]+)` in `([a-z_/]+)\.py`")


def anchors_in(page: Path) -> set[str]:
    """The names under which a page's headings can be linked."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors_in(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("folder", [DOCS, DOCS / "adr"], ids=["docs", "adr"])
def test_the_index_names_every_page_once(folder: Path) -> None:
    linked = LINK.findall((folder / "README.md").read_text("utf-8"))
    pages = [page.name for page in folder.glob("*.md") if page.name != "README.md"]
    assert sorted(name for name in linked if name in pages and name != "template.md") == sorted(
        name for name in pages if name != "template.md"
    )


def test_every_function_on_a_segments_way_exists() -> None:
    text = (DOCS / "architecture.md").read_text("utf-8")
    steps = re.findall(r"^\| (\d+) \|.*$", text, re.MULTILINE)
    rows = re.findall(r"^\| \d+ \|.*$", text, re.MULTILINE)
    assert steps == [str(number) for number in range(1, len(steps) + 1)]
    assert 10 <= len(steps) <= 15
    assert all(NAMED.search(row) for row in rows)
    for names, module in NAMED.findall(text):
        found = importlib.import_module(module.replace("/", "."))
        for name in names.split("."):
            found = getattr(found, name)
        assert callable(found)


def test_every_file_that_the_architecture_names_exists() -> None:
    named = re.findall(r"`([a-z_/]+(?:\.py|/))`", (DOCS / "architecture.md").read_text("utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_picture_of_the_rooms_is_drawn_from_the_imports() -> None:
    done = subprocess.run(
        [sys.executable, "docs/architecture.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_only_the_arrows_that_do_not_follow_from_others_are_drawn() -> None:
    drawing = load("architecture")
    imports = {"top": {"middle", "low"}, "middle": {"low"}, "low": set()}
    assert drawing.needed_arrows(imports) == [("top", "middle"), ("middle", "low")]


def test_a_room_may_grow_by_a_tenth_before_its_picture_is_out_of_date() -> None:
    drawing = load("architecture")
    shown = "<b>core</b> 12 files, 1,000 lines"
    assert drawing.same_house(shown, "<b>core</b> 13 files, 1,100 lines")
    assert not drawing.same_house(shown, "<b>core</b> 12 files, 1,200 lines")
    assert not drawing.same_house(shown, "<b>cores</b> 12 files, 1,000 lines")


def load(name: str) -> Any:
    """A program in docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
