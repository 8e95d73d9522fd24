"""How fast this store's engines were and what they used, from the facts of finished attempts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from cache.store import Store
from ledger.facts import AttemptEnded, AttemptStarted, EngineLoaded, FactError, parse_attempt_fact
from pipeline.attempts import read_attempts

#: The range leaves out so many percent of the batches at either end.
_TAIL = 10


@dataclass(frozen=True)
class Spread:
    """A range of integers, and the figure to show."""

    low: int
    point: int
    high: int

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.low + other.low, self.point + other.point, self.high + other.high)

    def as_json(self) -> dict[str, int]:
        """The three."""
        return {"low": self.low, "point": self.point, "high": self.high}


@dataclass(frozen=True)
class Measure:
    """So much of something for each millisecond of speech: all of it over all speech, and the spread over batches."""

    low: Fraction
    point: Fraction
    high: Fraction
    #: Attempts it was measured on.
    batches: int

    def times(self, audio_ms: int) -> Spread:
        """For so much speech."""
        return Spread(math.floor(self.low * audio_ms), round(self.point * audio_ms), math.ceil(self.high * audio_ms))


@dataclass
class Rates:
    """What was measured, by stage and by the engine's line."""

    #: Engine milliseconds.
    time: dict[tuple[str, str], Measure] = field(default_factory=dict)
    #: Milliseconds that loading takes.
    load: dict[tuple[str, str], Spread] = field(default_factory=dict)
    #: Tokens and characters of translation, by engine and meter.
    usage: dict[tuple[str, str], Measure] = field(default_factory=dict)

    def usage_of(self, engine: str, meter: str) -> tuple[Measure, str] | None:
        """This engine's own measure, else that of the engine with the most batches; and whose it is."""
        own = self.usage.get((engine, meter))
        if own is not None:
            return own, engine
        others = [(one, name) for (name, found), one in self.usage.items() if found == meter]
        return max(others, key=lambda pair: (pair[0].batches, pair[1]), default=None)


@dataclass
class _Samples:
    """(amount, speech in ms) of each attempt."""

    found: list[tuple[int, int]] = field(default_factory=list)

    def measure(self) -> Measure | None:
        pairs = [(amount, audio_ms) for amount, audio_ms in self.found if audio_ms > 0]
        if not pairs:
            return None
        ratios = sorted(Fraction(amount, audio_ms) for amount, audio_ms in pairs)
        point = Fraction(sum(amount for amount, _ in pairs), sum(audio_ms for _, audio_ms in pairs))
        return Measure(min(_rank(ratios, _TAIL), point), point, max(_rank(ratios, 100 - _TAIL), point), len(pairs))


def _rank(ordered: Sequence[Any], percent: int) -> Any:
    """The nearest-rank percentile."""
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def measure_rates(store: Store) -> Rates:
    """Reads every journal of attempts once. Raises StoreError."""
    started: dict[str, AttemptStarted] = {}
    time, usage = defaultdict[tuple[str, str], _Samples](_Samples), defaultdict[tuple[str, str], _Samples](_Samples)
    loads = defaultdict[tuple[str, str], list[int]](list)
    for raw in read_attempts(store):
        try:
            fact = parse_attempt_fact("", raw)
        except FactError:
            # `segue ledger` names and counts such lines; an estimate goes on without them.
            continue
        if isinstance(fact, AttemptStarted):
            started[fact.attempt] = fact
        elif isinstance(fact, EngineLoaded):
            loads[fact.stage, fact.engine].append(fact.seconds_ms)
        elif isinstance(fact, AttemptEnded) and (begun := started.pop(fact.attempt, None)) is not None:
            audio_ms = sum(unit.audio_ms for unit in begun.units)
            if fact.yielded < len(begun.units):
                continue  # It was broken off: its time is not that of its units.
            time[begun.stage, begun.engine].found.append((fact.engine_ms, audio_ms))
            if begun.stage == "translate" and not begun.fake:
                counts = {name: fact.usage.get(name, 0) for name in ("input_tokens", "output_tokens")}
                counts["characters"] = begun.estimated.get("characters", 0)
                for meter, amount in counts.items():
                    if amount:
                        usage[begun.engine, meter].found.append((amount, audio_ms))
    rates = Rates()
    for place, samples in time.items():
        if (measured := samples.measure()) is not None:
            rates.time[place] = measured
    for engine_meter, samples in usage.items():
        if (measured := samples.measure()) is not None:
            rates.usage[engine_meter] = measured
    for place, found in loads.items():
        ordered = sorted(found)
        rates.load[place] = Spread(_rank(ordered, _TAIL), _rank(ordered, 50), _rank(ordered, 100 - _TAIL))
    return rates
