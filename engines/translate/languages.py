"""Languages as prompts and checks need them: an English name, the scripts they are written in, and a text's weight."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

#: Names that people use where CLDR writes ``Portuguese (Brazil)``; a model has seen these far more often.
_SPOKEN_NAMES = {
    "en-GB": "British English",
    "en-US": "American English",
    "en-AU": "Australian English",
    "es-419": "Latin American Spanish",
    "es-MX": "Mexican Spanish",
    "es-ES": "European Spanish",
    "fr-CA": "Canadian French",
    "pt-BR": "Brazilian Portuguese",
    "pt-PT": "European Portuguese",
    "de-AT": "Austrian German",
    "de-CH": "Swiss Standard German",
    "zh-Hans": "Simplified Chinese",
    "zh-Hant": "Traditional Chinese",
    "zh-CN": "Simplified Chinese",
    "zh-TW": "Traditional Chinese as used in Taiwan",
    "zh-HK": "Traditional Chinese as used in Hong Kong",
    "zh-Hant-TW": "Traditional Chinese as used in Taiwan",
    "zh-Hant-HK": "Traditional Chinese as used in Hong Kong",
    "sr-Latn": "Serbian in Latin script",
    "sr-Cyrl": "Serbian in Cyrillic script",
}

#: ISO 15924 code -> first words of Unicode character names in that script.
_SCRIPT_NAMES: dict[str, frozenset[str]] = {
    "Latn": frozenset({"LATIN"}),
    "Cyrl": frozenset({"CYRILLIC"}),
    "Grek": frozenset({"GREEK"}),
    "Hans": frozenset({"CJK"}),
    "Hant": frozenset({"CJK"}),
    "Hani": frozenset({"CJK"}),
    "Jpan": frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    "Kore": frozenset({"HANGUL", "CJK"}),
    "Arab": frozenset({"ARABIC"}),
    "Hebr": frozenset({"HEBREW"}),
    "Deva": frozenset({"DEVANAGARI"}),
    "Beng": frozenset({"BENGALI"}),
    "Thai": frozenset({"THAI"}),
    "Taml": frozenset({"TAMIL"}),
    "Telu": frozenset({"TELUGU"}),
    "Knda": frozenset({"KANNADA"}),
    "Mlym": frozenset({"MALAYALAM"}),
    "Gujr": frozenset({"GUJARATI"}),
    "Guru": frozenset({"GURMUKHI"}),
    "Orya": frozenset({"ORIYA"}),
    "Sinh": frozenset({"SINHALA"}),
    "Khmr": frozenset({"KHMER"}),
    "Laoo": frozenset({"LAO"}),
    "Mymr": frozenset({"MYANMAR"}),
    "Geor": frozenset({"GEORGIAN"}),
    "Armn": frozenset({"ARMENIAN"}),
    "Ethi": frozenset({"ETHIOPIC"}),
    "Tibt": frozenset({"TIBETAN"}),
    "Mong": frozenset({"MONGOLIAN"}),
}

#: Scripts whose characters carry a syllable or a word each.
_DENSE = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL"})
#: Latin letters that one dense character stands for, in tenths, as translations of subtitles go.
_DENSE_WEIGHT = 24


@lru_cache(maxsize=256)
def language_name(tag: str) -> str:
    """English name for a prompt: ``Brazilian Portuguese``; the tag itself where nobody has a name for it."""
    import langcodes

    try:
        known = langcodes.standardize_tag(tag)
        if known in _SPOKEN_NAMES:
            return _SPOKEN_NAMES[known]
        name = str(langcodes.Language.get(known).display_name("en"))
    except (LookupError, ValueError):  # LanguageTagError is a ValueError.
        return tag
    return tag if name.startswith("Unknown language") else name


@lru_cache(maxsize=256)
def own_name(tag: str) -> str:
    """The language's name in itself (``español``), without its region; empty when unknown."""
    import langcodes

    try:
        name = str(langcodes.Language.get(primary(tag)).autonym())
    except (LookupError, ValueError):  # LanguageTagError is a ValueError.
        return ""
    return "" if name.startswith("Unknown language") else name


def primary(tag: str) -> str:
    """The primary language subtag, lower case: ``pt-BR`` -> ``pt``."""
    return tag.replace("_", "-").split("-", 1)[0].lower()


@lru_cache(maxsize=256)
def script_code(tag: str) -> str:
    """ISO 15924 code of the script that the language is usually written in; empty when unknown."""
    import langcodes

    try:
        language = langcodes.Language.get(tag)
        if not language.is_valid():
            return ""
        return str(language.maximize().script or "")
    except (LookupError, ValueError):  # LanguageTagError is a ValueError.
        return ""


def same_language(one: str, other: str) -> bool:
    """True when both are one language in one script, so that an unchanged line may well be right."""
    return primary(one) == primary(other) and script_code(one) == script_code(other)


def writes_densely(tag: str) -> bool:
    """True for Chinese, Japanese and Korean, whose subtitles have 16 characters a line."""
    return bool(script_names(tag) & _DENSE)


def script_names(tag: str) -> frozenset[str]:
    """The character families a language is written in; empty when we do not know (then nothing is checked)."""
    return _SCRIPT_NAMES.get(script_code(tag), frozenset())


@lru_cache(maxsize=8192)
def letter_script(character: str) -> str:
    """Family of one letter (``LATIN``, ``CJK``, ``HANGUL``); empty for anything that is not a letter."""
    if not unicodedata.category(character).startswith("L"):
        return ""
    words = unicodedata.name(character, "").split()
    if words[:1] and words[0] in {"FULLWIDTH", "HALFWIDTH", "MODIFIER"}:
        words = words[1:]
    return words[0] if words and words[0] != "LETTER" else ""


def letters_by_script(text: str) -> Counter[str]:
    """How many letters of each family a text has."""
    return Counter(script for script in map(letter_script, text) if script)


def text_weight(text: str) -> int:
    """Length of a text in tenths of a Latin letter, so that lengths compare across scripts."""
    return sum(_DENSE_WEIGHT if letter_script(character) in _DENSE else 10 for character in text)
