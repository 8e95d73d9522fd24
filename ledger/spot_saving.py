"""What spot machines saved against machines on demand, which nobody takes away. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from msgspec import structs

from core.money import NANO, Money, settle
from journals.facts import SessionOpened
from ledger.billing import BilledSession, find_rates, machine_cost
from ledger.entries import DAY_MS, Bucket, LedgerEntry, Period, Unpriced
from ledger.exchange import NATIVE, Exchange
from ledger.preemption import FleetHistory, Line, Preemption
from ledger.price_book.prices import PriceBook
from ledger.spans import Span

#: Buckets that are no part of a machine's own bill.
_NO_MACHINE = frozenset({Bucket.API_FEE, Bucket.PEOPLE})


@dataclass(frozen=True)
class SpotSaving:
    """What spot saved in a period. Amounts in nano-units by currency."""

    #: Spot machines that were paid for.
    machines: int = 0
    #: What they cost.
    paid: Mapping[str, int] = field(default_factory=dict)
    #: What the same time would have cost on demand; of the machines of which that is known.
    on_demand: Mapping[str, int] = field(default_factory=dict)
    #: What would not have been needed where nothing is taken: at on-demand prices on spot machines, else what it cost.
    spared: Mapping[str, int] = field(default_factory=dict)
    #: Why either side is not known of a machine, one line each.
    unknown: tuple[str, ...] = ()

    @property
    def saved(self) -> dict[str, int] | None:
        """What the same work would have cost on demand, less what was paid; None where that is not known."""
        if self.unknown:
            return None
        less = ({name: -nano for name, nano in part.items()} for part in (self.spared, self.paid))
        return added(self.on_demand, *less)

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units; ``saved`` is null where it is not known."""
        return {
            "machines": self.machines,
            "paid": dict(self.paid),
            "on_demand": dict(self.on_demand),
            "spared": dict(self.spared),
            "saved": self.saved,
            "unknown": list(self.unknown),
        }


@dataclass(frozen=True)
class OnDemandPrices:
    """Where prices on demand are from."""

    #: The price book.
    book: PriceBook
    #: The report's currency and the rates into it.
    exchange: Exchange = NATIVE

    def cost(self, opened: SessionOpened, time: Span) -> dict[str, int] | None:
        """What a machine's time would have cost on demand, in nano-units by currency; None where the book has no row.

        A price that the machine itself says is a spot machine's, and says nothing of it.
        """
        asked = structs.replace(opened, spot=False, price="", at=time[0])
        rates = find_rates(asked, (), time[1], self.book)
        if any(rate.price is None for rate in rates):
            return None
        found: list[Mapping[str, int]] = []
        for rate in rates:
            for start, end in _by_day(rate.start, rate.end) if self.exchange else [(rate.start, rate.end)]:
                cost = Money(machine_cost(end - start, rate.price or 0), rate.currency)
                cost = self.exchange.money(cost, end - 1)
                found.append({cost.currency: cost.nano})
        return added(*found)


def spot_saving(
    history: FleetHistory, lines: Sequence[Line], lost: Preemption, prices: OnDemandPrices, period: Period
) -> SpotSaving:
    """Of a period; ``lines`` as `preemption_cost` takes them, and ``lost`` what it found."""
    paid_for = {bill.session: time for bill in history.bills if (time := _paid(bill, period)) is not None}
    spot = {session: time for session, time in paid_for.items() if history.is_spot(session)}
    mine = [line for line in lines if line.session in spot and line.bucket not in _NO_MACHINE]
    paid = added(*({line.currency: line.nano} for line in mine if isinstance(line, LedgerEntry)))
    unpriced = {line.session for line in mine if isinstance(line, Unpriced)}
    paid_in: dict[str, set[str]] = {}
    for line in mine:
        if isinstance(line, LedgerEntry):
            paid_in.setdefault(line.session, set()).add(line.currency)
    spared = [amounts for session, amounts in lost.by_machine.items() if session not in spot]
    whole: list[Mapping[str, int]] = []
    unknown: dict[str, int] = {}
    for session, (start, end) in spot.items():
        opened = history.opened[session]
        name = " ".join(part for part in (opened.cloud, opened.size, opened.region) if part) or "a spot machine"
        amounts = prices.cost(opened, (start, end))
        whys = [f"{name}: what it cost is not known"] if session in unpriced else []
        whys += [f"{name}: no price on demand is known"] if amounts is None else []
        if amounts and (strange := amounts.keys() ^ paid_in.get(session, amounts.keys())):
            whys.append(
                f"{name}: {' and '.join(sorted(strange))} cannot be set against each other without a dated rate"
            )
        for why in whys:
            unknown[why] = unknown.get(why, 0) + 1
        part = Fraction(min(lost.ms_by_machine.get(session, 0), end - start), end - start)
        whole.append(amounts or {})
        spared.append({name: settle(Fraction(nano, NANO), part) for name, nano in (amounts or {}).items()})
    told = (f"{why} ({count} machines)" if count > 1 else why for why, count in sorted(unknown.items()))
    return SpotSaving(len(spot), paid, added(*whole), added(*spared), tuple(told))


def _by_day(start: int, end: int) -> Iterator[Span]:
    """A stretch cut at midnight, UTC, as converted entries are."""
    while start < end:
        until = min(end, (start // DAY_MS + 1) * DAY_MS)
        yield start, until
        start = until


def _paid(bill: BilledSession, period: Period) -> Span | None:
    """What a period has of a machine's paid time."""
    start, end = max(bill.start, period.start), min(bill.billed_until, period.end)
    return (start, end) if start < end else None


def added(*parts: Mapping[str, int]) -> dict[str, int]:
    """Sums by currency."""
    found: dict[str, int] = {}
    for part in parts:
        for currency, nano in part.items():
            found[currency] = found.get(currency, 0) + nano
    return dict(sorted(found.items()))
