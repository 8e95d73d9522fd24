"""Rules without processes: who is blamed for a death, what the two ends say to each other, which stages are meant."""

from __future__ import annotations

import pytest

from core.errors import SettingsError, UsageError
from core.keys import Key
from core.specs import EngineSpec
from pipeline.incidents import Death
from pipeline.lookup import UnitRef
from pipeline.stages.stage import Slot
from worker.engine_link import describe_exit
from worker.main import make_worker_id, parse_stages
from worker.metrics import parse_listen
from worker.poison import DeathVerdict, Health, failure_reason, judge
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
    dump_ref,
    load_event,
    load_ref,
)

A, B = Key("a" * 64), Key("b" * 64)


@pytest.mark.parametrize(
    ("workers", "proven", "row", "verdict"),
    [
        (["w1"], False, 1, DeathVerdict.AGAIN),
        (["w1", "w1"], True, 2, DeathVerdict.AGAIN),
        (["w1", "w2"], False, 2, DeathVerdict.AGAIN),
        (["w1", "w1", "w1"], True, 3, DeathVerdict.FAIL),
        (["w1", "w1", "w1"], False, 3, DeathVerdict.DOUBT),
        (["w1", "w1", "w2"], False, 1, DeathVerdict.FAIL),
        (["w1"], False, 6, DeathVerdict.DOUBT),
        (["w1"], True, 5, DeathVerdict.AGAIN),
    ],
)
def test_a_unit_is_blamed_only_when_the_machine_is_not(
    workers: list[str], proven: bool, row: int, verdict: DeathVerdict
):
    lone = [Death(A, True, "it died", "", 0, worker) for worker in workers]
    assert judge(lone, worker="w1", proven=proven, deaths_in_a_row=row) is verdict


def test_workers_that_follow_each_other_on_one_machine_are_one_witness():
    lone = [Death(A, True, "it died", "", 0, worker, node="n1") for worker in ("w1", "w2", "w3")]
    assert judge(lone, worker="w3", proven=False, deaths_in_a_row=1) is DeathVerdict.DOUBT
    other = Death(A, True, "it died", "", 0, "w4", node="n2")
    assert judge([*lone, other], worker="w4", proven=False, deaths_in_a_row=1) is DeathVerdict.FAIL


def test_sick_devices_blame_no_unit_however_many_there_are():
    def sick(*workers: str) -> list[Death]:
        return [Death(A, True, "ECC", "", 0, worker, node=worker, device=True) for worker in workers]

    fleet = sick("w1", "w1", "w1", "w2", "w2", "w3")
    assert judge(fleet, worker="w3", proven=False, deaths_in_a_row=1) is DeathVerdict.AGAIN
    assert judge(fleet, worker="w3", proven=False, deaths_in_a_row=6) is DeathVerdict.DOUBT
    # A healthy machine that meets the unit once has seen nothing against it; one on which it alone fails has.
    assert judge([*fleet, *sick("w4")], worker="w4", proven=True, deaths_in_a_row=0) is DeathVerdict.AGAIN
    assert judge([*fleet, *sick("w4", "w4", "w4")], worker="w4", proven=True, deaths_in_a_row=0) is DeathVerdict.FAIL


def test_a_machine_is_proven_by_what_it_computes_after_the_first_death():
    health, other = Health(), UnitRef("j" * 24, Slot("transcribe", 0), B, 0, 1000)
    health.note_computed("transcribe", other)
    health.note_death([A])
    assert not health.is_proven(A)
    health.note_death([A])
    assert health.deaths_in_a_row == 2
    health.note_computed("transcribe", other)
    assert health.is_proven(A)
    assert health.deaths_in_a_row == 0
    assert health.samples == {"transcribe": other}


def test_the_reason_of_a_failure_is_one_line_with_the_last_words():
    reason = failure_reason("ended by SIGSEGV", "one\ntwo\nthree\nlast words\n")
    assert "ended by SIGSEGV" in reason
    assert reason.endswith("two / three / last words")
    assert "its last words" not in failure_reason("ended by SIGSEGV", "")


@pytest.mark.parametrize(
    "event",
    [
        Ready((ServedEngine("translate", EngineSpec("fake", "m", "r", "", (("a", "b"),)), 8, True),)),
        Settled(3, 1, UnitOutcome.FAILED, "why"),
        ChunkDone(3, "attempt", 12, 34, (1, 2), 8),
        Broken(3, ChunkErrorKind.AUDIO, "gone", ("j" * 24,)),
        Said("a line \u2028 of any text"),
    ],
)
def test_both_ends_understand_each_other(event: Ready | Settled | ChunkDone | Broken | Said):
    line = dump_event(event)
    assert line.count(b"\n") == 1
    assert load_event(line) == event


def test_a_unit_survives_the_wire():
    ref = UnitRef("j" * 24, Slot("translate", 7, "es"), A, 2, 1000)
    assert load_ref(dump_ref(ref)) == ref


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("transcribe", ("detect", "transcribe")),
        ("translate", ("translate",)),
        ("transcribe, translate", ("detect", "transcribe", "translate")),
        ("", ("detect", "transcribe", "translate")),
    ],
)
def test_transcribing_includes_detecting(text: str, stages: tuple[str, ...]):
    assert parse_stages(text) == stages


def test_what_is_no_stage_or_address_is_refused():
    with pytest.raises(UsageError):
        parse_stages("transcribe,dub")
    for text in ("nowhere", "127.0.0.1:", "127.0.0.1:99999"):
        with pytest.raises(SettingsError):
            parse_listen(text)
    assert parse_listen("[::1]:9187") == ("::1", 9187)


def test_exits_are_described_by_what_ended_the_process():
    assert describe_exit(86) == "the engine's process ended with exit code 86"
    assert "SIGSEGV" in describe_exit(-11)
    assert "out of memory?" in describe_exit(-9)


def test_no_two_workers_have_the_same_id():
    assert make_worker_id() != make_worker_id()
