"""The openai translator against an endpoint that misbehaves in every way we have seen or can think of."""

from __future__ import annotations

import json
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from scripted_endpoint import Asked, Behaviour, Said, ScriptedEndpoint, as_json, error, honest, pretend

from core.errors import EngineError, SegueError, SettingsError
from engines.engine import EngineChoice, Result
from engines.resources import EngineResources
from engines.translate import openai
from engines.translate.chat import Patience
from engines.translate.interface import Line, Translation, TranslationTask
from engines.translate.retry import RetryPolicy

SECRET = "sk-very-secret-0123456789"
FAST = Patience(connect_s=1.0, read_s=0.5, retry=RetryPolicy(attempts=3, timeout_attempts=2, backoff_ms=5))
TEXTS = ("Ask what you can do for your country.", "The conference is now locked.", "You have 25 new messages.")


def resources(url: str, **changes: object) -> EngineResources:
    return replace(EngineResources(models_dir=Path("unused"), url=url, concurrency=4), **changes)


def task(*texts: str, name: str = "t", target: str = "es", **changes: object) -> TranslationTask:
    lines = tuple(Line(f"cue-{index}", text) for index, text in enumerate(texts or TEXTS))
    return replace(TranslationTask(name, "en", target, lines), **changes)


@contextmanager
def translator(*script: Behaviour, **changes: object) -> Iterator[tuple[openai.OpenAITranslator, ScriptedEndpoint]]:
    with ScriptedEndpoint(*script) as endpoint:
        place = resources(endpoint.url, **changes)
        spec = openai.freeze(EngineChoice("openai"), place)
        engine = openai.open_engine(spec, place, FAST)
        try:
            yield engine, endpoint
        finally:
            engine.close()


def translated(engine: openai.OpenAITranslator, wanted: TranslationTask) -> Translation:
    (result,) = engine.run([wanted])
    assert isinstance(result.value, Translation), result
    assert [line.id for line in result.value.lines] == [line.id for line in wanted.lines]
    return result.value


def test_an_honest_endpoint_is_asked_once_for_all_lines() -> None:
    with translator() as (engine, endpoint):
        (result,) = engine.run([task()])
    assert [line.text for line in result.value.lines] == [pretend(text) for text in TEXTS]
    assert all(line.flags == () for line in result.value.lines)
    assert result.usage == {"requests": 1, "input_tokens": 100, "output_tokens": 20}
    schema = endpoint.asked[0].body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["1", "2", "3"]
    assert endpoint.asked[0].body["chat_template_kwargs"] == {"enable_thinking": False}


def test_callers_ids_are_not_shown_to_the_model() -> None:
    with translator() as (engine, endpoint):
        translated(engine, task())
    assert "cue-" not in json.dumps(endpoint.asked[0].body)


def test_a_missing_line_is_asked_again_by_itself_with_the_reason() -> None:
    def forgets_two(asked: Asked) -> Said:
        return Said(as_json({number: pretend(text) for number, text in asked.lines.items() if number != "2"}))

    with translator(forgets_two, honest) as (engine, endpoint):
        result = translated(engine, task())
    assert [line.flags for line in result.lines] == [(), (), ()]
    assert list(endpoint.asked[1].lines) == ["2"]
    assert "left out" in endpoint.asked[1].user


def test_merged_lines_are_asked_again_and_then_alone() -> None:
    def merges(asked: Asked) -> Said:
        if len(asked.lines) == 1:
            return honest(asked)
        both = " ".join(pretend(text) for text in list(asked.lines.values())[:2])
        return Said(as_json({**{n: pretend(t) for n, t in asked.lines.items()}, "1": both, "2": ""}))

    with translator(merges) as (engine, endpoint):
        result = translated(engine, task())
    assert [line.text for line in result.lines] == [pretend(text) for text in TEXTS]
    assert [list(asked.lines) for asked in endpoint.asked] == [["1", "2", "3"], ["1", "2"], ["1"], ["2"]]


def test_the_same_text_in_two_lines_is_seen_as_merged() -> None:
    def doubles(asked: Asked) -> Said:
        if len(asked.lines) == 1:
            return honest(asked)
        both = " ".join(pretend(text) for text in list(asked.lines.values())[:2])
        return Said(as_json(dict.fromkeys(asked.lines, both)))

    with translator(doubles) as (engine, _):
        result = translated(engine, task())
    assert [line.text for line in result.lines] == [pretend(text) for text in TEXTS]


