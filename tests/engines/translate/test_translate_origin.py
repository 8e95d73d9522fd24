"""Whose answer it is: by address where nobody says which weights a name stands for, else by what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scripted_endpoint import ScriptedEndpoint

from core.errors import EngineError, SettingsError
from core.specs import EngineSpec
from engines.engine import EngineChoice
from engines.resources import EngineResources
from engines.translate import openai
from engines.translate.origin import base_address, is_own_server, is_plain_name, listed_models, revision_of

API, NEAR = "https://api.example.com/v1", "http://10.0.0.7:8000/v1"
ROOT = {"root": "/models/Qwen3-8B-AWQ", "created": 7}


def frozen(endpoint: ScriptedEndpoint, revision: str = "") -> EngineSpec:
    place = EngineResources(models_dir=Path("unused"), url=endpoint.url)
    return openai.freeze(EngineChoice("openai", revision=revision), place)


@pytest.mark.parametrize(
    ("url", "entry", "configured", "revision"),
    [
        (API, None, "", "at=https://api.example.com/v1"),
        (API, {"created": 5}, "", "at=https://api.example.com/v1"),
        # An API may say what it likes: it is still that API.
        (API, ROOT, "", "at=https://api.example.com/v1;root=Qwen3-8B-AWQ"),
        (API, ROOT, "2026-11", "set=2026-11"),
        (NEAR, ROOT, "", "root=Qwen3-8B-AWQ"),
        (NEAR, {"meta": {"n_params": 8, "size": 9, "n_vocab": 1}}, "", "n_params=8;size=9;n_vocab=1"),
        (NEAR, {}, "", "at=http://10.0.0.7:8000/v1"),
        (NEAR, {"root": "\x1b[2J"}, "", "at=http://10.0.0.7:8000/v1"),
        (NEAR, {"meta": {"size": 10**400, "n_params": -1, "n_vocab": True}}, "", "at=http://10.0.0.7:8000/v1"),
    ],
)
def test_revision_of_a_model_at_an_endpoint(url: str, entry: dict[str, object], configured: str, revision: str) -> None:
    assert revision_of(url, entry, configured) == revision


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("HTTPS://User:secret@API.Example.com:443/v1/?key=secret#x", "https://api.example.com/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://host:80", "http://host"),
        ("http://user:pass/word@host/v1", "(unreadable address)"),
        ("http://host:99999/v1", "(unreadable address)"),
    ],
)
def test_an_address_is_written_in_one_way_and_without_secrets(url: str, address: str) -> None:
    assert base_address(url) == address


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("[::1]", True),
        ("localhost", True),
        ("vllm", True),
        ("192.168.1.5", True),
        ("10.1.2.3", True),
        ("gpu.internal", True),
        ("vllm.default.svc.cluster.local", True),
        ("8.8.8.8", False),
        ("api.example.com", False),
    ],
)
def test_a_server_of_ones_own_is_one_that_only_machines_near_can_reach(host: str, own: bool) -> None:
    assert is_own_server(f"http://{host}:8000/v1") is own


def test_two_endpoints_that_serve_a_model_of_one_name_are_two_unless_it_is_said_what_they_serve() -> None:
    plain = {"data": [{"id": "m"}]}
    with ScriptedEndpoint(models=plain) as one, ScriptedEndpoint(models=plain) as other:
        assert frozen(one) != frozen(other)
        assert frozen(one, "r1") == frozen(other, "r1")
        assert frozen(one, "r1") != frozen(one, "r2")


def test_a_job_is_not_translated_at_another_endpoint_than_it_was_frozen_for() -> None:
    with ScriptedEndpoint(models={"data": [{"id": "m"}]}) as one, ScriptedEndpoint() as other:
        place = EngineResources(models_dir=Path("unused"), url=other.url)
        with pytest.raises(EngineError, match="SEGUE_TRANSLATOR_REVISION"):
            openai.open_engine(frozen(one), place)
        openai.open_engine(frozen(one), replace(place, url=one.url)).close()
        openai.open_engine(frozen(one, "r1"), place).close()


@pytest.mark.parametrize(
    "name", ["", "\x1b[31mred", "a\nb", "a\u202eb", "m" * 201, " m", "\ud800", 7, None, ["m"], {"id": "m"}, True]
)
def test_a_model_that_cannot_be_shown_is_not_listed_and_not_frozen(name: object) -> None:
    assert not is_plain_name(name)
    assert listed_models({"data": [{"id": name}, {"id": "good"}]}) == {"good": {"id": "good"}}
    with ScriptedEndpoint(models={"data": [{"id": name}]}) as endpoint, pytest.raises(EngineError, match="plain words"):
        frozen(endpoint)


@pytest.mark.parametrize("models", [{}, {"data": None}, {"data": {"id": "m"}}, {"data": ["m", 7, None]}])
def test_a_list_of_models_that_is_none(models: dict[str, object]) -> None:
    assert listed_models(models) == {}


def test_a_model_or_revision_that_a_person_gives_is_held_to_the_same() -> None:
    place = EngineResources(models_dir=Path("unused"), url=NEAR)
    for choice in (EngineChoice("openai", "a\x1bb"), EngineChoice("openai", revision="r" * 500)):
        with pytest.raises(SettingsError):
            openai.freeze(choice, place)


def test_what_is_shown_of_an_engine_is_one_clean_short_line() -> None:
    shown = EngineSpec("openai", "m\x1b[2J\u202e\n" + "x" * 5000, "").describe()
    assert shown.isprintable()
    assert len(shown) < 250
    assert EngineSpec("faster-whisper", "base", "r", "int8").describe() == "faster-whisper base int8"
