"""Speech and the cues that come of it, side by side.

``|`` is a pause of 400 ms, ``||`` one of 1.5 s; ``/`` parts lines.
"""

from __future__ import annotations

import pytest
from spoken_words import spoken

from core.text import Word
from subtitles.cues import build_cues
from subtitles.events import join_lines
from subtitles.lines import break_lines
from subtitles.rules import rules_for

TABLE = [
    (
        "en",
        "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
        [
            "And so my fellow Americans, / ask not what your country can do for you,",
            "ask what you can do for your country.",
        ],
    ),
    ("en", "one two three", ["one two three"]),
    # Full stops of titles, initials, decimals and abbreviations end nothing.
    (
        "en",
        "Yes. I met Mr. Smith in the U.S. last year. He paid 3.5 dollars to J. Miller. It was No. 5.",
        ["Yes. I met Mr. Smith / in the U.S. last year.", "He paid 3.5 dollars to J. Miller.", "It was No. 5."],
    ),
    ("en", "He lives in the U.S. She moved to Europe.", ["He lives in the U.S.", "She moved to Europe."]),
    ("en", "No. I said no. Why would you do that?", ["No. I said no. Why would you do that?"]),
    # A long pause always parts, a short one prefers to.
    ("en", "Wait || for it.", ["Wait", "for it."]),
    (
        "en",
        "We wanted to go out for a walk | but then it began to rain",
        ["We wanted to go out for a walk", "but then it began to rain"],
    ),
    # Pieces without a space stay with their word.
    (
        "en",
        "It is a good-looking, twenty-five-year-old house.",
        ["It is a good-looking, / twenty-five-year-old house."],
    ),
    (
        "es",
        "Hola, ¿cómo estás? Me llamo María. | Nos vemos mañana por la tarde en la oficina de mi hermano.",
        ["Hola, ¿cómo estás?", "Me llamo María.", "Nos vemos mañana por la tarde / en la oficina de mi hermano."],
    ),
    (
        "de",
        "Die Donaudampfschifffahrtsgesellschaft hat am 3. Oktober mitgeteilt, dass alle Versicherungen zahlen.",
        [
            "Die Donaudampfschifffahrtsgesellschaft / hat am 3. Oktober mitgeteilt,",
            "dass alle Versicherungen zahlen.",
        ],
    ),
    (
        "fr",
        "Est-ce que vous êtes prêts\u00a0? Oui ! Il a dit : « Bonjour tout le monde, comment allez-vous ? »",
        ["Est-ce que vous êtes prêts\u00a0? Oui !", "Il a dit : « Bonjour tout le monde, / comment allez-vous ? »"],
    ),
    (
        "ru",
        "Здравствуйте! Сегодня мы поговорим о том, что происходит в г. Москве и почему об этом говорят учёные.",
        [
            "Здравствуйте! Сегодня мы поговорим о том,",
            "что происходит в г. Москве / и почему об этом говорят учёные.",
        ],
    ),
    (
        "ja",
        "今日は東京タワーに行って、友達と一緒に写真をたくさん撮りました。とても楽しかったです。",
        ["今日は東京タワーに行って、友達と / 一緒に写真をたくさん撮りました。", "とても楽しかったです。"],
    ),
    ("ja", "「ちょっといいですか？」と彼は言った。", ["「ちょっといいですか？」 / と彼は言った。"]),
    (
        "zh-Hans",
        "大家好，欢迎来到我们的节目。今天我们要讨论的是人工智能在医疗领域的应用。",
        ["大家好，欢迎来到我们的节目。", "今天我们要讨论的是人工智能 / 在医疗领域的应用。"],
    ),
    (
        "ko",
        "저는 어제 친구와 함께 새로 생긴 식당에 갔는데 음식이 정말 맛있었어요. 다음에 꼭 다시 갈 거예요!",
        ["저는 어제 친구와 함께 새로 생긴", "식당에 갔는데 음식이 / 정말 맛있었어요.", "다음에 꼭 다시 갈 거예요!"],
    ),
    (
        "ar",
        "مرحبا بكم في برنامجنا اليوم، سنتحدث عن الذكاء الاصطناعي وتأثيره على حياتنا اليومية. هل أنتم مستعدون؟",
        [
            "مرحبا بكم في برنامجنا اليوم،",
            "سنتحدث عن الذكاء الاصطناعي / وتأثيره على حياتنا اليومية.",
            "هل أنتم مستعدون؟",
        ],
    ),
    (
        "he",
        "שלום לכולם, היום נדבר על בינה מלאכותית ועל ההשפעה שלה על חיי היומיום שלנו. האם אתם מוכנים?",
        ["שלום לכולם, היום נדבר על בינה מלאכותית / ועל ההשפעה שלה על חיי היומיום שלנו.", "האם אתם מוכנים?"],
    ),
    (
        "hi",
        "नमस्ते दोस्तों, आज हम बात करेंगे। क्या आप तैयार हैं?",
        ["नमस्ते दोस्तों, आज हम बात करेंगे।", "क्या आप तैयार हैं?"],
    ),
    (
        "th",
        "สวัสดีครับ วันนี้อากาศดีมาก เราไปเที่ยวทะเลกันไหม ผมอยากกินอาหารทะเลสดๆ และว่ายน้ำในทะเล",
        ["สวัสดีครับ วันนี้อากาศดีมาก เราไปเที่ยวทะเลกันไหม / ผมอยากกินอาหารทะเลสดๆ และว่ายน้ำในทะเล"],
    ),
]


