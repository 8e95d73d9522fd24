"""A provider's bill as Azure, AWS and Google Cloud export it, beside the books."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_journals import Journals

from accounting.bills.bill import MachineCheck, Reconciliation, keep_reconciliation, reconcile, reconciled_sessions
from accounting.bills.bill_file import ProviderBill, read_bill
from accounting.bills.bill_lines import Machine
from accounting.fleet_ledger import PricingRules
from accounting.months import close_month, read_period
from accounting.report import Finality
from core.errors import UsageError
from ledger.entries import Period
from ledger.price_book.price_files import parse_toml
from ledger.price_book.prices import PriceBook

OCTOBER = datetime(2026, 10, 10, tzinfo=UTC)
NO_PRICES = PriceBook(())
RULES = PricingRules()
DAY = 86_400_000
GROUP = "/subscriptions/S1/resourceGroups/Speech/providers/Microsoft.Compute"
VM = f"{GROUP}/virtualMachines/vm-1"
EA = (
    "SubscriptionId,ResourceGroup,Date,MeterCategory,CostInBillingCurrency,ResourceId,ChargeType,PricingModel,"
    "BillingCurrencyCode"
)


def ea(cost: str, *, resource: str = VM, category: str = "Virtual Machines", **cells: str) -> str:
    """A line as an Enterprise Agreement writes it."""
    day, charge = cells.get("day", "10/10/2026"), cells.get("charge", "Usage")
    model, currency = cells.get("model", "Spot"), cells.get("currency", "USD")
    return f"S1,Speech,{day},{category},{cost},{resource},{charge},{model},{currency}"


def bill_of(folder: Path, *lines: str, header: str = EA) -> ProviderBill:
    path = folder / "bill.csv"
    path.write_text("\r\n".join([header, *lines, ""]), encoding="utf-8")
    return read_bill(path)


def machine(folder: Path, **facts: Any) -> Journals:
    """A machine that cost 0.10 USD on 2026-10-10."""
    journals = Journals(folder, OCTOBER)
    journals.node("node", 0, 100, facts.pop("price", "3.60 USD"), **facts)
    return journals


def looked(journals: Journals, bill: ProviderBill) -> Reconciliation:
    return reconcile(journals.store, bill, NO_PRICES, RULES)


def only(found: Reconciliation) -> MachineCheck:
    (check,) = found.machines
    return check


# -- the files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (EA, ea("0.10")),
        (
            "invoiceId,date,meterCategory,SubscriptionId,resourceGroupName,ResourceId,chargeType,billingCurrency,"
            "pricingCurrency,costInBillingCurrency,costInPricingCurrency,costInUsd,pricingModel",
            f"I,10/10/2026,Virtual Machines,S1,Speech,{VM},Usage,USD,EUR,0.10,0.09,0.10,Spot",
        ),
        (
            "SubscriptionGuid,ResourceGroup,UsageDateTime,MeterCategory,UsageQuantity,PreTaxCost,InstanceId,Currency",
            f"S1,Speech,2026-10-10,Virtual Machines,0.5,0.10,{VM.upper()},USD",
        ),
        ("Date,MeterCategory,Cost,BillingCurrency,ResourceId", f"2026-10-10T00:00:00Z,Virtual Machines,1E-1,usd,{VM}"),
    ],
    ids=["enterprise", "customer", "pay-as-you-go", "older"],
)
def test_each_of_azures_schemas_is_read(tmp_path: Path, header: str, line: str) -> None:
    bill = bill_of(tmp_path, line, header=header)
    (found,) = bill.machines
    assert (found.machine, found.currency, found.cost) == (Machine("azure", "vm-1"), "USD", Decimal("0.1"))
    assert found.places == {("s1", "speech")}
    assert bill.period.end - bill.period.start == DAY


def test_packed_and_joined_parts_are_one_bill(tmp_path: Path) -> None:
    part = b"\xef\xbb\xbf" + f"{EA}\r\n{ea('0.05')}\r\n".encode()
    path = tmp_path / "bill.csv.gz"
    path.write_bytes(gzip.compress(part) + gzip.compress(part))
    (found,) = read_bill(path).machines
    assert found.cost == Decimal("0.10")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PAR1xxxx", "is Parquet"),
        (b"PK\x03\x04xxxx", "is a workbook"),
        (b"\x1f\x8b\x08\x00", "cannot be read"),
        (b"\xff\xfe\x00\x01", "cannot be read"),
        (b"", "no virtual machine"),
        (b"lineItem/UsageStartDate,lineItem/UnblendedCost\n", "has no column Date, ResourceId, CostInBillingCurrency"),
        (b"EffectiveCost,ChargePeriodStart,ResourceId\n", "has no column BilledCost"),
        (f"{EA}\nS1,Speech\n".encode(), "line 2: it has 2 cells, and the header 9"),
        (f"{EA}\n{ea('0,05')}\n".encode(), "line 2: it has 10 cells"),
        (f"{EA}\n{ea('1E+99999')}\n".encode(), "is no amount"),
        (f"{EA}\n{ea('NaN')}\n".encode(), "is no amount"),
        (f"{EA}\n{ea('1', day='13/10/2026')}\n".encode(), "is no day"),
        (f"{EA}\n{ea('1', currency='dollars')}\n".encode(), "is not a currency"),
        (f'{EA}\n{ea("1")}\n"{ea("1")}\n'.encode(), "line 3"),
    ],
)
def test_what_is_no_bill_is_refused_in_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "bill.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        read_bill(path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        ea("0.04", model="Reservation"),
        ea("0.04", model="SavingsPlan"),
        ea("0.04", resource="", category="", charge="UnusedReservation", model="Reservation"),
    ],
)
def test_amortized_costs_are_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError, match="amortized"):
        bill_of(tmp_path, ea("0.10"), line)


def test_what_a_reservation_covers_costs_nothing_among_actual_costs(tmp_path: Path) -> None:
    (found,) = bill_of(tmp_path, ea("0", model="Reservation")).machines
    assert found.cost == 0


def test_only_usage_says_which_days_a_bill_is_for(tmp_path: Path) -> None:
    bill = bill_of(
        tmp_path,
        ea("0.10"),
        ea("2", category="Storage", day="10/12/2026"),
        ea("-1", charge="Refund", day="1/1/2026"),
        ea("50", resource="", category="", charge="Purchase", day="12/31/2026"),
    )
    assert bill.period.end - bill.period.start == 3 * DAY


def test_amounts_are_summed_exactly(tmp_path: Path) -> None:
    tiny, large = "0.000000000000000000000000000001", "123456789012345678"
    (found,) = bill_of(tmp_path, ea(large), *[ea(tiny)] * 3).machines
    assert found.cost == Decimal("123456789012345678.000000000000000000000000000003")


# -- beside the books ----------------------------------------------------------------------------------------


def test_disks_addresses_and_traffic_are_the_bills_other_costs(tmp_path: Path) -> None:
    found = looked(
        machine(tmp_path / "home", cloud="azure", name="VM-1"),
        bill_of(
            tmp_path,
            ea("0.10"),
            ea("0.004", resource=f"{GROUP}/disks/vm-1_OsDisk", category="Storage"),
            ea("0.006", resource=f"{GROUP}/disks/vm-1_Data", category="Storage"),
            ea("0.001", category="Bandwidth"),
            ea("7", resource="/subscriptions/S1/resourceGroups/web/providers/Microsoft.Web/sites/w", category="App"),
            ea("9", resource="", category="", charge="Purchase").replace("Speech", ""),
        ),
    )
    assert only(found).residual == 0
    assert [(each.group, each.category, each.cost, each.lines) for each in found.other_costs] == [
        ("speech", "Bandwidth", Decimal("0.001"), 1),
        ("speech", "Storage", Decimal("0.010"), 2),
    ]
    assert [(each.cost, each.lines) for each in found.elsewhere] == [(Decimal(16), 2)]
    assert found.others == 5


def test_a_refund_lowers_what_a_machine_was_billed_and_is_named(tmp_path: Path) -> None:
    found = looked(
        machine(tmp_path / "home", cloud="azure", name="vm-1"),
        bill_of(tmp_path, ea("0.12"), ea("-0.02", charge="Refund", day="10/1/2026")),
    )
    check = only(found)
    assert (check.billed, check.refunds, check.agrees) == (100_000_000, -20_000_000, True)


def test_a_scale_set_that_is_billed_as_one_is_all_of_its_machines(tmp_path: Path) -> None:
    journals = machine(tmp_path / "home", cloud="azure", name="Fleet_0")
    journals.node("second", 0, 100, "3.60 USD", cloud="azure", name="fleet_a1")
    journals.node("other", 0, 100, "3.60 USD", cloud="azure", name="fleet")
    found = looked(journals, bill_of(tmp_path, ea("0.20", resource=f"{GROUP}/virtualMachineScaleSets/Fleet")))
    by_name = {(check.machine, check.billed): check for check in found.machines}
    assert by_name["fleet", 200_000_000].sessions == ("node", "second")
    assert by_name["fleet", 200_000_000].agrees
    assert by_name["fleet", None].sessions == ("other",)


def test_a_machine_of_a_scale_set_that_is_billed_by_itself_has_the_sets_name_and_its_number(tmp_path: Path) -> None:
    journals = machine(tmp_path / "home", cloud="azure", name="fleet_3")
    bill = bill_of(tmp_path, ea("0.10", resource=f"{GROUP}/virtualMachineScaleSets/Fleet/virtualMachines/3"))
    assert only(looked(journals, bill)).sessions == ("node",)


def test_two_machines_of_one_name_are_named_as_two(tmp_path: Path) -> None:
    bill = bill_of(tmp_path, ea("0.04"), ea("0.06", resource=VM.replace("Speech", "Web")))
    check = only(looked(machine(tmp_path / "home", cloud="azure", name="vm-1"), bill))
    assert (check.billed, len(check.resources), check.agrees) == (100_000_000, 2, True)


def test_each_currency_is_a_line_of_its_own_and_none_is_converted(tmp_path: Path) -> None:
    journals = machine(tmp_path / "home", cloud="azure", name="vm-1")
    found = looked(journals, bill_of(tmp_path, ea("0.10"), ea("3", currency="EUR")))
    assert [(check.currency, check.billed, check.booked, check.agrees) for check in found.machines] == [
        ("EUR", 3_000_000_000, 0, False),
        ("USD", 100_000_000, 100_000_000, True),
    ]
    keep_reconciliation(journals.store, found)
    assert reconciled_sessions(journals.store) == frozenset()
    euros = looked(journals, bill_of(tmp_path, ea("0.10", currency="EUR")))
    assert [(check.currency, check.billed, check.booked) for check in euros.machines] == [
        ("EUR", 100_000_000, 0),
        ("USD", None, 100_000_000),
    ]


def test_a_bill_may_be_looked_at_again_when_the_books_know_more(tmp_path: Path) -> None:
    journals = machine(tmp_path / "home", cloud="azure", name="vm-1", price="")
    bill = bill_of(tmp_path, ea("0.10"))
    keep_reconciliation(journals.store, looked(journals, bill))
    assert reconciled_sessions(journals.store) == frozenset()
    keep_reconciliation(journals.store, reconcile(journals.store, bill, NO_PRICES, PricingRules("3.60 USD")))
    assert reconciled_sessions(journals.store) == {"node"}


def test_a_bill_that_agreed_at_a_price_that_was_said_reconciles_only_books_of_that_price(tmp_path: Path) -> None:
    journals = machine(tmp_path / "home", cloud="azure", name="vm-1", price="")
    journals.node("priced", 0, 100, "3.60 USD", cloud="azure", name="vm-2")
    bill = bill_of(tmp_path, ea("0.10"), ea("0.10", resource=VM.replace("vm-1", "vm-2")))
    keep_reconciliation(journals.store, reconcile(journals.store, bill, NO_PRICES, PricingRules("3.60 USD")))
    assert reconciled_sessions(journals.store, node_rate="3.60 USD") == {"node", "priced"}
    assert reconciled_sessions(journals.store, node_rate="") == {"priced"}
    october = Period.month("2026-10")
    standing = {
        rate: read_period(journals.store, NO_PRICES, PricingRules(rate), october).standing
        for rate in ("3.60 USD", "9 USD")
    }
    assert standing == {"3.60 USD": Finality.RECONCILED, "9 USD": Finality.PROVISIONAL}


def listed_at(*prices: str) -> PriceBook:
    """A book with a layer for each price an hour of the same machine, the last one on top."""
    row = """
