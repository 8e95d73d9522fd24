"""Lines as the writers leave them, and the facts that are read from them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    Beat,
    EngineLoaded,
    EngineTried,
    Fact,
    FactError,
    PriceChanged,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    SessionOpened,
    UnitUse,
    parse_instant,
    parse_seconds,
)
from journals.lines import (
    AttemptEndedLine,
    AttemptStartedLine,
    JobEndedLine,
    UnitLine,
    read_attempt_line,
    read_demand_line,
    read_node_line,
    sound_facts,
)
from journals.node_session import parse_opening

AT = "2026-11-30T23:59:59.999+00:00"
MS = 1_796_083_199_999

STARTED: dict[str, Any] = {
    "fact": "attempt_started",
    "attempt": "a",
    "stage": "transcribe",
    "at": AT,
    "units": [{"key": "k1", "audio_ms": 900}, {"key": "k2", "audio_ms": 1}],
}
ENDED: dict[str, Any] = {
    "fact": "attempt_ended",
    "attempt": "a",
    "at": AT,
    "engine_seconds": "12.345",
    "yielded": 2,
    "usage": {"requests": 2},
}
JOB_ENDED: dict[str, Any] = {"fact": "job_ended", "job": "j", "at": AT, "keys": ["k1"], "later": 1}
LOADED: dict[str, Any] = {"fact": "engine_loaded", "stage": "s", "engine": "e", "at": AT, "seconds": "1.000"}


def attempt_fact(raw: object) -> Fact | None:
    """The fact of a process's line."""
    line = read_attempt_line(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    return None if line is None else line.fact("p")


def node_fact(raw: dict[str, Any]) -> Fact | None:
    line = read_node_line(json.dumps(raw).encode())
    return None if line is None else line.fact("s1")


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
        "a name of a later version": {},
    }
    opened = SessionOpened(
        "s1", MS, "azure", "Standard_NC4as_T4_v3", "westeurope", "westeurope-1", True, ("Tesla T4",), "0.149 USD"
    )
    assert parse_opening(json.dumps(raw).encode()).fact() == opened
    # A cloud bills from when the machine was switched on, not from when our first worker wrote.
    booted = {**raw, "booted": "2026-11-30T23:59:00+00:00"}
    assert parse_opening(json.dumps(booted).encode()).fact().at == MS - 59_999


def test_lines_of_a_machines_folder_are_read() -> None:
    beat = {"fact": "beat", "at": AT, "worker": "w", "gpu_util": None, "gpu_mem_mib": None, "n": 3, "prev": "x"}
    assert node_fact(beat) == Beat("s1", MS, "w")
    closed = {"fact": "session_closed", "at": AT, "reason": "aws: terminate", "worker": "w"}
    assert node_fact(closed) == SessionClosed("s1", MS, "aws: terminate", "w")
    changed = {"fact": "price_changed", "at": AT, "price": "0.2 USD"}
    assert node_fact(changed) == PriceChanged("s1", MS, "0.2 USD")
    ended = {"fact": "process_ended", "at": AT, "process": "p1", "n": 4, "prev": "x"}
    assert node_fact(ended) == ProcessEnded("p1", MS)


def test_lines_of_a_process_are_read() -> None:
    started = {"fact": "process_started", "session": "p", "node": "s1", "worker": "w", "pid": 7, "at": AT}
    assert attempt_fact(started) == ProcessStarted("p", "s1", "w", MS)
    assert attempt_fact({"fact": "process_ended", "at": AT}) == ProcessEnded("p", MS)
    assert attempt_fact(ENDED) == AttemptEnded("a", MS, 12_345, 2, {"requests": 2})
    assert attempt_fact({**ENDED, "left": ["k2", "k1"]}) == AttemptEnded(
        "a", MS, 12_345, 2, {"requests": 2}, frozenset({"k1", "k2"})
    )
    assert attempt_fact({**LOADED, "seconds": "0.020"}) == EngineLoaded("p", "s", "e", MS, 20)
    assert attempt_fact({**LOADED, "fake": False}) == EngineLoaded("p", "s", "e", MS, 1000, fake=False)
    tried = {"fact": "engine_tried", "stage": "translate", "at": AT, "audio_ms": 5, "seconds": "1.500"}
    assert attempt_fact(tried) == EngineTried("p", "translate", MS, 1500)


