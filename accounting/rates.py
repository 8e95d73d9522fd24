"""How fast this store's engines were, by the hardware they ran on, and what they used: from finished attempts.

A range here is what lies between the slowest and the fastest batches (a tenth at either end left out), and then wider
by one part in the square root of their number: from half to twice with one batch, from two thirds to one and a half
with four, a tenth more either way with a hundred. Other media differ from what was measured, and few batches say
little of how much.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from accounting.typed_facts import read_processes
from cache.store import Store
from journals.facts import AttemptEnded, AttemptStarted, EngineLoaded, Fact
from journals.node_session import FOLDER as NODES
from journals.node_session import OPENED, local_facts

#: The range leaves out so many percent of the batches at either end.
_TAIL = 10
#: Hardware of engines that are called over the network: whose it is, nobody here knows.
ELSEWHERE = "the network"
#: Hardware of attempts whose machine left no description.
UNKNOWN = "a machine not described"


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
    """So much of something for each millisecond of speech (of one loading, for loads), and how sure that is."""

    low: Fraction
    #: All of it over all speech.
    point: Fraction
    high: Fraction
    #: Attempts (loadings) it was measured on.
    batches: int
    #: Where it was measured.
    hardware: str = ""

    def times(self, audio_ms: int) -> Spread:
        """For so much speech."""
        return Spread(math.floor(self.low * audio_ms), round(self.point * audio_ms), math.ceil(self.high * audio_ms))

    def elsewhere(self) -> Measure:
        """The same as a guess for other hardware: as wide as if it were of one batch."""
        now, one = _widening(self.batches), _widening(1)
        return Measure(self.low * now / one, self.point, self.high / now * one, self.batches, self.hardware)


def _widening(batches: int) -> Fraction:
    """By what a range of so many batches is divided and multiplied: 2 for one, 1 1/2 for four, 1 1/10 for 100."""
    return 1 + Fraction(1000, math.isqrt(batches * 1_000_000))


#: Hardware, stage and the engine's line.
Place = tuple[str, str, str]


@dataclass
class Rates:
    """What was measured, by hardware, stage and engine."""

    #: Engine milliseconds for each millisecond of speech.
    time: dict[Place, Measure] = field(default_factory=dict)
    #: Milliseconds that one loading takes.
    load: dict[Place, Measure] = field(default_factory=dict)
    #: Tokens and characters of translation, by engine and meter; what runs it makes no difference.
    usage: dict[tuple[str, str], Measure] = field(default_factory=dict)

    @property
    def hardware(self) -> tuple[str, ...]:
        """Everything that something was measured on; the network is none."""
        return tuple(sorted({place[0] for place in (*self.time, *self.load)} - {ELSEWHERE}))

    def time_on(self, hardware: str, stage: str, engine: str) -> Measure | None:
        """This engine's measure on this hardware, else `Measure.elsewhere` of where it was measured most."""
        return _on(self.time, hardware, stage, engine)

    def load_on(self, hardware: str, stage: str, engine: str) -> Measure | None:
        """As `time_on`, for loading it once."""
        return _on(self.load, hardware, stage, engine)

    def usage_of(self, engine: str, meter: str) -> tuple[Measure, str] | None:
        """This engine's own measure, else that of the engine with the most batches; and whose it is."""
        own = self.usage.get((engine, meter))
        if own is not None:
            return own, engine
        others = [(one.elsewhere(), name) for (name, found), one in self.usage.items() if found == meter]
        return max(others, key=lambda pair: (pair[0].batches, pair[1]), default=None)


def _on(measures: Mapping[Place, Measure], hardware: str, stage: str, engine: str) -> Measure | None:
    for own in (hardware, ELSEWHERE):
        if (found := measures.get((own, stage, engine))) is not None:
            return found
    others = [found for (_, *work), found in measures.items() if work == [stage, engine]]
    best = max(others, key=lambda one: (one.batches, one.hardware), default=None)
    return None if best is None else best.elsewhere()


