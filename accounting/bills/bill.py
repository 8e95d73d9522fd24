"""A provider's bill beside the books: machine by machine, with the difference shown and never spread."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from accounting.bills.bill_file import EXACT, BilledMachine, OtherCost, ProviderBill
from accounting.bills.bill_lines import Machine
from accounting.facts import FactReader
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from accounting.periods import day_text
from cache.store import Store
from core.keys import canonical_json, digest_bytes, digest_value
from core.money import settle
from journals.log_ends import keep_documents
from journals.node_session import NodeFacts
from ledger.billing import SAID_PRICE
from ledger.entries import Bucket, Period
from ledger.price_book.prices import PriceBook, PriceRow

LEDGER = "ledger"
_BILL = "bill-"
#: A machine is reconciled when its bill and the books differ by no more than a hundredth of the bill, or a cent.
_CLOSE_PARTS, _CLOSE_NANO = 100, 10_000_000
#: Fields of a price row that decide what a machine costs.
_TERMS = ("provider", "meter", "sku", "region", "spot", "unit_price", "per", "currency")


@dataclass(frozen=True)
class MachineCheck:
    """One machine on the bill and in the books, in one currency."""

    #: Its name, or its id where the cloud bills by that.
    machine: str
    #: Its node sessions in the books; none for a machine that the books do not know.
    sessions: tuple[str, ...]
    #: ISO 4217 code.
    currency: str
    #: What the bill says, nano-units, refunds included; None for a machine that is not on it in this currency.
    billed: int | None
    #: What the books say.
    booked: int
    #: Whether the books have time of it without a price.
    unpriced: bool
    #: The part of ``billed`` that was given back or corrected; 0 or, as a rule, below.
    refunds: int = 0
    #: Full ids on the bill that have this name; the books cannot tell two apart.
    resources: tuple[str, ...] = ()

    @property
    def residual(self) -> int | None:
        """The bill minus the books."""
        return None if self.billed is None else self.billed - self.booked

    @property
    def agrees(self) -> bool:
        """Whether the two are as good as equal."""
        if self.billed is None or self.unpriced or not self.sessions:
            return False
        return abs(self.billed - self.booked) <= max(abs(self.billed) // _CLOSE_PARTS, _CLOSE_NANO)

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units."""
        return {
            "machine": self.machine,
            "sessions": list(self.sessions),
            "currency": self.currency,
            "billed": self.billed,
            "booked": self.booked,
            "residual": self.residual,
            "refunds": self.refunds,
            "resources": list(self.resources),
            "unpriced": self.unpriced,
            "agrees": self.agrees,
        }


@dataclass(frozen=True)
class ListedPrice:
    """A row that a session was priced by, so that another price book can be asked whether it says the same."""

    #: The session.
    session: str
    #: The row's id.
    row: str
    #: Digest over what it charges.
    terms: str
    #: An instant that it priced; ms since the epoch.
    at: int
    #: The machine's region.
    region: str

    def holds(self, book: PriceBook) -> bool:
        """Whether a book prices this stretch of the session by the same row, unchanged."""
        row = book.row(self.row)
        if row is None or self.row_changed(book):
            return False
        return book.find(row.provider, row.sku, row.meter, self.at, region=self.region, spot=row.spot) == row

    def row_changed(self, book: PriceBook) -> bool:
        """Whether a book has the row, and it charges something else there."""
        row = book.row(self.row)
        return row is not None and _terms(row) != self.terms


def _terms(row: PriceRow) -> str:
    """Digest over what a row charges, whatever is said about it."""
    told = row.as_json()
    return digest_value({name: told[name] for name in _TERMS})


@dataclass(frozen=True)
class Reconciliation:
    """A bill beside the books."""

    #: The bill's digest.
    bill: str
    #: Its days.
    period: Period
    #: Every machine of the bill, and every machine of the books in its days in a cloud that is on it.
    machines: tuple[MachineCheck, ...]
    #: What else was charged where machines of the books are: in their resource groups, accounts or projects.
    other_costs: tuple[OtherCost, ...]
    #: What else was charged anywhere else; one for each currency, of no account, group and category.
    elsewhere: tuple[OtherCost, ...]
    #: From when until when each session of `machines` was billed, by the books.
    lives: Mapping[str, Period]
    #: The price an hour that was said for machines that nobody knows one of; empty for none.
    node_rate: str = ""
    #: Sessions that the books priced by it.
    assumed: frozenset[str] = frozenset()
    #: The rows of the price book that the books priced sessions by.
    listed: tuple[ListedPrice, ...] = ()

    @property
    def others(self) -> int:
        """Lines of the bill for other things than machines, which the books do not count."""
        return sum(each.lines for each in (*self.other_costs, *self.elsewhere))

    def as_json(self) -> dict[str, Any]:
        """The object that is printed and kept."""
        return {
            "bill": self.bill,
            "start": self.period.start,
            "end": self.period.end,
            "machines": [each.as_json() for each in self.machines],
            "other_costs": [_other_json(each) for each in self.other_costs],
            "elsewhere": [_other_json(each) for each in self.elsewhere],
            "other_lines": self.others,
            "lives": {session: [life.start, life.end] for session, life in sorted(self.lives.items())},
            "node_rate": self.node_rate,
            "assumed": sorted(self.assumed),
            "listed": [asdict(each) for each in self.listed],
        }


