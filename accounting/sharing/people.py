"""The engineering tax: a month's hours at their rate, carried by jobs and stages as they were useful in that month.

How much of it the work carries at all is by the month's expected use: see `accounting.sharing.expected_use`.

Unset hours or an unset rate give no amount, which is not an amount of zero: a verdict is then undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from accounting.facts import LedgerFacts
from accounting.fleet_ledger import AudioPlace, FleetLedger
from accounting.periods import month_of, month_text, now_ms
from accounting.report import People
from accounting.sharing.expected_use import Carried, audio_in, audio_places, carried, percent_of
from accounting.sharing.month_use import MonthUse
from core.money import Conversion, Money, quote, rate, split
from journals.facts import AttemptStarted
from ledger.allocation import entry_id
from ledger.decision.tax import EngineeringTax, Hours
from ledger.entries import Bucket, LedgerEntry, Period, Quality
from ledger.exchange import NATIVE, Exchange, at_rate
from ledger.verdict import Range

#: Price row of an entry of people.
_PRICE_ROW = "engineering"


def _open(_start: int) -> None:
    """No month is closed."""


@dataclass(frozen=True)
class PeopleRules:
    """Hours and rate as text; empty is unset."""

    #: Hours a month for everything that is self-hosted: ``6`` or ``4-8``.
    hours: str = ""
    #: What an hour costs: ``90 USD``, or ``90`` in the report's currency.
    rate: str = ""
    #: What a month is expected to be used for, as `ExpectedUse.parse` reads it; empty: what it has been used for.
    expected: str = ""
    #: By a month's first instant what its closing froze: empty rules where it froze none; None for an open month.
    closed: Callable[[int], PeopleRules | None] = _open
    #: The report's currency, and the rates into it.
    exchange: Exchange = NATIVE
    #: What the rate was converted by; None where it is as it was said.
    conversion: Conversion | None = None
    #: The rate as it was said, where it was converted.
    said: str = ""

    def of(self, start: int) -> PeopleRules:
        """The rules of a month: its closing's, else these; in the report's currency by the rate of the month's last
        day, or of today while it is not over. Raises MoneyError.
        """
        found = self.closed(start)
        rules = replace(found, exchange=self.exchange) if found is not None and found.is_set else self
        return rules._converted(_people_instant(start))

    def into(self, currency: str) -> PeopleRules:
        """The same, for a report in this currency."""
        return replace(self, exchange=self.exchange.into(currency))

    def _converted(self, at: int) -> PeopleRules:
        if not self.is_set or len(self.rate.split()) == 1:
            return self
        hourly, currency = quote(self.rate)
        conversion = None if currency == self.exchange.currency else self.exchange.find(currency, at)
        if conversion is None:
            return self
        price = conversion.convert(Money.of(1, hourly, currency))
        return replace(self, rate=str(price), conversion=conversion, said=self.rate)

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
        return PeopleRules(self.hours, f"{self.rate.split()[0]} {stated}", self.expected)

    def why_none(self, currency: str) -> str:
        """Why there is no amount in this currency, in words; empty when there is one. Raises MoneyError, UsageError."""
        missing = [name for name, text in (("hours", self.hours), ("rate", self.rate)) if not text]
        if missing:
            return f"what people cost is unknown: no engineering {' and '.join(missing)} given"
        stated = self._hourly(currency)[1]
        if stated == currency:
            return ""
        why = f": {self.exchange.why_none(stated, now_ms())}" if self.exchange.currency else ""
        return f"the engineering rate is in {stated}, this ledger in {currency}{why}"

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


def whole_months(period: Period) -> Iterator[Period]:
    """The months that are wholly in a period: hours are a month's, and no part of one is."""
    month = month_of(period.start)
    while month.end <= period.end:
        if month.start >= period.start:
            yield month
        month = month_of(month.end)


def people_notes(period: Period, rules: PeopleRules, currency: str) -> Iterator[str]:
    """What a reader must know of a period's people, a line each. Raises MoneyError, UsageError."""
    whys: dict[str, list[str]] = {}
    months = list(whole_months(period))
    for month in months:
        why = rules.of(month.start).why_none(currency)
        if why:
            whys.setdefault(why, []).append(month_text(month.start))
    if not months and (why := rules.of(period.start).why_none(currency)):
        whys[why] = []
    for why, named in whys.items():
        some = f" of {', '.join(named)}" if len(named) < len(months) else ""
        yield f"people are in no amount{some}: {why}"
    todays = [month_text(month.start) for month in months if rules.is_todays(month.start)]
    if todays:
        yield f"people of {', '.join(todays)}: the closing has no hours and rate; those of today are taken"


