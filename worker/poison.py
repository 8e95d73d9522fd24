"""Whose fault a death was: a unit's, or this machine's. Pure rules over what the journals say."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from core.keys import Key
from pipeline.incidents import Death
from pipeline.lookup import UnitRef

#: Deaths alone that fail a unit.
DEATHS_TO_FAIL = 3
#: Deaths in a row, whichever units they met, after which a worker doubts itself.
DEATHS_IN_A_ROW = 6


class DeathVerdict(Enum):
    """What follows from a death."""

    #: Compute the unit alone once more.
    AGAIN = "again"
    #: The unit kills whoever computes it: it has failed.
    FAIL = "fail"
    #: Nothing shows that this machine can compute: it has to show that before it judges, or else it is sick.
    DOUBT = "doubt"


class Health:
    """What one worker has seen of its own engine since it started."""

    def __init__(self) -> None:
        #: Deaths since the engine last computed something.
        self.deaths_in_a_row = 0
        #: A unit of each stage that was computed here: what the engine can be tried with.
        self.samples: dict[str, UnitRef] = {}
        self._clock = 0
        self._first_death: dict[Key, int] = {}
        self._last_computed = -1

    def note_computed(self, stage: str, ref: UnitRef) -> None:
        """A unit came out of the engine."""
        self.samples[stage] = ref
        self._first_death.pop(ref.key, None)
        self.note_works()

    def note_works(self) -> None:
        """The engine computed something."""
        self._clock += 1
        self._last_computed = self._clock
        self.deaths_in_a_row = 0

    def note_death(self, keys: Sequence[Key]) -> None:
        """The engine died over these units."""
        self._clock += 1
        self.deaths_in_a_row += 1
        for key in keys:
            self._first_death.setdefault(key, self._clock)

    def is_proven(self, key: Key) -> bool:
        """True when the engine computed something since this unit first killed it here."""
        return self._last_computed > self._first_death.get(key, self._clock)


def judge(lone: Sequence[Death], *, worker: str, proven: bool, deaths_in_a_row: int) -> DeathVerdict:
    """What follows after a unit killed the engine of ``worker`` alone; ``lone`` are all such deaths of its round.

    A unit is only blamed when this machine computed something else meanwhile, or when several machines saw it kill:
    a sick device fails whatever it is given, and so does the next one of a fleet with a bad driver.
    """
    counted = [death for death in lone if not death.device or (proven and death.worker == worker)]
    machines = {death.node or death.worker for death in counted}
    if len(counted) >= DEATHS_TO_FAIL:
        return DeathVerdict.FAIL if proven or len(machines) > 1 else DeathVerdict.DOUBT
    return DeathVerdict.DOUBT if deaths_in_a_row >= DEATHS_IN_A_ROW else DeathVerdict.AGAIN


def failure_reason(reason: str, tail: str) -> str:
    """One line for people: why a unit was given up, and the last words of the process."""
    words = " / ".join(line.strip() for line in tail.splitlines()[-3:] if line.strip())
    last = f"; its last words: {words[-400:]}" if words else ""
    return f"given up after {DEATHS_TO_FAIL} deaths of the engine on this alone: {reason}{last}"
