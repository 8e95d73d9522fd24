"""Texts and their lines, side by side; most come from translations, so they may be too long."""

from __future__ import annotations

import pytest

from subtitles.lines import break_lines, fits
from subtitles.rules import rules_for

TABLE = [
    ("en", "Short enough for one line.", ["Short enough for one line."]),
    ("en", "", []),
    ("en", " spaces \n\t are  normalised ", ["spaces are normalised"]),
    # Not after an article, a preposition or between first and last name.
    (
        "en",
        "He was taken to the hospital in the middle of the night.",
        ["He was taken to the hospital", "in the middle of the night."],
    ),
    (
        "en",
        "We have just been talking to Miranda Priestly about it.",
        ["We have just been talking", "to Miranda Priestly about it."],
    ),
    # After punctuation rather than in perfect balance.
    (
        "en",
        "If you ask me, there is not much more that we can do.",
        ["If you ask me,", "there is not much more that we can do."],
    ),
    # Three lines when two cannot hold it: reported by lint, never cut.
    (
        "de",
        "Das Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz wurde aufgehoben.",
        ["Das", "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz", "wurde aufgehoben."],
    ),
    (
        "fr",
        "Mais pourquoi est-ce que tu ne me l'as pas dit plus tôt ?",
        ["Mais pourquoi est-ce", "que tu ne me l'as pas dit plus tôt ?"],
    ),
    (
        "fr",
        "Tu crois vraiment que c'est possible maintenant\u00a0?",
        ["Tu crois vraiment", "que c'est possible maintenant\u00a0?"],
    ),
    (
        "ru",
        "Мы приехали в город поздно вечером и сразу пошли спать.",
        ["Мы приехали в город поздно вечером", "и сразу пошли спать."],
    ),
    # Kinsoku: no line begins with closing punctuation, small kana or the long vowel sign.
    ("ja", "彼女はコンピューターのセンターで働いています。", ["彼女はコンピューターの", "センターで働いています。"]),
    ("ja", "私は「ありがとう」と言いました。", ["私は「ありがとう」と言いました。"]),
    ("ja", "駅前のスーパーで買い物をしてから帰ります。", ["駅前のスーパーで", "買い物をしてから帰ります。"]),
    # Half-width letters count half.
    ("ja", "これはWhisperというモデルのテストです。", ["これはWhisperという", "モデルのテストです。"]),
    ("zh-Hans", "虽然天气不太好，但是我们还是决定去爬山。", ["虽然天气不太好，", "但是我们还是决定去爬山。"]),
    ("zh-Hant", "他告訴我：「明天早上八點在車站見面。」", ["他告訴我：", "「明天早上八點在車站見面。」"]),
    (
        "ko",
        "우리는 내일 아침 일찍 서울역에서 만나기로 했어요.",
        ["우리는 내일 아침 일찍", "서울역에서 만나기로 했어요."],
    ),
    (
        "th",
        "วันนี้เราจะมาพูดคุยกันเกี่ยวกับเทคโนโลยีและผลกระทบต่อชีวิตประจำวัน",
        ["วันนี้เราจะมาพูดคุยกันเกี่ยวกับเทคโนโลยี", "และผลกระทบต่อชีวิตประจำวัน"],
    ),
    (
        "ar",
        "سنتحدث عن الذكاء الاصطناعي وتأثيره على حياتنا اليومية.",
        ["سنتحدث عن الذكاء الاصطناعي", "وتأثيره على حياتنا اليومية."],
    ),
    (
        "hi",
        "आज हम कृत्रिम बुद्धिमत्ता के बारे में बात करेंगे और देखेंगे कि क्या होता है।",
        ["आज हम कृत्रिम बुद्धिमत्ता के बारे में बात करेंगे", "और देखेंगे कि क्या होता है।"],
    ),
]


@pytest.mark.parametrize(("language", "text", "expected"), TABLE)
def test_a_text_gets_these_lines(language: str, text: str, expected: list[str]) -> None:
    assert list(break_lines(text, rules_for(language))) == expected


def test_a_translation_too_long_keeps_every_word() -> None:
    text = "This translation is longer than what two lines of a subtitle could hold, and yet it is kept as a whole."
    lines = break_lines(text, rules_for("en"))
    assert " ".join(lines) == text
    assert len(lines) == 3
    assert all(len(line) <= 42 for line in lines)
    assert not fits(text, rules_for("en"))


def test_a_break_after_a_hyphen_keeps_the_hyphen() -> None:
    lines = break_lines("Die Geschwindigkeitsbegrenzungs-Überwachungskamera steht hier.", rules_for("de"))
    assert "".join(lines).replace(" ", "") == "DieGeschwindigkeitsbegrenzungs-Überwachungskamerastehthier."
    assert all(len(line) <= 42 for line in lines)


def test_no_break_spaces_never_end_a_line() -> None:
    text = "Il pèse environ 1\u202f250\u00a0kg et mesure 42\u00a0m, ce qui est grand\u00a0!"
    assert "\u00a0!" in break_lines(text, rules_for("fr"))[-1]
    assert any("1\u202f250\u00a0kg" in line for line in break_lines(text, rules_for("fr")))
