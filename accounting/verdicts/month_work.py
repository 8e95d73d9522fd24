"""What was computed in a month, as an API would count it: audio and text by stage, summed where it was made.

A unit is of the month in which the attempt began that its record names. Work of fake engines is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from accounting.facts import LedgerFacts
from accounting.periods import month_of
from journals.facts import AttemptStarted
from ledger.api import Workload

#: Lengths are kept in such steps, rounded up: prices with a minimum or an increment are of whole seconds.
_STEP_MS = 100
_TOKENS = ("input_tokens", "output_tokens")


class StageWork(Struct, frozen=True, array_like=True):
    """The units of one stage that were made in one month."""

    #: First instant of the month.
    month: int
    #: Name of the stage.
    stage: str
    #: How many units.
    units: int
    #: Their audio together, in ms.
    audio_ms: int
    #: How many units have a length, by length in ms, rounded up to a tenth of a second.
    lengths: tuple[tuple[int, int], ...]
    #: Requests in which they were made, as far as records say it.
    requests: int
    #: Tokens that were read and written, by the records that say it.
    input_tokens: int
    output_tokens: int
    #: Units whose record does not say the tokens: the sums above are then not all.
    untold: int = 0

    def as_workload(self) -> Workload:
        """For the invoices of APIs: silence skipped, in one recording or unit by unit. Characters are not measured."""
        told = not self.untold
        return Workload(
            file_ms=self.audio_ms,
            speech_ms=self.audio_ms,
            window_counts=self.lengths,
            input_tokens=self.input_tokens if told else None,
            output_tokens=self.output_tokens if told else None,
            requests=self.requests,
        )


@dataclass
class _Sum:
    """The units of a stage and month while they are counted."""

    units: int = 0
    audio_ms: int = 0
    lengths: dict[int, int] = field(default_factory=dict)
    requests: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    untold: int = 0

    def count(self, audio_ms: int, used: Mapping[str, int]) -> None:
        """One unit, with the usage that its record says."""
        self.units += 1
        self.audio_ms += audio_ms
        length = -(-audio_ms // _STEP_MS) * _STEP_MS
        self.lengths[length] = self.lengths.get(length, 0) + 1
        self.requests += used.get("requests", 1)
        # A text has some tokens: where a request was made and none are told, they were not counted.
        self.untold += not all(name in used and (used[name] > 0 or not used.get("requests")) for name in _TOKENS)
        self.tokens = [before + used.get(name, 0) for before, name in zip(self.tokens, _TOKENS, strict=True)]

    def add(self, other: StageWork) -> None:
        """What was counted elsewhere."""
        self.units += other.units
        self.audio_ms += other.audio_ms
        for length, number in other.lengths:
            self.lengths[length] = self.lengths.get(length, 0) + number
        self.requests += other.requests
        self.tokens = [self.tokens[0] + other.input_tokens, self.tokens[1] + other.output_tokens]
        self.untold += other.untold

    def work(self, month: int, stage: str) -> StageWork:
        """As it is kept."""
        lengths, (read, written) = tuple(sorted(self.lengths.items())), self.tokens
        return StageWork(month, stage, self.units, self.audio_ms, lengths, self.requests, read, written, self.untold)


def work_of(facts: LedgerFacts) -> tuple[StageWork, ...]:
    """By month and stage. `LedgerFacts.used` has to have the records' usage."""
    sums: dict[tuple[int, str], _Sum] = {}
    for attempt in (fact for fact in facts.facts if isinstance(fact, AttemptStarted) and not fact.fake):
        place = month_of(attempt.at).start, attempt.stage
        for unit in attempt.units:
            if facts.made_by.get(unit.key) == attempt.attempt:
                sums.setdefault(place, _Sum()).count(unit.audio_ms, facts.used.get(unit.key, {}))
    return tuple(found.work(*place) for place, found in sums.items())


def added_work(parts: Iterable[StageWork]) -> dict[tuple[int, str], StageWork]:
    """By month and stage."""
    sums: dict[tuple[int, str], _Sum] = {}
    for one in parts:
        sums.setdefault((one.month, one.stage), _Sum()).add(one)
    return {place: found.work(*place) for place, found in sums.items()}
