"""docs/decide.md: every formula, rule, arm, condition and red flag has a command there, which prints what it says."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from ledger.decision.decide import Arm, Condition
from ledger.decision.redflags import RedFlagKind

PAGE = Path(__file__).resolve().parents[2] / "docs" / "decide.md"
FORMULAS = {
    "api_monthly_cost",
    "break_even_usage",
    "monthly_capacity",
    "effective_throughput",
    "gpu_monthly_cost",
    "gpus",
    "cheaper",
    "break_even_exceeds_single_gpu_capacity",
    "break_even_rtfx",
    "break_even_utilization",
    "self_hosted_monthly_cost",
    "effective_inference_cost",
    "engineering_tax",
    "hybrid",
}
SHEET = "sheet.toml"


@dataclass(frozen=True)
class Example:
    """A command of the page."""

    #: What it shows.
    title: str
    #: Its words, without `segue`.
    words: tuple[str, ...]
    #: What it prints, each anywhere in its output.
    printed: tuple[str, ...]

    def subject(self, kind: str) -> str:
        """The name that follows ``kind`` in the title; empty when it is about something else."""
        found = re.match(rf"{kind} (\w+)", self.title)
        return found[1] if found else ""


def read_examples() -> list[Example]:
    """The commands in the page's blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    examples: list[Example] = []
    title = ""
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        if line.startswith("#> "):
            last = examples[-1]
            examples[-1] = Example(last.title, last.words, (*last.printed, " ".join(line[3:].split())))
        elif line.startswith("# "):
            title = line[2:]
        else:
            called, *words = shlex.split(line)
            assert called == "segue", line
            examples.append(Example(title, tuple(words), ()))
    return examples


EXAMPLES = read_examples()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the worksheet that the page begins with."""
    (writing,) = (example for example in EXAMPLES if ">" in example.words)
    assert writing.words[-2:] == (">", SHEET)
    made = tmp_path_factory.mktemp("decide")
    (made / SHEET).write_text(run(*writing.words[:-2]), "utf-8")
    return made


@pytest.mark.parametrize(
    "example", [each for each in EXAMPLES if ">" not in each.words], ids=lambda each: each.title[:60]
)
def test_a_command_prints_what_the_page_says(example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    printed = " ".join(run(*example.words).split())
    assert example.printed
    assert [text for text in example.printed if text not in printed] == []
    if example.words[0] == "decide":
        check_subject(example, json.loads(run(*example.words, "--json")))


def check_subject(example: Example, told: dict[str, Any]) -> None:
    """What a command is said to show is also in what it tells programs."""
    assert example.subject("arm") in ("", told["arm"])
    assert example.subject("condition") in ("", *told["conditions_met"])
    assert example.subject("red flag") in ("", *(flag["kind"] for flag in told["red_flags"]))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("formula", FORMULAS),
        ("rule", {str(number) for number in range(1, 8)}),
        ("arm", set(Arm)),
        ("condition", set(Condition)),
        ("red flag", set(RedFlagKind)),
    ],
)
def test_nothing_of_the_decision_is_without_a_command(kind: str, names: set[str]) -> None:
    assert {example.subject(kind) for example in EXAMPLES} - {""} == names
