from __future__ import annotations

from dataclasses import fields, replace

import pytest

from core.errors import EngineMissingError
from core.keys import canonical_json, digest_value, is_digest
from segmenter import params as module
from segmenter.params import SegmenterParams


def test_parameters_can_be_hashed_and_name_every_detector() -> None:
    value = SegmenterParams().as_json()
    assert canonical_json(value)  # refuses floats
    assert set(value["detectors"]) == {"algorithm", "silero", "webrtcvad", "combiner"}
    assert is_digest(value["detectors"]["silero"])
    assert is_digest(value["detectors"]["combiner"])
    assert any(character.isdigit() for character in value["detectors"]["webrtcvad"])


@pytest.mark.parametrize("name", [field.name for field in fields(SegmenterParams)])
def test_every_parameter_changes_the_key(name: str) -> None:
    usual = SegmenterParams()
    other = replace(usual, **{name: getattr(usual, name) + 1})
    assert digest_value(usual.as_json()) != digest_value(other.as_json())


def test_a_missing_detector_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILERO_ASSET", "assets/absent.onnx")
    with pytest.raises(EngineMissingError, match="make setup"):
        module.silero_path()


def test_jobs_that_skip_silence_keep_the_names_they_had_before_there_was_a_choice() -> None:
    assert "whole_media" not in SegmenterParams().as_json()["params"]
    assert SegmenterParams(whole_media=True).as_json()["params"]["whole_media"] is True
