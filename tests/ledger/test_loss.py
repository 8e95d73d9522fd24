"""Injected deaths of known length: what the ledger says was lost, against what was."""

from __future__ import annotations

import random

import pytest
from fleet_simulation import BEAT_MS, HOUR, price_book

from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    Beat,
    Fact,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    SessionOpened,
    UnitUse,
)
from ledger.fold import fold
from ledger.loss import units_lost, value_of_resumability

BOOK = price_book()
#: A price at which a millisecond is one nano-unit.
PRICE = "0.0036 USD"
FAULTS = 6000
LIVES_MS = (20_000, 70_000)
#: Speech in a unit: a batch of a minute or a few, or single segments, or lines; a quarter of it is how long it takes.
BATCHES, SEGMENTS, LINES = (20_000, 360_000), (20_000, 60_000), (2_000, 8_000)


class Deaths:
    """Machines that run attempt after attempt until they die at any instant; `lost_ms` is what that really took."""

    def __init__(
        self,
        seed: int,
        *,
        workers: int = 1,
        units: int = 1,
        speech_ms: tuple[int, int] = SEGMENTS,
        killed: bool = False,
    ) -> None:
        self._rng = random.Random(seed)
        self._speech_ms = speech_ms
        self._units = units
        self.facts: list[Fact] = []
        self.made_by: dict[str, str] = {}
        self.made_at: dict[str, int] = {}
        self.lost_ms = 0
        for number in range(FAULTS // workers // (3 if speech_ms is BATCHES else 1)):
            self._machine(f"vm{number}", workers, killed)

    def _machine(self, session: str, workers: int, killed: bool) -> None:
        death = self._rng.randint(*LIVES_MS)
        self.facts.append(SessionOpened(session, 0, price=PRICE))
        dying: list[int] = []
        for worker in range(workers):
            phase = self._rng.randrange(BEAT_MS)
            last = 300_000 if killed else death
            # Only the first and the last beat matter.
            beats = (phase, phase + (last - 1 - phase) // BEAT_MS * BEAT_MS)
            self.facts += [Beat(session, at, f"w{worker}") for at in beats]
            dying.append(self._process(session, f"w{worker}", death))
            if killed:
                self.facts.append(ProcessEnded(f"{session}-w{worker}", death))
        if killed:
            self.facts.append(SessionClosed(session, 300_000, "told", "w0"))
        self.lost_ms += _shared(dying, death)

    def _process(self, session: str, worker: str, death: int) -> int:
        """Returns since when the work that the death took had been going on; `death` for none."""
        process, at = f"{session}-{worker}", 0
        self.facts.append(ProcessStarted(process, session, worker, at))
        for number in range(1000):
            # Back to back: every instant of the machine is somebody's. A unit takes its time by its speech, and up to
            # a tenth more or less.
            speech = [self._rng.randint(*self._speech_ms) for _ in range(self._units)]
            name = f"{process}/transcribe/{number}"
            units = tuple(UnitUse(f"{name}/{place}", ms, "j") for place, ms in enumerate(speech))
            self.facts.append(AttemptStarted(name, process, "transcribe", at, units=units))
            since = end = at
            for unit in units:
                end += unit.audio_ms * self._rng.randint(90, 110) // 400
                if end < death:
                    self.made_by[unit.key], self.made_at[unit.key], since = name, end, end
            if end >= death:
                return since
            self.facts.append(AttemptEnded(name, end, end - at))
            at = end
        raise AssertionError("no machine lives so long")

    def measured(self) -> int:
        books = fold(self.facts, self.made_by, [], BOOK, made_at=self.made_at)
        assert books.errors == ()
        return value_of_resumability(books.entries).lost.ms


def _shared(since: list[int], death: int) -> int:
    """Lost time, when all workers of a machine are busy until its death: what was lost of each instant, divided."""
    return sum(death - at for at in since) // len(since)


@pytest.mark.parametrize(
    ("workers", "units", "speech_ms", "killed"),
    [
        (1, 1, BATCHES, False),
        (1, 6, SEGMENTS, False),
        (1, 9, LINES, False),
        (3, 1, BATCHES, False),
        (2, 4, SEGMENTS, False),
        (1, 3, SEGMENTS, True),
    ],
)
def test_lost_work_agrees_with_injected_deaths_within_one_percent(
    workers: int, units: int, speech_ms: tuple[int, int], killed: bool
) -> None:
    deaths = Deaths(11, workers=workers, units=units, speech_ms=speech_ms, killed=killed)
    measured = deaths.measured()
    assert abs(measured - deaths.lost_ms) <= deaths.lost_ms // 100, (measured, deaths.lost_ms)


def test_without_the_correction_the_loss_would_be_wrong() -> None:
    """The half beat is needed: up to the last beat only, more than a tenth of the loss would be missing."""
    deaths = Deaths(12, speech_ms=BATCHES)
    measured = deaths.measured()
    last = {fact.session: fact.at for fact in deaths.facts if isinstance(fact, Beat)}
    opened = {fact.attempt: fact for fact in deaths.facts if isinstance(fact, AttemptStarted)}
    for fact in deaths.facts:
        if isinstance(fact, AttemptEnded):
            del opened[fact.attempt]
    until_beat = sum(max(last[fact.process.partition("-")[0]] - fact.at, 0) for fact in opened.values())
    assert until_beat < deaths.lost_ms * 9 // 10
    assert abs(measured - deaths.lost_ms) < abs(until_beat - deaths.lost_ms) // 5


def story() -> tuple[list[Fact], dict[str, str]]:
    """Two attempts of 20 s and 30 s, then a death 10 s into the third; later a second death, 5 s into the fourth."""
    facts: list[Fact] = [SessionOpened("vm", 0, price=PRICE), SessionClosed("vm", 100_000, "told", "w")]
    facts.append(ProcessStarted("p", "vm", "w", 0))
    facts.append(ProcessStarted("q", "vm", "w", 60_000))
    spans = (("a", "p", 0, 20_000), ("b", "p", 20_000, 50_000), ("c", "p", 50_000, None), ("d", "q", 70_000, None))
    for name, process, start, end in spans:
        facts.append(AttemptStarted(name, process, "transcribe", start, units=(UnitUse(name, 1000, "j"),)))
        if end is not None:
            facts.append(AttemptEnded(name, end, end - start))
    facts.append(ProcessEnded("q", 75_000))
    return facts, {"a": "a", "b": "b"}


def test_the_value_of_resumability_is_what_the_same_deaths_would_have_thrown_away() -> None:
    facts, made_by = story()
    books = fold(facts, made_by, [], BOOK)
    value = value_of_resumability(books.entries)
    assert value.deaths == 2
    assert (value.lost.ms, value.lost.nano) == (15_000, {"USD": 15_000})
    # The first death takes 20 + 30 + 10 s, the second all of that again and its own 5 s.
    assert value.without.ms == 60_000 + 65_000
    assert (value.saved_ms, value.saved) == (110_000, {"USD": 110_000})


def test_work_of_other_machines_and_jobs_is_not_counted_as_saved() -> None:
    facts, made_by = story()
    other = AttemptStarted("o", "p", "transcribe", 0, units=(UnitUse("o", 1000, "k"),))
    far: list[Fact] = [SessionOpened("vm2", 0, price=PRICE), SessionClosed("vm2", HOUR, "told", "w")]
    far += [
        ProcessStarted("r", "vm2", "w", 0),
        AttemptStarted("r1", "r", "transcribe", 0, units=(UnitUse("r", 1, "j"),)),
    ]
    far.append(AttemptEnded("r1", HOUR // 2, HOUR // 2))
    alone = value_of_resumability(fold(facts, made_by, [], BOOK).entries)
    more = fold([*facts, *far, other, AttemptEnded("o", 0, 0)], {**made_by, "o": "o", "r": "r1"}, [], BOOK)
    assert value_of_resumability(more.entries) == alone
    assert value_of_resumability([]).saved == {}


# -- units -----------------------------------------------------------------------------------------------------

BATCH = AttemptStarted("a", "p", "translate", 1_000, "llama", units=tuple(UnitUse(key, 5_000) for key in "wxyz"))


@pytest.mark.parametrize(
    ("made_by", "made_at", "in_turn", "lost"),
    [
        # Killed soon after 4 s: w is committed; the engine was at x, and y and z waited, or it had them all at once.
        # Whoever went on had made them a second later.
        ({"w": "a", "x": "b", "y": "b", "z": "b"}, {"w": 4_000, "x": 5_000, "y": 6_000, "z": 7_000}, True, ["x"]),
        (
            {"w": "a", "x": "b", "y": "b", "z": "b"},
            {"w": 4_000, "x": 5_000, "y": 6_000, "z": 7_000},
            False,
            ["x", "y", "z"],
        ),
        # Everything was committed, only the line that says so is missing.
        (dict.fromkeys("wxyz", "a"), {}, True, []),
        (dict.fromkeys("wxyz", "a"), {}, False, []),
        # Somebody else's record of x was there while w was computed, and nobody has computed y and z again.
        ({"w": "a", "x": "b"}, {"w": 4_000, "x": 3_000}, True, ["y"]),
        ({"w": "a", "x": "b"}, {"w": 4_000, "x": 3_000}, False, ["y", "z"]),
        # Nothing was committed; a record that does not say when it was made came after the death.
        ({"w": "b"}, {}, True, ["w"]),
        ({}, {}, False, ["w", "x", "y", "z"]),
    ],
)
def test_a_unit_is_lost_where_an_engine_was_at_it_when_it_died(
    made_by: dict[str, str], made_at: dict[str, int], in_turn: bool, lost: list[str]
) -> None:
    assert list(units_lost(BATCH, made_by, made_at, in_turn=in_turn)) == lost
