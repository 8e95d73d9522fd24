"""Bytes of text in any encoding: always text, in a codec that exists, and never a doubt where there is none."""

from __future__ import annotations

import codecs

from damage import damaged
from fuzzing import Target
from hypothesis import strategies as st

from subtitles.encodings import decode_text

_TEXTS = (
    "Dzień dobry, cześć! Żółć.",
    "Où est l’hôtel ?",
    "Привет, как дела?",
    "今日は天気がいいですね。",
    "你好，我们",
    "안녕하세요",
)
_TEXTS += ("سلام", "שלום", "สวัสดี", "Καλημέρα", "plain")
_CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1250", "cp1252", "cp1251", "koi8_r")
_CODECS += ("cp932", "euc_jp", "gb18030", "big5", "cp949", "cp874", "cp1256", "cp1255", "cp1253", "iso2022_jp")
_LANGUAGES = ("", "pl", "ja", "ru", "zh-TW", "vi", "sr", "xx", "ar", "th", "tlh")
_DATA = st.builds(
    lambda text, codec: f"{text}\n{text}".encode(codec, "ignore"), *map(st.sampled_from, (_TEXTS, _CODECS))
)


def _check(case: tuple[bytes, str]) -> None:
    data, language = case
    decoded = decode_text(data, language)
    assert codecs.lookup(decoded.encoding)
    assert decoded.doubt.isprintable()
    if "\ufffd" in decoded.text and "\ufffd".encode() not in data:
        assert decoded.doubt, "what cannot be read is not said"
    if data.isascii() and b"\0" not in data and b"\x1b" not in data:
        assert decoded.text == data.decode()


TARGET = Target("encodings", st.tuples(damaged(_DATA), st.sampled_from(_LANGUAGES)), _check)
