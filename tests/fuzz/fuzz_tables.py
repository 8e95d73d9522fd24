"""Manifests and glossaries: every row is used, or the whole is refused with the row's number."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from damage import as_bytes, damaged, damaged_json
from fuzzing import Target, expect_told
from hypothesis import strategies as st

from core.errors import ListedError, UsageError
from pipeline.inputs.glossaries import read_glossary
from pipeline.inputs.manifests import read_manifest

_WORD = re.compile(r"w\d+q")
_ROWS = (
    ("media", "to", "from", "out"),
    ("w1q.wav", "es;fr", "pl", ""),
    ("in/w2q.mp4", "", "", "subs"),
    ("w3q é", "ja"),
)
_TERMS = (("source", "target", "language"), ("w1q", "w2q w3q", "fr"), ("w4q é", "w5q", ""), ("w6q", "w7q", "pt-BR"))
_CODECS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")
_TOKENS = (
    b"media",
    b"to",
    b"source",
    b"target",
    b"sep=;\n",
    b'"w1q.wav"',
    b"es",
    b"xx-",
    b"..",
    b"~",
    b"\t\t\t",
    b";;;",
)


def _table(rows: tuple[tuple[str, ...], ...]) -> st.SearchStrategy[bytes]:
    def write(separator: str, end: str, codec: str, quoted: bool) -> bytes:
        mark = '"' if quoted else ""
        lines = (separator.join(f"{mark}{cell}{mark}" for cell in row) for row in rows)
        return end.join(lines).encode(codec)

    return st.builds(
        write, st.sampled_from(";\t,"), st.sampled_from(("\n", "\r\n", "\r")), st.sampled_from(_CODECS), st.booleans()
    )


def _json_lines(values: object) -> bytes:
    return b"\n".join(map(as_bytes, values if isinstance(values, list) else [values]))


_OBJECTS = [dict(zip(_ROWS[0], row, strict=False)) for row in _ROWS[1:]] + [{"media": "w4q", "to": ["es", "ja"]}]
_TABLES = st.tuples(damaged(_table(_ROWS), _TOKENS), st.just("list.csv"))
_JSON = st.tuples(damaged(damaged_json(st.just([*_OBJECTS])).map(_json_lines), most=2), st.just("list.jsonl"))


def _manifest_words(path: Path) -> str:
    rows = read_manifest(path).rows
    return " ".join(f"{media} {changes}" for media, changes in rows.items())


def _glossary_words(path: Path) -> str:
    return " ".join(f"{term.source} {term.target} {term.language}" for term in read_glossary(path).terms)


def _check(read: Callable[[Path], str]) -> Callable[[tuple[bytes, str]], None]:
    def check(case: tuple[bytes, str]) -> None:
        data, name = case
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            try:
                found = read(path)
            except ListedError as error:
                for line in (*error.message.split("\n"), error.hint):
                    expect_told(UsageError(line))
                return
            except UsageError as error:
                expect_told(error)
                return
        if data.isascii() and b"\0" not in data and b"\x1b" not in data:
            lost = set(_WORD.findall(data.decode())) - set(_WORD.findall(found))
            assert not lost, f"in no row: {lost}"

    return check


MANIFEST = Target("manifest", st.one_of(_TABLES, _JSON), _check(_manifest_words))
GLOSSARY = Target(
    "glossary", st.tuples(damaged(_table(_TERMS), _TOKENS), st.just("terms.csv")), _check(_glossary_words)
)
