"""What an engine is, as far as its output depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Provider of engines that only pretend, in every role: nothing that they do is charged or enters a verdict.
_FAKE = "fake"
#: Characters of a name that are shown.
_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class EngineSpec:
    """Everything about an engine that changes what it outputs; frozen into the job and into every key.

    Batch size, device, host and worker are not here: they must not change the output.
    """

    #: Factory name: ``faster-whisper``, ``openai``, ``llama``, ``fake``.
    provider: str
    #: The model as a person names it: a name, a hub id, or a local directory's own name.
    model: str
    #: Digest of the model's files, or the revision a remote endpoint states; never empty for local models.
    revision: str
    #: Arithmetic the model runs in: ``int8``, ``int8_float16``, ``float16``, ``q4_k_m``; empty for a remote endpoint.
    compute_type: str = ""
    #: Other options that change the output, as sorted (name, value) pairs; values are text.
    options: tuple[tuple[str, str], ...] = ()

    @property
    def fake(self) -> bool:
        """Whether the engine only pretends."""
        return self.provider == _FAKE

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back; it is what keys hash."""
        return {
            "provider": self.provider,
            "model": self.model,
            "revision": self.revision,
            "compute_type": self.compute_type,
            "options": [list(pair) for pair in self.options],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EngineSpec:
        """The spec that `as_json` wrote. Raises KeyError or TypeError for anything else."""
        return cls(
            provider=str(value["provider"]),
            model=str(value["model"]),
            revision=str(value["revision"]),
            compute_type=str(value["compute_type"]),
            options=tuple((str(name), str(text)) for name, text in value["options"]),
        )

    def describe(self) -> str:
        """One short line for a person: ``faster-whisper base int8``. A model's name may be a stranger's text."""
        parts = (self.provider, self.model, self.compute_type)
        return " ".join(_plain(part) for part in parts if part)


def has_fake(engines: str) -> bool:
    """Whether one of these engines only pretends: lines of `EngineSpec.describe`, one after the other by comma."""
    return any(line.split(" ", 1)[0] == _FAKE for line in engines.split(", "))


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:_LONGEST_SHOWN])
