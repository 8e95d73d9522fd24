"""The fake translator: visible, deterministic, and able to fail on request."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import EngineError, SettingsError
from engines.engine import EngineChoice, Result
from engines.resources import EngineResources
from engines.roles import freeze, open_engine
from engines.translate.interface import Line, Translation, TranslationTask

PLACE = EngineResources(models_dir=Path("unused"))
TASKS = [TranslationTask(f"t{n}", "en", "es", (Line("a", f"Line number {n} of many."),)) for n in range(40)]


def run(faults: str = "") -> list[Result]:
    place = replace(PLACE, fake_faults=faults)
    return list(open_engine("translator", freeze("translator", EngineChoice("fake"), place), place).run(TASKS))


def test_a_fake_text_shows_that_it_is_fake() -> None:
    result = run()[0]
    assert isinstance(result.value, Translation)
    assert result.value.lines[0].text == "[es fake] many. of 0 number Line"


def test_delay_and_faults_are_not_in_the_spec() -> None:
    troubled = replace(PLACE, fake_delay_ms=50, fake_faults="fail:2")
    assert freeze("translator", EngineChoice("fake"), PLACE) == freeze("translator", EngineChoice("fake"), troubled)


def test_the_same_tasks_always_fail() -> None:
    failed = [result.id for result in run("fail:4") if result.reason]
    assert 0 < len(failed) < len(TASKS)
    assert failed == [result.id for result in run("fail:4") if result.reason]


def test_a_crash_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match="crashed"):
        run("crash:3")


def test_unreadable_faults_are_a_settings_error() -> None:
    with pytest.raises(SettingsError):
        run("explode:1")


def test_death_ends_the_process_after_what_was_yielded() -> None:
    code = (
        "from pathlib import Path\n"
        "from engines.resources import EngineResources\n"
        "from engines.roles import freeze, open_engine\n"
        "from engines.engine import EngineChoice\n"
        "from engines.translate.interface import *\n"
        "place = EngineResources(models_dir=Path('unused'), fake_faults='die:3')\n"
        "engine = open_engine('translator', freeze('translator', EngineChoice('fake'), place), place)\n"
        "tasks = [TranslationTask(str(n), 'en', 'es', (Line('a', 'Hi.'),)) for n in range(9)]\n"
        "for result in engine.run(tasks): print(result.id, flush=True)\n"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode not in (0, 1)
    assert ended.stdout.split() == ["0", "1"]


def test_glossary_terms_are_used() -> None:
    wanted = replace(TASKS[0], glossary=(("number", "número"),))
    (result,) = open_engine("translator", freeze("translator", EngineChoice("fake"), PLACE), PLACE).run([wanted])
    assert isinstance(result.value, Translation)
    assert "número" in result.value.lines[0].text
