"""From a provider's name to a transcriber. Nothing is imported before its provider is asked for."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from core.errors import EngineMissingError, SettingsError
from core.specs import EngineSpec
from engines.resources import EngineResources
from engines.transcribe.interface import Transcriber, TranscriberChoice

#: Provider -> (module with ``freeze`` and ``open_transcriber``, what to install when its import fails).
PROVIDERS: dict[str, tuple[str, str]] = {
    "faster-whisper": ("engines.transcribe.faster_whisper", "pip install faster-whisper"),
    "fake": ("engines.transcribe.fake", "nothing: it ships with Segue"),
}


def freeze(choice: TranscriberChoice, resources: EngineResources) -> EngineSpec:
    """Fixes everything that a transcriber's output depends on. Finds model files, loads no model.

    Raises SettingsError for an unknown provider or option, EngineMissingError when a package or model is missing.
    """
    spec = _provider(choice.provider).freeze(choice, resources)
    assert isinstance(spec, EngineSpec)
    return spec


def open_transcriber(spec: EngineSpec, resources: EngineResources) -> Transcriber:
    """Loads the engine that ``spec`` names.

    Raises SettingsError for an unknown provider, EngineMissingError when a package or model is missing, EngineError
    when this machine cannot serve the spec.
    """
    transcriber: Transcriber = _provider(spec.provider).open_transcriber(spec, resources)
    return transcriber


def check_here(spec: EngineSpec, resources: EngineResources) -> None:
    """Raises SettingsError when this machine's device cannot compute what ``spec`` froze; opens nothing."""
    check = getattr(_provider(spec.provider), "check_here", None)
    if check is not None:
        check(spec, resources)


def _provider(name: str) -> ModuleType:
    if name not in PROVIDERS:
        raise SettingsError(f"unknown transcriber {name!r}", f"choose one of: {', '.join(PROVIDERS)}")
    module, install = PROVIDERS[name]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise EngineMissingError(f"the transcriber {name} needs the package {error.name}", install) from error
