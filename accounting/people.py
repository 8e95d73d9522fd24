"""The engineering tax: a month's hours at their rate, shared by jobs and stages as they were busy in that month.

Unset hours or an unset rate give no amount, which is not an amount of zero: a verdict is then undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from accounting.fleet_ledger import FleetLedger, fold_facts
from accounting.periods import month_after, month_of, month_text
from accounting.report import People
from core.money import Money, quote, rate, split
from ledger.allocation import entry_id
from ledger.entries import Bucket, LedgerEntry, Period, Quality, Unpriced
from ledger.tax import EngineeringTax, Hours
from ledger.verdict import Range

#: Job and stage.
Busy = Mapping[tuple[str, str], int]


def _open(_start: int) -> None:
    """No month is closed."""


@dataclass(frozen=True)
class PeopleRules:
    """Hours and rate as text; empty is unset."""

    #: Hours a month for everything that is self-hosted: ``6`` or ``4-8``.
    hours: str = ""
    #: What an hour costs: ``90 USD``, or ``90`` in the report's currency.
    rate: str = ""
    #: By a month's first instant what its closing froze: empty rules where it froze none; None for an open month.
    closed: Callable[[int], PeopleRules | None] = _open

    def of(self, start: int) -> PeopleRules:
        """The rules of a month: its closing's, else these."""
        found = self.closed(start)
        return found if found is not None and found.is_set else self

    def is_todays(self, start: int) -> bool:
        """Whether a month is closed, and these rules are taken all the same since its closing has none."""
        found = self.closed(start)
        return found is not None and not found.is_set and self.is_set

    @property
    def is_set(self) -> bool:
        """Whether both are said."""
        return bool(self.hours and self.rate)

    def frozen(self, currency: str) -> PeopleRules | None:
        """What a closing keeps: with the currency of the rate; None where not both are said.

        Raises MoneyError, UsageError.
        """
        if not self.is_set:
            return None
        Hours.parse(self.hours)
        stated = self._hourly(currency)[1]
        return PeopleRules(self.hours, f"{self.rate.split()[0]} {stated}")

    def why_none(self, currency: str) -> str:
        """Why there is no amount in this currency, in words; empty when there is one. Raises MoneyError, UsageError."""
        missing = [name for name, text in (("hours", self.hours), ("rate", self.rate)) if not text]
        if missing:
            return f"what people cost is unknown: no engineering {' and '.join(missing)} given"
        stated = self._hourly(currency)[1]
        return "" if stated == currency else f"the engineering rate is in {stated}, this ledger in {currency}"

    def monthly(self, currency: str) -> tuple[Money, Money] | None:
        """At least and at most for a month; None where `why_none` says why. Raises MoneyError, UsageError."""
        if self.why_none(currency):
            return None
        return EngineeringTax(currency, self._hourly(currency)[0], lump=Hours.parse(self.hours)).monthly()

    def _hourly(self, currency: str) -> tuple[Decimal, str]:
        return quote(self.rate) if len(self.rate.split()) == 2 else (rate(self.rate), currency)


@dataclass(frozen=True)
class JobPeople:
    """What a job carries of the people."""

    #: The range, or what is unset.
    people: People
    #: One entry a month and stage; the amounts sum to the range's point.
    entries: tuple[LedgerEntry, ...] = ()


def useful_by_month(ledger: FleetLedger) -> dict[int, dict[tuple[str, str], int]]:
    """Useful node time by month and then by job and stage; work of fake engines is none.

    It is the same whatever the books' period: months that work goes over the edge of are folded each by itself.
    """
    found: dict[int, dict[tuple[str, str], int]] = {}
    crossed: set[int] = set()
    month = Period(0, 0)
    for each, ms in chain(_timed(ledger.entries), _timed_unpriced(ledger.unpriced)):
        if not month.start <= each.start < month.end:
            month = month_of(each.start)
        if each.end > month.end:
            at = month
            crossed.add(at.start)
            while at.end < each.end:
                at = month_after(at)
                crossed.add(at.start)
        _add(found, month.start, each, ms)
    for start in crossed:
        alone = fold_facts(ledger.facts, ledger.book, ledger.rules, month_of(start))
        late = [(entry, ms) for entry, ms in _timed(ledger.late) if month_of(entry.start).start == start]
        found[start] = {}
        for each, ms in (*_timed(alone.entries), *_timed_unpriced(alone.unpriced), *late):
            _add(found, start, each, ms)
    return found


def _timed(entries: Iterable[LedgerEntry]) -> Iterator[tuple[LedgerEntry | Unpriced, int]]:
    return ((entry, entry.unit_ms) for entry in entries if entry.bucket is Bucket.BUSY and not entry.fake)


def _timed_unpriced(unpriced: Iterable[Unpriced]) -> Iterator[tuple[LedgerEntry | Unpriced, int]]:
    busy = (usage for usage in unpriced if usage.bucket is Bucket.BUSY and not usage.fake)
    return ((usage, usage.quantity) for usage in busy if usage.meter == "node_ms")