def _measure(pairs: Iterable[tuple[int, int]], hardware: str = "") -> Measure | None:
    """Of (amount, speech in ms) of each attempt."""
    known = [(amount, audio_ms) for amount, audio_ms in pairs if audio_ms > 0]
    if not known:
        return None
    ratios = sorted(Fraction(amount, audio_ms) for amount, audio_ms in known)
    point = Fraction(sum(amount for amount, _ in known), sum(audio_ms for _, audio_ms in known))
    low, high = min(_rank(ratios, _TAIL), point), max(_rank(ratios, 100 - _TAIL), point)
    wider = _widening(len(known))
    return Measure(low / wider, point, high * wider, len(known), hardware)


def _rank(ordered: Sequence[Any], percent: int) -> Any:
    """The nearest-rank percentile."""
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


# -- hardware ------------------------------------------------------------------------------------------------


def hardware_of(opening: Mapping[str, Any] | None) -> str:
    """What a machine computes with, from its opening: ``Tesla T4``, or ``cpu`` and its size or else its host."""
    if opening is None:
        return UNKNOWN
    gpus = opening.get("gpu_names") or ()
    if gpus:
        return str(gpus[0])
    which = str(opening.get("size") or opening.get("host") or "")
    return f"cpu of {which}" if which else "cpu"


def hardware_here() -> str:
    """This machine, as its own runs are noted."""
    return hardware_of(local_facts().as_json())


# -- measuring -----------------------------------------------------------------------------------------------


def measure_rates(store: Store) -> Rates:
    """Reads every journal of attempts once. Raises StoreError."""
    times, loads = defaultdict[Place, list[tuple[int, int]]](list), defaultdict[Place, list[tuple[int, int]]](list)
    usage = defaultdict[tuple[str, str], list[tuple[int, int]]](list)
    machines: dict[str, str] = {}
    # `segue ledger` names and counts lines that cannot be read; an estimate goes on without them.
    for process in read_processes(store, []):
        if process.session not in machines:
            machines[process.session] = hardware_of(_opening(store, process.session))
        hardware = machines[process.session]
        for begun, ended in _whole(process.facts):
            audio_ms = sum(unit.audio_ms for unit in begun.units)
            where = ELSEWHERE if begun.remote else hardware
            times[where, begun.stage, begun.engine].append((ended.engine_ms, audio_ms))
            for meter, amount in _text_usage(begun, ended).items():
                usage[begun.engine, meter].append((amount, audio_ms))
        for fact in process.facts:
            if isinstance(fact, EngineLoaded):
                loads[hardware, fact.stage, fact.engine].append((fact.seconds_ms, 1))
    rates = Rates()
    rates.time = {place: one for place, pairs in times.items() if (one := _measure(pairs, place[0])) is not None}
    rates.load = {place: one for place, pairs in loads.items() if (one := _measure(pairs, place[0])) is not None}
    rates.usage = {place: one for place, pairs in usage.items() if (one := _measure(pairs)) is not None}
    return rates


def _opening(store: Store, session: str) -> Mapping[str, Any] | None:
    data = store.read_document((NODES, session, OPENED))
    try:
        return None if data is None else json.loads(data)
    except ValueError:
        # A damaged description is the ledger's to name; what ran there was still measured.
        return None


def _whole(facts: Iterable[Fact]) -> Iterable[tuple[AttemptStarted, AttemptEnded]]:
    """Attempts that came to their end; of one that was broken off the time is not that of its units."""
    started: dict[str, AttemptStarted] = {}
    for fact in facts:
        if isinstance(fact, AttemptStarted):
            started[fact.attempt] = fact
        elif isinstance(fact, AttemptEnded):
            begun = started.pop(fact.attempt, None)
            if begun is not None and fact.yielded >= len(begun.units):
                yield begun, fact


def _text_usage(begun: AttemptStarted, ended: AttemptEnded) -> dict[str, int]:
    """What an API would have counted of a translation; nothing of made-up text."""
    if begun.stage != "translate" or begun.fake:
        return {}
    counts = {name: ended.usage.get(name, 0) for name in ("input_tokens", "output_tokens")}
    counts["characters"] = begun.estimated.get("characters", 0)
    return {meter: amount for meter, amount in counts.items() if amount}
