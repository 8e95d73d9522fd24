"""Journals, the chain that seals them, and the facts in their lines."""

from __future__ import annotations

import hashlib
import json
from typing import Any, get_args

from damage import VALUES, as_bytes, damaged, damaged_json
from fuzzing import Target, expect_told
from hypothesis import strategies as st

from cache.journal import decode_lines, encode_line
from journals.chain import Chain, verify_file
from journals.facts import FactError
from journals.lines import AttemptLine, NodeLine, read_attempt_line, read_demand_line, read_node_line
from journals.node_session import Opening, parse_opening

_AT = "2026-11-21T23:16:42.123+00:00"
_FACTS: list[dict[str, Any]] = [
    {"fact": "process_started", "at": _AT, "node": "n1", "worker": "w1"},
    {
        "fact": "attempt_started",
        "attempt": "p/transcribe/1",
        "stage": "transcribe",
        "at": _AT,
        "units": [{"key": "k1", "audio_ms": 30_000}],
        "jobs": ["j1"],
        "estimated": {"prompt_tokens": 7},
    },
    {
        "fact": "attempt_ended",
        "attempt": "p/transcribe/1",
        "at": _AT,
        "engine_seconds": "1.250",
        "yielded": 1,
        "usage": {"completion_tokens": 9},
        "left": ["k1"],
    },
    {"fact": "engine_loaded", "stage": "transcribe", "engine": "e", "at": _AT, "seconds": "2.000"},
    {"fact": "engine_tried", "stage": "transcribe", "at": _AT, "seconds": "0.5"},
    {"fact": "process_ended", "process": "p", "at": _AT},
    {"fact": "beat", "at": _AT, "worker": "w1"},
    {"fact": "session_closed", "at": _AT, "reason": "aws: taken"},
    {"fact": "price_changed", "at": _AT, "price": "0.1 USD"},
    {"fact": "job_ended", "at": _AT, "job": "j1", "keys": ["k1"]},
]
_OPENING = {"session": "s", "at": _AT, "booted": _AT, "cloud": "aws", "gpu_names": ["T4"], "price": "0.1 USD"}


def _journal(facts: list[dict[str, Any]]) -> bytes:
    return b"".join(encode_line(fact) for fact in Chain("p.jsonl").seal_all(facts))


def _check_lines(data: bytes) -> None:
    journal = decode_lines(data)
    lines = [line for line in data.split(b"\n") if line]
    assert len(journal.entries) + journal.damaged == len(lines), "a line is neither an entry nor counted as damaged"
    seen: list[Any] = []
    found = verify_file("p.jsonl", data, on_line=seen.append)
    assert all(isinstance(entry, dict) for entry in journal.entries)
    facts = [{name: entry[name] for name in entry if name not in ("n", "prev")} for entry in journal.entries]
    try:
        whole = data == _journal(facts)
    except ValueError:
        whole = False  # It holds NaN, which no journal of ours does.
    assert whole or found.problems or found.torn or found.unclosed, "a changed journal shows no problem"


def _check_fact(fact: Any) -> None:
    body = json.dumps(fact).encode()
    for parse in (
        lambda: read_attempt_line(body),
        lambda: read_node_line(body),
        lambda: read_demand_line(body),
        lambda: parse_opening(body),
    ):
        try:
            found = parse()
            if isinstance(found, Opening):
                found.fact()
            elif isinstance(found, get_args(AttemptLine | NodeLine)):
                found.fact("p")
        except FactError as error:
            expect_told(error)


def _check(case: bytes | tuple[Any]) -> None:
    if isinstance(case, bytes):
        _check_lines(case)
    else:
        _check_fact(case[0])


def _sealed_anyhow(value: Any) -> bytes:
    """A line whose checksum holds, whatever it says."""
    body = as_bytes(value)
    return b"\n%b %b\n" % (hashlib.sha256(body).hexdigest()[:16].encode(), body)


_WRITTEN = st.lists(st.sampled_from(_FACTS), min_size=1, max_size=5).map(_journal)
_LINES = damaged(_WRITTEN, (b"null", b"[]"))
_DAMAGED = damaged_json(st.sampled_from([*_FACTS, _OPENING]))
_SEALED = st.lists(st.one_of(_DAMAGED, st.sampled_from(VALUES)).map(_sealed_anyhow), min_size=1).map(b"".join)
_CASES = st.one_of(_LINES, _SEALED, st.tuples(_DAMAGED.filter(lambda value: isinstance(value, dict))))
TARGET = Target("journals", _CASES, _check)
