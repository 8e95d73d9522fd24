"""Valid documents, damaged: random bytes alone never get past a reader's first check."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

#: What is put between bytes: ends of lines, marks, quotes, bytes that are no UTF-8.
BYTES = (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b"\r\r\n", b"\t", b'"', b"'", b",", b";", b":")
BYTES += (b"{", b"}", b"[", b"]", b"<", b">", b"&", b"\\", b"-", b"--", b"\x80", b"\xe9", b"\xe2\x80\xa8", b"9" * 5_000)
#: What is put in the place of a JSON value.
VALUES: tuple[Any, ...] = (None, True, 0, -1, -7, 1.5, 10**30, -(10**30), 1e308, float("inf"), float("nan"), "", "x")
VALUES += ("\0", "\x1b[2J", "\ud800", "../..", "9" * 5_000, "é" * 300, [], {}, [[]], {"a": {}}, [None], [1, "x"])

Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def damaged(draw: Draw, documents: st.SearchStrategy[bytes], tokens: Sequence[bytes] = (), most: int = 4) -> bytes:
    """A document with up to ``most`` damages to its bytes or lines; ``tokens`` are what means something in it."""
    data: bytes = draw(documents)
    pieces = st.sampled_from([*BYTES, *tokens])
    for _ in range(draw(st.integers(0, most))):
        data = _damage_lines(draw, data, pieces) if draw(st.booleans()) else _damage_bytes(draw, data, pieces)
    return data


def _damage_bytes(draw: Draw, data: bytes, pieces: st.SearchStrategy[bytes]) -> bytes:
    start = draw(st.integers(0, len(data)))
    end = min(len(data), start + draw(st.integers(0, 12)))
    kind = draw(st.sampled_from(("insert", "replace", "random", "delete", "repeat", "cut")))
    if kind == "insert":
        return data[:start] + draw(pieces) + data[start:]
    if kind == "replace":
        return data[:start] + draw(pieces) + data[end:]
    if kind == "random":
        return data[:start] + draw(st.binary(min_size=1, max_size=6)) + data[end:]
    if kind == "delete":
        return data[:start] + data[end:]
    return data[:end] + data[start:] if kind == "repeat" else data[:start]


def _damage_lines(draw: Draw, data: bytes, pieces: st.SearchStrategy[bytes]) -> bytes:
    lines = data.split(b"\n")
    at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    kind = draw(st.sampled_from(("delete", "repeat", "swap", "join", "insert", "replace", "part")))
    if kind == "delete":
        del lines[at]
    elif kind == "repeat":
        lines.insert(other, lines[at])
    elif kind == "swap":
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == "join":
        lines[at : at + 2] = [b" ".join(lines[at : at + 2])]
    elif kind == "insert":
        lines.insert(at, draw(pieces))
    elif kind == "replace":
        lines[at] = draw(pieces)
    else:
        place = draw(st.integers(0, len(lines[at])))
        lines[at : at + 1] = [lines[at][:place], lines[at][place:]]
    return b"\n".join(lines)


@st.composite
def damaged_json(draw: Draw, values: st.SearchStrategy[Any], most: int = 3) -> Any:
    """A JSON value in which up to ``most`` places hold something else, are gone, or stand there twice."""
    value = copy.deepcopy(draw(values))
    for _ in range(draw(st.integers(0, most))):
        value = _damage_value(draw, value)
    return value


def _damage_value(draw: Draw, value: Any) -> Any:
    places = list(_places(value))
    if not places:
        return copy.deepcopy(draw(st.sampled_from(VALUES)))
    holder, name = draw(st.sampled_from(places))
    kind = draw(st.sampled_from(("replace", "replace", "delete", "add", "wrap")))
    if kind == "replace":
        holder[name] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    elif kind == "delete":
        del holder[name]
    elif kind == "wrap":
        holder[name] = [holder[name]]
    elif isinstance(holder, list):
        holder.insert(name, copy.deepcopy(holder[name]))
    else:
        holder[draw(st.sampled_from(("x", "", "__class__")))] = copy.deepcopy(holder[name])
    return value


def _places(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        for name in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, name
            yield from _places(value[name])


def as_bytes(value: Any) -> bytes:
    """A JSON value as others may write it, `NaN` included."""
    return json.dumps(value).encode("ascii")
