"""What holds for every command: --help, --json also for errors and on an empty store, unknown jobs, odd names."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from segue_cli import ROOT, SegueHere
from spoken import SPEECH

from cli.main import app

#: What a command needs to be understood, beside its name; commands that need nothing are not listed.
ARGUMENTS = {
    "run": ["nosuch.mp4"],
    "plan": ["nosuch.mp4"],
    "submit": ["nosuch.mp4"],
    "estimate": ["nosuch.mp4"],
    "catalogue": ["--hours", "400", "--languages", "8"],
    "reprioritise": ["nosuch", "rush"],
    "ledger replay": ["2026-11"],
    "ledger close": ["2026-10"],
    "ledger reconcile": ["nosuch.csv"],
    "prices import": ["nosuch.csv"],
    **{name: ["nosuch"] for name in ("export", "watch", "wait", "cancel", "retry", "logs", "cache purge")},
}
#: Commands about a job that nobody knows.
ABOUT_JOBS = [
    ["status", "nosuch"],
    ["ledger", "nosuch"],
    ["reprioritise", "nosuch", "rush"],
    *([name, "nosuch"] for name in ("export", "watch", "wait", "cancel", "retry", "logs")),
    ["cache", "purge", "nosuch", "--yes"],
]
#: Stays until it is stopped.
STAYING = {"up", "coordinator", "worker", "emulate-metadata"}


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))


COMMANDS = dict(walk(typer.main.get_command(app)))


def test_every_command_has_help_and_json(segue: SegueHere) -> None:
    for path, command in COMMANDS.items():
        assert segue(*path, "--help").code == 0
        has_json = any("--json" in parameter.opts for parameter in command.params)
        assert has_json or path[0] in STAYING, path


def test_on_an_empty_store_and_for_errors_there_is_exactly_one_document(segue: SegueHere) -> None:
    for path in COMMANDS:
        if path[0] in STAYING:
            continue
        done = segue(*path, *ARGUMENTS.get(" ".join(path), []), "--json")
        assert isinstance(json.loads(done.stdout), dict), path
        assert done.code in (0, 2, 3), (path, done.stderr)
        wrong = segue(*path, "--json", "--no-such-option")
        assert json.loads(wrong.stdout)["error"]["message"], path
        assert wrong.code == 2, path


def test_the_word_list_and_show_may_be_left_out(segue: SegueHere) -> None:
    assert segue("prices", "--json").json == segue("prices", "list", "--json").json
    assert segue("prices", "azure").stdout == segue("prices", "list", "azure").stdout
    assert segue("ledger", "--json").code == 0


@pytest.mark.parametrize("arguments", ABOUT_JOBS, ids=" ".join)
def test_a_job_that_nobody_knows_is_bad_usage_in_one_line(segue: SegueHere, arguments: list[str]) -> None:
    done = segue(*arguments)
    assert done.code == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("segue: ")] == [
        "segue: no job is called 'nosuch'"
    ]
    assert done.stdout == ""


#: A new line, an escape sequence, text that runs the other way, and bytes that are no text.
ODD = b"two\nlines\x1b[31m\xe2\x80\xae\xff talk.flac"


def test_odd_names_break_no_line_and_colour_nothing(segue: SegueHere, tmp_path: Path) -> None:
    media = tmp_path / ODD.decode("utf-8", "surrogateescape")
    media.write_bytes(SPEECH.read_bytes())
    ran = segue("run", media, "--to", "es", "--out", "out")
    assert ran.code == 0
    bad = tmp_path / ("bad" + media.name)
    bad.write_bytes(b"text")
    said = [ran, segue("run", bad, "--to", "es"), segue("submit", media, bad, "--to", "fr"), segue("plan", media)]
    job = segue("status", "--json").json["jobs"][0]["id"]
    for command in ("status", "jobs", "ledger", "estimate"):
        said.append(segue(command, *([media] if command == "estimate" else [])))
    for command in ("status", "ledger", "logs", "export", "cancel", "retry"):
        said.append(segue(command, job))
        json.loads(segue(command, job, "--json").stdout)
    said.append(segue("cache", "purge", job, "--dry-run"))
    for done in said:
        for char in done.stdout + done.stderr:
            assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp"), (char, done)
        assert not [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("lines")], done


def test_a_reader_that_has_left_is_no_trouble(tmp_path: Path) -> None:
    for command in ("prices", "settings", "--help"):
        line = f"'{sys.executable}' -P -m cli.main {command} | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", line],
            env={"PYTHONPATH": str(ROOT), "SEGUE_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("0\n", ""), command
