"""Lines of an engine process, which may be cut off, or a library's output between ours."""

from __future__ import annotations

import json

from damage import as_bytes, damaged, damaged_json
from fuzzing import Target
from hypothesis import strategies as st

from core.specs import EngineSpec
from worker.protocol import (
    Broken,
    ChunkDone,
    ChunkErrorKind,
    Ready,
    Said,
    ServedEngine,
    Settled,
    UnitOutcome,
    dump_event,
    load_event,
)

_EVENTS = (
    Ready((ServedEngine("transcribe", EngineSpec("fake", "m", "1"), 4, remote=False),)),
    Settled(1, 0, UnitOutcome.DONE, ""),
    ChunkDone(1, "p/transcribe/1", 120, 30_000, (1, 2), 4),
    Broken(1, ChunkErrorKind.AUDIO, "text", ("c" * 24,)),
    Said("a download begins"),
)


def _check(line: bytes) -> None:
    try:
        event = load_event(line)
    except ValueError:
        return  # What the reading thread leaves out; anything else would end it.
    assert dump_event(load_event(dump_event(event))) == dump_event(event)


TARGET = Target(
    "protocol",
    st.one_of(
        damaged(st.sampled_from(_EVENTS).map(dump_event), (b"null", b"5", b"[]", b"{}"), most=3),
        damaged_json(st.sampled_from(_EVENTS).map(dump_event).map(json.loads)).map(as_bytes),
    ),
    _check,
)
