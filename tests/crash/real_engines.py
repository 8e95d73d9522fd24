"""Real models that come as packages: no hub is asked."""

from __future__ import annotations

from engines.packaged import packaged_models

WHISPER, TRANSLATOR = "tiny.en", "gemma3-270m"
#: Models have to be loaded, on any number of busy cores.
PATIENCE_S = 500.0
REAL = {
    "SEGUE_TRANSCRIBER_MODEL": WHISPER,
    "SEGUE_TRANSLATOR_MODEL": TRANSLATOR,
    "SEGUE_OFFLINE": "true",
    "SEGUE_DEVICE": "cpu",
}


def missing_models() -> list[str]:
    """The packages that would have to be installed first; empty when all is there."""
    installed = {state.model.name for state in packaged_models() if state.installed}
    return [name for name in (WHISPER, TRANSLATOR) if name not in installed]
