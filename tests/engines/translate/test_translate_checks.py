"""What is wrong with a line: tables of sources, answers and verdicts, and nothing else."""

from __future__ import annotations

import pytest

from engines.translate.checks import BAD, Problem, complaint_of, line_problem, repeats, reply_problems
from engines.translate.identity import CopyCheck, identity_of
from engines.translate.interface import Line, TranslationTask

MAYBE = Problem.MAYBE_COPIED
LONG = "This sentence is long enough to lose something when it is cut to nothing at all."
VERBOSE = "Quédate aquí conmigo, por favor, te lo pido con todo mi corazón, amigo mío."
ENDLESS = "Sí. Y además quiero decir que " + "el perro come la manzana verde y azul " * 3


def task(*texts: str, source: str = "en", target: str = "es", before=(), glossary=()) -> TranslationTask:
    lines = tuple(Line(str(index), text) for index, text in enumerate(texts))
    return TranslationTask("t", source, target, lines, before=before, glossary=glossary)


@pytest.mark.parametrize(
    ("source", "target", "text", "problem"),
    [
        ("Good morning, how are you?", "es", "Buenos días, ¿cómo estás?", None),
        ("Good morning, how are you?", "ja", "おはようございます、お元気ですか？", None),
        ("Good morning, how are you?", "zh-Hans", "早上好，你好吗？", None),
        ("Good morning, how are you?", "ar", "صباح الخير، كيف حالك؟", None),
        ("Good morning, how are you?", "ko", "좋은 아침이에요, 어떻게 지내세요?", None),
        ("Good morning, how are you?", "ru", "Доброе утро, как дела?", None),
        ("Good morning, how are you?", "hi", "सुप्रभात, आप कैसे हैं?", None),
        ("Good morning, how are you?", "th", "สวัสดีตอนเช้า คุณเป็นอย่างไรบ้าง", None),
        # Nothing, or nothing that can be read.
        ("Good morning.", "es", "", Problem.EMPTY),
        ("Good morning.", "es", "...", Problem.EMPTY),
        # The source again, and most of it.
        ("Good morning.", "es", "Good morning", Problem.COPIED),
        ("Good morning.", "es", "GOOD MORNING!", Problem.COPIED),
        ("Hello.", "es", "Hello.", Problem.COPIED),
        ("Thank you", "fr", "thank you", Problem.COPIED),
        (
            "Please hold while I try that extension.",
            "es",
            "Por favor hold while I try that extension.",
            MAYBE,
        ),
        (
            "You have been kicked from this conference",
            "es",
            "Has been kicked from this conference.",
            MAYBE,
        ),
        (
            "Only conference administrators can join.",
            "ja",
            "ええと conference administrators can join。",
            Problem.COPIED,
        ),
        # Names and shared words, which may be right.
        ("Netflix", "es", "Netflix", MAYBE),
        ("Hospital.", "es", "Hospital.", MAYBE),
        ("OK", "ja", "OK", None),
        ("42", "ar", "42", None),
        # Another script.
        ("Good morning, how are you?", "ja", "Ohayou gozaimasu, ogenki desu ka?", Problem.WRONG_SCRIPT),
        ("Good morning, how are you?", "ja", "早上好你今天过得怎么样我的朋友", Problem.WRONG_SCRIPT),
        ("Good morning, how are you?", "ru", "Buenos días", Problem.WRONG_SCRIPT),
        ("Good morning, how are you?", "es", "早上好", Problem.WRONG_SCRIPT),
        ("Good morning, how are you?", "es", "Buenos días, ¿cómo 你好 estás?", Problem.STRAY_SCRIPT),
        ("I watch Netflix and YouTube.", "ja", "NetflixとYouTubeを見ます。", None),
        ("I watch Netflix.", "ru", "Я смотрю Netflix.", None),
        # Runaway and long.
        ("Yes.", "es", "Sí, " * 30, Problem.RUNAWAY),
        (
            "Yes.",
            "es",
            "Sí. Y además quiero decir que " + "el perro come la manzana verde y azul " * 3,
            Problem.RUNAWAY,
        ),
        ("No, no, no, no, no!", "es", "¡No, no, no, no, no!", MAYBE),
        ("Go, go, go, go, go!", "es", "¡Va, va, va, va, va!", None),
        ("Ha ha ha ha ha ha!", "es", "¡Ja ja ja ja ja ja!", None),
        (
            "Stay here with me.",
            "es",
            "Quédate aquí conmigo, por favor, te lo pido con todo mi corazón, amigo mío.",
            None,
        ),
        (
            "This sentence is long enough to lose something when it is cut to nothing at all.",
            "es",
            "Sí, ya.",
            Problem.TOO_SHORT,
        ),
        # Numbers and placeholders.
        ("We sold 1,250 cars in 2019.", "es", "Vendimos 1.250 coches en 2019.", None),
        ("We sold 1,250 cars.", "es", "Vendimos muchos coches.", Problem.NUMBERS),
        ("We sold 10,000 cars.", "ja", "私たちは1万台の車を売りました。", None),
        ("Two people, 2 dogs.", "es", "Dos personas, dos perros.", None),
        ("It is 25 degrees.", "ar", "درجة الحرارة ٢٥ درجة.", None),
        ("Hello {name}, come in.", "es", "Hola {nombre}, pasa.", Problem.PLACEHOLDER),
        ("Hello {name}, come in.", "es", "Hola {name}, pasa.", None),
        # Languages that we know nothing about are not judged by their letters.
        ("Good morning, how are you?", "tlh", "nuqneH, qaStaH nuq?", None),
        # One language, two regions: unchanged is right.
        ("Good morning.", "en-GB", "Good morning.", None),
    ],
)
def test_problem_of_a_line(source: str, target: str, text: str, problem: Problem | None) -> None:
    assert line_problem(source, text, task(source, target=target)) is problem