def test_an_attempt_is_read_with_and_without_what_older_writers_left_out() -> None:
    assert attempt_fact(STARTED) == AttemptStarted(
        "a", "p", "transcribe", MS, units=(UnitUse("k1", 900), UnitUse("k2", 1))
    )
    more = {"engine": "openai m", "provider": "openai", "fake": False, "remote": True, "estimated": {"requests": 2}}
    assert attempt_fact({**STARTED, **more, "jobs": ["j1", "j2"]}) == AttemptStarted(
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


def test_a_written_line_is_read_again_with_its_names_on_the_disk() -> None:
    units = (UnitLine("k1", 900, "es"), UnitLine("k2", 1))
    line = AttemptStartedLine(attempt="a", stage="s", at=AT, engine="e \ud800", units=units, jobs=("j1", ""))
    entry = json.loads(json.dumps(line.entry()))
    assert entry["units"] == [
        {"key": "k1", "audio_ms": 900, "language": "es"},
        {"key": "k2", "audio_ms": 1, "language": ""},
    ]
    assert (entry["fact"], entry["jobs"]) == ("attempt_started", ["j1", ""])
    assert read_attempt_line(json.dumps(entry).encode()) == line


@pytest.mark.parametrize(
    "raw",
    [
        {"fact": "something_new"},
        {"fact": "something_new", "at": 5, "units": None},
        {"fact": "beat", "at": AT},
        {"fact": 5},
        {"fact": []},
        {"fact": None},
    ],
)
def test_a_kind_that_costs_nothing_is_no_fact(raw: dict[str, Any]) -> None:
    assert attempt_fact(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        {"no": "fact"},
        [],
        None,
        7,
        b"[" * 99_999,
        b'{"fact":"engine_loaded"',
        {**STARTED, "units": [{"key": "k"}]},
        {name: value for name, value in STARTED.items() if name != "units"},
        {**STARTED, "units": [], "jobs": ["j"]},
        {**STARTED, "units": {}},
        {**STARTED, "jobs": "ab"},
        {**STARTED, "fake": "yes"},
        {**STARTED, "engine": None},
        {**STARTED, "attempt": 5},
        {**STARTED, "at": 5},
        {**STARTED, "at": "2026-11-30T23:59:59"},
        *({**STARTED, "units": [{"key": "k", "audio_ms": bad}]} for bad in (-1, 1.0, True, "1", None, 10**30)),
        *({**ENDED, "yielded": bad} for bad in (-1, 2.0, True, "2", None, 10**30, float("nan"), float("inf"))),
        *({**ENDED, "engine_seconds": bad} for bad in (1.5, "-1", "nan", "1e3", "9" * 16, "9" * 13, None, True)),
        {**ENDED, "left": "k1"},
        {**ENDED, "left": [1]},
        {**LOADED, "seconds": "9999999999.000"},
        {**LOADED, "stage": ["s"]},
        {name: value for name, value in ENDED.items() if name != "usage"},
    ],
    ids=repr,
)
def test_a_line_that_is_not_what_it_says_is_refused_in_one_line(raw: object) -> None:
    with pytest.raises(FactError) as error:
        attempt_fact(raw)
    assert "\n" not in str(error.value)


def test_usage_that_cannot_be_true_is_as_if_it_had_not_been_reported() -> None:
    odd = {"a": -7, "b": 10**30, "c": 1.5, "d": True, "e": "9", "f": None, "g": float("nan"), "h": 3}
    for usage, counted in ((odd, {"h": 3}), (None, {}), ([1], {}), ("x", {})):
        ended = attempt_fact({**ENDED, "usage": usage})
        assert isinstance(ended, AttemptEnded)
        assert ended.usage == counted


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        # The last of two equal names counts, for a name's value and for the kind.
        (b'"yielded":7,"yielded":1', 1),
        (b'"yielded":"x","yielded":1', 1),
        (b'"fact":"beat","yielded":1,"fact":"attempt_ended"', 1),
        # Only the standard library decodes these; the names are not ours.
        (b'"yielded":1,"x":NaN', 1),
        (b'"yielded":1,"x":"\\ud800"', 1),
        (b'"yielded":1,"x":1e400', 1),
    ],
)
def test_odd_json_is_read_as_the_standard_library_reads_it(body: bytes, ended: int) -> None:
    start = b'{"fact":"attempt_ended","attempt":"a","at":"%b","engine_seconds":"1.000","usage":{},' % AT.encode()
    fact = attempt_fact(start + body + b"}")
    assert fact == AttemptEnded("a", MS, 1000, ended)


def test_the_end_of_a_job_says_which_units_it_wanted() -> None:
    ended = read_demand_line(json.dumps(JOB_ENDED).encode())
    assert ended == JobEndedLine(job="j", at=AT, keys=("k1",))
    with pytest.raises(FactError):
        read_demand_line(json.dumps({**JOB_ENDED, "keys": "k1"}).encode())


def test_lines_that_are_not_what_they_say_are_told_and_left_out() -> None:
    errors: list[str] = []
    bodies = [json.dumps(each).encode() for each in ({"fact": "new"}, {**ENDED, "yielded": -1}, LOADED, {"fact": 1})]
    found = [fact for _, fact in sound_facts(read_attempt_line, "p", bodies, errors)]
    assert found == [EngineLoaded("p", "s", "e", MS, 1000)]
    assert len(errors) == 1
    assert "yielded" in errors[0]


def test_a_line_names_no_units_that_were_left_where_there_are_none() -> None:
    line = AttemptEndedLine(attempt="a", at=AT, engine_seconds="1.000", yielded=0, usage={})
    assert "left" not in line.entry()
    assert line.entry()["usage"] == {}


def test_times_are_exact_and_have_a_zone() -> None:
    assert parse_instant("2026-12-01T01:00:00+01:00") == MS + 1
    assert parse_instant("1969-12-31T23:59:59.999+00:00") == -1
    assert [parse_seconds(text) for text in ("0", "1.5", "0.0009", "86400.001")] == [0, 1500, 0, 86_400_001]
    with pytest.raises(FactError):
        parse_instant("2026-12-01T01:00:00")