def _other_json(other: OtherCost) -> dict[str, Any]:
    return {
        "account": other.account,
        "group": other.group,
        "category": other.category,
        "currency": other.currency,
        "amount": settle(1, other.cost),
        "lines": other.lines,
    }


@dataclass(frozen=True)
class _Booked:
    """The books' side."""

    #: Sessions by each name that a bill may have for their machine.
    sessions: Mapping[Machine, tuple[str, ...]]
    #: The name to show for each session.
    names: Mapping[str, str]
    #: From when until when each session was billed.
    lives: Mapping[str, Period]
    #: What a session cost, by currency: its time, not what it called over the network.
    nano: Mapping[tuple[str, str], int]
    #: Sessions with time that has no price.
    unpriced: frozenset[str]

    def of(self, machine: Machine) -> tuple[str, ...]:
        """The sessions of a machine of the bill; all those of a scale set that is billed as one."""
        if not machine.scale_set:
            return self.sessions.get(machine, ())
        member = re.compile(re.escape(machine.name) + "_[0-9a-z]+")
        found = (
            each for known, each in self.sessions.items() if known.cloud == "azure" and member.fullmatch(known.name)
        )
        return tuple(sorted({session for sessions in found for session in sessions}))

    def check(self, name: str, mine: Sequence[str], currency: str, found: BilledMachine | None = None) -> MachineCheck:
        """These sessions beside what the bill says of them."""
        return MachineCheck(
            machine=name,
            sessions=tuple(mine),
            currency=currency,
            billed=None if found is None else settle(1, found.cost),
            booked=sum(self.nano.get((session, currency), 0) for session in mine),
            unpriced=not self.unpriced.isdisjoint(mine),
            refunds=0 if found is None else settle(1, found.refunds),
            resources=() if found is None else tuple(sorted(found.resources)),
        )

    def currencies(self, mine: Iterable[str]) -> set[str]:
        """The currencies that these sessions are booked in."""
        ours = set(mine)
        return {currency for (session, currency), nano in self.nano.items() if session in ours and nano}


def reconcile(store: Store, bill: ProviderBill, book: PriceBook, rules: PricingRules) -> Reconciliation:
    """The bill's machines beside the books of its days. Raises StoreError."""
    reader = FactReader(store)
    ledger = fold_facts(reader.facts(reader.sessions()), book, rules, bill.period)
    booked = _booked(reader, ledger, bill)
    places: set[tuple[str, str]] = set()
    for found in bill.machines:
        if booked.of(found.machine):
            places |= found.places
    near = tuple(each for each in bill.others if (each.account, each.group) in places)
    far: dict[str, OtherCost] = {}
    for each in bill.others:
        if (each.account, each.group) not in places:
            so_far = far.get(each.currency, OtherCost("", "", "", each.currency, each.cost * 0, 0))
            total, lines = EXACT.add(so_far.cost, each.cost), so_far.lines + each.lines
            far[each.currency] = OtherCost("", "", "", each.currency, total, lines)
    elsewhere = tuple(far[currency] for currency in sorted(far))
    assumed = frozenset(entry.session for entry in ledger.folded.entries if entry.price_row == SAID_PRICE)
    checks = tuple(_checks(bill, booked))
    return Reconciliation(
        bill.digest,
        bill.period,
        checks,
        near,
        elsewhere,
        booked.lives,
        rules.said,
        assumed & booked.lives.keys(),
        tuple(_listed(reader, ledger, book, booked.lives)),
    )


def _listed(
    reader: FactReader, ledger: FleetLedger, book: PriceBook, sessions: Collection[str]
) -> Iterator[ListedPrice]:
    found: dict[tuple[str, str], int] = {}
    for entry in ledger.folded.entries:
        if entry.session in sessions and entry.bucket is not Bucket.API_FEE:
            place = entry.session, entry.price_row
            found[place] = min(found.get(place, entry.start), entry.start)
    for (session, name), at in sorted(found.items()):
        row = book.row(name)
        if row is not None:
            opening = reader.node(session).opening
            yield ListedPrice(session, name, _terms(row), at, opening.region if opening else "")


