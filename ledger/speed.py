"""How fast engines are: from measured batches to how long so much speech will take. Pure.

Whoever measures chooses the places that are told apart (stage and engine, a queue, hardware and stage and engine) and
how far back is remembered; the arithmetic is the same for all.

A range here is what lies between the slowest and the fastest batches (a tenth at either end left out), and then wider
by one part in the square root of their number: from half to twice with one batch, from two thirds to one and a half
with four, a tenth more either way with a hundred. Other media differ from what was measured, and few batches say
little of how much.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from journals.facts import AttemptEnded, AttemptStarted

#: Batches that a prediction for work in hand rests on: what runs now may have changed since the ones before.
RECENT = 16
#: The range leaves out so many percent of the batches at either end.
_TAIL = 10

Place = TypeVar("Place", bound=Hashable)


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


class Speeds(Generic[Place]):
    """What was measured, by place: pairs of an amount (engine time, tokens) and the speech in ms that took it.

    Not thread-safe.
    """

    def __init__(self, recent: int | None = None, most_places: int | None = None) -> None:
        """``recent``: batches that are remembered of a place, ``most_places``: places, those noted last; None: all."""
        self._recent, self._most_places = recent, most_places
        self._pairs: dict[Place, deque[tuple[int, int]]] = {}
        #: Sums over the pairs.
        self._sums: dict[Place, tuple[int, int]] = {}

    def note(self, place: Place, amount: int, audio_ms: int) -> None:
        """Takes a measured batch into account; one without speech measures nothing."""
        if audio_ms <= 0 or amount < 0:
            return
        pairs, (amounts, speech) = self._pairs.pop(place, deque()), self._sums.get(place, (0, 0))
        if self._recent is not None and len(pairs) >= self._recent:
            gone = pairs.popleft()
            amounts, speech = amounts - gone[0], speech - gone[1]
        pairs.append((amount, audio_ms))
        # Put back at the end: the places that were noted last are kept longest.
        self._pairs[place], self._sums[place] = pairs, (amounts + amount, speech + audio_ms)
        while self._most_places is not None and len(self._pairs) > self._most_places:
            oldest = next(iter(self._pairs))
            del self._pairs[oldest], self._sums[oldest]

    def __contains__(self, place: Place) -> bool:
        return place in self._sums

    def __iter__(self) -> Iterator[Place]:
        return iter(self._pairs)

    def pairs(self, place: Place) -> Sequence[tuple[int, int]]:
        """What was noted of a place, oldest first, as far as it is remembered."""
        return tuple(self._pairs.get(place, ()))

    def predict(self, place: Place, audio_ms: int) -> int | None:
        """How much so much speech will take, by the mean of what is remembered; None where nothing was measured."""
        amounts, speech = self._sums.get(place, (0, 0))
        return amounts * audio_ms // speech if speech else None

    def measure(self, place: Place, hardware: str = "") -> Measure:
        """The mean and how sure it is. Raises KeyError where nothing was measured."""
        pairs = self._pairs[place]
        ratios = sorted(Fraction(amount, audio_ms) for amount, audio_ms in pairs)
        point = Fraction(*self._sums[place])
        low, high = min(_rank(ratios, _TAIL), point), max(_rank(ratios, 100 - _TAIL), point)
        wider = _widening(len(pairs))
        return Measure(low / wider, point, high * wider, len(pairs), hardware)


def measured_ms(started: AttemptStarted, ended: AttemptEnded) -> int:
    """The speech that an attempt's engine time was spent on, without units that the engine was stopped before.

    0 for one that was broken off: which of its units the time went to is not known.
    """
    if ended.yielded + len(ended.left) < len(started.units):
        return 0
    return sum(unit.audio_ms for unit in started.units if unit.key not in ended.left)


def _widening(batches: int) -> Fraction:
    """By what a range of so many batches is divided and multiplied: 2 for one, 1 1/2 for four, 1 1/10 for 100."""
    return 1 + Fraction(1000, math.isqrt(batches * 1_000_000))


def _rank(ordered: Sequence[Fraction], percent: int) -> Fraction:
    """The nearest-rank percentile."""
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]