@pytest.mark.parametrize(("language", "speech", "expected"), TABLE)
def test_speech_becomes_these_cues(language: str, speech: str, expected: list[str]) -> None:
    pace = {"ja": 130, "zh-Hans": 180, "ko": 120}.get(language, 60)
    cues = build_cues(spoken(speech, language, pace), language)
    assert [" / ".join(break_lines(cue.text, rules_for(language))) for cue in cues] == expected


def test_a_cue_has_the_times_of_its_words() -> None:
    first, second = build_cues(spoken("Good morning to all of you. || Let us begin.", "en", start_ms=5_000), "en")
    assert (first.start_ms, first.end_ms) == (5_000, first.words[-1].end_ms)
    assert second.start_ms == first.end_ms + 1_500
    assert [word.text for word in second.words] == [" Let", " us", " begin."]


def test_a_known_break_parts_words_that_the_model_ran_together() -> None:
    words = (
        Word(0, 500, " thank", 900),
        Word(500, 900, " you.", 900),
        Word(900, 1400, "Hello", 900),
        Word(1400, 1900, " again.", 900),
    )
    assert [cue.text for cue in build_cues(words, "en", [900])] == ["thank you.", "Hello again."]


def test_words_without_text_give_no_cue() -> None:
    assert build_cues((), "en") == ()
    assert build_cues((Word(0, 100, " ", 0), Word(100, 200, "", 0), Word(200, 300, "\x1b\u200b", 0)), "en") == ()


def test_words_without_text_stay_with_their_neighbours() -> None:
    words = (Word(0, 100, " ", 0), Word(100, 900, " Hello", 9), Word(900, 950, "", 0), Word(950, 1_500, " there.", 9))
    (cue,) = build_cues(words, "en")
    assert (cue.text, cue.words) == ("Hello there.", words)


def test_a_cue_is_never_longer_than_seven_seconds_when_it_has_a_place_to_part() -> None:
    slow = build_cues(spoken("so we went on and on and on", "en", 700), "en")
    assert len(slow) > 1
    assert all(cue.end_ms - cue.start_ms <= 7_000 for cue in slow)


def test_a_name_is_not_left_alone() -> None:
    cues = build_cues(
        spoken("I would like to thank everybody who has been so very kind to me this year, Elizabeth.", "en"), "en"
    )
    assert all(len(cue.words) > 1 for cue in cues)


def test_another_script_inside_a_language_does_not_break_the_limit() -> None:
    words = tuple(Word(index * 100, index * 100 + 100, char, 900) for index, char in enumerate("今天天气很好" * 20))
    cues = build_cues(words, "en")
    assert all(rules_for("en").cells(line) <= 42 for cue in cues for line in break_lines(cue.text, rules_for("en")))
    assert "".join(cue.text for cue in cues) == "今天天气很好" * 20


def test_the_lines_of_a_given_caption_are_joined_as_its_script_does() -> None:
    assert join_lines(("Hello", " there. ")) == "Hello there."
    assert join_lines(("今日は", "晴れ")) == "今日は晴れ"
    assert join_lines(("그래서", "우리는")) == "그래서 우리는"
