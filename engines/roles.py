"""Which engines there are: role -> provider -> module. The only table of them.

A new provider is one file and one line here: see ``docs/adding-an-engine.md``. A provider's module has
``freeze(choice, resources)`` and ``open_engine(spec, resources)``, and may have ``check_here(spec, resources)`` and
``model_at_hand(choice, resources)``.
Nothing is imported before its provider is to do something.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from core.errors import EngineMissingError, SettingsError
from core.specs import EngineSpec
from engines.engine import Engine, EngineChoice
from engines.resources import EngineResources


class Provider(NamedTuple):
    """Where one provider of a role is, and what is asked of it before anything of it is loaded."""

    module: str
    #: What to do when its import fails.
    install: str
    #: Whether the work happens elsewhere, as its engines say as well.
    remote: bool = False
    #: Whether it only pretends, as its specs say as well.
    fake: bool = False


_SHIPPED = "nothing: it ships with Segue"
#: Role -> provider. Where nobody names a provider, the first remote one is taken if an address is set, else the first
#: local one.
ROLES: dict[str, dict[str, Provider]] = {
    "transcriber": {
        "faster-whisper": Provider("engines.transcribe.faster_whisper", "pip install faster-whisper"),
        "fake": Provider("engines.transcribe.fake", _SHIPPED, fake=True),
    },
    "translator": {
        "llama": Provider("engines.translate.llama", "pip install xllamacpp"),
        "openai": Provider("engines.translate.openai", "pip install httpx", remote=True),
        "fake": Provider("engines.translate.fake", _SHIPPED, fake=True),
    },
    "prober": {"fake": Provider("engines.probe", _SHIPPED, fake=True)},
}


def providers(role: str) -> tuple[str, ...]:
    """The names of a role's providers."""
    return tuple(ROLES[role])


def default_provider(role: str, resources: EngineResources) -> str:
    """The provider that is meant where nobody names one."""
    wanted = [name for name in ROLES[role] if is_remote(role, name)] if resources.url else []
    return (wanted or [name for name in ROLES[role] if not is_remote(role, name)])[0]


def freeze(role: str, choice: EngineChoice, resources: EngineResources) -> EngineSpec:
    """Fixes everything that an engine's output depends on. Finds the model and its revision, loads no model.

    Raises SettingsError for an unknown provider or option, EngineMissingError when a package or model is missing,
    EngineError when an endpoint cannot say what it serves.
    """
    spec = _module(role, choice.provider).freeze(choice, resources)
    assert isinstance(spec, EngineSpec)
    return spec


def open_engine(role: str, spec: EngineSpec, resources: EngineResources) -> Engine:
    """Loads the engine that ``spec`` names.

    Raises SettingsError for an unknown provider, EngineMissingError when a package or model is missing, EngineError
    when this machine cannot serve the spec.
    """
    engine: Engine = _module(role, spec.provider).open_engine(spec, resources)
    return engine


def check_here(role: str, spec: EngineSpec, resources: EngineResources) -> None:
    """Raises SettingsError when this machine's device cannot compute what ``spec`` froze; opens nothing."""
    check = getattr(_module(role, spec.provider), "check_here", None)
    if check is not None:
        check(spec, resources)


def model_at_hand(role: str, choice: EngineChoice, resources: EngineResources) -> tuple[str, bool] | None:
    """(the model that is meant, whether it is on this machine); None where the provider fetches none."""
    find = getattr(_module(role, choice.provider), "model_at_hand", None)
    return None if find is None else find(choice, resources)


def is_remote(role: str, provider: str) -> bool:
    """Whether the provider's work happens elsewhere. False for one that nobody knows: `freeze` says so."""
    return provider in ROLES[role] and ROLES[role][provider].remote


def is_fake(role: str, provider: str) -> bool:
    """Whether the provider only pretends. False for one that nobody knows."""
    return provider in ROLES[role] and ROLES[role][provider].fake


def _module(role: str, provider: str) -> ModuleType:
    if provider not in ROLES[role]:
        raise SettingsError(f"unknown {role} {provider!r}", f"choose one of: {', '.join(ROLES[role])}")
    found = ROLES[role][provider]
    try:
        return import_module(found.module)
    except ModuleNotFoundError as error:
        raise EngineMissingError(f"the {role} {provider} needs the package {error.name}", found.install) from error
