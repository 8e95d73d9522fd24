"""One line of a provider's bill: which machine it is for, what it cost, and whether it is money given back.

Two sets of columns: Azure's own, in the spellings of its several agreements, and FOCUS 1.x.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import ClassVar, NamedTuple

from core.money import MoneyError, currency_code

_DAY_MS = 86_400_000
_AS_EXPORTED = "give the file as it was exported"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
#: Digits that an amount may have before and after the point: far more than any export writes.
_MOST_DIGITS = 40

_PLACE = re.compile(r"/subscriptions/([^/]+)(?:/resourcegroups/([^/]+))?", re.IGNORECASE)
_AZURE = re.compile(
    r"/providers/microsoft\.compute/virtualmachine(s|scalesets)/([^/]+)(?:/virtualmachines/([^/]+))?", re.IGNORECASE
)
_AWS = re.compile(r"(?:^|:instance/)(i-[0-9a-f]{8,17})$")
#: Google's full name of a resource, or the short one, which other services have as well.
_GCP = re.compile(r"(^|compute\.googleapis\.com/)projects/[^/]+(?:/zones/[^/]+)?/instances/([^/]+)$")
#: Units of what runs: ``1 Hour``, ``Hrs``, ``seconds``, ``vCPU-Hours``, ``gibibyte hour``; not ``GB`` of traffic.
_TIME = re.compile(r"(?:^|[\s\-/])(?:h|hr|hrs|hour|hours|s|second|seconds)(?:$|[\s\-/])")


class CellError(ValueError):
    """A line cannot be read; says why, and what to do."""

    def __init__(self, said: str, hint: str = _AS_EXPORTED) -> None:
        super().__init__(said)
        self.hint = hint


class Machine(NamedTuple):
    """A machine as a bill names it, in lower case."""

    #: azure, aws or gcp.
    cloud: str
    #: Azure's name of the VM (``set_0`` in a scale set), AWS's id of the instance, Google's last part of its name.
    name: str
    #: Whether it stands for all machines of a scale set.
    scale_set: bool = False


class BillLine(NamedTuple):
    """One line. Times are ms since the epoch, half-open."""

    #: What the line is for; None for anything but the running of a machine.
    machine: Machine | None
    #: Full id, in lower case.
    resource: str
    #: Subscription, account or project.
    account: str
    #: Azure's resource group.
    group: str
    #: As the provider names it.
    category: str
    cost: Decimal
    #: ISO 4217 code.
    currency: str
    #: Whether it takes back, or corrects, what another line says.
    refund: bool
    #: Whether its times say when something was used; a purchase's or a refund's do not.
    used: bool
    start: int
    end: int


class _Lines:
    """Cells of a line by the columns' names."""

    #: What must be there: a part of a line, and the names that its column may have; the first that is there counts.
    needed: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: What may be there.
    optional: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(self, names: Mapping[str, int], width: int) -> None:
        columns = {**self.needed, **self.optional}
        self._places = {part: _first(known, names) for part, known in columns.items()}
        self._width = width

    @classmethod
    def missing(cls, names: Mapping[str, int]) -> list[str]:
        """Columns that must be there and are not."""
        return [known[0] for known in cls.needed.values() if _first(known, names) < 0]

    def _cells(self, row: Sequence[str]) -> dict[str, str]:
        """Empty where there is no such column."""
        if len(row) != self._width:
            raise CellError(f"it has {len(row)} cells, and the header {self._width}")
        return {part: row[place].strip() if place >= 0 else "" for part, place in self._places.items()}


def _first(known: Iterable[str], names: Mapping[str, int]) -> int:
    """The place of the first of these columns that there is, whatever its case; -1 for none."""
    return next((names[each.lower()] for each in known if each.lower() in names), -1)


class AzureLines(_Lines):
    """Azure's own columns."""

    needed: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "date": ("Date", "UsageDate", "UsageDateTime"),
        "resource": ("ResourceId", "InstanceId"),
        "cost": ("CostInBillingCurrency", "Cost", "PreTaxCost"),
        "currency": ("BillingCurrencyCode", "BillingCurrency", "Currency"),
        "category": ("MeterCategory",),
    }
    optional: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "charge": ("ChargeType",),
        "model": ("PricingModel",),
        "subscription": ("SubscriptionId", "SubscriptionGuid"),
        "group": ("ResourceGroup", "ResourceGroupName"),
    }

    def read(self, row: Sequence[str]) -> BillLine:
        """The line. Raises CellError."""
        said = self._cells(row)
        cost, charge, resource = _amount(said["cost"]), said["charge"].lower(), said["resource"].lower()
        self._refuse_amortized(charge, said["model"].lower().replace(" ", ""), cost)
        machine = _azure_machine(resource) if said["category"].lower() == "virtual machines" else None
        account, group = _place(resource, said["subscription"], said["group"])
        start = _day(said["date"])
        usage = charge in ("", "usage")
        return BillLine(
            machine=machine,
            resource=resource,
            account=account,
            group=group,
            category=said["category"] or said["charge"],
            cost=cost,
            currency=_currency(said["currency"]),
            refund=not usage or cost < 0,
            used=usage and cost >= 0,
            start=start,
            end=start + _DAY_MS,
        )

    @staticmethod
    def _refuse_amortized(charge: str, model: str, cost: Decimal) -> None:
        """Amortized costs spread a reservation's price over machines: nobody paid these lines as they stand.

        Among actual costs, what a reservation or a savings plan covers costs 0, and its unused part is no line.
        """
        if charge.startswith("unused") or (charge == "usage" and model in ("reservation", "savingsplan") and cost):
            raise CellError("these are amortized costs, not what was billed", "export actual costs instead")


