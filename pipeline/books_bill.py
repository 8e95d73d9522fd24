"""A provider's bill beside the books: machine by machine, with the difference shown and never spread.

Azure's cost and usage details first: the CSV that a Cost Management export, the portal or the Cost Details API writes.
Columns are found by name, whatever their case, since Enterprise Agreements write ``CostInBillingCurrency`` and
Microsoft Customer Agreements ``costInBillingCurrency``:
https://learn.microsoft.com/azure/cost-management-billing/dataset-schema/cost-usage-details-ea
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from cache.store import Store
from core.errors import UsageError
from core.keys import canonical_json, digest_bytes
from core.money import currency_code, settle
from ledger.entries import Period
from ledger.prices import PriceBook
from pipeline.books import BookRules, fold_facts
from pipeline.books_facts import FactReader
from pipeline.books_times import day_text

LEDGER = "ledger"
_BILL = "bill-"
_DAY_MS = 86_400_000
#: Names of a column in the several schemas; the first that is there counts.
_COLUMNS = {
    "date": ("date", "usagedate", "usagedatetime"),
    "resource": ("resourceid", "instanceid"),
    "cost": ("costinbillingcurrency", "cost", "pretaxcost"),
    "currency": ("billingcurrencycode", "billingcurrency", "currency"),
    "category": ("metercategory",),
}
_MACHINES = "virtual machines"
_MACHINE = re.compile(r"/virtualmachines(?:calesets)?/([^/]+)(?:/virtualmachines/([^/]+))?", re.IGNORECASE)
_US_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
#: A machine is reconciled when its bill and the books differ by no more than a hundredth of the bill, or a cent.
_CLOSE_PARTS, _CLOSE_NANO = 100, 10_000_000


@dataclass(frozen=True)
class BillLine:
    """One line of a bill that is for a machine."""

    #: First instant of its day, UTC, ms since the epoch.
    day: int
    #: The machine's name, in lower case.
    machine: str
    #: What it cost.
    cost: Decimal
    #: ISO 4217 code.
    currency: str


@dataclass(frozen=True)
class Bill:
    """What a provider charged for machines."""

    #: The file's digest.
    digest: str
    #: Its lines for machines.
    lines: tuple[BillLine, ...]
    #: Lines for other things (disks, addresses), which the books do not count.
    others: int

    @property
    def period(self) -> Period:
        """From its first day to the end of its last."""
        days = [line.day for line in self.lines]
        return Period(min(days), max(days) + _DAY_MS)


@dataclass(frozen=True)
class MachineCheck:
    """One machine on the bill and in the books."""

    #: Its name.
    machine: str
    #: Its node sessions in the books; none for a machine that the books do not know.
    sessions: tuple[str, ...]
    #: ISO 4217 code.
    currency: str
    #: What the bill says, nano-units; None for a machine that is not on it.
    billed: int | None
    #: What the books say.
    booked: int
    #: Whether the books have time of it without a price.
    unpriced: bool

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
            "unpriced": self.unpriced,
            "agrees": self.agrees,
        }


@dataclass(frozen=True)
class Reconciliation:
    """A bill beside the books."""

    #: The bill's digest.
    bill: str
    #: Its days.
    period: Period
    #: Every machine of the bill, and every Azure machine of the books in its days.
    machines: tuple[MachineCheck, ...]
    #: Lines of the bill for other things.
    others: int

    def as_json(self) -> dict[str, Any]:
        """The object that is printed and kept."""
        return {
            "bill": self.bill,
            "start": self.period.start,
            "end": self.period.end,
            "machines": [each.as_json() for each in self.machines],
            "other_lines": self.others,
        }


def read_azure_bill(file: Path) -> Bill:
    """The machines of an Azure cost export. Raises UsageError with one line for a file that is none."""
    try:
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"{file} cannot be read: {reason}", "give the CSV of an Azure cost export") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    columns = {part: next((names[each] for each in known if each in names), "") for part, known in _COLUMNS.items()}
    missing = [_COLUMNS[part][0] for part, name in columns.items() if not name]
    if missing:
        raise UsageError(
            f"{file} has no column {', '.join(missing)}", "give the CSV of an Azure cost export with actual costs"
        )
    lines, others = [], 0
    try:
        for row in reader:
            line = _line(row, columns, f"{file}, line {reader.line_num}")
            if line is None:
                others += 1
            else:
                lines.append(line)
    except csv.Error as error:
        raise UsageError(f"{file}, line {reader.line_num}: {error}", "is a quote left open?") from error
    if not lines:
        raise UsageError(f"{file} has no virtual machine", "export actual costs of the subscription with the machines")
    return Bill(digest_bytes(data), tuple(lines), others)


def _line(row: Mapping[str, str | None], columns: Mapping[str, str], place: str) -> BillLine | None:
    said = {part: (row.get(name) or "").strip() for part, name in columns.items()}
    if said["category"].lower() != _MACHINES:
        return None
    machine = _MACHINE.search(said["resource"])
    if machine is None:
        return None
    try:
        cost = Decimal(said["cost"])
    except InvalidOperation as error:
        raise UsageError(f"{place}: {said['cost']!r} is no amount", "give the file as it was exported") from error
    if not cost.is_finite():
        raise UsageError(f"{place}: {said['cost']!r} is no amount", "give the file as it was exported")
    # A machine of a scale set is called by the set's name and its number.
    name = "_".join(part for part in machine.groups() if part).lower()
    return BillLine(_day(said["date"], place), name, cost, currency_code(said["currency"].upper()))


def _day(text: str, place: str) -> int:
    """``11/21/2026``, ``2026-11-21`` or ``2026-11-21T00:00:00Z``."""
    match = _US_DAY.fullmatch(text)
    try:
        if match:
            month, day, year = (int(part) for part in match.groups())
            moment = datetime(year, month, day, tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(text[:10]).replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageError(f"{place}: {text!r} is no day", "give the file as it was exported") from error
    return int(moment.timestamp()) * 1000


def reconcile(store: Store, bill: Bill, book: PriceBook, rules: BookRules) -> Reconciliation:
    """The bill's machines beside the books of its days. Raises StoreError."""
    reader = FactReader(store)
    books = fold_facts(reader.facts(reader.sessions()), book, rules, bill.period)
    sessions: dict[str, list[str]] = {}
    for each in books.folded.bills:
        raw = reader.node(each.session).opening or {}
        if raw.get("cloud") == "azure" and each.start < bill.period.end and each.billed_until > bill.period.start:
            name = str(raw.get("name") or raw.get("host") or "").lower()
            sessions.setdefault(name, []).append(each.session)
    booked: dict[tuple[str, str], int] = {}
    for entry in books.folded.entries:
        if entry.unit_ms or entry.attempt == "" or entry.nano:
            booked[entry.session, entry.currency] = booked.get((entry.session, entry.currency), 0) + (
                entry.nano if entry.bucket.value != "api_fee" else 0
            )
    open_time = {usage.session for usage in books.folded.unpriced if usage.meter == "node_ms"}
    billed: dict[tuple[str, str], Decimal] = {}
    for line in bill.lines:
        billed[line.machine, line.currency] = billed.get((line.machine, line.currency), Decimal(0)) + line.cost
    machines = list(_checks(billed, sessions, booked, open_time))
    return Reconciliation(bill.digest, bill.period, tuple(machines), bill.others)