def test_extra_lines_are_never_kept_and_make_lines_be_asked_again() -> None:
    def adds(asked: Asked) -> Said:
        return Said(as_json({**{n: pretend(t) for n, t in asked.lines.items()}, "9": "Línea de más."}))

    with translator(adds, honest) as (engine, endpoint):
        result = translated(engine, task())
    assert len(endpoint.asked) == 2
    assert all("más" not in line.text for line in result.lines)


def test_an_endpoint_that_always_adds_lines_ends_flagged() -> None:
    def adds(asked: Asked) -> Said:
        return Said(as_json({**{n: pretend(t) for n, t in asked.lines.items()}, "9": "Línea de más."}))

    with translator(adds) as (engine, _):
        result = translated(engine, task())
    assert [line.flags for line in result.lines] == [("extra",)] * 3


@pytest.mark.parametrize("disguise", ["{}", '"{}"', "  {} ", "1. {}", "Spanish: {}", "<i>{}</i>", "{}!"])
def test_a_copied_line_never_passes_as_translated(disguise: str) -> None:
    def copies(asked: Asked) -> Said:
        return Said(as_json({number: disguise.format(text) for number, text in asked.lines.items()}))

    with translator(copies) as (engine, _):
        result = translated(engine, task(TEXTS[0]))
    assert (result.lines[0].text, result.lines[0].flags) == ("", ("untranslated", "copied"))


def test_a_copied_line_among_good_ones_is_mended_without_asking_for_the_others() -> None:
    def copies_three(asked: Asked) -> Said:
        return Said(as_json({n: t if n == "3" else pretend(t) for n, t in asked.lines.items()}))

    with translator(copies_three, copies_three, honest) as (engine, endpoint):
        result = translated(engine, task())
    assert [list(asked.lines) for asked in endpoint.asked] == [["1", "2", "3"], ["3"], ["3"]]
    assert result.lines[2].text == pretend(TEXTS[2])


@pytest.mark.parametrize("text", ["Netflix", "OK.", "1984", "https://example.org/a", "NASA", "YouTube!", "{name}"])
def test_what_needs_no_translation_may_stay(text: str) -> None:
    def copies(asked: Asked) -> Said:
        return Said(as_json(asked.lines))

    with translator(copies) as (engine, _):
        result = translated(engine, task(text))
    assert result.lines[0].text == text
    assert "untranslated" not in result.lines[0].flags


def test_a_runaway_line_is_stopped_and_left_untranslated() -> None:
    def runs(asked: Asked) -> Said:
        return Said(
            as_json({n: "la casa de la casa " * 60 if n == "2" else pretend(t) for n, t in asked.lines.items()})
        )

    with translator(runs) as (engine, endpoint):
        result = translated(engine, task())
    assert (result.lines[1].text, result.lines[1].flags) == ("", ("untranslated", "too-long"))
    assert result.lines[0].flags == ()
    assert all(asked.body["max_tokens"] < 600 for asked in endpoint.asked)


def test_an_answer_that_was_cut_off_keeps_its_whole_lines() -> None:
    def cut(asked: Asked) -> Said:
        return Said(as_json({n: pretend(t) for n, t in asked.lines.items()})[:-30], finish_reason="length")

    with translator(cut, honest) as (engine, endpoint):
        result = translated(engine, task())
    assert list(endpoint.asked[1].lines) == ["3"]
    assert [line.text for line in result.lines] == [pretend(text) for text in TEXTS]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: f"```json\n{text}\n```",
        lambda text: f"<think>\nWell, {{hm}}.\n</think>\n{text}",
        lambda text: f"Here you are:\n{text}\nAnything else?",
        lambda text: json.dumps({"translations": json.loads(text)}),
        lambda text: json.dumps([{"id": n, "text": t} for n, t in json.loads(text).items()]),
    ],
)
def test_json_in_wrappings_is_understood(wrap: Callable[[str], str]) -> None:
    def wraps(asked: Asked) -> Said:
        return Said(wrap(honest(asked).content))

    with translator(wraps) as (engine, endpoint):
        result = translated(engine, task())
    assert [line.text for line in result.lines] == [pretend(text) for text in TEXTS]
    assert len(endpoint.asked) == 1


