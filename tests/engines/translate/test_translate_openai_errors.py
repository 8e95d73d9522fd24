"""The openai translator before an endpoint that is busy, broken, strict or closed to us."""

from __future__ import annotations

import json
import pickle
import time
import traceback
from dataclasses import replace

import pytest
from openai_questions import FAST, SECRET, TEXTS, resources, task, translated, translator
from scripted_endpoint import Asked, Behaviour, Said, ScriptedEndpoint, error, honest, pretend

from core.errors import EngineError, SegueError
from engines.engine import EngineChoice, Result
from engines.translate import openai
from engines.translate.interface import Translation


def test_a_busy_endpoint_is_asked_again_not_before_it_said() -> None:
    with translator(lambda _: error(429, "slow down", Retry_After="0.2"), honest) as (engine, endpoint):
        start = time.monotonic()
        result = translated(engine, task())
        waited = time.monotonic() - start
    assert waited >= 0.2
    assert len(endpoint.asked) == 2
    assert result.lines[0].text == pretend(TEXTS[0])


def test_server_errors_are_retried_and_then_cost_one_task() -> None:
    def sick_for_two(asked: Asked) -> Said:
        return error(500, "out of memory") if TEXTS[1] in asked.user else honest(asked)

    with translator(sick_for_two) as (engine, _):
        results = {result.id: result for result in engine.run([task(text, name=text) for text in TEXTS])}
    assert results[TEXTS[1]].value is None
    assert "HTTP 500: out of memory" in results[TEXTS[1]].reason
    assert isinstance(results[TEXTS[0]].value, Translation)
    assert isinstance(results[TEXTS[2]].value, Translation)


def test_a_single_server_error_is_forgotten() -> None:
    with translator(lambda _: error(503), lambda _: Said(hang_up=True), honest) as (engine, endpoint):
        assert translated(engine, task()).lines[0].flags == ()
    assert len(endpoint.asked) == 3


def test_silence_is_a_timeout_and_costs_one_task() -> None:
    with translator(lambda _: Said("{}", delay_s=5)) as (engine, endpoint):
        (result,) = engine.run([task()])
    assert result.reason
    assert "did not answer within 0.5 s" in result.reason
    assert len(endpoint.asked) == 2


def test_a_success_without_json_is_retried() -> None:
    with translator(lambda _: Said(body="<html>proxy</html>"), honest) as (engine, _):
        assert translated(engine, task()).lines[0].flags == ()


def test_refused_response_format_is_loosened_step_by_step_and_remembered() -> None:
    def picky(asked: Asked) -> Said:
        if "response_format" in asked.body:
            return error(400, f"response_format {asked.body['response_format']['type']} is not supported")
        return honest(asked)

    with translator(picky, concurrency=1) as (engine, endpoint):
        translated(engine, task())
        translated(engine, task())
    kinds = [asked.body.get("response_format", {}).get("type") for asked in endpoint.asked]
    assert kinds == ["json_schema", "json_object", None, None]


def test_refused_template_options_and_sampling_are_left_out() -> None:
    def hosted(asked: Asked) -> Said:
        if "chat_template_kwargs" in asked.body:
            return error(400, "Unrecognized request argument supplied: chat_template_kwargs")
        if "max_tokens" in asked.body:
            return error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        if "temperature" in asked.body:
            return error(400, "Unsupported value: 'temperature' does not support 0.")
        return honest(asked)

    with translator(hosted) as (engine, endpoint):
        assert translated(engine, task()).lines[0].flags == ()
    assert len(endpoint.asked) == 4
    assert endpoint.asked[-1].body["response_format"]["type"] == "json_schema"


def test_an_endpoint_that_refuses_everything_ends_the_stage() -> None:
    with translator(lambda _: error(400, "no")) as (engine, endpoint):
        with pytest.raises(EngineError, match="refuses every form"):
            list(engine.run([task()]))
        assert len(endpoint.asked) < 8


def test_a_prompt_that_is_too_large_loses_context_and_then_is_split() -> None:
    def small(asked: Asked) -> Said:
        if len(asked.lines) > 1 or "Said before" in asked.user:
            return error(400, "This model's maximum context length is 512 tokens.")
        return honest(asked)

    with translator(small) as (engine, _):
        result = translated(engine, task(before=("Earlier words.",)))
    assert [line.text for line in result.lines] == [pretend(text) for text in TEXTS]


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_one_clear_line(status: int) -> None:
    def locked(asked: Asked) -> Said:
        return error(status, f"Incorrect API key provided: {asked.key}")

    with translator(locked, api_key=SECRET) as (engine, endpoint):
        with pytest.raises(EngineError) as caught:
            list(engine.run([task()]))
        assert len(endpoint.asked) == 1
    assert "refuses the key" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_went_away_is_one_clear_line() -> None:
    gone = error(404, "The model `test-model` does not exist.")
    with translator(lambda _: gone) as (engine, _), pytest.raises(EngineError, match="does not know this model"):
        list(engine.run([task()]))


def test_an_account_without_credit_is_not_asked_again() -> None:
    words = "You exceeded your current quota, please check your plan and billing details."
    broke = Said(status=429, body=json.dumps({"error": {"message": words, "code": "insufficient_quota"}}))
    with translator(lambda _: broke) as (engine, endpoint):
        with pytest.raises(EngineError, match="wants to be paid"):
            list(engine.run([task()]))
        assert len(endpoint.asked) == 1


def test_what_was_finished_is_yielded_before_the_endpoint_is_given_up() -> None:
    def revoked(asked: Asked) -> Said:
        return honest(asked) if asked.index == 0 else error(401)

    with translator(revoked, concurrency=1) as (engine, _):
        results = engine.run([task(name="a"), task(name="b")])
        assert next(results).id == "a"
        left: list[Result] = []
        with pytest.raises(EngineError):
            left.extend(results)
        assert [(result.id, result.value, result.reason) for result in left] == [("b", None, "")]


def test_nobody_at_the_address_is_one_clear_line() -> None:
    with ScriptedEndpoint() as endpoint:
        place = resources(endpoint.url)
        spec = openai.freeze(EngineChoice("openai"), place)
    with pytest.raises(EngineError, match=r"nobody answers at http://127\.0\.0\.1"):
        list(openai.open_engine(spec, place, FAST).run([task()]))


def test_the_secret_shows_in_no_error_and_no_repr() -> None:
    told: list[str] = []

    def tell(problem: BaseException) -> None:
        told.extend([str(problem), repr(problem), "".join(traceback.format_exception(problem))])
        if isinstance(problem, SegueError):
            told.append(repr(pickle.loads(pickle.dumps(problem)).__dict__))

    def echo(status: int) -> Behaviour:
        return lambda asked: error(status, f"key {asked.key} and header Bearer {asked.key} are not welcome")

    for status in (400, 401, 402, 403, 404, 429, 500):
        with translator(echo(status), api_key=SECRET) as (engine, endpoint):
            told += [repr(engine), repr(engine.spec), repr(engine._client), repr(engine._client._http)]
            try:
                told += [repr(result) for result in engine.run([task()])]
            except SegueError as problem:
                tell(problem)
            assert endpoint.asked[0].key == SECRET
    with ScriptedEndpoint(key="another") as endpoint:
        place = resources(endpoint.url.replace("http://", f"http://user:{SECRET}@"), api_key=SECRET)
        told.append(repr(replace(place, url="")))
        with pytest.raises(EngineError) as caught:
            openai.freeze(EngineChoice("openai"), place)
        tell(caught.value)
    assert not any(SECRET in text for text in told)
