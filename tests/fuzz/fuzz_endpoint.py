"""Replies of chat endpoints: completions, streams, errors, lists of models, reasoning around an answer."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from damage import as_bytes, damaged, damaged_json
from fuzzing import Target, expect_told
from hypothesis import strategies as st

from core.errors import SegueError
from core.specs import EngineSpec
from engines.bounded_http import HttpAnswer
from engines.resources import EngineResources
from engines.translate.chat import Patience
from engines.translate.interface import Line, Translation, TranslationTask
from engines.translate.openai import OpenAITranslator
from engines.translate.origin import is_plain_name, listed_models, revision_of
from engines.translate.retry import RetryPolicy

_URL = "http://127.0.0.1:9/v1"
_TEXTS = ("Where is the station?", "It rains again.", "See you at 10:30.")
_GOOD = json.dumps({"1": "¿Dónde está la estación?", "2": "Llueve otra vez.", "3": "Nos vemos a las 10:30."})
_DRAFT = json.dumps({"1": "DRAFT uno", "2": "DRAFT dos", "3": "DRAFT tres 10:30"})
#: What stands around a draft, before the answer.
_AROUND = (
    ("<think>", "</think>"),
    ("", "</think>"),
    ("<thinking>\n", "\n</thinking>\n"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("First:\n", "\nNo, too stiff.\n"),
    ("<scratchpad>", "</scratchpad>\n**Final answer:**\n"),
)
_TOKENS = (
    b"</think>",
    b"<think>",
    b"data: ",
    b"[DONE]",
    b"\\u",
    b"\\ud800",
    b"```",
    b"</",
    b"<|channel|>final<|message|>",
)


def _completion(content: Any, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, **message}
    usage = {"prompt_tokens": 90, "completion_tokens": 30}
    return {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}], "usage": usage}


def _stream(content: str) -> bytes:
    deltas = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in (content[:30], content[30:])]
    return "".join(f"data: {json.dumps(delta)}\n\n" for delta in deltas).encode() + b"data: [DONE]\n\n"


_CONTENTS = (
    _GOOD,
    f"```json\n{_GOOD}\n```",
    f"<think>{_DRAFT}</think>{_GOOD}",
    json.dumps([{"id": number, "text": text} for number, text in json.loads(_GOOD).items()]),
    json.dumps({"draft": json.loads(_DRAFT), "final": json.loads(_GOOD)}),
)
_ANSWERS = (
    *(_completion(content) for content in _CONTENTS),
    _completion(None, reasoning_content=_DRAFT),
    _completion([{"type": "text", "text": _GOOD}, {"type": "thinking", "thinking": _DRAFT}]),
    {"error": {"code": 429, "message": "billing: retry in 0.1s", "type": "x", "details": [{"reason": "Y"}]}},
    {"object": "list", "data": [{"id": "m", "root": "/models/m", "meta": {"size": 7, "n_params": 3}}]},
)
_STATUSES = (200, 200, 200, 302, 400, 401, 403, 404, 413, 422, 429, 451, 500)
_SPEC = EngineSpec("openai", "m", "set=1")
_RESOURCES = EngineResources(models_dir=Path("unused"), url=_URL, concurrency=1)
_ONCE = Patience(retry=RetryPolicy(attempts=1, timeout_attempts=1))


def _replies() -> st.SearchStrategy[tuple[int, bytes, bool]]:
    """(status, body, whether it is as a model meant it)."""
    whole = st.sampled_from(_AROUND).map(lambda marks: f"{marks[0]}{_DRAFT}{marks[1]}{_GOOD}")
    bodies = st.one_of(
        damaged(st.sampled_from(_ANSWERS).map(as_bytes), _TOKENS),
        damaged(st.sampled_from(_CONTENTS).map(_stream), _TOKENS),
        damaged(st.sampled_from(_CONTENTS).map(str.encode), _TOKENS).map(
            lambda data: as_bytes(_completion(data.decode(errors="replace")))
        ),
        damaged_json(st.sampled_from(_ANSWERS)).map(as_bytes),
    )
    return st.one_of(
        whole.map(lambda content: (200, as_bytes(_completion(content)), True)),
        whole.map(lambda content: (200, _stream(content), True)),
        st.tuples(st.sampled_from(_STATUSES), bodies, st.just(False)),
    )


def _check(reply: tuple[int, bytes, bool]) -> None:
    status, body, is_meant = reply
    answer = HttpAnswer(status, {"content-type": "application/json"}, body)
    _check_list(answer)
    engine = OpenAITranslator(_SPEC, _RESOURCES, _ONCE)
    engine._client._http = SimpleNamespace(ask=lambda *_, **__: answer, close=lambda: None)  # type: ignore[assignment]
    task = TranslationTask("t", "en", "es", tuple(Line(str(number), text) for number, text in enumerate(_TEXTS)))
    try:
        (result,) = engine.run([task])
    except SegueError as error:
        expect_told(error)
        assert not is_meant
        return
    if result.reason:
        assert not is_meant
        assert result.reason.isprintable()
        return
    assert all(0 <= amount < 10**6 for amount in result.usage.values())
    assert {"requests", "input_tokens", "output_tokens"} <= set(result.usage)
    _check_translation(result.value, is_meant)
    assert all(0 <= amount < 10**6 for amount in result.usage.values())


def _check_translation(result: Translation, is_meant: bool) -> None:
    assert [line.id for line in result.lines] == ["0", "1", "2"]
    for line, source in zip(result.lines, _TEXTS, strict=True):
        assert bool(line.text) != ("untranslated" in line.flags), line
        assert line.text != source, "the source is passed off as its translation"
        assert line.text.isprintable() or set(line.text) & set("\u200c\u200d\u200e\u200f"), line
    if is_meant:
        assert [line.text for line in result.lines] == list(json.loads(_GOOD).values())


def _check_list(answer: HttpAnswer) -> None:
    try:
        value = answer.json()
    except ValueError:
        return
    for name, entry in listed_models(value if isinstance(value, dict) else {}).items():
        assert is_plain_name(name)
        revision = revision_of(_URL, entry)
        assert revision.isprintable()
        assert EngineSpec("openai", name, revision).describe().isprintable()


TARGET = Target("endpoint", _replies(), _check)