def test_no_json_at_all_ends_untranslated_after_two_rounds_and_one_question_a_line() -> None:
    with translator(lambda _: Said("I am sorry, I cannot do that.")) as (engine, endpoint):
        result = translated(engine, task())
    assert [(line.text, line.flags) for line in result.lines] == [("", ("untranslated",))] * 3
    assert len(endpoint.asked) == 5


def test_the_wrong_script_ends_untranslated() -> None:
    with translator(honest) as (engine, _):
        result = translated(engine, task(TEXTS[0], target="ja"))
    assert (result.lines[0].text, result.lines[0].flags) == ("", ("untranslated", "wrong-script"))


def test_a_line_without_words_costs_no_request() -> None:
    with translator() as (engine, endpoint):
        result = translated(engine, task("♪♪", "..."))
    assert [line.text for line in result.lines] == ["♪♪", "..."]
    assert endpoint.asked == []


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


def test_tasks_are_worked_on_together_and_yielded_as_they_finish() -> None:
    slow_may_go = threading.Event()

    def first_waits(asked: Asked) -> Said:
        if "slow" in asked.user:
            assert slow_may_go.wait(20)
        return honest(asked)

    with translator(first_waits) as (engine, _):
        engine._client._http._timeout = httpx.Timeout(30.0)
        seen = []
        for result in engine.run([task("This one is slow today.", name="slow"), task("Be quick!", name="quick")]):
            seen.append(result.id)
            slow_may_go.set()
    assert seen == ["quick", "slow"]


def test_a_caller_that_stops_listening_stops_the_requests() -> None:
    with translator(concurrency=1) as (engine, endpoint):
        results = engine.run([task(name=str(number)) for number in range(50)])
        next(results)
        results.close()
        engine.close()
        time.sleep(0.1)
        assert len(endpoint.asked) < 50


def test_context_and_used_glossary_are_shown_and_unused_terms_are_not() -> None:
    glossary = (("conference", "reunión"), ("dragon", "dragón"))
    with translator() as (engine, endpoint):
        result = translated(engine, task(before=("Said first.",), after=("Said last.",), glossary=glossary))
    user = endpoint.asked[0].user
    assert "Said first." in user
    assert "Said last." in user
    assert "conference -> reunión" in user
    assert "dragon" not in user
    assert result.lines[1].flags == ("glossary",)


def test_freeze_takes_the_served_model_and_a_revision_that_survives_a_restart() -> None:
    def entry(created: int) -> dict[str, object]:
        return {
            "data": [
                {"id": "qwen", "root": "/models/Qwen3-8B-AWQ", "created": created, "permission": [{"id": created}]}
            ]
        }

    specs = []
    for created in (1, 2):
        with ScriptedEndpoint(models=entry(created)) as endpoint:
            specs.append(openai.freeze(EngineChoice("openai"), resources(endpoint.url)))
    assert specs[0] == specs[1]
    assert (specs[0].model, specs[0].revision) == ("qwen", "root=Qwen3-8B-AWQ")
    assert dict(specs[0].options)["prompt"]


def test_freeze_without_an_address_says_which_setting_is_missing() -> None:
    with pytest.raises(SettingsError, match="SEGUE_TRANSLATOR_URL"):
        openai.freeze(EngineChoice("openai"), resources(""))


def test_freeze_of_a_model_that_is_not_served_says_what_is() -> None:
    says_what = pytest.raises(EngineError, match="does not serve gpt-9; it serves test-model")
    with ScriptedEndpoint(lambda _: error(404, "no such model")) as endpoint, says_what:
        openai.freeze(EngineChoice("openai", "gpt-9"), resources(endpoint.url))


def test_freeze_accepts_an_alias_that_the_list_does_not_show() -> None:
    with ScriptedEndpoint(lambda _: Said("Hi")) as endpoint:
        assert openai.freeze(EngineChoice("openai", "alias"), resources(endpoint.url)).model == "alias"


def test_freeze_without_a_list_needs_a_named_model() -> None:
    with ScriptedEndpoint(models=404) as endpoint:
        assert openai.freeze(EngineChoice("openai", "named"), resources(endpoint.url)).model == "named"
        with pytest.raises(EngineError):
            openai.freeze(EngineChoice("openai"), resources(endpoint.url))


def test_freeze_with_several_models_asks_for_one() -> None:
    two = {"data": [{"id": "a"}, {"id": "b"}]}
    with ScriptedEndpoint(models=two) as endpoint, pytest.raises(SettingsError, match="serves 2 models"):
        openai.freeze(EngineChoice("openai"), resources(endpoint.url))


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