@pytest.mark.parametrize(
    ("source", "source_language", "target", "text", "problem"),
    [
        ("今天天气很好，我们去公园吧。", "zh-Hans", "en", "The weather is nice today, let's go to the park.", None),
        ("今天天气很好，我们去公园吧。", "zh-Hans", "en", "今天天气很好，我们去公园吧。", Problem.COPIED),
        ("今天天气很好，我们去公园吧。", "zh-Hans", "ja", "今天天气很好，我们去公园吧。", Problem.COPIED),
        ("今日は天気がいいですね。", "ja", "zh-Hans", "今日は天気がいいですね", Problem.COPIED),
        ("今日は天気がいいですね。", "ja", "ko", "오늘은 날씨가 좋네요.", None),
        ("東京", "ja", "zh-Hant", "東京", MAYBE),
        ("東京", "ja", "en", "Tokyo", None),
        ("Доброе утро.", "ru", "en", "Доброе утро.", Problem.COPIED),
        ("Доброе утро.", "ru", "en", "Good morning.", None),
        ("Доброе утро.", "ru", "uk", "Доброго ранку.", None),
    ],
)
def test_problem_of_a_line_from_other_scripts(source, source_language, target, text, problem) -> None:
    assert line_problem(source, text, task(source, source=source_language, target=target)) is problem


@pytest.mark.parametrize(
    ("text", "around", "identity"),
    [
        ("Netflix", (), CopyCheck.POSSIBLE),
        ("Netflix", ("I saw it on Netflix yesterday.",), CopyCheck.RIGHT),
        ("Maria Lopez.", (), CopyCheck.POSSIBLE),
        ("Good Morning", (), CopyCheck.WRONG),
        ("Hello", ("Then she said Hello to me.",), CopyCheck.WRONG),
        ("NASA", (), CopyCheck.RIGHT),
        ("STOP", (), CopyCheck.WRONG),
        ("OK, OK!", (), CopyCheck.RIGHT),
        ("iPhone", (), CopyCheck.RIGHT),
        ("www.example.org", (), CopyCheck.RIGHT),
        ("me@example.org", (), CopyCheck.RIGHT),
        ("3.5 km", (), CopyCheck.RIGHT),
        ("%s: {count}", (), CopyCheck.RIGHT),
        ("table", (), CopyCheck.POSSIBLE),
        ("the table", (), CopyCheck.WRONG),
        ("I", (), CopyCheck.WRONG),
        ("Where is John?", (), CopyCheck.WRONG),
        ("Paris, London, New York, Berlin", (), CopyCheck.WRONG),
    ],
)
def test_what_may_stay_as_it_is(text: str, around: tuple[str, ...], identity: CopyCheck) -> None:
    assert identity_of(text, task(text, before=around)) is identity


def test_a_glossary_that_keeps_a_term_makes_its_identity_right() -> None:
    assert identity_of("Waypoint", task("Waypoint", glossary=(("Waypoint", "Waypoint"),))) is CopyCheck.RIGHT


@pytest.mark.parametrize(
    ("glossary", "text", "problem"),
    [
        ((("conference", "reunión"),), "La conferencia ha terminado.", Problem.GLOSSARY),
        ((("conference", "reunión"),), "La Reunión ha terminado.", None),
        ((("dragon", "dragón"),), "La conferencia ha terminado.", None),
    ],
)
def test_glossary_terms_that_are_said_must_be_used(glossary, text: str, problem: Problem | None) -> None:
    source = "The conference is over."
    assert line_problem(source, text, task(source, glossary=glossary)) is problem


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        (("I went home.", "Then I slept."), ("Me fui a casa.", "Luego dormí."), set()),
        (("I went home.", "Then I slept."), ("Me fui a casa y luego dormí.", ""), {"1"}),
        (("I went home.", "Then I slept."), ("", "Me fui a casa y luego dormí."), {"2"}),
        (("I went home.", "Then I slept."), ("Me fui a casa.", ""), set()),
        (
            ("I went home.", "Then I slept until noon."),
            ("Me fui a casa y dormí hasta el mediodía.", "Me fui a casa y dormí hasta el mediodía."),
            {"1", "2"},
        ),
        (("Thank you very much, sir.", "Thank you very much, sir."), ("Muchas gracias a usted.",) * 2, set()),
        (("Thanks.", "Thank you."), ("Gracias.", "Gracias."), set()),
    ],
)
def test_merged_neighbours(first: tuple[str, str], second: tuple[str, str], wrong: set[str]) -> None:
    lines = {str(index): Line("x", text) for index, text in enumerate(first, start=1)}
    texts = {str(index): text for index, text in enumerate(second, start=1) if text}
    assert set(reply_problems(lines, texts)) == wrong


@pytest.mark.parametrize(
    ("text", "times"),
    [("one two three four", 1), ("no no no no", 4), ("la casa la casa la casa", 3), ("はいはいはいはい", 4), ("", 1)],
)
def test_how_often_a_text_repeats_itself(text: str, times: int) -> None:
    assert repeats(text) == times


def test_every_problem_has_words_for_the_model() -> None:
    assert all(complaint_of(problem) for problem in Problem)
    assert Problem.GLOSSARY not in BAD
