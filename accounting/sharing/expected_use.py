"""How much of a month's people its work carries: by what was planned, or by what the month so far lets expect.

People are paid for a month, whatever runs in it. Were they shared by what has run so far, the first clip of a month
would carry all of them. So work carries the part of them that it is of the month's expected use; the rest is nobody's
until more has run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction

from accounting.fleet_ledger import AudioPlace
from accounting.periods import month_of, month_text
from accounting.sharing.month_use import MonthUse
from core.errors import UsageError
from journals.facts import AttemptStarted
from ledger.entries import Period

HOUR_MS = 3_600_000
#: A month is forecast from so much of it at least: a week, so that a weekend is in it.
FORECAST_FROM_MS = 7 * 24 * HOUR_MS
#: Less useful time than this is little to carry a whole month's people.
LITTLE_MS = HOUR_MS


class UseUnit(StrEnum):
    """What a plan counts in."""

    #: Speech of the jobs that ran, each job's counted once.
    AUDIO = "audio hours"
    #: Useful time of machines.
    MACHINE = "machine hours"


@dataclass(frozen=True)
class ExpectedUse:
    """What a person expects of a month: its planned work, or the capacity that is kept for it."""

    #: In ms.
    ms: int
    #: Of what.
    unit: UseUnit

    @classmethod
    def parse(cls, text: str) -> ExpectedUse:
        """``400 audio hours`` or ``300 machine hours``. Raises UsageError."""
        number, _, unit = text.strip().partition(" ")
        try:
            hours, kind = Decimal(number), UseUnit(unit.strip())
        except (InvalidOperation, ValueError):
            hours, kind = Decimal(0), UseUnit.AUDIO
        if not hours.is_finite() or not Decimal("0.001") <= hours <= Decimal(10**9):
            raise UsageError(
                f"'{text}' is no expected use of a month", "write it as '400 audio hours' or '300 machine hours'"
            )
        return cls(int(hours * HOUR_MS), kind)

    def describe(self) -> str:
        """``400 audio hours``."""
        whole, _, part = f"{Decimal(self.ms) / HOUR_MS:,.3f}".partition(".")
        part = part.rstrip("0")
        return f"{whole}.{part} {self.unit.value}" if part else f"{whole} {self.unit.value}"


def percent_of(part: Fraction) -> str:
    """``12.5 %``, ``0.0034 %``: with the digits that a small part needs."""
    percent = float(part * 100)
    return f"{percent:.1f} %" if percent >= 10 or not percent else f"{percent:.2g} %"


@dataclass(frozen=True)
class Carried:
    """The part of a month's people that its work carries."""

    #: From 0 to 1; None where there is nothing to judge by.
    part: Fraction | None
    #: By what it was found, or why it was not, in words.
    basis: str
    #: Why little can be said by it, in words; empty where much can.
    doubt: str = ""


def carried(use: MonthUse, expected: str, first: int, now: int, audio_ms: Callable[[], int]) -> Carried:
    """How much of a month's people its work carries, as of ``now``.

    ``expected`` as `ExpectedUse.parse` reads it, or empty; ``first``: when the store's first machine began;
    ``audio_ms``: the month's audio so far. Raises UsageError.
    """
    month, name = use.month, month_text(use.month.start)
    over = now >= month.end
    if expected:
        plan = ExpectedUse.parse(expected)
        done = audio_ms() if plan.unit is UseUnit.AUDIO else use.useful_ms
        so_far = "" if over else " so far"
        said = f"{name} had {Decimal(done) / HOUR_MS:,.2f} of an expected {plan.describe()}{so_far}"
        return Carried(min(Fraction(done, plan.ms), Fraction(1)), said)
    if over:
        little = use.useful_ms < LITTLE_MS
        doubt = f"{use.useful_ms / 1000:,.0f} useful seconds carry all the people of {name}" if little else ""
        return Carried(Fraction(1), f"all that ran in {name}", doubt)
    since = max(first, month.start)
    if now - since < FORECAST_FROM_MS:
        begun = f"{max(now - since, 0) / HOUR_MS:,.1f} hours of {name}"
        return Carried(
            None,
            f"{begun} are too little to forecast what the month will carry; "
            "say what is expected: SEGUE_EXPECTED_USE='400 audio hours'",
        )
    days = (now - since) / (24 * HOUR_MS)
    part = Fraction(now - since, month.end - month.start)
    whole = Fraction(use.useful_ms) / part / HOUR_MS
    return Carried(part, f"a forecast from {days:,.0f} days: about {float(whole):,.1f} useful hours in {name}")


def audio_places(
    started: Iterable[AttemptStarted], made_by: Mapping[str, str], languages: Mapping[str, str]
) -> dict[AudioPlace, int]:
    """Audio of the units that these attempts of real engines finished, in ms. ``languages``: of units that have one."""
    found: dict[AudioPlace, int] = {}
    for attempt in started:
        if attempt.fake:
            continue
        month = month_of(attempt.at).start
        for unit in attempt.units:
            if made_by.get(unit.key) == attempt.attempt:
                place = month, unit.job, attempt.stage, languages.get(unit.key, "")
                found[place] = found.get(place, 0) + unit.audio_ms
    return found


def audio_in(month: Period, places: Mapping[AudioPlace, int]) -> int:
    """Audio that a month's jobs were given to work on, in ms, each job's counted once however many stages and languages
    it went through."""
    found: dict[str, int] = {}
    for (start, job, _, _), ms in places.items():
        if start == month.start:
            found[job] = max(found.get(job, 0), ms)
    return sum(found.values())