def _checks(
    billed: Mapping[tuple[str, str], Decimal],
    sessions: Mapping[str, list[str]],
    booked: Mapping[tuple[str, str], int],
    open_time: Iterable[str],
) -> Iterator[MachineCheck]:
    unpriced = set(open_time)
    for (machine, currency), cost in sorted(billed.items()):
        mine = tuple(sorted(sessions.get(machine, ())))
        ours = sum(booked.get((session, currency), 0) for session in mine)
        yield MachineCheck(machine, mine, currency, settle(1, cost), ours, bool(unpriced.intersection(mine)))
    known = {machine for machine, _ in billed}
    for machine in sorted(sessions.keys() - known):
        mine = tuple(sorted(sessions[machine]))
        found = sorted({currency for session, currency in booked if session in mine}) or [""]
        for currency in found:
            ours = sum(booked.get((session, currency), 0) for session in mine)
            yield MachineCheck(machine, mine, currency, None, ours, bool(unpriced.intersection(mine)))


def keep_reconciliation(store: Store, found: Reconciliation) -> None:
    """Makes it durable that a bill was looked at; the first time stays. Raises StoreError."""
    name = f"{_BILL}{day_text(found.period.start)}-{found.bill[:16]}.json"
    store.write_once((LEDGER, name), canonical_json(found.as_json()))


def reconciled_sessions(store: Store) -> frozenset[str]:
    """Machines whose bill agreed with the books. Raises StoreError."""
    found: set[str] = set()
    for name in store.children((LEDGER,)):
        if name.startswith(_BILL) and name.endswith(".json"):
            data = store.read_document((LEDGER, name))
            machines = json.loads(data)["machines"] if data is not None else []
            found.update(session for each in machines if each["agrees"] for session in each["sessions"])
    return frozenset(found)
