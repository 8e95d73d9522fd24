"""Lines as the writers leave them, and what is read from them."""

from __future__ import annotations

from typing import Any

import pytest

from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    Beat,
    EngineLoaded,
    EngineTried,
    FactError,
    PriceChanged,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    SessionOpened,
    UnitUse,
    parse_attempt_fact,
    parse_instant,
    parse_node_fact,
    parse_opening,
    parse_seconds,
)

AT = "2026-11-30T23:59:59.999+00:00"
MS = 1_796_083_199_999


def test_an_opening_is_read_with_what_is_known_of_the_machine() -> None:
    raw = {
        "v": 1,
        "session": "s1",
        "at": AT,
        "price": "0.149 USD",
        "cloud": "azure",
        "size": "Standard_NC4as_T4_v3",
        "region": "westeurope",
        "zone": "westeurope-1",
        "spot": True,
        "gpu_names": ["Tesla T4"],
        "gpu_memory_mib": [15360],
    }
    opened = SessionOpened(
        "s1", MS, "azure", "Standard_NC4as_T4_v3", "westeurope", "westeurope-1", True, ("Tesla T4",), "0.149 USD"
    )
    assert parse_opening(raw) == opened
    # A cloud bills from when the machine was switched on, not from when our first worker wrote.
    assert parse_opening({**raw, "booted": "2026-11-30T23:59:00+00:00"}).at == MS - 59_999


def test_lines_of_a_machines_folder_are_read() -> None:
    beat = {"fact": "beat", "at": AT, "worker": "w", "gpu_util": None, "gpu_mem_mib": None, "n": 3, "prev": "x"}
    assert parse_node_fact("s1", beat) == Beat("s1", MS, "w")
    closed = {"fact": "session_closed", "at": AT, "reason": "aws: terminate", "worker": "w"}
    assert parse_node_fact("s1", closed) == SessionClosed("s1", MS, "aws: terminate", "w")
    changed = {"fact": "price_changed", "at": AT, "price": "0.2 USD"}
    assert parse_node_fact("s1", changed) == PriceChanged("s1", MS, "0.2 USD")
    ended = {"fact": "process_ended", "at": AT, "process": "p1", "n": 4, "prev": "x"}
    assert parse_node_fact("s1", ended) == ProcessEnded("p1", MS)
    assert parse_node_fact("s1", {"fact": "something_new"}) is None


def test_lines_of_a_process_are_read() -> None:
    started = {"fact": "process_started", "session": "p", "node": "s1", "worker": "w", "pid": 7, "at": AT}
    assert parse_attempt_fact("p", started) == ProcessStarted("p", "s1", "w", MS)
    assert parse_attempt_fact("p", {"fact": "process_ended", "at": AT}) == ProcessEnded("p", MS)
    ended = {"fact": "attempt_ended", "attempt": "a", "at": AT, "engine_seconds": "12.345", "yielded": 2}
    assert parse_attempt_fact("p", {**ended, "usage": {"requests": 2}}) == AttemptEnded(
        "a", MS, 12_345, 2, {"requests": 2}
    )
    loaded = {"fact": "engine_loaded", "stage": "translate", "engine": "llama x", "at": AT, "seconds": "0.020"}
    assert parse_attempt_fact("p", loaded) == EngineLoaded("p", "translate", "llama x", MS, 20)
    tried = {"fact": "engine_tried", "stage": "translate", "at": AT, "audio_ms": 5, "seconds": "1.500"}
    assert parse_attempt_fact("p", tried) == EngineTried("p", "translate", MS, 1500)


def test_an_attempt_is_read_with_and_without_what_older_writers_left_out() -> None:
    raw: dict[str, Any] = {"fact": "attempt_started", "attempt": "a", "stage": "transcribe", "at": AT}
    raw["units"] = [{"key": "k1", "audio_ms": 900}, {"key": "k2", "audio_ms": 1}]
    assert parse_attempt_fact("p", raw) == AttemptStarted(
        "a", "p", "transcribe", MS, units=(UnitUse("k1", 900), UnitUse("k2", 1))
    )
    more = {"engine": "openai m", "provider": "openai", "fake": False, "remote": True, "estimated": {"requests": 2}}
    full = parse_attempt_fact("p", {**raw, **more, "jobs": ["j1", "j2"]})
    assert full == AttemptStarted(
        "a",
        "p",
        "transcribe",
        MS,
        "openai m",
        "openai",
        False,
        True,
        (UnitUse("k1", 900, "j1"), UnitUse("k2", 1, "j2")),
        {"requests": 2},
    )


@pytest.mark.parametrize(
    "raw",
    [
        {"fact": "attempt_started", "attempt": "a", "stage": "s", "at": AT},
        {"fact": "attempt_started", "attempt": "a", "stage": "s", "at": AT, "units": [{"key": "k"}]},
        {"fact": "attempt_started", "attempt": "a", "stage": "s", "at": AT, "units": [], "jobs": ["j"]},
        {"fact": "attempt_ended", "attempt": "a", "at": AT, "engine_seconds": 1.5, "yielded": 0, "usage": {}},
        {"fact": "attempt_ended", "attempt": "a", "at": AT, "engine_seconds": "-1", "yielded": 0, "usage": {}},
        {"fact": "engine_loaded", "stage": "s", "engine": "e", "at": "2026-11-30T23:59:59", "seconds": "1"},
        {"no": "fact"},
    ],
)
def test_a_line_that_is_not_what_it_says_is_refused_in_one_line(raw: dict[str, Any]) -> None:
    with pytest.raises(FactError) as error:
        parse_attempt_fact("p", raw)
    assert "\n" not in str(error.value)


def test_times_are_exact_and_have_a_zone() -> None:
    assert parse_instant("2026-12-01T01:00:00+01:00") == MS + 1
    assert parse_instant("1969-12-31T23:59:59.999+00:00") == -1
    assert [parse_seconds(text) for text in ("0", "1.5", "0.0009", "86400.001")] == [0, 1500, 0, 86_400_001]
    with pytest.raises(FactError):
        parse_instant("2026-12-01T01:00:00")
