"""Bytes of a subtitle file to text: marks first, UTF-8 next, then the code page whose common letters it uses."""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # UTF-32's little-endian mark begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

#: Code page -> the letters that make up much of any text in it, among its characters beyond ASCII.
_COMMON_LETTERS = {
    "cp932": "のにはをたがでてとしれさいるなもかりらこ、。",
    "gb18030": "的一是不了我你他在有这们来到说就人大么什好吗，。？",
    "big5": "的一是不了我你他在有這們來到說就人大麼什好嗎，。？",
    "cp949": "이다는을를의에가고지하한나어요아그니도",
    "cp1251": "оеаинтсрв",
    "cp1253": "αοιετσνηρά",
    "cp1255": "יוהלאתרמב",
    "cp1256": "اليمنوتر",
}
#: Share of common letters that decides; below it the file is read as cp1252, which most old files are.
_LEAST_SHARE = {"cp932": 0.3, "gb18030": 0.1, "big5": 0.1, "cp949": 0.15}
_LEAST_SHARE_OF_ALPHABETS = 0.45
#: Alphabets beyond ASCII stand in words of their own; accented letters stand among ASCII ones.
_MOST_MIXED = 0.2
_MIXED = re.compile(r"[a-zA-Z][^\x00-\x7f]|[^\x00-\x7f](?=[a-zA-Z])")
#: As much of a file as is looked at to choose a code page.
_SAMPLE = 65_536


def decode_text(data: bytes) -> tuple[str, str]:
    """The text and the name of the encoding it was read in; never fails (undecodable bytes become U+FFFD)."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), encoding
    wide = _unmarked_utf16(data)
    if wide:
        return data.decode(wide, errors="replace"), wide
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        encoding = _likely_code_page(data)
        return data.decode(encoding, errors="replace"), encoding


def _unmarked_utf16(data: bytes) -> str:
    """UTF-16 without a mark shows as zeros in every other byte: time lines are ASCII in any language."""
    sample = data[:4096]
    if len(sample) < 4 or b"\x00" not in sample:
        return ""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > 4 * even and odd * 5 > len(sample) // 2:
        return "utf-16-le"
    if even > 4 * odd and even * 5 > len(sample) // 2:
        return "utf-16-be"
    return ""


def _likely_code_page(data: bytes) -> str:
    shares = {encoding: _common_share(data[:_SAMPLE], encoding) for encoding in _COMMON_LETTERS}
    fitting = {
        encoding: share
        for encoding, share in shares.items()
        if share >= _LEAST_SHARE.get(encoding, _LEAST_SHARE_OF_ALPHABETS)
    }
    return max(fitting, key=lambda encoding: fitting[encoding], default="cp1252")


def _common_share(sample: bytes, encoding: str) -> float:
    """Share of common letters among the characters beyond ASCII; 0 when the bytes are not text in this encoding."""
    try:
        # The sample may end inside a character: an incremental decoder keeps that back.
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    beyond = [char for char in text if ord(char) > 127]
    if not beyond or any("\x80" <= char <= "\x9f" or "\ue000" <= char <= "\uf8ff" for char in beyond):
        return 0.0
    if len(_MIXED.findall(text)) > _MOST_MIXED * len(beyond):
        return 0.0
    return sum(char in _COMMON_LETTERS[encoding] for char in beyond) / len(beyond)
