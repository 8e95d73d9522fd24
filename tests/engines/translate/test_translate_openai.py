"""The openai translator and what a model answers: lines that are missing, merged, copied or wrapped."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import httpx
import pytest
from openai_questions import TEXTS, task, translated, translator
from scripted_endpoint import Asked, Said, as_json, honest, pretend


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