class FocusLines(_Lines):
    """FOCUS 1.x. Of its costs, the one that is billed: nothing is amortized in it."""

    needed: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cost": ("BilledCost",),
        "currency": ("BillingCurrency",),
        "start": ("ChargePeriodStart",),
        "end": ("ChargePeriodEnd",),
        "charge": ("ChargeCategory",),
        "resource": ("ResourceId",),
    }
    optional: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "class": ("ChargeClass",),
        "service": ("ServiceName",),
        "family": ("ServiceCategory",),
        "priced": ("PricingUnit",),
        "consumed": ("ConsumedUnit",),
        "account": ("SubAccountId",),
        "group": ("x_ResourceGroupName",),
        "meter": ("x_SkuMeterCategory",),
    }

    def read(self, row: Sequence[str]) -> BillLine:
        """The line. Raises CellError."""
        said = self._cells(row)
        cost, charge, resource = _amount(said["cost"]), said["charge"].lower(), said["resource"].lower()
        start, end = _instant(said["start"]), _instant(said["end"])
        if end <= start:
            raise CellError(f"its charge ends on {said['end']}, not after it begins")
        account, group = _place(resource, said["account"].lower(), said["group"])
        usage = charge == "usage" and not said["class"]
        return BillLine(
            machine=self._machine(said, charge, resource),
            resource=resource,
            account=account,
            group=group,
            category=said["meter"] or said["service"] or said["charge"],
            cost=cost,
            currency=_currency(said["currency"]),
            refund=not usage or cost < 0,
            used=usage and cost >= 0,
            start=start,
            end=end,
        )

    @staticmethod
    def _machine(said: Mapping[str, str], charge: str, resource: str) -> Machine | None:
        """The machine whose running, or whose refund, this is: its traffic and its addresses are other things."""
        machine = _azure_machine(resource) or _aws_machine(resource) or _gcp_machine(resource, said["service"])
        if machine is None or charge in ("tax", "purchase"):
            return None
        if machine.cloud == "azure" and said["meter"]:
            return machine if said["meter"].lower() == "virtual machines" else None
        units = [unit for unit in (said["priced"].lower(), said["consumed"].lower()) if unit]
        if units:
            return machine if any(_TIME.search(unit) for unit in units) else None
        return machine if charge != "usage" or said["family"].lower() == "compute" else None


def _azure_machine(resource: str) -> Machine | None:
    found = _AZURE.search(resource)
    if found is None:
        return None
    kind, name, instance = found.groups()
    if kind == "s":
        return Machine("azure", name.lower())
    # A machine of a scale set is called by the set's name and its number.
    return Machine("azure", f"{name}_{instance}".lower()) if instance else Machine("azure", name.lower(), True)


def _aws_machine(resource: str) -> Machine | None:
    found = _AWS.search(resource)
    return None if found is None else Machine("aws", found.group(1))


def _gcp_machine(resource: str, service: str) -> Machine | None:
    found = _GCP.search(resource)
    if found is None or not (found.group(1) or service.lower() == "compute engine"):
        return None
    return Machine("gcp", found.group(2))


def _place(resource: str, account: str, group: str) -> tuple[str, str]:
    found = _PLACE.search(resource) or _PLACE.search(account)
    if found is None:
        return account.lower(), group.lower()
    return found.group(1).lower(), (found.group(2) or group).lower()


def _amount(text: str) -> Decimal:
    try:
        cost = Decimal(text)
    except InvalidOperation as error:
        raise CellError(f"{text!r} is no amount") from error
    exponent = cost.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_MOST_DIGITS or cost.adjusted() > _MOST_DIGITS:
        raise CellError(f"{text!r} is no amount")
    return cost


@lru_cache(maxsize=256)
def _currency(text: str) -> str:
    try:
        return currency_code(text.upper())
    except MoneyError as error:
        raise CellError(error.message) from error


@lru_cache(maxsize=4096)
def _day(text: str) -> int:
    """The first instant of ``11/21/2026`` (month first, as Azure has it), ``2026-11-21``, ``2026-11-21T00:00:00Z``."""
    match = _US_DAY.fullmatch(text)
    try:
        if match:
            month, day, year = (int(part) for part in match.groups())
            moment = datetime(year, month, day, tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(text[:10]).replace(tzinfo=UTC)
    except ValueError as error:
        raise CellError(f"{text!r} is no day") from error
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def _instant(text: str) -> int:
    """``2026-11-21T13:00Z``, ``2026-11-21T13:00:00Z``, ``2026-11-21 13:00:00 UTC``."""
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError as error:
        raise CellError(f"{text!r} is no time") from error
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
