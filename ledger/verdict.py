"""Which was cheaper for work that has been done, by how much, how sure, and what that rests on.

What is not known of our own side (people whose hours are unset, usage without a price, what is still to be computed)
can only make it dearer. So the API wins already when it is not dearer than what is known; where what is known is
cheaper, the verdict is undecided. It is undecided as well when the API has no price, when fake engines did any of the
work, and when the interval of the difference contains zero. A difference of exactly zero goes to the API.

Where the interval comes from:

* idle time is not any job's doing: the share charged here may be off by ``Uncertainty.idle`` either way;
* amounts of estimated entries (lost work up to a worker's last beat, for one) by ``Uncertainty.estimated``;
* people by the range of hours that was given;
* the API by its billing: the least and the most that increments and minimums make of the same work.

Ends are added to ends (all errors may point the same way), which is wider than any root of squares would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any

from core.errors import UsageError
from core.money import Money, settle
from ledger.entries import Bucket, Quality


class CostOutcome(StrEnum):
    """Who was cheaper."""

    API = "api"
    SELF_HOSTED = "self_hosted"
    HYBRID = "hybrid"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Range:
    """An amount that is known to lie between two ends, and the best single figure."""

    #: At least.
    low: Money
    #: The figure to show.
    point: Money
    #: At most.
    high: Money

    def __post_init__(self) -> None:
        if not self.low <= self.point <= self.high:
            raise UsageError(f"{self.low}, {self.point}, {self.high} are no range", "give low, point and high in order")

    @classmethod
    def exactly(cls, amount: Money) -> Range:
        """A range of no width."""
        return cls(amount, amount, amount)

    @classmethod
    def between(cls, low: Money, high: Money) -> Range:
        """From one end to the other, with the middle as the figure."""
        return cls(low, Money(settle(Fraction(low.nano + high.nano, 2 * 10**9), 1), (high - low).currency), high)

    @classmethod
    def spanning(cls, point: Money, others: Iterable[Money]) -> Range:
        """As wide as ``point`` and ``others`` together: an API's bill under each way of billing the same work."""
        low = high = point
        for other in others:
            low, high = min(low, other), max(high, other)
        return cls(low, point, high)

    @property
    def currency(self) -> str:
        """Of all three."""
        return self.point.currency

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.point + other.point, self.high + other.high)

    def __sub__(self, other: Range) -> Range:
        return Range(self.low - other.high, self.point - other.point, self.high - other.low)


@dataclass(frozen=True)
class Uncertainty:
    """How far off amounts may be, as shares of themselves (0 to 1). There are no defaults: somebody must say."""

    #: Of idle time charged to the work.
    idle: Fraction
    #: Of amounts that are estimated.
    estimated: Fraction

    def __post_init__(self) -> None:
        for name in ("idle", "estimated"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | Fraction) or not 0 <= value <= 1:
                raise UsageError(f"an uncertainty of {value!r} is no share", "give Fractions from 0 to 1")


def paid_range(amounts: Mapping[tuple[Bucket, Quality], int], uncertainty: Uncertainty, currency: str) -> Range:
    """What was paid, from nano-units by bucket and quality; every bucket counts, people where they are entries.

    Only idle and estimated amounts have a width; where an amount is both, the wider one counts.
    """
    low = point = high = 0
    for (bucket, quality), nano in amounts.items():
        shares = [Fraction(0)]
        if bucket is Bucket.IDLE:
            shares.append(Fraction(uncertainty.idle))
        if quality is Quality.ESTIMATED:
            shares.append(Fraction(uncertainty.estimated))
        width = settle(Fraction(abs(nano), 10**9) * max(shares), 1)
        low, point, high = low + nano - width, point + nano, high + nano + width
    return Range(Money(low, currency), Money(point, currency), Money(high, currency))


def weakest(qualities: Iterable[Quality]) -> Quality:
    """The quality of a sum: estimated if any part is, reconciled only if all are; of nothing, estimated."""
    found = set(qualities)
    if not found or Quality.ESTIMATED in found:
        return Quality.ESTIMATED
    return Quality.MEASURED if Quality.MEASURED in found else Quality.RECONCILED


