"""The fast decoder says what the standard library's says, and refuses what that refuses."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.journal import decode_body

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def same(one: object, other: object) -> bool:
    """Equal, also in kind: 1, 1.0 and true are three values."""
    return repr(one) == repr(other)


@settings(max_examples=150)
@given(_VALUES, st.booleans())
def test_every_value_is_read_as_the_standard_library_reads_it(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode(errors="surrogatepass")
    try:
        expected = json.loads(text.decode())
    except ValueError:
        with pytest.raises(ValueError):
            decode_body(text)
        return
    assert same(decode_body(text), expected)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b"123456789012345678901234567890",
        b"-9223372036854775809",
        b"1e400",
        b"-0",
        b"-0.0",
        b'"\\ud800"',
        b'"\\ud83d\\ude00"',
        b"[" * 300 + b"]" * 300,
        b"2.2250738585072011e-308",
        b' {"a" :\t1}\n',
    ],
)
def test_odd_texts_are_read_alike(text: bytes) -> None:
    assert same(decode_body(text), json.loads(text))


def test_what_is_no_number_is_read_as_before() -> None:
    assert math.isnan(decode_body(b"NaN"))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}x",
        b"01",
        b"1.",
        b"nul",
        b'{"a":1,}',
        b'"\x01"',
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b"+1",
        b'"\\u00e"',
        b"[" * 99_999 + b"]" * 99_999,
    ],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_body(text)
