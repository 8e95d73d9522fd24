"""The pages: all of them are found from the index, their links lead somewhere, and what they name is there."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.exits import Exit
from pipeline.report import JobState

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


def test_every_module_that_a_page_names_exists() -> None:
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    named = {
        (page.relative_to(ROOT).as_posix(), path)
        for page in pages
        for path in re.findall(r"(?<![\w/.])[a-z]+/[a-z_/]+\.py\b", page.read_text("utf-8"))
    }
    assert len(named) > 20
    assert sorted(pair for pair in named if not (ROOT / pair[1]).exists()) == []


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


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) < 1200


def test_messages_that_the_page_on_trouble_quotes_are_said() -> None:
    said = [text for _, text in load("commands").messages()]
    rows = re.findall(r"^\| (`[^|]*) \|", (DOCS / "trouble.md").read_text("utf-8"), re.MULTILINE)
    quoted = [text for row in rows for text in re.findall(r"`([^`]+)`", row)]
    assert len(quoted) > 20
    assert [text for text in quoted if not any(text in message for message in said)] == []


def test_the_glossary_explains_words_that_stand_elsewhere_in_alphabetical_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE)
    assert words == sorted(words, key=str.lower)
    others = [page for page in (*ROOT.glob("*.md"), *DOCS.glob("*.md")) if page.stem not in ("glossary", "CHANGELOG")]
    text = "\n".join(page.read_text("utf-8") for page in others).lower()
    assert [word for word in words if not re.search(rf"\b{word.split(' (')[0].lower()}", text)] == []


def test_the_page_on_trouble_names_every_state_and_exit_code() -> None:
    text = (DOCS / "trouble.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    assert {str(int(code)) for code in Exit} <= set(rows)
    shown = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert {str(state) for state in JobState} - shown == {"done"}


def examples_in(page: Path) -> list[str]:
    """The lines that a page says to type, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return re.findall(r"^\$ (.*)$", "".join(blocks), re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/correcting.md", "docs/cleaning-up.md"])
def test_examples_call_segue_in_one_way(page: str) -> None:
    lines = examples_in(ROOT / page)
    assert any(line.startswith("segue ") for line in lines)
    assert [line for line in lines if ".venv/bin/segue" in line or "python -m" in line] == []


@pytest.mark.long
def test_examples_run_as_they_are_written(tmp_path: Path) -> None:
    """Those of the README, then those of the pages that go on from there, in one shell and with fake engines."""
    for name in ("demo", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name if name == "demo" else Path(sys.prefix))
    lines = [
        line for page in ("README", "docs/correcting", "docs/cleaning-up") for line in examples_in(ROOT / f"{page}.md")
    ]
    script = [
        "set -m",
        "fleet=",
        "trap 'test -z \"$fleet\" || { kill -INT $fleet; wait $fleet; }' EXIT",
        'step() { echo "at: $1" >&2; }',
    ]
    for line in lines:
        script.append(f"step {shlex.quote(line)}")
        if line.startswith("make "):
            continue
        if line.startswith("segue up"):
            script += [f"{line} & fleet=$!", "until segue workers | grep -q idle; do sleep 0.2; done"]
        elif line.endswith("&") or line.startswith("kill "):
            script += [line, "sleep 0.5"]
        else:
            script.append(f"{line} || exit 1")
    script.append("exit 0")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "terms.csv").write_text("source,target,language\npebble,guijarro,es\n", "utf-8")
    environment = os.environ | {
        "SEGUE_HOME": str(tmp_path / "home"),
        "SEGUE_TRANSCRIBER": "fake",
        "SEGUE_TRANSLATOR": "fake",
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert (tmp_path / "out" / "subtitles" / "talk.es.srt").is_file()


def load(name: str) -> Any:
    """A program in docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
