"""A draft on the way to an answer is never the answer; where nobody can tell, there is none."""

from __future__ import annotations

import json

import pytest

from engines.translate.reasoning import without_reasoning
from engines.translate.reply import clean_text, parse_reply

GOOD = json.dumps({"1": "bueno uno", "2": "bueno dos"})
DRAFT = json.dumps({"1": "DRAFT 1", "2": "DRAFT 2"})
ANSWER = {"1": "bueno uno", "2": "bueno dos"}
TAGS = ("think", "thinking", "THINK", "thought", "reasoning", "reflection", "scratchpad", "analysis", "seed:think")


@pytest.mark.parametrize(
    "written",
    [
        *(f"<{tag}>\nWell.\n{DRAFT}\n</{tag}>\n{GOOD}" for tag in TAGS),
        f'<thinking type="long">{DRAFT}</thinking>{GOOD}',
        f"First idea:\n{DRAFT}\nToo literal.\n</think>\n\n{GOOD}",
        f"{DRAFT}</thinking>{GOOD}",
        f"<think><reflection>{DRAFT}</reflection>{DRAFT}</think>{GOOD}",
        f"<think>I use <think> tags. {DRAFT}</think>{GOOD}",
        f"<think>a</think>{DRAFT}<think>b</think>{GOOD}",
        f"{GOOD}\n<think>{DRAFT}",
        f"{GOOD}\n<think>{DRAFT}</think>",
        f"[THINK]{DRAFT}[/THINK]{GOOD}",
        f"◁think▷{DRAFT}◁/think▷{GOOD}",
        f"<|START_THINKING|>{DRAFT}<|END_THINKING|><|START_RESPONSE|>{GOOD}<|END_RESPONSE|>",
        f"<|begin_of_thought|>{DRAFT}<|end_of_thought|><|begin_of_solution|>{GOOD}<|end_of_solution|>",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}<|return|>",
        f"<|channel|>final <|constrain|>json<|message|>{GOOD}",
        f"analysisWe need JSON. {DRAFT}assistantfinal{GOOD}",
        f"<|channel>thought\n{DRAFT}<channel|>{GOOD}",
        f"<answer>{GOOD}</answer>",
        f"{DRAFT}\n<answer>{GOOD}</answer>",
        f"Reasoning: first {DRAFT}, too stiff.\n\n**Final answer:** {GOOD}",
        f"Here is my thought process: {DRAFT}\nHere is my response:\n{GOOD}",
        f"Draft:\n{DRAFT}\nFinal:\n{GOOD}",
        f"{DRAFT}\nThat is too literal. Better:\n```json\n{GOOD}\n```",
        f"{GOOD}\n\nDraft, for comparison: {DRAFT}",
        json.dumps({"reasoning": "hm", "translations": json.loads(GOOD)}),
        json.dumps({"draft": json.loads(DRAFT), "final": json.loads(GOOD)}),
        json.dumps({n: {"draft": f"DRAFT {n}", "final": text} for n, text in ANSWER.items()}),
        json.dumps([{"id": n, "draft": f"DRAFT {n}", "translation": text} for n, text in ANSWER.items()]),
        '{"1": "bueno uno"}\n{"2": "bueno dos"}',
        json.dumps({"1": "<think>DRAFT 1</think>bueno uno", "2": "bueno dos"}),
    ],
)
def test_the_answer_is_what_was_meant(written: str) -> None:
    texts = parse_reply(written, ("1", "2")).texts
    assert {number: clean_text(text, "source", "es") for number, text in texts.items()} == ANSWER


@pytest.mark.parametrize(
    "written",
    [
        f"<think>{DRAFT}",
        f"<reasoning>\n{DRAFT}\nand then",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|>",
        f"analysisWe need JSON. {DRAFT}",
        f"[THINK]{DRAFT}",
        f"{DRAFT}</think>",
        f"Draft: {DRAFT}",
        f"My first attempt would be {DRAFT}",
        json.dumps({"draft": json.loads(DRAFT), "other": json.loads(DRAFT)}),
        json.dumps({n: {"draft": f"DRAFT {n}"} for n in "12"}),
        "[]" * 500 + GOOD,
    ],
)
def test_where_nobody_can_tell_there_is_no_answer(written: str) -> None:
    assert parse_reply(written, ("1", "2")).texts == {}


def test_what_was_cut_off_behind_an_object_may_have_meant_another_one() -> None:
    assert parse_reply(f"{DRAFT}\nBut that is", ("1", "2"), cut_off=True).texts == {}
    assert parse_reply(f'{DRAFT}\nBetter: {{"1": "bueno uno", "2": "bue', ("1", "2"), cut_off=True).texts == {
        "1": "bueno uno"
    }
    # White space up to the limit: some grammars let a model write that.
    assert parse_reply(GOOD + "\n" * 500, ("1", "2"), cut_off=True).texts == ANSWER


def test_an_object_that_corrects_some_lines_takes_all_others_back() -> None:
    assert parse_reply(f'{DRAFT} No: {{"2": "bueno dos"}}', ("1", "2")).texts == {"2": "bueno dos"}


@pytest.mark.parametrize("text", ["[thinking] Hm.", "Answer: 42", "I plan <b>this</b>.", "¿Qué piensas?"])
def test_subtitles_that_look_a_little_like_it_stay(text: str) -> None:
    assert without_reasoning(text) == text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "9" * 5000, "true", "null", "[1]"])
def test_a_value_that_is_no_text_is_no_answer(number: str) -> None:
    assert "1" not in parse_reply(f'{{"1": {number}, "2": "dos"}}', ("1", "2")).texts