@dataclass(frozen=True)
class Grounds:
    """What a verdict rests on beside its two amounts."""

    #: Whether the people are in what was paid: hours and rate are set. Without them it is unknown, not zero.
    people_set: bool
    #: The weakest quality among the amounts.
    quality: Quality
    #: Usage of ours that has no price, one line each: more was paid than is known.
    unpriced: tuple[str, ...] = ()
    #: What else will make our side dearer, one line each, such as work that is still to be done.
    still_to_come: tuple[str, ...] = ()
    #: Why the two sides cannot be compared at all, one line each.
    incomparable: tuple[str, ...] = ()
    #: Whether fake engines did any of the work.
    fake: bool = False
    #: What the work ran as: own GPUs, or some stages on them and some by API.
    ran: CostOutcome = CostOutcome.SELF_HOSTED
    #: What the figures are, one line each: the API and form compared with, hours, shares assumed.
    rests_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.ran is CostOutcome.UNDECIDED:
            raise UsageError("work did not run undecided", "say self_hosted, hybrid or api")


@dataclass(frozen=True)
class CostVerdict:
    """Who was cheaper, or why that cannot be said."""

    #: ``api``, what the work ran as, or ``undecided``.
    outcome: CostOutcome
    #: API minus paid: above 0 the API would have cost more. None when a side has no amount or fake work is in it.
    difference: Range | None
    #: Why it is undecided, one line each; empty when it is decided.
    undecided_because: tuple[str, ...]
    #: What it rests on, one line each.
    rests_on: tuple[str, ...]
    #: Measured, estimated or reconciled: the weakest of what went in.
    quality: Quality
    #: What our side does not even include, one line each; only where the API wins all the same.
    even_without: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """``the API wins by 1.20 USD (0.90 to 1.50 USD), estimated``."""
        if self.outcome is CostOutcome.UNDECIDED or self.difference is None:
            return f"undecided: {'; '.join(self.undecided_because)}"
        ours = self.outcome is not CostOutcome.API
        who = {CostOutcome.API: "the API", CostOutcome.HYBRID: "this mix"}.get(self.outcome, "self-hosting")
        by = self.difference
        near, far = (by.low, by.high) if ours else (-by.high, -by.low)
        point = by.point if ours else -by.point
        span = "" if near == far else f" ({near.amount(4)} to {far.amount(4)} {by.currency})"
        if self.even_without:
            least = f"by {near.amount(4)} {by.currency} or more" if near else "or costs the same"
            return f"the API wins {least}, even without {' and '.join(self.even_without)}; {self.quality.value}"
        if not point and near == far:
            return f"the API wins a tie, {self.quality.value}"
        return f"{who} wins by {point.amount(4)} {by.currency}{span}, {self.quality.value}"

    def as_json(self) -> dict[str, Any]:
        """Nano-units of ``currency``; the amounts are API minus paid."""
        by = self.difference
        return {
            "outcome": self.outcome.value,
            "currency": None if by is None else by.currency,
            "difference": None if by is None else {"low": by.low.nano, "point": by.point.nano, "high": by.high.nano},
            "undecided_because": list(self.undecided_because),
            "even_without": list(self.even_without),
            "rests_on": list(self.rests_on),
            "quality": self.quality.value,
        }


def verdict(paid: Range, api: Range | None, grounds: Grounds) -> CostVerdict:
    """Compares what was paid, everything included, with what an API would have charged for the same work. Pure.

    ``paid`` includes useful, loading, idle, lost and duplicated work, boot, fees and people; ``api`` is None when it
    has no price. Raises CurrencyError when the two are in different currencies.
    """
    difference = None if api is None or grounds.fake else api - paid
    unknown = ["what people cost, which is unknown"] if not grounds.people_set else []
    unknown += [f"what is unpriced: {line}" for line in grounds.unpriced] + list(grounds.still_to_come)
    hard = ["fake engines did some of the work, which costs nothing like the real one"] if grounds.fake else []
    hard += list(grounds.incomparable)
    if unknown and not hard and difference is not None and difference.high.nano <= 0:
        # Whatever the unknown turns out to be, it is on our side, and 0 or more.
        return CostVerdict(CostOutcome.API, difference, (), grounds.rests_on, grounds.quality, tuple(unknown))
    reasons = [*hard, *_why_unknown(grounds)]
    if api is None and not grounds.unpriced:
        reasons.append("the API's price is not known")
    if difference is not None and not reasons:
        low, high = difference.low.nano, difference.high.nano
        if low <= 0 <= high and (low, high) != (0, 0):
            reasons.append(
                f"the difference may be {difference.low.amount(4)} to {difference.high.amount(4)} "
                f"{difference.currency}, zero included"
            )
    if reasons or difference is None:
        outcome = CostOutcome.UNDECIDED
    else:
        outcome = grounds.ran if difference.point.nano > 0 else CostOutcome.API
    return CostVerdict(outcome, difference, tuple(reasons), grounds.rests_on, grounds.quality)