[[price]]
id = "azure/x/{0}"
provider = "azure"
meter = "node_hour"
sku = "Standard_X"
unit_price = "{0}"
per = "1"
currency = "USD"
effective_from = "2020-01-01"
observed_at = "2026-01-01"
source_url = "https://example.org/prices"
confidence = "list"
"""
    return PriceBook(tuple(parse_toml(row.format(price), "test") for price in prices))


def test_a_bill_that_agreed_under_a_price_book_reconciles_only_books_that_say_the_same_of_the_machine(
    tmp_path: Path,
) -> None:
    journals = machine(tmp_path / "home", cloud="azure", name="vm-1", size="Standard_X", region="eastus", price="")
    journals.node("priced", 0, 100, "3.60 USD", cloud="azure", name="vm-2")
    bill = bill_of(tmp_path, ea("0.10"), ea("0.10", resource=VM.replace("vm-1", "vm-2")))
    keep_reconciliation(journals.store, reconcile(journals.store, bill, listed_at("9", "3.60"), RULES))
    told = {
        prices: reconciled_sessions(journals.store, book=listed_at(*prices))
        for prices in (("3.60",), ("1", "3.60"), ("9",), ("3.60", "9"), ())
    }
    both, own = {"node", "priced"}, {"priced"}
    assert told == {("3.60",): both, ("1", "3.60"): both, ("9",): own, ("3.60", "9"): own, (): own}
    standing = {
        price: read_period(journals.store, listed_at(price), RULES, Period.month("2026-10")).standing
        for price in ("3.60", "9")
    }
    assert standing == {"3.60": Finality.RECONCILED, "9": Finality.PROVISIONAL}
    # A closed month has its own price book, whatever is said today.
    close_month(journals.store, "2026-10", listed_at("3.60"), RULES)
    assert read_period(journals.store, listed_at("9"), RULES, Period.month("2026-10")).standing is Finality.RECONCILED


def test_a_machine_is_reconciled_when_bills_have_agreed_for_all_that_it_ran(tmp_path: Path) -> None:
    journals = Journals(tmp_path / "home")
    # An hour before and an hour after the end of October.
    journals.node("node", 0, 7200, "3.60 USD", cloud="azure", name="vm-1")
    october, november = Period.month("2026-10"), Period.month("2026-11")
    before = bill_of(tmp_path, ea("3.60", day="10/31/2026"))
    keep_reconciliation(journals.store, looked(journals, before))
    assert reconciled_sessions(journals.store, october) == {"node"}
    assert reconciled_sessions(journals.store, november) == reconciled_sessions(journals.store) == frozenset()
    after = bill_of(tmp_path, ea("3.60", day="11/1/2026"))
    keep_reconciliation(journals.store, looked(journals, after))
    assert reconciled_sessions(journals.store, november) == reconciled_sessions(journals.store) == {"node"}


# -- FOCUS ---------------------------------------------------------------------------------------------------

FOCUS = (
    "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,ChargePeriodEnd,"
    "ProviderName,ResourceId,ServiceCategory,ServiceName,PricingUnit,ConsumedUnit,SubAccountId,x_SkuMeterCategory"
)
EC2 = "i-0123456789abcdef0"
GCE = "//compute.googleapis.com/projects/p-1/zones/us-central1-a/instances/worker-1"


def focus(cost: str, resource: str, unit: str, **cells: str) -> str:
    start, end = cells.get("start", "2026-10-10T00:00:00Z"), cells.get("end", "2026-10-10T01:00:00Z")
    charge, meter = cells.get("charge", "Usage"), cells.get("meter", "")
    service, account = cells.get("service", "Compute Engine"), cells.get("account", "P-1")
    return (
        f"{cost},99,USD,{charge},{cells.get('kind', '')},{start},{end},Any,{resource},Compute,{service},{unit},,"
        f"{account},{meter}"
    )


def test_a_focus_export_of_azure_reconciles(tmp_path: Path) -> None:
    subscription = "/subscriptions/S1"
    bill = bill_of(
        tmp_path,
        focus("0.10", VM.lower(), "1 Hour", meter="Virtual Machines", account=subscription, start="2026-10-10T00:00Z"),
        focus("0.01", VM, "1 Hour", meter="Virtual Machines Licenses", account=subscription),
        focus("0.02", VM, "1 GB", meter="Bandwidth", account=subscription),
        header=FOCUS,
    )
    found = looked(machine(tmp_path / "home", cloud="azure", name="vm-1"), bill)
    assert only(found).agrees
    assert [each.category for each in found.other_costs] == ["Bandwidth", "Virtual Machines Licenses"]


@pytest.mark.parametrize("resource", [EC2, f"arn:aws:ec2:us-east-1:111111111111:instance/{EC2}"])
def test_a_focus_export_of_aws_reconciles_by_the_instances_id(tmp_path: Path, resource: str) -> None:
    bill = bill_of(
        tmp_path,
        focus("0.06", resource, "Hrs", account="111111111111", service="Amazon Elastic Compute Cloud"),
        focus(
            "0.04",
            resource,
            "Hours",
            account="111111111111",
            start="2026-10-10T01:00:00.000Z",
            end="2026-10-10 02:00:00",
        ),
        focus("0.5", resource, "GB", account="111111111111", service="Data Transfer"),
        focus("0.2", "vol-0123456789abcdef0", "GB-Mo", account="111111111111", service="EBS"),
        focus("1", "", "", charge="Tax", account="111111111111", service="Tax"),
        header=FOCUS,
    )
    journals = machine(tmp_path / "home", cloud="aws", instance_id=EC2, name="ip-10-0-0-1.ec2.internal")
    journals.node("elsewhere", 0, 100, "3.60 USD", cloud="azure", name="vm-1")
    found = looked(journals, bill)
    assert (only(found).machine, only(found).agrees) == (EC2, True)
    assert [each.category for each in found.other_costs] == ["Data Transfer", "EBS", "Tax"]


@pytest.mark.parametrize(
    "resource",
    [
        GCE,
        GCE.replace("worker-1", "7654321"),
        "projects/1234/instances/worker-1",
        "projects/p/zones/z/instances/worker-1",
    ],
)
def test_a_focus_export_of_google_cloud_adds_a_machines_cores_memory_and_gpu(tmp_path: Path, resource: str) -> None:
    times = {"start": "2026-10-10 00:00:00 UTC", "end": "2026-10-10 01:00:00 UTC"}
    bill = bill_of(
        tmp_path,
        focus("0.03", resource, "hour", **times),
        focus("0.01", resource, "gibibyte hour", **times),
        focus("0.08", resource, "seconds", **times),
        focus("-0.02", resource, "", charge="Credit", **times),
        focus("0.07", resource, "gibibyte", service="Networking", **times),
        focus("0.5", "projects/p/instances/database", "hour", service="Cloud SQL", **times),
        header=FOCUS,
    )
    found = looked(machine(tmp_path / "home", cloud="gcp", instance_id="7654321", name="worker-1"), bill)
    assert (only(found).billed, only(found).refunds, only(found).agrees) == (100_000_000, -20_000_000, True)
    assert [each.category for each in found.other_costs] == ["Cloud SQL", "Networking"]


def test_a_correction_of_an_earlier_month_is_told_apart(tmp_path: Path) -> None:
    earlier = {"start": "2026-09-30T00:00:00Z", "end": "2026-10-01T00:00:00Z"}
    bill = bill_of(
        tmp_path, focus("0.10", EC2, "Hrs"), focus("0.03", EC2, "Hrs", kind="Correction", **earlier), header=FOCUS
    )
    (found,) = bill.machines
    assert (found.cost, found.refunds) == (Decimal("0.13"), Decimal("0.03"))
    assert bill.period.end - bill.period.start == DAY


@pytest.mark.parametrize(("start", "said"), [("soon", "is no time"), ("2026-10-11T00:00:00Z", "not after it begins")])
def test_a_charge_without_sound_times_is_refused(tmp_path: Path, start: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        bill_of(tmp_path, focus("1", EC2, "Hrs", start=start), header=FOCUS)
