"""From a provider's name to a translator. Nothing is imported before its provider is asked for."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from core.errors import EngineMissingError, SettingsError
from core.specs import EngineSpec
from engines.resources import EngineResources
from engines.translate.interface import Translator, TranslatorChoice

#: Provider -> (module with ``freeze`` and ``open_translator``, what to install when its import fails).
PROVIDERS: dict[str, tuple[str, str]] = {
    "openai": ("engines.translate.openai", "pip install httpx"),
    "llama": ("engines.translate.llama", "pip install xllamacpp"),
    "fake": ("engines.translate.fake", "nothing: it ships with Segue"),
}


def freeze(choice: TranslatorChoice, resources: EngineResources) -> EngineSpec:
    """Fixes everything that a translator's output depends on. Finds the model and its revision, loads no model.

    Raises SettingsError for an unknown provider or option, EngineMissingError when a package or model is missing,
    EngineError when an endpoint cannot say what it serves.
    """
    spec = _provider(choice.provider).freeze(choice, resources)
    assert isinstance(spec, EngineSpec)
    return spec


def open_translator(spec: EngineSpec, resources: EngineResources) -> Translator:
    """Loads the engine that ``spec`` names.

    Raises SettingsError for an unknown provider, EngineMissingError when a package or model is missing, EngineError
    when this machine cannot serve the spec.
    """
    translator: Translator = _provider(spec.provider).open_translator(spec, resources)
    return translator


def _provider(name: str) -> ModuleType:
    if name not in PROVIDERS:
        raise SettingsError(f"unknown translator {name!r}", f"choose one of: {', '.join(PROVIDERS)}")
    module, install = PROVIDERS[name]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise EngineMissingError(f"the translator {name} needs the package {error.name}", install) from error
