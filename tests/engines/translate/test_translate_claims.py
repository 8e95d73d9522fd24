"""The openai translator against endpoints whose answers must not be taken at their word."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from raw_server import RawServer, response
from scripted_endpoint import Asked, Said, ScriptedEndpoint, as_json, completion, error, honest, pretend

from core.errors import EngineError
from core.specs import EngineSpec
from engines.engine import EngineChoice, Result
from engines.resources import EngineResources
from engines.translate import openai
from engines.translate.chat import Patience
from engines.translate.interface import Line, Translation, TranslationTask, token_usage
from engines.translate.retry import RetryPolicy
from engines.translate.stream import completion_of_stream
from engines.translate.usage_claims import believable_usage

FAST = Patience(connect_s=5.0, read_s=10.0, retry=RetryPolicy(attempts=3, timeout_attempts=2, backoff_ms=5))
MANY = tuple(f"This is sentence number {number} of the film." for number in range(24))
FEW = MANY[:3]


@contextmanager
def translator(endpoint: ScriptedEndpoint, patience: Patience = FAST):
    place = EngineResources(models_dir=Path("unused"), url=endpoint.url, concurrency=1)
    engine = openai.open_engine(openai.freeze(EngineChoice("openai"), place), place, patience)
    try:
        yield engine
    finally:
        engine.close()


def task(texts: tuple[str, ...], **changes: object) -> TranslationTask:
    lines = tuple(Line(str(number), text) for number, text in enumerate(texts))
    return replace(TranslationTask("t", "en", "es", lines), **changes)


def answered(
    behaviour: Callable[[Asked], Said], texts: tuple[str, ...] = FEW, **changes: object
) -> tuple[Result, list[Asked]]:
    """(the result with its translation, the requests it took)."""
    with ScriptedEndpoint(behaviour) as endpoint, translator(endpoint) as engine:
        (result,) = engine.run([task(texts, **changes)])
        assert isinstance(result.value, Translation), result
        return result, endpoint.asked


def translated(behaviour: Callable[[Asked], Said], texts: tuple[str, ...] = FEW, **changes: object):
    """(the translation, the requests it took)."""
    result, asked = answered(behaviour, texts, **changes)
    return result.value, asked


# -- lines that are refused ----------------------------------------------------------------------------------


def filtered(status: int = 400, code: str = "content_filter") -> Said:
    body = {"error": {"message": "filtered by policy", "code": code, "param": "prompt"}}
    return Said(status=status, body=json.dumps(body))


def declined() -> Said:
    message = {"role": "assistant", "content": None, "refusal": "I cannot."}
    return Said(body=json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}))


@pytest.mark.parametrize(
    "refusal",
    [
        filtered(),
        filtered(403, "moderation_blocked"),
        # Nothing says that it is about the words: others are accepted in the same form.
        error(400, "bad request"),
        error(422, "no"),
        error(400, "maximum context length is 20 tokens"),
        Said("", finish_reason="content_filter"),
        declined(),
    ],
    ids=["filter", "moderation", "unnamed 400", "unnamed 422", "too long", "finish reason", "refusal"],
)
@pytest.mark.parametrize("bad", [0, 13, 23])
def test_one_refused_line_costs_itself_and_a_bounded_number_of_requests(refusal: Said, bad: int) -> None:
    def filters(asked: Asked) -> Said:
        return refusal if MANY[bad] in asked.lines.values() else honest(asked)

    result, asked = translated(filters, MANY, before=("Earlier.",))
    assert [line.text for line in result.lines if line.id != str(bad)] == [
        pretend(text) for text in MANY if text != MANY[bad]
    ]
    assert (result.lines[bad].text, result.lines[bad].flags) == ("", ("untranslated", "refused"))
    assert len(asked) <= 14


def test_context_that_is_refused_is_left_out_and_every_line_is_translated() -> None:
    def filters(asked: Asked) -> Said:
        return filtered() if "Something foul" in asked.user else honest(asked)

    result, asked = translated(filters, MANY, before=("Something foul.",))
    assert [line.text for line in result.lines] == [pretend(text) for text in MANY]
    assert len(asked) == 2


def test_a_filter_does_not_change_how_later_requests_are_written() -> None:
    def filters(asked: Asked) -> Said:
        return filtered() if asked.index == 0 else honest(asked)

    _, asked = translated(filters, MANY)
    assert {asked[index].body["response_format"]["type"] for index in range(len(asked))} == {"json_schema"}


# -- refusals in words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refusal", ["I cannot translate this text.", "No puedo ayudar con este contenido ahora.", "No puedo traducirlo."]
)
def test_a_refusal_as_the_answer_to_every_line_translates_none(refusal: str) -> None:
    result, _ = translated(lambda asked: Said(as_json(dict.fromkeys(asked.lines, refusal))), MANY[:6])
    assert {line.text for line in result.lines} == {""}
    assert all(line.flags[0] == "untranslated" for line in result.lines)


def test_a_refusal_of_some_lines_leaves_the_others() -> None:
    def refuses(asked: Asked) -> Said:
        return Said(
            as_json(
                {n: "I cannot translate this." if " 1 " in text else pretend(text) for n, text in asked.lines.items()}
            )
        )

    result, _ = translated(refuses, FEW)
    assert [line.text for line in result.lines] == [pretend(FEW[0]), "", pretend(FEW[2])]
    assert result.lines[1].flags == ("untranslated", "refused")


def test_short_lines_that_mean_the_same_keep_their_answer() -> None:
    result, asked = translated(
        lambda asked: Said(as_json(dict.fromkeys(asked.lines, "Sí."))), ("Yes.", "Yeah.", "Yep!")
    )
    assert [(line.text, line.flags) for line in result.lines] == [("Sí.", ())] * 3
    assert len(asked) == 1


# -- waiting -------------------------------------------------------------------------------------------------


def test_a_rate_limit_that_speaks_of_billing_is_waited_for_as_told() -> None:
    words = "Quota reached: see your plan and billing page. Please retry in 0.3s."
    limit = Said(
        status=429, body=json.dumps({"error": {"code": 429, "message": words, "status": "RESOURCE_EXHAUSTED"}})
    )
    begun = time.monotonic()
    result, asked = translated(lambda asked: limit if asked.index < 2 else honest(asked))
    assert time.monotonic() - begun >= 0.6
    assert len(asked) == 3
    assert result.lines[0].text == pretend(FEW[0])


# -- shapes of answers ---------------------------------------------------------------------------------------


def streamed(text: str, *, end: str = "data: [DONE]\n\n", usage: bool = False) -> str:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text[at : at + 7]}}]} for at in range(0, len(text), 7)]
    chunks.insert(0, {"choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": "DRAFT"}}]})
    if usage:
        chunks.append({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})
    return ": a comment\n\n" + "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + end


def test_an_answer_that_streams_unasked_is_read() -> None:
    result, asked = answered(lambda asked: Said(body=streamed(str(honest(asked).content), usage=True)))
    assert [line.text for line in result.value.lines] == [pretend(text) for text in FEW]
    assert (len(asked), result.usage["input_tokens"], result.usage["output_tokens"]) == (1, 7, 5)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (streamed("a\u2028b"), "a\u2028b"),
        (streamed("ab").replace("\n", "\r\n"), "ab"),
        (streamed("ab", end='data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'), "ab"),
        (streamed("ab", end="data: [DONE]"), "ab"),
        # It broke off, so nobody knows what would have come.
        (streamed("ab", end=""), None),
        ("data: nonsense\n\n", None),
        ("data: [1]\n\n", None),
        ("", None),
    ],
)
def test_reading_a_stream(text: str, content: str | None) -> None:
    value = completion_of_stream(text)
    assert (None if value is None else value["choices"][0]["message"]["content"]) == content


def test_an_error_in_a_stream_and_in_a_success_is_an_error() -> None:
    failed = json.dumps({"error": {"code": 429, "message": "slow down"}})
    for body in (failed, f"data: {failed}\n\n"):
        result, asked = translated(lambda asked, body=body: Said(body=body) if asked.index == 0 else honest(asked))
        assert len(asked) == 2
        assert result.lines[0].flags == ()


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "reasoning_content": as_json({"1": "DRAFT", "2": "DRAFT", "3": "DRAFT"})},
        {"content": "", "reasoning": as_json({"1": "DRAFT"})},
        {"content": [{"type": "thinking", "thinking": as_json({"1": "DRAFT"})}]},
        {"content": [{"type": "reasoning", "text": as_json({"1": "DRAFT"})}]},
        {"content": 7},
        {"content": {"1": "DRAFT"}},
        "DRAFT",
        None,
    ],
)
def test_only_what_is_the_answer_is_taken_for_one(message: object) -> None:
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    result, _ = translated(lambda _: Said(body=body))
    assert [(line.text, line.flags) for line in result.lines] == [("", ("untranslated",))] * 3


def test_content_in_parts_is_put_together() -> None:
    def parts(asked: Asked) -> Said:
        text = str(honest(asked).content)
        content = [{"type": "text", "text": part} for part in (text[:20], text[20:])]
        return Said(body=json.dumps({"choices": [{"message": {"content": content}}]}))

    assert translated(parts)[0].lines[0].text == pretend(FEW[0])


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"choices": ' + "9" * 10_000 + "}",
        '{"a":' * 50_000,
        "\x00",
        '{"choices": {}}',
        '{"choices": [null]}',
        '{"choices": [], "choices": [7]}',
        "null",
    ],
)
def test_nonsense_is_no_translation_and_no_crash(body: str) -> None:
    with ScriptedEndpoint(lambda _: Said(body=body)) as endpoint, translator(endpoint) as engine:
        (result,) = engine.run([task(FEW)])
    if result.reason:
        assert "did not answer as a chat endpoint does" in result.reason
    else:
        assert {line.text for line in result.value.lines} == {""}


def raw_translator(server: RawServer, patience: Patience) -> openai.OpenAITranslator:
    place = EngineResources(models_dir=Path("unused"), url=f"{server.url}/v1", api_key="sk-secret-key", concurrency=1)
    return openai.open_engine(EngineSpec("openai", "m", "set=1"), place, patience)


def test_a_body_beyond_measure_costs_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.translate.chat._BODY_BYTES", 100_000)
    with RawServer([response(b" " * 200_000)]) as server:
        engine = raw_translator(server, FAST)
        (result,) = engine.run([task(FEW)])
        engine.close()
    assert result.reason
    assert "longer than 100,000 bytes" in result.reason


def test_an_answer_that_trickles_costs_one_task() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with RawServer([head, *[b" "] * 10_000], 0.02) as server:
        engine = raw_translator(server, replace(FAST, total_s=0.3))
        (result,) = engine.run([task(FEW)])
        engine.close()
    assert result.reason
    assert "no whole answer in 0.3 s" in result.reason


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_never_followed_with_the_key(status: str) -> None:
    with RawServer([response(b"{}")]) as other, RawServer([response(status=status, Location=other.url)]) as server:
        engine = raw_translator(server, FAST)
        with pytest.raises(EngineError, match="sends to another address"):
            list(engine.run([task(FEW)]))
        engine.close()
        assert (len(server.asked), other.asked) == (1, [])


def test_an_errors_words_are_one_printable_line() -> None:
    with ScriptedEndpoint(lambda _: error(418, "\x1b[2Jbad\u202e\nnews")) as endpoint, translator(endpoint) as engine:
        (result,) = engine.run([task(FEW)])
    assert result.reason
    assert result.reason.isprintable()


# -- usage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claimed",
    [-7, 10**30, 10**9, 3.5, "12", True, None, [], {}, float("nan"), float("inf")],
)
@pytest.mark.parametrize("meter", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_cannot_be_true_is_not_reported(meter: str, claimed: object) -> None:
    def claims(asked: Asked) -> Said:
        value = json.loads(completion(honest(asked)))
        value["usage"][meter] = claimed
        return Said(body=json.dumps(value))

    used = answered(claims)[0].usage
    assert used == token_usage(1, 0 if meter == "prompt_tokens" else 100, 0 if meter == "completion_tokens" else 20)


@pytest.mark.parametrize("usage", [None, 7, [], "x", {"prompt_tokens": {}}])
def test_usage_that_is_no_usage_is_not_reported(usage: object) -> None:
    assert believable_usage(usage, {}, 1000, 1000) == {}


@pytest.mark.parametrize(
    ("request_fields", "written", "believed"),
    [
        ({"max_tokens": 500}, 500, True),
        ({"max_completion_tokens": 500}, 500, True),
        ({"max_tokens": 500}, 501, False),
        # A server that does not keep to what was asked for has written what one can see.
        ({"max_tokens": 10}, 200, True),
        ({}, 200, True),
        ({}, 201, False),
    ],
)
def test_tokens_written_are_bounded_by_what_was_asked_for_or_came(
    request_fields: dict[str, int], written: int, believed: bool
) -> None:
    assert (
        "completion_tokens" in believable_usage({"completion_tokens": written}, request_fields, 10, 200)
    ) is believed


def test_tokens_read_are_bounded_by_what_was_sent() -> None:
    assert believable_usage({"prompt_tokens": 5000}, {}, 1000, 0) == {"prompt_tokens": 5000}
    assert believable_usage({"prompt_tokens": 10_000}, {}, 1000, 0) == {}
