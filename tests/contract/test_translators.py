"""What every translator promises, shown by each provider: the fake, an endpoint, and a real local model."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from engine_contract import Opened

from core.errors import EngineError
from engines.engine import Engine, EngineChoice, Result
from engines.resources import EngineResources
from engines.roles import freeze, open_engine
from engines.translate.interface import Line, Translation, TranslationTask


@pytest.fixture(params=["fake", "openai", pytest.param("llama", marks=pytest.mark.real)])
def opened(request: pytest.FixtureRequest, open_provider: Callable[[str, str], Opened]) -> Opened:
    return open_provider("translator", request.param)


def task(name: str, *texts: str, prefix: str = "cue") -> TranslationTask:
    lines = tuple(Line(f"{prefix}-{index}", text) for index, text in enumerate(texts))
    return TranslationTask(name, "en", "es", lines)


TASKS = (
    task("one", "The train leaves at seven.", "Please wait."),
    task("two", "Your message has been saved."),
    task("three", "♪"),
)


def results_of(engine: Engine, tasks: tuple[TranslationTask, ...]) -> dict[str, Result]:
    results = list(engine.run(tasks))
    by_id = {result.id: result for result in results}
    assert len(by_id) == len(results)
    return by_id


def test_each_task_gets_one_result_with_each_line_in_order(opened: Opened) -> None:
    results = results_of(opened.engine, TASKS)
    assert set(results) == {"one", "two", "three"}
    for wanted in TASKS:
        result = results[wanted.id]
        assert isinstance(result.value, Translation)
        assert [line.id for line in result.value.lines] == [line.id for line in wanted.lines]


def test_no_line_is_its_source_and_an_empty_one_says_so(opened: Opened) -> None:
    for wanted in TASKS[:2]:
        (result,) = opened.engine.run([wanted])
        assert isinstance(result.value, Translation)
        for before, after in zip(wanted.lines, result.value.lines, strict=True):
            assert after.text != before.text
            assert bool(after.text) != ("untranslated" in after.flags)


def test_the_same_tasks_in_another_order_and_under_other_ids_give_the_same_text(opened: Opened) -> None:
    first = results_of(opened.engine, TASKS)
    renamed = tuple(replace(t, lines=tuple(Line(f"other-{line.id}", line.text) for line in t.lines)) for t in TASKS)
    second = results_of(opened.engine, renamed[::-1])
    assert {name: [line.text for line in result.value.lines] for name, result in first.items()} == {
        name: [line.text for line in result.value.lines] for name, result in second.items()
    }


def test_work_is_metered(opened: Opened) -> None:
    (result,) = opened.engine.run([TASKS[1]])
    assert isinstance(result.value, Translation)
    assert result.usage["requests"] >= 1
    assert result.usage["input_tokens"] > 0
    assert result.usage["output_tokens"] > 0


def test_a_model_that_is_another_file_than_the_frozen_one_is_refused(tmp_path: Path) -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF" + b"\3\0\0\0" + bytes(16))
    place = EngineResources(models_dir=tmp_path / "models", offline=True)
    spec = freeze("translator", EngineChoice("llama", str(model)), place)
    assert spec.model == "model"
    model.write_bytes(b"GGUF" + b"\3\0\0\0" + bytes(24))
    with pytest.raises(EngineError, match="not those that the job was planned with"):
        open_engine("translator", spec, place)