def _why_unknown(grounds: Grounds) -> list[str]:
    """What could still turn the verdict, one line each."""
    people = [] if grounds.people_set else ["what people cost is unknown"]
    return [*people, *(f"unpriced: {line}" for line in grounds.unpriced), *grounds.still_to_come]


@dataclass(frozen=True)
class StageFigures:
    """One stage of a job, for a verdict of its own."""

    #: Name of the stage.
    stage: str
    #: What it cost, people not included.
    paid: Range
    #: What the reference API would have charged; None when it has no price.
    api: Range | None
    #: The rest; ``people_set`` and the people are the job's and set by `verdicts`.
    grounds: Grounds


@dataclass(frozen=True)
class CostVerdicts:
    """A job's verdict and one for each of its stages."""

    #: All stages together.
    job: CostVerdict
    #: By stage, in the order given.
    by_stage: dict[str, CostVerdict]
    #: All stages together, had people cost nothing: what machines and fees alone say.
    without_people: CostVerdict

    def as_json(self) -> dict[str, Any]:
        """The job's verdict with the stages' under ``by_stage``, and the one without people."""
        return {
            **self.job.as_json(),
            "without_people": self.without_people.as_json(),
            "by_stage": {stage: found.as_json() for stage, found in self.by_stage.items()},
        }


def verdicts(figures: Sequence[StageFigures], people: Mapping[str, Range] | None) -> CostVerdicts:
    """Verdicts for each stage and for the job; ``people``: what of them each stage carries. None: unset.

    The caller has shared them out already, so that they are here what they are wherever the job's spending is shown; a
    stage that is not named carries nothing. Stages that were given nothing to do are left to the caller. Raises
    UsageError without any stage, and for people of a stage that is not among them.
    """
    if not figures:
        raise UsageError("no stage did any work", "a verdict needs at least one")
    shares = people or {}
    if strangers := sorted(shares.keys() - {figure.stage for figure in figures}):
        raise UsageError(f"people are shared to {', '.join(strangers)}", "share them to stages that did work")
    by_stage: dict[str, CostVerdict] = {}
    whole: list[Grounds] = []
    sides: list[Range] = []
    for figure in figures:
        sides.append(figure.paid + shares[figure.stage] if figure.stage in shares else figure.paid)
        whole.append(_with_people(figure, shares.get(figure.stage), people is not None))
        by_stage[figure.stage] = verdict(sides[-1], figure.api, whole[-1])
    paid, alone, api = sides[0], figures[0].paid, figures[0].api
    for side, figure in zip(sides[1:], figures[1:], strict=True):
        paid, alone = paid + side, alone + figure.paid
        api = None if api is None or figure.api is None else api + figure.api
    without = _together([replace(figure.grounds, people_set=True) for figure in figures])
    return CostVerdicts(verdict(paid, api, _together(whole)), by_stage, verdict(alone, api, without))


def _with_people(figure: StageFigures, share: Range | None, people_set: bool) -> Grounds:
    """The hours of people are somebody's word, and how they are shared is a rule: an estimate."""
    quality = Quality.ESTIMATED if share is not None and share.high else figure.grounds.quality
    return replace(figure.grounds, people_set=people_set, quality=quality)


def _together(all_grounds: Sequence[Grounds]) -> Grounds:
    ran = {grounds.ran for grounds in all_grounds}
    return Grounds(
        people_set=all(grounds.people_set for grounds in all_grounds),
        quality=weakest(grounds.quality for grounds in all_grounds),
        unpriced=tuple(dict.fromkeys(line for grounds in all_grounds for line in grounds.unpriced)),
        still_to_come=tuple(dict.fromkeys(line for grounds in all_grounds for line in grounds.still_to_come)),
        incomparable=tuple(dict.fromkeys(line for grounds in all_grounds for line in grounds.incomparable)),
        fake=any(grounds.fake for grounds in all_grounds),
        ran=ran.pop() if len(ran) == 1 else CostOutcome.HYBRID,
        rests_on=tuple(dict.fromkeys(line for grounds in all_grounds for line in grounds.rests_on)),
    )
