"""The flags of the commands about a job come from one list of declarations."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from spoken import SPEECH
from typer.testing import CliRunner

from cli.main import app, make_app
from cli.options import OUTPUT_OPTIONS, PRICE_OPTIONS, WORK_OPTIONS, JobOption
from core.errors import SettingsError
from pipeline.runtime import Settings

#: Where each of the commands lives.
WHERE = {"run": "cli.run", "submit": "cli.queue.submit", "plan": "cli.plan", "estimate": "cli.money.estimate"}
COMMANDS = tuple(WHERE)
#: A setting without a flag of its own, declared as a stage would declare it.
EXTRA = JobOption("whole_media", bool, "Skip no silence.")


def flags_of(made: typer.Typer, command: str) -> dict[str, str]:
    """Flags of a command, with their help."""
    group: Any = typer.main.get_command(made)
    return {flag: parameter.help for parameter in group.commands[command].params for flag in parameter.opts}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_declared_option_is_a_flag_with_its_help_and_is_passed_on(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []

    def note_flags(flags: dict[str, Any]) -> None:
        given.append(flags)
        raise SettingsError("seen", "nothing is to be done")

    monkeypatch.setattr(importlib.import_module(WHERE[command]), "open_runtime", note_flags)
    made = make_app([EXTRA])
    assert flags_of(made, command)["--whole-media"] == "Skip no silence. [SEGUE_WHOLE_MEDIA]"
    assert "--whole-media" not in flags_of(app, command)
    for words in (["--whole-media"], ["--no-whole-media"], []):
        CliRunner().invoke(made, [command, "talk.mp4", "--to", "es", "--home", str(tmp_path), *words])
    assert [flags["whole_media"] for flags in given] == [True, False, None]
    assert all(flags["to"] == "es" and flags["home"] == tmp_path and flags["source"] is None for flags in given)


def test_a_declared_option_changes_what_is_done(tmp_path: Path) -> None:
    skipped = []
    for words in ([], ["--whole-media"]):
        arguments = ["plan", str(SPEECH), "--json", "--home", str(tmp_path), *words]
        done = CliRunner().invoke(make_app([EXTRA]), arguments, catch_exceptions=False)
        skipped.append(json.loads(done.stdout)["skipped_ms"])
    assert skipped[0] > 0
    assert skipped[1] == 0


@pytest.mark.parametrize("option", [*WORK_OPTIONS, *OUTPUT_OPTIONS, *PRICE_OPTIONS], ids=lambda option: option.name)
def test_every_option_is_a_setting_of_its_type(option: JobOption) -> None:
    declared = Settings.model_fields[option.name].annotation
    assert declared in (option.type, option.type | None)


def test_every_command_about_a_job_takes_what_decides_its_units() -> None:
    for option in WORK_OPTIONS:
        flag = option.flag or f"--{option.name.replace('_', '-')}"
        assert len({flags_of(app, command)[flag] for command in COMMANDS}) == 1