def _add(found: dict[int, dict[tuple[str, str], int]], month: int, each: LedgerEntry | Unpriced, ms: int) -> None:
    if ms:
        busy = found.setdefault(month, {})
        busy[each.job, each.stage] = busy.get((each.job, each.stage), 0) + ms


def month_people(
    month: Period, busy: Busy, rules: PeopleRules, currency: str, owners: Mapping[str, str]
) -> list[LedgerEntry]:
    """A month's people as entries, whose amounts sum to the middle of the range; of nobody's where nothing was busy."""
    monthly = rules.of(month.start).monthly(currency)
    if monthly is None:
        return []
    places = sorted(busy) or [("", "")]
    nano = (monthly[0].nano + monthly[1].nano) // 2
    weights = [busy.get(place, 1) for place in places]
    return [
        _entry(month, job, stage, part, currency, owners.get(job, ""))
        for (job, stage), part in zip(places, split(nano, weights), strict=True)
    ]


def job_people(
    job_id: str, by_month: Mapping[int, Busy], rules: PeopleRules, currency: str, owners: Mapping[str, str]
) -> JobPeople:
    """The job's share of each month that it was busy in; no amount where one of these has none."""
    mine = {start: busy for start, busy in sorted(by_month.items()) if any(job == job_id for job, _ in busy)}
    ruled = {start: rules.of(start) for start in mine}
    why = next((found for each in ruled.values() or [rules] if (found := each.why_none(currency))), "")
    if why:
        return JobPeople(People(None, why))
    made: list[LedgerEntry] = []
    shares: dict[str, Range] = {}
    basis: dict[str, list[str]] = {} if mine else {_at_rate(rules): ["no useful time"]}
    for start, busy in mine.items():
        monthly = ruled[start].monthly(currency)
        if monthly is None:
            continue
        places = sorted(busy)
        weights = [busy[place] for place in places]
        whole = month_people(month_of(start), busy, rules, currency, owners)
        lows, highs = (split(end.nano, weights) for end in monthly)
        own = [place for place, (job, _) in enumerate(places) if job == job_id]
        for place in own:
            share = _share(lows[place], whole[place].nano, highs[place], currency)
            stage = places[place][1]
            shares[stage] = shares[stage] + share if stage in shares else share
            made.append(whole[place])
        seconds = sum(weights[place] for place in own) / 1000
        said = f"{seconds:,.0f} of {sum(weights) / 1000:,.0f} useful seconds of {month_text(start)} as known now"
        said += " (its closing has no hours: those of today)" if rules.is_todays(start) else ""
        basis.setdefault(_at_rate(ruled[start]), []).append(said)
    amount = Range.exactly(Money(0, currency))
    for share in shares.values():
        amount += share
    told = "; ".join(f"{each}: {'; '.join(months)}" for each, months in basis.items())
    return JobPeople(People(amount, told, shares), tuple(made))


def _at_rate(rules: PeopleRules) -> str:
    return f"{Hours.parse(rules.hours)} hours a month at {rules.rate}"


def _share(low: int, point: int, high: int, currency: str) -> Range:
    """Each end was divided by itself, and may be a nano-unit on the wrong side of the figure."""
    return Range(Money(min(low, point), currency), Money(point, currency), Money(max(high, point), currency))


def whole_months(period: Period) -> Iterator[Period]:
    """The months that are wholly in a period: hours are a month's, and no part of one is."""
    month = month_of(period.start)
    while month.end <= period.end:
        if month.start >= period.start:
            yield month
        month = month_of(month.end)


def period_people(
    period: Period, by_month: Mapping[int, Busy], rules: PeopleRules, currency: str, owners: Mapping[str, str]
) -> Iterator[LedgerEntry]:
    """The people of each month that is wholly in a period."""
    for month in whole_months(period):
        yield from month_people(month, by_month.get(month.start, {}), rules, currency, owners)


def people_notes(period: Period, rules: PeopleRules, currency: str) -> Iterator[str]:
    """What a reader must know of a period's people, a line each. Raises MoneyError, UsageError."""
    whys: dict[str, list[str]] = {}
    months = list(whole_months(period))
    for month in months:
        why = rules.of(month.start).why_none(currency)
        if why:
            whys.setdefault(why, []).append(month_text(month.start))
    if not months and (why := rules.why_none(currency)):
        whys[why] = []
    for why, named in whys.items():
        some = f" of {', '.join(named)}" if len(named) < len(months) else ""
        yield f"people are in no amount{some}: {why}"
    todays = [month_text(month.start) for month in months if rules.is_todays(month.start)]
    if todays:
        yield f"people of {', '.join(todays)}: the closing has no hours and rate; those of today are taken"


def _entry(month: Period, job: str, stage: str, nano: int, currency: str, owner: str) -> LedgerEntry:
    return LedgerEntry(
        id=entry_id("people", job, str(month.start), stage),
        session="",
        attempt="",
        bucket=Bucket.PEOPLE,
        stage=stage,
        engine="",
        job=job,
        owner=owner,
        language="",
        unit_ms=0,
        start=month.start,
        end=month.end,
        nano=nano,
        currency=currency,
        price_row="engineering",
        quality=Quality.ESTIMATED,
        fake=False,
    )
