"""What kind of script a character or a language is written in, as far as breaking and measuring text needs it."""

from __future__ import annotations

import functools
import unicodedata
from enum import Enum

#: ISO 639 three-letter codes and macro-language members that Whisper or people write, as their two-letter primary.
_PRIMARY_ALIASES = {
    "ara": "ar", "cmn": "zh", "chi": "zh", "deu": "de", "eng": "en", "fas": "fa", "fra": "fr", "heb": "he",
    "hin": "hi", "iw": "he", "ita": "it", "jpn": "ja", "kor": "ko", "por": "pt", "rus": "ru", "spa": "es",
    "tha": "th", "wuu": "zh", "yue": "zh", "zho": "zh",
}  # fmt: skip

#: Languages whose subtitles are measured in full-width characters.
WIDE_LANGUAGES = frozenset({"ja", "zh", "ko"})
#: Languages that are read from right to left.
RTL_LANGUAGES = frozenset({"ar", "he", "fa", "ur", "yi", "ps", "sd", "ug", "ckb", "dv"})


class Script(Enum):
    """Classes of characters that behave alike at a line's end."""

    HAN = "han"
    HIRAGANA = "hiragana"
    KATAKANA = "katakana"
    HANGUL = "hangul"
    #: Thai, Lao, Khmer and Burmese: words follow each other without spaces.
    SOUTH_EAST_ASIAN = "south-east-asian"
    #: Letters and digits of scripts that put spaces between words.
    SPACED = "spaced"
    SPACE = "space"
    #: Punctuation, symbols and everything else.
    OTHER = "other"


def primary_language(tag: str) -> str:
    """The primary subtag of a BCP 47 tag, lower case and in two letters where one exists: ``zh-Hans`` gives ``zh``."""
    primary = tag.replace("_", "-").split("-", 1)[0].strip().lower()
    return _PRIMARY_ALIASES.get(primary, primary)


def is_rtl(tag: str) -> bool:
    """True when the language of this tag is read from right to left (its script subtag wins: ``az-Arab``)."""
    scripts = {part.lower() for part in tag.replace("_", "-").split("-")[1:] if len(part) == 4}
    if scripts & {"arab", "hebr", "syrc", "thaa", "nkoo"}:
        return True
    if scripts & {"latn", "cyrl"}:
        return False
    return primary_language(tag) in RTL_LANGUAGES


@functools.lru_cache(maxsize=8192)
def script_of(char: str) -> Script:
    """The class of one character (a prolonged sound mark counts as Katakana)."""
    code = ord(char)
    if 0x3041 <= code <= 0x309F:
        return Script.HIRAGANA
    if 0x30A1 <= code <= 0x30FA or 0x30FC <= code <= 0x30FF or 0x31F0 <= code <= 0x31FF or 0xFF66 <= code <= 0xFF9F:
        return Script.KATAKANA
    if 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF:
        return Script.HAN
    if char in "々〆〇":
        return Script.HAN
    if 0xAC00 <= code <= 0xD7A3 or 0x1100 <= code <= 0x11FF or 0x3130 <= code <= 0x318F:
        return Script.HANGUL
    if 0x0E01 <= code <= 0x0E7F or 0x0E80 <= code <= 0x0EFF or 0x1000 <= code <= 0x109F or 0x1780 <= code <= 0x17FF:
        return Script.SOUTH_EAST_ASIAN
    if char.isspace():
        return Script.SPACE
    if char.isalnum() or unicodedata.category(char)[0] == "M":
        return Script.SPACED
    return Script.OTHER


def is_unspaced(char: str) -> bool:
    """True for characters of scripts that write words without spaces between them."""
    return script_of(char) in (Script.HAN, Script.HIRAGANA, Script.KATAKANA, Script.SOUTH_EAST_ASIAN)
