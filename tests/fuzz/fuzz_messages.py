"""What lies in a queue: opened as one of our messages that says the same again, or refused."""

from __future__ import annotations

import base64
import json
from typing import Any

from damage import as_bytes, damaged, damaged_json
from fuzzing import Target, expect_told
from hypothesis import strategies as st

from core.keys import Key
from jobs.submissions import Priority
from pipeline.lookup import UnitRef
from pipeline.stages import engine_stages
from pipeline.stages.stage import Slot
from tasks.envelope import TASK, batch_of, open_envelope
from tasks.messages import BatchMessage, MessageRefusedError, parse_message

_STORE = "a" * 32
_DIGEST = "b" * 64


def _message(stage: str, count: int) -> dict[str, Any]:
    target = "pt-BR" if stage == "translate" else ""
    units = tuple(UnitRef("c" * 24, Slot(stage, place, target), Key(_DIGEST), 0, 30_000) for place in range(count))
    return BatchMessage(_STORE, "d" * 32, stage, _DIGEST, Priority.NORMAL, units, 1_200).as_kwargs()


def _entry(kwargs: Any) -> dict[str, Any]:
    return {
        "body": base64.b64encode(as_bytes([[], kwargs, {"callbacks": None}])).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": TASK, "id": "d" * 32, "eta": None, "retries": 0},
        "properties": {"body_encoding": "base64", "priority": 3, "delivery_tag": "x"},
    }


_MESSAGES = st.builds(_message, st.sampled_from([stage.name for stage in engine_stages()]), st.integers(1, 3))
_ENTRIES = damaged_json(damaged_json(_MESSAGES).map(_entry)).map(as_bytes)


def _check(entry: bytes) -> None:
    batch = batch_of(entry)
    try:
        envelope = open_envelope(entry, _STORE, "transcribe")
    except MessageRefusedError as refused:
        expect_told(refused)
        return
    assert batch == envelope.message.batch
    assert parse_message(json.loads(json.dumps(envelope.message.as_kwargs())), _STORE) == envelope.message
    assert open_envelope(json.dumps(envelope.payload).encode(), _STORE, "transcribe").message == envelope.message


TARGET = Target("messages", damaged(_ENTRIES, most=2), _check)
