"""What models are asked: pure functions of the task."""

from __future__ import annotations

import json

import pytest

from engines.translate.examples import continuation_prompt, example_sentences, has_examples
from engines.translate.interface import Line, TranslationTask
from engines.translate.languages import language_name, letters_by_script, own_name, same_language, script_names
from engines.translate.prompt import relevant_glossary, reply_schema, reply_tokens, system_prompt, user_prompt

LANGUAGES = "en es fr de it pt nl sv da nb fi pl cs hu ro tr el ru uk ar he fa hi id vi th ja ko zh zh-Hant"


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("es", "Spanish"),
        ("zh-Hans", "Simplified Chinese"),
        ("zh-Hant", "Traditional Chinese"),
        ("zh_tw", "Traditional Chinese as used in Taiwan"),
        ("pt-BR", "Brazilian Portuguese"),
        ("es-419", "Latin American Spanish"),
        ("en-GB", "British English"),
        ("sr-Latn", "Serbian in Latin script"),
        ("yue", "Cantonese"),
        ("no-such-language-x", "no-such-language-x"),
    ],
)
def test_languages_are_named_as_people_name_them(tag: str, name: str) -> None:
    assert language_name(tag) == name


@pytest.mark.parametrize(
    ("tag", "script"),
    [
        ("ja", "HIRAGANA"),
        ("ko", "HANGUL"),
        ("ru", "CYRILLIC"),
        ("ar", "ARABIC"),
        ("pt-BR", "LATIN"),
        ("sr-Latn", "LATIN"),
    ],
)
def test_scripts_follow_the_language(tag: str, script: str) -> None:
    assert script in script_names(tag)


def test_an_unknown_language_has_no_script_to_check() -> None:
    assert script_names("xx") == frozenset()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("en", "en-GB", True), ("zh-Hans", "zh-Hant", False), ("sr", "sr-Latn", False), ("pt", "es", False)],
)
def test_when_two_tags_are_one_language(one: str, other: str, same: bool) -> None:
    assert same_language(one, other) is same


def test_only_glossary_terms_that_are_said_are_relevant_whatever_their_order() -> None:
    glossary = [("pound key", "tecla numeral"), ("art", "arte"), ("Acme", "Acme"), ("東", "este")]
    lines = ["Press the POUND KEY.", "Please start."]
    assert relevant_glossary(glossary, lines) == (("pound key", "tecla numeral"),)
    assert relevant_glossary(list(reversed(glossary)), lines) == relevant_glossary(glossary, lines)
    assert relevant_glossary(glossary, ["東京"]) == (("東", "este"),)


def test_the_prompt_holds_lines_context_and_complaints_and_no_ids() -> None:
    lines = (Line("secret-id", "Hello."), Line("other-id", "Bye."))
    task = TranslationTask("t", "en", "ja", lines, before=("Earlier.",), after=("Later.",))
    text = user_prompt(task, {"1": lines[0], "2": lines[1]}, {"2": "the answer was empty"})
    assert json.loads(text[text.index("{") :]) == {"1": "Hello.", "2": "Bye."}
    assert "Earlier." in text
    assert "Later." in text
    assert "2: the answer was empty" in text
    assert "-id" not in text
    assert "at most 32 characters" in system_prompt(task)
    assert "Earlier." not in user_prompt(task, {"1": lines[0]}, {}, with_context=False)


def test_the_schema_requires_each_number_and_allows_no_other() -> None:
    schema = reply_schema(["1", "3"])
    assert (schema["required"], schema["additionalProperties"]) == (["1", "3"], False)


def test_room_for_an_answer_grows_with_its_source_and_stays_small() -> None:
    assert reply_tokens([Line("a", "Hi.")]) < 60
    assert reply_tokens([Line("a", "word " * 40)]) > 300
    assert reply_tokens([Line("a", "東京" * 10)]) > reply_tokens([Line("a", "to" * 10)])


def test_examples_are_in_the_scripts_of_their_languages() -> None:
    for tag in LANGUAGES.split():
        sentences = example_sentences(tag)
        assert sentences is not None, tag
        assert set(letters_by_script("".join(sentences))) <= script_names(tag), tag
        assert own_name(tag)


def test_a_base_model_is_shown_three_examples_and_then_the_line() -> None:
    prompt = continuation_prompt("en", "pt-BR", "Hello.", 0)
    assert prompt.count("Brazilian Portuguese:") == 4
    assert prompt.endswith("English: Hello.\nBrazilian Portuguese:")
    assert continuation_prompt("en", "pt-BR", "Hello.", 1) != prompt


def test_without_examples_only_the_languages_are_named() -> None:
    assert not has_examples("en", "cy")
    assert continuation_prompt("en", "cy", "Hello.", 0).endswith("\n\nEnglish: Hello.\nWelsh:")