def _booked(reader: FactReader, ledger: FleetLedger, bill: ProviderBill) -> _Booked:
    """The books' machines of the bill's days and clouds."""
    sessions: dict[Machine, list[str]] = {}
    names: dict[str, str] = {}
    lives: dict[str, Period] = {}
    for each in ledger.folded.bills:
        opening = reader.node(each.session).opening
        cloud = opening.cloud if opening else ""
        if cloud not in bill.clouds or each.start >= bill.period.end or each.billed_until <= bill.period.start:
            continue
        called = _names(cloud, opening)
        names[each.session] = called[0]
        lives[each.session] = Period(each.start, each.billed_until)
        for name in dict.fromkeys(called):
            sessions.setdefault(Machine(cloud, name), []).append(each.session)
    nano: dict[tuple[str, str], int] = {}
    for entry in ledger.folded.entries:
        if entry.bucket is not Bucket.API_FEE:
            nano[entry.session, entry.currency] = nano.get((entry.session, entry.currency), 0) + entry.nano
    unpriced = frozenset(usage.session for usage in ledger.folded.unpriced if usage.meter == "node_ms")
    return _Booked({known: tuple(sorted(each)) for known, each in sessions.items()}, names, lives, nano, unpriced)


def _names(cloud: str, machine: NodeFacts | None) -> list[str]:
    """What a bill may call this machine, in lower case; what people call it first."""
    known = machine or NodeFacts()
    name, host, instance = known.name.lower(), known.host.lower(), known.instance_id.lower()
    called = {"azure": (name or host,), "aws": (instance, name or host), "gcp": (name or host, instance)}
    return [each for each in called.get(cloud, (name,)) if each] or [""]


def _checks(bill: ProviderBill, booked: _Booked) -> Iterator[MachineCheck]:
    met: set[str] = set()
    billed: dict[Machine, set[str]] = {}
    for found in bill.machines:
        mine = booked.of(found.machine)
        met.update(mine)
        billed.setdefault(found.machine, set()).add(found.currency)
        yield booked.check(found.machine.name, mine, found.currency, found)
    for machine, currencies in sorted(billed.items()):
        mine = booked.of(machine)
        for currency in sorted(booked.currencies(mine) - currencies):
            yield booked.check(machine.name, mine, currency)
    alone: dict[str, list[str]] = {}
    for session in sorted(booked.names.keys() - met):
        alone.setdefault(booked.names[session], []).append(session)
    for name, mine_alone in sorted(alone.items()):
        for currency in sorted(booked.currencies(mine_alone)) or [""]:
            yield booked.check(name, mine_alone, currency)


def keep_reconciliation(store: Store, found: Reconciliation) -> None:
    """Makes it durable that a bill was looked at, and what was found. Raises StoreError."""
    data = canonical_json(found.as_json())
    name = f"{_BILL}{day_text(found.period.start)}-{found.bill[:16]}-{digest_bytes(data)[:8]}.json"
    store.write_once((LEDGER, name), data)
    keep_documents(store)


def reconciled_sessions(
    store: Store, period: Period | None = None, node_rate: str | None = None, book: PriceBook | None = None
) -> frozenset[str]:
    """Machines whose bills agreed with the books for all that they ran, in ``period`` or ever. Raises StoreError.

    ``node_rate`` and ``book`` are what the books that are to be shown are told of machines that say no price
    themselves: a bill that agreed under others says nothing of them. None takes any.
    """
    lives: dict[str, Period] = {}
    agreed: dict[str, list[Period]] = {}
    for told in _kept_bills(store):
        apart = {session for each in told["machines"] if not each["agrees"] for session in each["sessions"]}
        if node_rate is not None and told.get("node_rate", "") != node_rate:
            apart.update(told.get("assumed", ()))
        if book is not None:
            apart.update(each.session for each in _listed_in(told) if not each.holds(book))
        for session, (start, end) in told.get("lives", {}).items():
            known = lives.get(session, Period(start, end))
            lives[session] = Period(min(start, known.start), max(end, known.end))
            if session not in apart:
                agreed.setdefault(session, []).append(Period(told["start"], told["end"]))
    return frozenset(session for session, bills in agreed.items() if _covers(bills, lives[session], period))


def listed_prices(store: Store) -> Iterator[ListedPrice]:
    """The rows that the machines of every kept bill were priced by. Raises StoreError."""
    for told in _kept_bills(store):
        yield from _listed_in(told)


def _kept_bills(store: Store) -> Iterator[Mapping[str, Any]]:
    for name in store.children((LEDGER,)):
        if name.startswith(_BILL) and name.endswith(".json"):
            data = store.read_document((LEDGER, name))
            yield json.loads(data) if data is not None else {"machines": []}


def _listed_in(told: Mapping[str, Any]) -> Iterator[ListedPrice]:
    return (ListedPrice(**each) for each in told.get("listed", ()))


def _covers(bills: Iterable[Period], life: Period, period: Period | None) -> bool:
    """Whether the bills' days have every instant of the life that is in the period."""
    at, end = life.start, life.end
    if period is not None:
        at, end = max(at, period.start), min(end, period.end)
    for bill in sorted(bills, key=lambda each: each.start):
        if bill.start <= at:
            at = max(at, bill.end)
    return at >= end
