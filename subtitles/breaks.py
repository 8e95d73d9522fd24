"""How good a place is for a line or a cue to end, from the characters and words on both sides.

The cost is 0 for the end of a sentence and about 100 for a place that a careful subtitler would never choose; None
means that no break is possible there at all. The same scale serves lines and cues.
"""

from __future__ import annotations

import re
import unicodedata

from subtitles.grammar import Grammar
from subtitles.graphemes import clusters
from subtitles.scripts import Script, is_unspaced, script_of
from subtitles.sentences import TextEnd, ending_of

SENTENCE_COST = 0
CLAUSE_COST = 10
SPACE_IN_UNSPACED_COST = 15
OPENING_COST = 25
PLAIN_COST = 45
NAME_COST = 70
NUMBER_COST = 85
LEANING_COST = 90
INSIDE_WORD_COST = 97
HYPHEN_COST = 85

#: Kinsoku: what may not begin a line (JIS X 4051's classes, with their Chinese and half-width relatives).
NO_LINE_START = frozenset(
    "、。，．・：；？！‼⁇⁈⁉）］｝」』】〉》〕〗〙｠»”’ー々〻ゝゞヽヾ゛゜…‥〜～"
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ｡､｣･ｧｨｩｪｫｬｭｮｯｰﾞﾟ%‰％℃°,.!?:;)]}"
)  # fmt: skip
#: Kinsoku: what may not end a line.
NO_LINE_END = frozenset("（［｛「『【〈《〔〖〘｟«“‘｢([{¿¡＃#＄$￥¥№")
_THAI_NO_START = frozenset("ะาำๅๆฯ")
_THAI_LEADING_VOWELS = frozenset("เแโใไເແໂໃໄ")
#: Frequent Thai words that open a phrase; seldom seen inside another word.
_THAI_OPENS = ("และ", "ที่", "ซึ่ง", "ของ", "เพื่อ", "เพราะ", "เมื่อ", "แต่", "หรือ", "จาก", "โดย", "ว่า", "เป็น", "กับ", "ใน",
               "ไม่", "ได้", "จะ", "ให้", "ความ", "การ", "เกี่ยวกับ", "ถ้า", "แล้ว")  # fmt: skip
_JA_PARTICLES = ("から", "まで", "より", "など", "ので", "けど", "のに", "ても", "たら", "ながら", "って",
                 "です", "ます", "は", "が", "を", "に", "で", "と", "も", "の", "へ", "や", "て",
                 "た", "ね", "よ", "し", "ば")  # fmt: skip
_ZH_STICKS_TO_LEFT = frozenset("的了吗呢吧着过们地得啊嘛嗎過著們")
_ZH_OPENS = ("但", "而", "因为", "因為", "所以", "如果", "虽然", "雖然", "并且", "並且", "或者", "和", "与", "與", "在")
_LEADING_WORD = re.compile(r"[\w'’]+")
_APOSTROPHES = str.maketrans("’", "'")


def break_cost(left: str, right: str, grammar: Grammar) -> int | None:
    """The cost of ending a line after ``left`` when ``right`` follows; None where no break is possible.

    Both are non-empty; spaces at the join are part of either. Without a space at the join, a break is possible only
    between characters of scripts that write none.
    """
    before, after = left.rstrip(" \u3000"), right.lstrip(" \u3000")
    spaced = len(before) < len(left) or len(after) < len(right)
    if not before or not after:
        return None
    last, first = before[-1], after[0]
    if unicodedata.category(first)[0] == "M" or first.isspace() or last.isspace():
        return None
    if spaced:
        # Quotation marks open in one language and close in another, so only those that stand alone are told apart.
        stranded = NO_LINE_START.issuperset(after.split(" ", 1)[0]) or NO_LINE_END.issuperset(before.rsplit(" ", 1)[-1])
        return None if stranded else _spaced_cost(before, after, grammar)
    if first in NO_LINE_START or last in NO_LINE_END:
        return None
    return _unspaced_cost(before, after, grammar)


