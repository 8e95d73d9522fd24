"""docs/adding-an-engine.md, followed: the file it shows and the line it names are all that a new engine takes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_contract import CHECKS, Opened
from segue_cli import SegueHere
from spoken import SPEECH

from engines import roles
from engines.engine import EngineChoice
from engines.resources import EngineResources
from pipeline.runtime import Settings

RECIPE = Path(__file__).parents[2] / "docs" / "adding-an-engine.md"
CAPTIONS = "1\n00:00:00,500 --> 00:00:02,000\nWhere is the station?\n"


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The recipe's provider: its file in a package of its own, its line in the table."""
    text = RECIPE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ((name, module),) = re.findall(r'```text\n"(\w+)": Provider\("engines\.translate\.(\w+)", ".*"\),\n```', text)
    package = tmp_path / "strangers_engines"
    package.mkdir()
    (package / f"{module}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(roles.ROLES["translator"], name, roles.Provider(f"strangers_engines.{module}", "nothing"))
    yield name
    for loaded in [one for one in sys.modules if one.startswith("strangers_engines")]:
        del sys.modules[loaded]


def test_the_recipes_engine_keeps_the_protocol(provider: str, tmp_path: Path) -> None:
    choice, place = EngineChoice(provider), EngineResources(models_dir=tmp_path)
    engine = roles.open_engine("translator", roles.freeze("translator", choice, place), place)
    for check in CHECKS:
        check(Opened("translator", choice, place, engine))


def test_a_job_runs_with_the_recipes_engine(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lines.srt").write_text(CAPTIONS, encoding="utf-8")
    segue = SegueHere(tmp_path, monkeypatch, capsys)
    chosen = {"SEGUE_TRANSLATOR": provider}
    ran = segue("run", SPEECH, "--transcript", "lines.srt", "--from", "en", "--to", "es", "--out", "out", **chosen)
    assert ran.code == 0, ran.stderr
    assert "WHERE IS THE STATION?" in (tmp_path / "out" / f"{SPEECH.stem}.es.srt").read_text(encoding="utf-8")
    assert f"ok      translator: {provider} loud\n" in segue("doctor", **chosen).stdout
    assert segue("ledger", "last").code == 0


@pytest.mark.parametrize("role", [role for role in roles.ROLES if role in Settings.model_fields])
def test_settings_name_every_provider_of_the_table(role: str) -> None:
    described = Settings.model_fields[role].description or ""
    assert described.startswith(f"provider: {', '.join(roles.providers(role))}")
