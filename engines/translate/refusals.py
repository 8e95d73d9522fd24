"""Answers that are about the task instead of the line: a refusal is no translation. Pure.

Certain are only sentences that nobody says in a film unless the source speaks of the same: that something cannot be
*translated*, or that an AI speaks; and, where another language was asked for, a refusal in English.
"""

from __future__ import annotations

import re

from engines.translate.languages import primary

_GAP = r"[^.!?。！？\n]{0,50}?"
#: Of the languages that are translated into most.
_CERTAIN = re.compile(
    "|".join(
        (
            r"\b(?:as an|i am an|i'm an) (?:ai|artificial intelligence)\b|\b(?:large )?language model\b",
            r"\b(?:cannot|can't|can not|could not|couldn't|unable to|not able to|won't|will not|decline to|not be)"
            rf"{_GAP}"
            r"\btranslat(?:e|ed|ing|ion)\b",
            r"\btranslation (?:is )?(?:not available|unavailable|not possible|refused)",
            rf"\bno (?:puedo|podemos|es posible|me es posible|soy capaz de|se puede){_GAP}\btradu[cz]",
            rf"\b(?:ne (?:peux|puis|pouvons|peut) pas|impossible de|incapable de|pas en mesure de){_GAP}\btradui",
            rf"\b(?:kann|können|könnte|lässt){_GAP}\bnicht{_GAP}übersetz",
            rf"\bnon (?:posso|possiamo|è possibile|sono in grado di|si può){_GAP}\btradu[cr]",
            rf"\bnão (?:posso|podemos|consigo|é possível|sou capaz de){_GAP}\btradu[zç]",
            rf"\bkan{_GAP}\bniet{_GAP}verta(?:al|len|ling)",
            rf"\bkan (?:inte|ej|ikke){_GAP}(?:översätt|oversæt|oversett)",
            rf"\bnie (?:mogę|możemy|można|jestem w stanie){_GAP}tłumacz",
            rf"\bне (?:могу|можем|можу|можемо|удалось|в состоянии|вдалося){_GAP}пере(?:в[её]|кла)",
            r"çevire(?:mem|miyorum|meyiz|miyoruz)|tercüme ede(?:mem|miyorum)",
            r"翻訳(?:する)?(?:こと)?[はをが]?(?:でき(?:ません|ない|かね)|いたしかね|お断り)",
            r"번역(?:을|은|할|해)?\s*(?:드릴)?\s*(?:수\s*(?:는|가)?\s*없|하지\s*못|불가)",
            r"(?:无法|無法|不能|不可以|没办法)[^。！？]{0,12}(?:翻译|翻譯)",
            r"لا (?:يمكنني|أستطيع|يمكن)[^.!؟]{0,40}ترجم",
            r"अनुवाद नहीं कर",
        )
    ),
    re.IGNORECASE,
)
_ENGLISH = re.compile(
    r"\bi(?:'m| am)? (?:cannot|can't|can not|won't|will not|unable to|not able to|must decline|have to decline)\b"
    rf"{_GAP}\b(?:help|assist|do|provide|support|comply|continue|engage|create|discuss|process|fulfil\w*|with)\b"
    r"|\b(?:content|usage|safety) (?:policy|policies|guidelines)\b",
    re.IGNORECASE,
)
#: A source that speaks of translating, of machines that do, or of policies may be rendered by words like the above.
_SPEAKS_OF_IT = re.compile(
    r"translat|interpret|tradu[czirç]|übersetz|dolmetsch|verta[al]|översätt|oversæt|oversett|tłumacz|перев[оеё]|перекла|"
    r"çevir|tercüme|翻訳|翻译|翻譯|통역|번역|ترجم|अनुवाद|\bA\.?I\b|artificial|language model|polic|guideline",
    re.IGNORECASE,
)


def is_refusal(text: str, source: str, target_language: str) -> bool:
    """Whether an answer speaks of the task, although its source line does not."""
    said = text.replace("’", "'")
    if _SPEAKS_OF_IT.search(source):
        return False
    return bool(_CERTAIN.search(said) or (primary(target_language) != "en" and _ENGLISH.search(said)))
