"""A refusal is no translation, and neither is one answer to different lines."""

from __future__ import annotations

import pytest

from engines.translate.checks import same_answers
from engines.translate.refusals import is_refusal


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I cannot translate this text.", "es"),
        ("I'm sorry, but I can’t help with that.", "es"),
        ("As an AI language model, I must be careful.", "en"),
        ("I am unable to provide a translation for this.", "ja"),
        ("This goes against the content policy.", "de"),
        ("No puedo traducir este texto.", "es"),
        ("Lo siento, pero no me es posible traducirlo.", "es"),
        ("Je ne peux pas traduire ce texte.", "fr"),
        ("Ich kann diesen Text leider nicht übersetzen.", "de"),
        ("Non posso tradurre questo testo.", "it"),
        ("Não posso traduzir este texto.", "pt"),
        ("Ik kan deze tekst niet vertalen.", "nl"),
        ("Nie mogę przetłumaczyć tego tekstu.", "pl"),
        ("Я не могу перевести этот текст.", "ru"),
        ("Bu metni çeviremem.", "tr"),
        ("この文章は翻訳できません。", "ja"),
        ("이 텍스트는 번역할 수 없습니다.", "ko"),
        ("我无法翻译这段文字。", "zh"),
        ("لا يمكنني ترجمة هذا النص.", "ar"),
    ],
)
def test_a_refusal_is_known(text: str, language: str) -> None:
    assert is_refusal(text, "I am fine, thank you.", language)


@pytest.mark.parametrize(
    ("text", "source", "language"),
    [
        ("I can't help you.", "No puedo ayudarte.", "en"),
        ("No puedo ayudarte con eso.", "I can't help you with that.", "es"),
        ("No puedo traducirlo.", "I can't translate it.", "es"),
        ("No puedo traducir eso, soy su intérprete.", "I am her interpreter, not her lawyer.", "es"),
        ("As an AI, I feel nothing.", "Como IA, no siento nada: soy inteligencia artificial.", "en"),
        ("No puedo.", "I can't.", "es"),
        ("Ich kann nicht schlafen.", "I can't sleep.", "de"),
    ],
)
def test_people_who_say_such_things_are_translated(text: str, source: str, language: str) -> None:
    assert not is_refusal(text, source, language)


@pytest.mark.parametrize(
    ("pairs", "language", "doubted"),
    [
        ([("Yes.", "Sí."), ("Yeah.", "Sí."), ("Yep!", "Sí.")], "es", 0),
        ([("Hello.", "Hola."), ("Hi there!", "Hola."), ("Good day to you.", "Hola.")], "es", 0),
        ([("What's going on?", "¿Qué pasa?"), ("What is happening here?", "¿Qué pasa?")], "es", 0),
        ([("Thank you very much.", "Muchas gracias."), ("Thanks a lot.", "Muchas gracias.")], "es", 0),
        ([("Could you please help me?", "¿Puede ayudarme, por favor, señor?")] * 2, "es", 0),
        (
            [(f"{word} you help me today, please?", "¿Puede ayudarme hoy, por favor?") for word in ("Can", "Could")],
            "es",
            0,
        ),
        ([("Run!", "Lo siento, no puedo hacer eso."), ("Stop.", "Lo siento, no puedo hacer eso.")], "es", 2),
        (
            [("Hello there.", "No."), ("How are you today?", "No."), ("I am fine, thank you.", "No.")],
            "es",
            3,
        ),
        (
            [
                ("Hello there.", "申し訳ありませんが、できません。"),
                ("See you at ten.", "申し訳ありませんが、できません。"),
            ],
            "ja",
            2,
        ),
        ([("Hello.", "はい。"), ("Yes.", "はい。")], "ja", 0),
    ],
)
def test_one_answer_to_different_lines(pairs: list[tuple[str, str]], language: str, doubted: int) -> None:
    sources = {str(number): source for number, (source, _) in enumerate(pairs)}
    texts = {str(number): text for number, (_, text) in enumerate(pairs)}
    assert len(same_answers(sources, texts, language)) == doubted
