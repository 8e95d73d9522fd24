"""A provider's bill as a file: the CSV that clouds export, read line by line and summed by machine.

Azure's own columns, as Enterprise Agreements, Customer Agreements, partners and pay-as-you-go write them:
https://learn.microsoft.com/azure/cost-management-billing/dataset-schema/schema-index
And FOCUS 1.x, which Azure, AWS and Google Cloud all export: https://focus.finops.org
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation
from pathlib import Path
from typing import IO

from accounting.bills.bill_lines import AzureLines, BillLine, CellError, FocusLines, Machine
from core.errors import UsageError
from core.keys import digest_chunks
from ledger.entries import Period

#: Sums stay exact: amounts have at most 40 digits before and after the point.
EXACT = Context(prec=120, traps=[Inexact, InvalidOperation])
_GIVE = "give an Azure cost export of actual costs, or a FOCUS 1.x export of Azure, AWS or Google Cloud, as CSV"
#: First bytes of what people give instead of a CSV.
_OTHER_FILES = {b"PAR1": "Parquet", b"PK\x03\x04": "a workbook or an archive", b"%PDF": "a PDF"}
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class BilledMachine:
    """What a bill says of one machine in one currency."""

    #: Which machine.
    machine: Machine
    #: ISO 4217 code.
    currency: str
    #: What it cost, refunds and corrections included.
    cost: Decimal
    #: The part of ``cost`` that lines of refunds, credits and corrections are; 0 or, as a rule, below.
    refunds: Decimal
    #: Full ids of the machines that have this name; more than one where two groups use it.
    resources: frozenset[str]
    #: Accounts and resource groups that it is in.
    places: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class OtherCost:
    """What a bill says of other things than machines: disks, addresses, traffic, taxes. The books do not count them."""

    #: Subscription, account or project; empty where the bill names none.
    account: str
    #: Azure's resource group.
    group: str
    #: As the provider names it: ``Storage``, ``Bandwidth``.
    category: str
    #: ISO 4217 code.
    currency: str
    cost: Decimal
    #: Lines of the bill.
    lines: int


@dataclass(frozen=True)
class ProviderBill:
    """What a provider charged."""

    #: SHA-256 of the file, in hex.
    digest: str
    #: The days, UTC, from its first usage to its last.
    period: Period
    #: Machines, by cloud, name and currency.
    machines: tuple[BilledMachine, ...]
    #: Other things, by account, group, category and currency.
    others: tuple[OtherCost, ...]

    @property
    def clouds(self) -> frozenset[str]:
        """The clouds whose machines are on it."""
        return frozenset(each.machine.cloud for each in self.machines)


@dataclass
class _LineSum:
    """Lines of one thing, on the way."""

    cost: Decimal = Decimal(0)
    refunds: Decimal = Decimal(0)
    lines: int = 0
    resources: set[str] = field(default_factory=set)
    places: set[tuple[str, str]] = field(default_factory=set)

    def add(self, line: BillLine) -> None:
        self.cost = EXACT.add(self.cost, line.cost)
        if line.refund:
            self.refunds = EXACT.add(self.refunds, line.cost)
        self.lines += 1
        self.resources.add(line.resource)
        self.places.add((line.account, line.group))


class _BillSums:
    """A bill's lines, summed: what is kept grows with machines and categories, not with lines."""

    def __init__(self) -> None:
        self._machines: dict[tuple[Machine, str], _LineSum] = {}
        self._others: dict[tuple[str, str, str, str], _LineSum] = {}
        # Of usage by the day or shorter; and of all usage, such as a fee of a month that need not be over.
        self._days: tuple[int, int] | None = None
        self._longer: tuple[int, int] | None = None

    def add(self, line: BillLine) -> None:
        if line.machine is not None:
            self._machines.setdefault((line.machine, line.currency), _LineSum()).add(line)
        else:
            kind = (line.account, line.group, line.category, line.currency)
            self._others.setdefault(kind, _LineSum()).add(line)
        if line.used and line.end - line.start <= _DAY_MS:
            self._days = _around(self._days, line)
        elif line.used:
            self._longer = _around(self._longer, line)

    def bill(self, file: Path, digest: str) -> ProviderBill:
        """Everything in order. Raises UsageError where no machine is on it."""
        span = self._days or self._longer
        if not self._machines or span is None:
            raise UsageError(f"{file} has no virtual machine", "export the costs of the account with the machines")
        machines = [
            BilledMachine(machine, currency, each.cost, each.refunds, frozenset(each.resources), frozenset(each.places))
            for (machine, currency), each in self._machines.items()
        ]
        others = [OtherCost(*kind, each.cost, each.lines) for kind, each in self._others.items()]
        return ProviderBill(
            digest,
            Period(span[0] // _DAY_MS * _DAY_MS, -(-span[1] // _DAY_MS) * _DAY_MS),
            tuple(sorted(machines, key=lambda each: (each.machine, each.currency))),
            tuple(sorted(others, key=lambda each: (each.account, each.group, each.category, each.currency))),
        )


def _around(span: tuple[int, int] | None, line: BillLine) -> tuple[int, int]:
    return (line.start, line.end) if span is None else (min(span[0], line.start), max(span[1], line.end))


def read_bill(file: Path) -> ProviderBill:
    """The machines of a bill, in memory that does not grow with its length. ``.gz`` is read as it is.

    Parts that were put behind each other, each with its header, are one bill. Raises UsageError, with one line that
    says where, for a file that cannot be read, is no such export, or has amortized costs.
    """
    tally = _BillSums()
    try:
        with file.open("rb") as raw:
            digest = digest_chunks(iter(lambda: raw.read(_CHUNK), b""))
            raw.seek(0)
            with _text(file, raw) as text:
                for line in _lines(file, text):
                    tally.add(line)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or no UTF-8 text"
        raise UsageError(f"{file} cannot be read: {reason}", _GIVE) from error
    return tally.bill(file, digest)


def _text(file: Path, raw: IO[bytes]) -> io.TextIOWrapper:
    start = raw.read(4)
    raw.seek(0)
    for first, what in _OTHER_FILES.items():
        if start.startswith(first):
            raise UsageError(f"{file} is {what}", _GIVE)
    packed = start.startswith(_GZIP)
    data = gzip.GzipFile(fileobj=raw) if packed else raw
    return io.TextIOWrapper(data, encoding="utf-8-sig", newline="")


def _lines(file: Path, text: io.TextIOWrapper) -> Iterator[BillLine]:
    rows = csv.reader(text)
    header: list[str] | None = None
    lines: AzureLines | FocusLines | None = None
    try:
        for row in rows:
            if not row:
                continue
            if header is None or lines is None:
                header, lines = row, _reader(file, row)
            elif row[-1] != header[-1] or [row[0].lstrip("\ufeff").strip('"'), *row[1:]] != header:
                yield lines.read(row)
    except (CellError, csv.Error) as error:
        hint = error.hint if isinstance(error, CellError) else "is a quote left open?"
        raise UsageError(f"{file}, line {rows.line_num}: {error}", hint) from error


def _reader(file: Path, header: list[str]) -> AzureLines | FocusLines:
    """The reader of this header's columns, found by name whatever their case. Raises UsageError for columns amiss."""
    names = {name.strip().lower(): place for place, name in reversed(list(enumerate(header)))}
    kind = FocusLines if {"billedcost", "chargeperiodstart"} & names.keys() else AzureLines
    missing = kind.missing(names)
    if missing:
        raise UsageError(f"{file} has no column {', '.join(missing)}", _GIVE)
    return kind(names, len(header))
