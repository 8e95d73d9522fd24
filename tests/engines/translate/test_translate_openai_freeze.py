"""The openai translator chooses its model."""

from __future__ import annotations

import pytest
from openai_questions import resources
from scripted_endpoint import Said, ScriptedEndpoint, error

from core.errors import EngineError, SettingsError
from engines.engine import EngineChoice
from engines.translate import openai


def test_freeze_takes_the_served_model_and_a_revision_that_survives_a_restart() -> None:
    def entry(created: int) -> dict[str, object]:
        return {
            "data": [
                {"id": "qwen", "root": "/models/Qwen3-8B-AWQ", "created": created, "permission": [{"id": created}]}
            ]
        }

    specs = []
    for created in (1, 2):
        with ScriptedEndpoint(models=entry(created)) as endpoint:
            specs.append(openai.freeze(EngineChoice("openai"), resources(endpoint.url)))
    assert specs[0] == specs[1]
    assert (specs[0].model, specs[0].revision) == ("qwen", "root=Qwen3-8B-AWQ")
    assert dict(specs[0].options)["prompt"]


def test_freeze_without_an_address_says_which_setting_is_missing() -> None:
    with pytest.raises(SettingsError, match="SEGUE_TRANSLATOR_URL"):
        openai.freeze(EngineChoice("openai"), resources(""))


def test_freeze_of_a_model_that_is_not_served_says_what_is() -> None:
    says_what = pytest.raises(EngineError, match="does not serve gpt-9; it serves test-model")
    with ScriptedEndpoint(lambda _: error(404, "no such model")) as endpoint, says_what:
        openai.freeze(EngineChoice("openai", "gpt-9"), resources(endpoint.url))


def test_freeze_accepts_an_alias_that_the_list_does_not_show() -> None:
    with ScriptedEndpoint(lambda _: Said("Hi")) as endpoint:
        assert openai.freeze(EngineChoice("openai", "alias"), resources(endpoint.url)).model == "alias"


def test_freeze_without_a_list_needs_a_named_model() -> None:
    with ScriptedEndpoint(models=404) as endpoint:
        assert openai.freeze(EngineChoice("openai", "named"), resources(endpoint.url)).model == "named"
        with pytest.raises(EngineError):
            openai.freeze(EngineChoice("openai"), resources(endpoint.url))


def test_freeze_with_several_models_asks_for_one() -> None:
    two = {"data": [{"id": "a"}, {"id": "b"}]}
    with ScriptedEndpoint(models=two) as endpoint, pytest.raises(SettingsError, match="serves 2 models"):
        openai.freeze(EngineChoice("openai"), resources(endpoint.url))
