"""Records and documents of the store: what was written, byte for byte, or CorruptDataError."""

from __future__ import annotations

from damage import damaged
from fuzzing import Target
from hypothesis import strategies as st

from cache.envelope import Record, decode_document, decode_record, encode_document, encode_record
from cache.faults import CorruptDataError
from core.keys import Key, digest_value

_KEY = Key(digest_value("unit"))
_PARTS = ("jobs", "c" * 24, "plan.json")
_PAYLOADS = st.one_of(st.binary(max_size=60), st.sampled_from((b"", b"\n", b'{"lines":[]}')))


def _check(case: tuple[bytes, bytes, bytes, bytes]) -> None:
    record, changed_record, payload, changed_document = case
    try:
        found = decode_record(changed_record, _KEY)
    except CorruptDataError:
        assert changed_record != record
    else:
        assert encode_record(found) == changed_record == record
    try:
        read = decode_document(_PARTS, changed_document)
    except CorruptDataError:
        assert changed_document != encode_document(_PARTS, payload)
    else:
        assert read == payload


@st.composite
def _cases(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, bytes]:
    payload = draw(_PAYLOADS)
    record = encode_record(Record(_KEY, "transcript", payload, {"attempt": "p/1"}))
    document = encode_document(_PARTS, payload)
    return record, draw(damaged(st.just(record))), payload, draw(damaged(st.just(document)))


TARGET = Target("records", _cases(), _check)
