"""Messages survive a round trip, and nothing else is read as one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from queue_bench import QUEUE, SPEC, STORE, make_message

from core.keys import Key
from core.specs import EngineSpec
from jobs.submissions import Priority
from pipeline import stages
from pipeline.lookup import UnitRef
from pipeline.stages.stage import Slot
from tasks.envelope import open_envelope
from tasks.messages import (
    MAX_MESSAGE_BYTES,
    MAX_UNITS,
    BatchMessage,
    MessageRefusedError,
    make_batch_id,
    parse_message,
)
from tasks.queues import PRIORITY_STEPS, engine_digest, queue_name, queue_of_key, step_keys

_UNIT: list[Any] = ["b" * 24, "7/pt-BR", "c" * 64, 2, 30_000]


def _kwargs(**changes: Any) -> dict[str, Any]:
    good = BatchMessage(
        STORE,
        make_batch_id(),
        "translate",
        "e" * 64,
        Priority.RUSH,
        (UnitRef("b" * 24, Slot("translate", 7, "pt-BR"), Key("c" * 64), 2, 30_000),),
        60_000,
    ).as_kwargs()
    return {**good, **changes}


def _unit(position: int, value: Any) -> dict[str, Any]:
    return _kwargs(units=[[*_UNIT[:position], value, *_UNIT[position + 1 :]]])


def test_a_message_survives_json() -> None:
    message = parse_message(_kwargs(), STORE)
    assert parse_message(json.loads(json.dumps(message.as_kwargs())), STORE) == message
    assert message.units[0] == UnitRef("b" * 24, Slot("translate", 7, "pt-BR"), Key("c" * 64), 2, 30_000)


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        (None, "not an object"),
        ([], "not an object"),
        ({}, "version"),
        (_kwargs(v=1), "version is 1"),
        (_kwargs(v=True), "version"),
        (_kwargs(v="1"), "version"),
        (_kwargs(more=1), "fields"),
        ({name: value for name, value in _kwargs().items() if name != "engine"}, "fields"),
        (_kwargs(store="f" * 32), "another store"),
        (_kwargs(store=None), "another store"),
        (_kwargs(batch="../../../../etc/passwd"), "batch id"),
        (_kwargs(batch="A" * 32), "batch id"),
        (_kwargs(batch="a" * 32 + "\n"), "batch id"),
        (_kwargs(stage="Translate"), "stage"),
        (_kwargs(stage=["translate"]), "stage"),
        (_kwargs(priority=0), "priority"),
        (_kwargs(priority="urgent"), "priority"),
        (_kwargs(engine="e" * 63), "engine"),
        (_kwargs(predicted_ms=-1), "predicted"),
        (_kwargs(predicted_ms=1.5), "predicted"),
        (_kwargs(predicted_ms=10**30), "predicted"),
        (_kwargs(units=[]), "units"),
        (_kwargs(units={}), "units"),
        (_kwargs(units=[_UNIT] * (MAX_UNITS + 1)), "units"),
        (_kwargs(units=["unit"]), "unit"),
        (_kwargs(units=[_UNIT[:4]]), "unit"),
        (_unit(0, "../../../../../../etc/pass"), "job id"),
        (_unit(0, "b" * 23 + "/"), "job id"),
        (_unit(0, "b" * 23 + "\n"), "job id"),
        (_unit(0, "b" * 24 + "\n"), "job id"),
        (_unit(0, "٣" * 24), "job id"),
        (_unit(0, 24), "job id"),
        (_unit(1, -1), "place"),
        (_unit(1, True), "place"),
        (_unit(1, 7), "place"),
        (_unit(1, None), "place"),
        (_unit(1, ""), "place"),
        (_unit(1, "-1"), "place"),
        (_unit(1, "007"), "place"),
        (_unit(1, "٣"), "place"),
        (_unit(1, str(1 << 24)), "place"),
        (_unit(1, "9" * 30), "place"),
        (_unit(1, "7/"), "place"),
        (_unit(1, "7/../es"), "place"),
        (_unit(1, "7/es-" + "a" * 40), "place"),
        (_unit(1, "7/es\n"), "place"),
        (_unit(1, "7/es/0"), "place"),
        (_unit(2, "C" * 64), "key"),
        (_unit(2, "../" + "c" * 61), "key"),
        (_unit(3, -1), "round"),
        (_unit(4, None), "length"),
    ],
)
def test_what_we_cannot_have_written_is_refused_in_one_line(kwargs: Any, reason: str) -> None:
    with pytest.raises(MessageRefusedError, match=reason) as caught:
        parse_message(kwargs, STORE)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isascii()


def test_the_longest_message_fits(broker_server: Any) -> None:
    from tasks.broker import Broker

    slot = Slot("translate", (1 << 24) - 1, "aaaaaaaa-bbbbbbbb-cccccccc-dddddddd", 999)
    unit = UnitRef("b" * 24, slot, Key("c" * 64), (1 << 24) - 1, (1 << 40) - 1)
    message = replace(make_message(), stage="translate", units=(unit,) * MAX_UNITS)
    broker = Broker.connect(broker_server.url, STORE, 1000)
    broker.send(QUEUE, message)
    (entry,) = broker_server.client().lrange(step_keys(QUEUE)[1], 0, -1)
    broker.close()
    assert len(entry) <= MAX_MESSAGE_BYTES
    assert open_envelope(entry, STORE, QUEUE).message == message


def test_a_queue_changes_with_store_stage_engine_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        queue_name(STORE, "transcribe", SPEC),
        queue_name("f" * 32, "transcribe", SPEC),
        queue_name(STORE, "translate", SPEC),
        queue_name(STORE, "transcribe", EngineSpec("fake", "tiny", "r2")),
        queue_name(STORE, "transcribe", EngineSpec("fake", "tiny", "r1", options=(("beam", "5"),))),
    ]
    monkeypatch.setattr(stages.stage_named("transcribe").__class__, "version", 99)
    names.append(queue_name(STORE, "transcribe", SPEC))
    assert len(set(names)) == len(names)
    assert names[0].startswith(f"segue1.{STORE[:12]}.transcribe.")
    assert len(engine_digest(SPEC)) == 64


def test_the_lists_of_a_queue_lead_back_to_it() -> None:
    assert {queue_of_key(key) for key in step_keys(QUEUE)} == {QUEUE}
    assert len(step_keys(QUEUE)) == len(PRIORITY_STEPS) == len(Priority)