def _spaced_cost(before: str, after: str, grammar: Grammar) -> int:
    ending = ending_of(before, " " + after, grammar)
    if ending is TextEnd.SENTENCE:
        return SENTENCE_COST
    if ending is TextEnd.CLAUSE:
        return CLAUSE_COST
    if is_unspaced(before[-1]) or is_unspaced(after[0]):
        return SPACE_IN_UNSPACED_COST
    previous = before.rsplit(" ", 1)[-1].rsplit("\u00a0", 1)[-1].translate(_APOSTROPHES).strip("\"'“‘(¿¡").lower()
    match = _LEADING_WORD.match(after)
    following = match.group().translate(_APOSTROPHES) if match else after[:1]
    if previous in grammar.leaning:
        return LEANING_COST
    if _counts_or_titles(previous, after, grammar):
        return NUMBER_COST
    if following.lower() in grammar.opening:
        return OPENING_COST
    if grammar.opening_letter and following[0] == grammar.opening_letter and len(following) > 4:
        return OPENING_COST
    if grammar.capitals_mean_names and following[0].isupper() and _is_name(before):
        return NAME_COST
    return PLAIN_COST


def _counts_or_titles(previous: str, after: str, grammar: Grammar) -> bool:
    """True for "Mr." before a name, "No." before its number, and a number before what it counts."""
    if previous.rstrip(".").isdigit():
        return True
    stem = previous.removesuffix(".")
    return stem != previous and (stem in grammar.abbreviations or (stem in grammar.counting and after[0].isdigit()))


def _is_name(before: str) -> bool:
    """True when the last word of ``before`` has a capital and does not open a sentence."""
    words = before.rsplit(" ", 2)
    last = words[-1]
    opens = len(words) == 1 or words[-2][-1:] in ".?!"
    return last[:1].isupper() and last[-1:].isalpha() and not opens


def _unspaced_cost(before: str, after: str, grammar: Grammar) -> int | None:
    last, first = before[-1], after[0]
    if last in "-‐/" and len(before) > 2 and before[-2].isalpha() and first.isalpha() and not is_unspaced(first):
        return HYPHEN_COST
    if not (is_unspaced(last) or is_unspaced(first)) and not _ends_unspaced_phrase(before, first):
        return None
    if _joins_cluster(before, first):
        return None
    ending = ending_of(before, after, grammar)
    if ending is TextEnd.SENTENCE:
        return SENTENCE_COST
    if ending is TextEnd.CLAUSE:
        return CLAUSE_COST
    left, right = script_of(last), script_of(first)
    if Script.SOUTH_EAST_ASIAN in (left, right):
        if first in _THAI_NO_START or last in _THAI_LEADING_VOWELS:
            return None
        if left is not right:
            return PLAIN_COST
        if after.startswith(_THAI_OPENS):
            return 60
        return 85 if first in _THAI_LEADING_VOWELS else INSIDE_WORD_COST
    if _is_japanese(before, after):
        return _japanese_cost(before, after, left, right)
    return _chinese_cost(before, after, left, right)


def _joins_cluster(before: str, first: str) -> bool:
    return len(clusters(before[-4:] + first)) == len(clusters(before[-4:]))


def _ends_unspaced_phrase(before: str, first: str) -> bool:
    """Closing punctuation after a script without spaces, or opening punctuation before one: 「…」Whisper."""
    if script_of(first) not in (Script.OTHER, Script.SPACED) or script_of(before[-1]) is Script.SPACED:
        return False
    wide = unicodedata.east_asian_width
    return wide(before[-1]) in "WF" or wide(first) in "WF"


def _is_japanese(before: str, after: str) -> bool:
    return any(script_of(char) in (Script.HIRAGANA, Script.KATAKANA) for char in before[-12:] + after[:12])


def _japanese_cost(before: str, after: str, left: Script, right: Script) -> int:
    """Bunsetsu by a small rule: a phrase ends in hiragana (particle, inflection), the next begins otherwise."""
    if left is Script.HIRAGANA and right is not Script.HIRAGANA:
        return 30 if before.endswith(_JA_PARTICLES) else 50
    if left is Script.HIRAGANA:
        # Two hiragana: only a clear particle makes a phrase end likely, and then not before another particle.
        return 70 if before.endswith(_JA_PARTICLES[:11]) and not after.startswith(_JA_PARTICLES) else 85
    if right is Script.HIRAGANA:
        return 95
    if left is right:
        return {Script.HAN: 88, Script.KATAKANA: INSIDE_WORD_COST}.get(left, 90)
    if before[-1].isdigit() or after[0].isdigit():
        return 92
    return 60


def _chinese_cost(before: str, after: str, left: Script, right: Script) -> int:
    if after[0] in _ZH_STICKS_TO_LEFT:
        return 92
    if after.startswith(_ZH_OPENS):
        return 40
    if before[-1] in _ZH_STICKS_TO_LEFT:
        return 45
    if before[-1].isdigit() or after[0].isdigit():
        return 85
    return 65 if left is right else 55