class PeopleShares:
    """The people of the months of some books, shared by jobs and stages as they were useful."""

    def __init__(self, ledger: FleetLedger, rules: PeopleRules, currency: str, uses: Mapping[int, MonthUse]) -> None:
        """``uses``: `month_uses` of the books, or of those months that are asked for."""
        self._ledger, self._rules, self._currency, self._uses = ledger, rules.into(currency), currency, uses
        self._owners = {job: card.owner for job, card in ledger.owners.items()}
        self._first = ledger.began
        self._now = ledger.rules.now or now_ms()
        self._carried: dict[int, Carried] = {}

    def carried(self, start: int) -> Carried:
        """How much of a month's people its work carries. Raises UsageError."""
        if start not in self._carried:
            use = self._use(start)
            rules = self._rules.of(start)
            self._carried[start] = carried(use, rules.expected, self._first, self._now, lambda: self._audio(use.month))
        return self._carried[start]

    def month(self, month: Period) -> list[LedgerEntry]:
        """A month's people as entries that sum to the middle of the range; what no work carries is nobody's."""
        monthly = self._rules.of(month.start).monthly(self._currency)
        if monthly is None:
            return []
        nano = (monthly[0].nano + monthly[1].nano) // 2
        useful = self._useful(month.start)
        part = self.carried(month.start).part if useful else None
        nobody, shares = self._split(nano, part or Fraction(0), list(useful.values()))
        found = [
            self._entry(month, job, stage, share) for (job, stage), share in zip(useful, shares, strict=True) if share
        ]
        return [*found, self._entry(month, "", "", nobody)] if nobody else found

    def job(self, job_id: str) -> JobPeople:
        """The job's share of each month that it was useful in; no amount where one of these has none."""
        rules, currency = self._rules, self._currency
        mine = [start for start in sorted(self._uses) if any(job == job_id for job, _ in self._useful(start))]
        ruled = {start: rules.of(start) for start in mine}
        todays = rules.of(month_of(self._now).start)
        why = next((found for each in ruled.values() or [todays] if (found := each.why_none(currency))), "")
        if not why:
            why = next((self.carried(start).basis for start in mine if self.carried(start).part is None), "")
        if why:
            return JobPeople(People(None, why))
        made: list[LedgerEntry] = []
        shares: dict[str, Range] = {}
        basis: dict[str, list[str]] = {} if mine else {_at_rate(todays): ["no useful time"]}
        for start in mine:
            monthly = ruled[start].monthly(currency)
            part = self.carried(start).part
            if monthly is None or part is None:
                continue
            useful = self._useful(start)
            lows, highs = (self._split(end.nano, part, list(useful.values()))[1] for end in monthly)
            whole = {(entry.job, entry.stage): entry for entry in self.month(month_of(start))}
            for (job, stage), low, high in zip(useful, lows, highs, strict=True):
                entry = whole.get((job, stage))
                if job == job_id and entry is not None:
                    share = _share(low, entry.nano, high, currency)
                    shares[stage] = shares[stage] + share if stage in shares else share
                    made.append(entry)
            basis.setdefault(_at_rate(ruled[start]), []).append(self._basis(job_id, start))
        amount = Range.exactly(Money(0, currency))
        for share in shares.values():
            amount += share
        told = "; ".join(f"{each}: {'; '.join(months)}" for each, months in basis.items())
        return JobPeople(People(amount, told, shares), tuple(made))

    def fleet(self, months: Sequence[Period]) -> People:
        """The people that a fleet's verdict counts: all of them where a month is over, else what its work carries."""
        ends, useful, basis = [0, 0, 0], dict[str, int](), list[str]()
        for month in months:
            rules, name = self._rules.of(month.start), month_text(month.start)
            monthly = rules.monthly(self._currency)
            if monthly is None:
                return People(None, rules.why_none(self._currency))
            over = self._now >= month.end
            part = Fraction(1) if over else self.carried(month.start).part
            if part is None:
                return People(None, self.carried(month.start).basis)
            low, high = (end.nano for end in monthly)
            ends = [so_far + int(end * part) for so_far, end in zip(ends, (low, (low + high) // 2, high), strict=True)]
            for (_, stage), ms in self._useful(month.start).items():
                useful[stage] = useful.get(stage, 0) + ms
            how = "all of them" if over else f"{percent_of(part)} of them so far ({self.carried(month.start).basis})"
            basis.append(f"{_at_rate(rules)}: {how} in {name}, an estimate")
        if not useful:
            return People(None, "nothing was useful work of a real engine")
        parts = zip(useful, *(split(end, list(useful.values())) for end in ends), strict=True)
        shares = {stage: _share(low, point, high, self._currency) for stage, low, point, high in parts}
        amounts = (Money(end, self._currency) for end in ends)
        return People(Range(*amounts), "; ".join(basis), shares)

    def notes(self) -> Iterator[str]:
        """What a reader must know of a period's people, a line each. Raises MoneyError, UsageError."""
        period = self._ledger.period
        if period is None:
            return
        yield from people_notes(period, self._rules, self._currency)
        for month in whole_months(period):
            if self._rules.of(month.start).monthly(self._currency) is None or not self._useful(month.start):
                continue
            found, name, rules = self.carried(month.start), month_text(month.start), self._rules.of(month.start)
            if rules.conversion is not None:
                yield f"people of {name}: {_at_rate(rules)}"
            if found.part is None:
                yield f"no job carries people of {name} yet: {found.basis}"
            else:
                yield f"people of {name} (an estimate): jobs carry {percent_of(found.part)} of them ({found.basis})"
                if found.doubt:
                    yield found.doubt

    def _basis(self, job_id: str, start: int) -> str:
        useful, found = self._useful(start), self.carried(start)
        seconds = sum(ms for (job, _), ms in useful.items() if job == job_id) / 1000
        said = (
            f"{seconds:,.0f} of {sum(useful.values()) / 1000:,.0f} useful seconds of {month_text(start)} as known now"
        )
        said += f", which carry {percent_of(found.part or Fraction(0))} of its people ({found.basis})"
        said += f"; {found.doubt}" if found.doubt else ""
        return said + (" (its closing has no hours: those of today)" if self._rules.is_todays(start) else "")

    def _use(self, start: int) -> MonthUse:
        return self._uses.get(start) or MonthUse(month_of(start))

    def _useful(self, start: int) -> dict[tuple[str, str], int]:
        return {place: ms for place, ms in sorted(self._use(start).useful.items()) if ms > 0}

    @staticmethod
    def _split(nano: int, part: Fraction, weights: list[int]) -> tuple[int, list[int]]:
        """What nobody carries of an amount, and the shares; they sum to it."""
        carried_nano = int(nano * part) if weights else 0
        return nano - carried_nano, split(carried_nano, weights)

    def _audio(self, month: Period) -> int:
        places = self._ledger.audio
        return audio_in(month, audio_of(self._ledger.facts) if places is None else places)

    def _entry(self, month: Period, job: str, stage: str, nano: int) -> LedgerEntry:
        conversion = self._rules.of(month.start).conversion
        return LedgerEntry(
            id=entry_id("people", job, str(month.start), stage),
            session="",
            attempt="",
            bucket=Bucket.PEOPLE,
            stage=stage,
            engine="",
            job=job,
            owner=self._owners.get(job, ""),
            language="",
            unit_ms=0,
            start=month.start,
            end=month.end,
            nano=nano,
            currency=self._currency,
            price_row=_PRICE_ROW if conversion is None else at_rate(_PRICE_ROW, conversion),
            quality=Quality.ESTIMATED,
            fake=False,
        )


def audio_of(facts: LedgerFacts) -> dict[AudioPlace, int]:
    """`audio_places` of everything in these facts."""
    started = (fact for fact in facts.facts if isinstance(fact, AttemptStarted))
    return audio_places(started, facts.made_by, facts.languages)


def _at_rate(rules: PeopleRules) -> str:
    said = f"{Hours.parse(rules.hours)} hours a month at "
    if rules.conversion is None:
        return said + rules.rate
    return f"{said}{rules.said} = {rules.rate} ({rules.conversion.words}, {rules.conversion.source})"


def _people_instant(start: int) -> int:
    """Whose exchange rate a month's people have."""
    return min(month_of(start).end - 1, now_ms())


def _share(low: int, point: int, high: int, currency: str) -> Range:
    """Each end was divided by itself, and may be a nano-unit on the wrong side of the figure."""
    return Range(Money(min(low, point), currency), Money(point, currency), Money(max(high, point), currency))
