"""What `make` is said to do: every command line that a page names can be typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
#: Code in a page: a fenced block, or what stands between single backticks on one line.
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
#: A command line, not a word in a sentence: at the start, after a prompt or after another command.
CALL = re.compile(r"(?:^|[`$;&|])\s*make +([A-Za-z0-9_=./:-]+(?: +[A-Za-z0-9_=./:-]+)*)", re.MULTILINE)
PAGES = sorted(
    (
        *ROOT.glob("*.md"),
        *(page for room in ("docs", "deploy", "demo", "bench") for page in (ROOT / room).rglob("*.md")),
    )
)


def targets_in(text: str) -> set[str]:
    """Targets that the text asks `make` for, without the variables that it sets."""
    words = {word for call in CALL.findall(text) for word in call.split()}
    return {word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)}


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_target_that_a_page_names_is_there(page: Path) -> None:
    named = {target for code in CODE.findall(page.read_text("utf-8")) for target in targets_in(code)}
    assert named <= makefile_targets()


def test_targets_are_told_from_words() -> None:
    page = "It may make sense.\n`make fuzz S=6`, `x; make lint test`\n```console\n$ make nothing\n```\n"
    named = {target for code in CODE.findall(page) for target in targets_in(code)}
    assert named == {"fuzz", "lint", "test", "nothing"}


def test_continuous_integration_runs_every_test() -> None:
    """What `make test` leaves out is run as well, and each of them says which it is."""
    assert targets_in((ROOT / ".ci" / "run").read_text("utf-8")) >= {"lint", "test", "test-all"}
    recipes = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r'^test: setup .*\n\t\$\(PYTEST\) -m "not long" ', recipes, re.MULTILINE)
    assert re.search(r"^test-all: setup .*\n\t\$\(PYTEST\) -m long ", recipes, re.MULTILINE)
    named = set(re.findall(r"^\.PHONY: (.*)$", recipes, re.MULTILINE)[0].split())
    assert named == makefile_targets()
