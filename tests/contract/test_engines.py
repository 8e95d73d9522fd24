"""What every engine promises: the contract walks all roles and providers that there are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from engine_contract import CHECKS, KINDS, Opened

from core.errors import EngineMissingError, SettingsError
from core.specs import EngineSpec
from engines.engine import EngineChoice
from engines.resources import EngineResources
from engines.roles import ROLES, Provider, check_here, default_provider, freeze, is_remote, open_engine, providers

REAL = {"faster-whisper", "llama"}
EVERY = [(role, provider) for role in ROLES for provider in ROLES[role]]
OPENED = [
    pytest.param(role, provider, id=f"{role}-{provider}", marks=[pytest.mark.real] * (provider in REAL))
    for role, provider in EVERY
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("role", "provider"), OPENED)
def test_every_provider_keeps_the_protocol(
    role: str, provider: str, check: Callable[[Opened], None], open_provider: Callable[[str, str], Opened]
) -> None:
    check(open_provider(role, provider))


def test_every_role_has_requests_to_try_it_with_and_a_fake() -> None:
    assert set(KINDS) == set(ROLES)
    assert all("fake" in providers(role) for role in ROLES)


@pytest.mark.parametrize(("role", "provider"), EVERY)
def test_an_option_that_a_provider_does_not_know_is_named(role: str, provider: str, tmp_path: Path) -> None:
    choice = EngineChoice(provider, "some-model", options=(("colour", "blue"),))
    with pytest.raises(SettingsError, match="no option 'colour'"):
        freeze(role, choice, EngineResources(models_dir=tmp_path, url="http://127.0.0.1:9/v1"))


@pytest.mark.parametrize("role", ROLES)
def test_an_unknown_provider_lists_those_there_are(role: str, tmp_path: Path) -> None:
    place, spec = EngineResources(models_dir=tmp_path), EngineSpec("babelfish", "m", "r")
    asks = (
        lambda: freeze(role, EngineChoice("babelfish"), place),
        lambda: open_engine(role, spec, place),
        lambda: check_here(role, spec, place),
    )
    for ask in asks:
        with pytest.raises(SettingsError, match=f"unknown {role} 'babelfish'") as caught:
            ask()
        assert all(name in caught.value.hint for name in providers(role))
    assert not is_remote(role, "babelfish")


@pytest.mark.parametrize(("role", "provider"), EVERY)
def test_a_missing_package_is_named_with_its_cure(
    role: str, provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLES[role], provider, Provider("engines.no_such_module", "pip install such-a-module"))
    with pytest.raises(EngineMissingError, match="pip install such-a-module"):
        freeze(role, EngineChoice(provider), EngineResources(models_dir=tmp_path))


def test_asking_what_there_is_and_whether_it_is_remote_loads_no_provider() -> None:
    code = (
        "import sys; from engines.roles import ROLES, is_remote, providers\n"
        "print([is_remote(role, name) for role in ROLES for name in providers(role)])\n"
        "theirs = {found.module for providers in ROLES.values() for found in providers.values()}\n"
        "print(sorted(({'faster_whisper', 'ctranslate2', 'xllamacpp', 'httpx', 'numpy'} | theirs) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answers, loaded = done.stdout.splitlines()
    assert answers.count("True") == 1
    assert loaded == "[]"


def test_an_address_means_the_provider_elsewhere_and_needs_no_package_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("llama", "openai"):
        gone = ROLES["translator"][name]._replace(module="engines.no_such_module")
        monkeypatch.setitem(ROLES["translator"], name, gone)
    here = EngineResources(models_dir=tmp_path, offline=True)
    assert default_provider("translator", here) == "llama"
    assert default_provider("translator", replace(here, url="http://127.0.0.1:8000/v1")) == "openai"
