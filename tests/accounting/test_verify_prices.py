"""What `prices check` and `prices import` refuse: rows that were changed after they priced a month or a bill."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_journals import Journals
from machine_rows import machine_row

from accounting.bills.bill import keep_reconciliation, reconcile
from accounting.bills.bill_file import read_bill
from accounting.checks.verify_prices import price_problems
from accounting.fleet_ledger import PricingRules
from accounting.months import close_month
from cache.envelope import encode_document
from cache.store import Store
from cli.money.prices import app
from ledger.price_book.price_files import instant, toml_of
from ledger.price_book.prices import Confidence, Meter, PriceBook, PriceRow, Rounding

RULES = PricingRules()
#: 3.60 USD an hour: 0.10 USD for the 100 s of the machine below.
ROW = machine_row("azure/x/2026-10", "3.60", "2026-10-01", "https://prices.azure.com/x")
VM = "/subscriptions/S1/resourceGroups/Speech/providers/Microsoft.Compute/virtualMachines/vm-1"
BILL = (
    "SubscriptionId,ResourceGroup,Date,MeterCategory,CostInBillingCurrency,ResourceId,ChargeType,PricingModel,"
    f"BillingCurrencyCode\nS1,Speech,10/10/2026,Virtual Machines,0.10,{VM},Usage,OnDemand,USD\n"
)


def machine(folder: Path) -> Store:
    """A machine that ran for 100 s on 2026-10-10 and is priced by the book alone."""
    journals = Journals(folder, datetime(2026, 10, 10, tzinfo=UTC))
    journals.node("node", 0, 100, "", cloud="azure", size="Standard_X", name="VM-1")
    return journals.store


def closed(folder: Path, *rows: PriceRow) -> Store:
    store = machine(folder)
    month = close_month(store, "2026-10", PriceBook((rows or (ROW,),)), RULES)
    assert [(entry.price_row, entry.nano) for entry in month.closing.entries.values()] == [(ROW.id, 100_000_000)]
    return store


def told(store: Store, *rows: PriceRow) -> list[str]:
    return price_problems(store, PriceBook((rows,)), "prices.toml", own=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unit_price": Decimal("3.61")}, "unit_price is 3.61 where it was 3.60"),
        ({"currency": "EUR"}, "currency is EUR where it was USD"),
        ({"meter": Meter.GPU_HOUR}, "meter is gpu_hour where it was node_hour"),
        ({"billing_increment": Decimal(60)}, "billing_increment is 60 where it was 0"),
        ({"minimum_quantity": Decimal(60)}, "minimum_quantity is 60 where it was 0"),
        ({"rounding": Rounding.NEAREST}, "rounding is nearest where it was up"),
        ({"request_limit": Decimal(60)}, "request_limit is 60 where it was 0"),
        ({"per": 10}, "per is 10 where it was 1"),
        ({"spot": True}, "spot is true where it was false"),
        ({"region": "eastus"}, "region is eastus where it was empty"),
        (
            {"unit_price": Decimal(4), "effective_from": instant("2026-10-11")},
            "unit_price is 4 where it was 3.60, effective_from is 2026-10-11 where it was 2026-10-01",
        ),
    ],
)
def test_a_row_that_priced_a_closed_month_never_charges_anything_else(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    store = closed(tmp_path)
    assert told(store, ROW) == []
    assert told(store, replace(ROW, **change)) == [  # type: ignore[arg-type]
        f"prices.toml: the row azure/x/2026-10 has been used, and {said}; leave it as it was, and give the new price "
        "an id of its own, with effective_from the day on which it began; 2026-10 was closed with it"
    ]


def test_what_is_said_of_a_price_may_change(tmp_path: Path) -> None:
    store = closed(tmp_path)
    later = replace(ROW, effective_to=instant("2026-11-01"), note="as on our bill", confidence=Confidence.MEASURED)
    new = replace(ROW, id="azure/x/2026-11", unit_price=Decimal(4), effective_from=instant("2026-11-01"))
    assert told(store, later, replace(new, retired_from=instant("2027-01-01"))) == []


def test_a_kept_book_that_was_rewritten_and_sealed_anew_is_told(tmp_path: Path) -> None:
    store = closed(tmp_path)
    (name,) = [name for name in store.children(("ledger",)) if name.startswith("book-")]
    data = store.read_document(("ledger", name)) or b""
    (tmp_path / "ledger" / name).write_bytes(encode_document(("ledger", name), data.replace(b"3.60", b"9.60")))
    # The book of today is changed in the same way, so that the two agree.
    assert told(store, replace(ROW, unit_price=Decimal("9.60"))) == [f"ledger/{name}: its rows have another digest"]


def test_a_row_that_a_bill_agreed_under_never_charges_anything_else(tmp_path: Path) -> None:
    store = machine(tmp_path)
    file = tmp_path / "bill.csv"
    file.write_text(BILL, encoding="utf-8")
    keep_reconciliation(store, reconcile(store, read_bill(file), PriceBook(((ROW,),)), RULES))
    assert told(store, ROW) == told(store) == []
    (line,) = told(store, replace(ROW, unit_price=Decimal(4)))
    assert line == "prices.toml: the row azure/x/2026-10 has other terms than a bill was reconciled with"


def test_check_and_import_refuse_a_row_that_a_closed_month_was_priced_with_otherwise(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    store = closed(tmp_path)
    home = Path(store.home)
    changed = tmp_path / "ours.toml"
    changed.write_text(toml_of(replace(ROW, unit_price=Decimal("3.61"))), encoding="utf-8")

    def run(*arguments: str | Path) -> tuple[int, str]:
        code = app([*map(str, arguments), "--home", str(home)], standalone_mode=False)
        return int(code or 0), capsys.readouterr().out

    # Nothing of the project's says the row any more: it is refused all the same.
    code, said = run("import", changed)
    assert code == 3
    assert "the row azure/x/2026-10 has been used, and unit_price is 3.61 where it was 3.60; leave it as it was" in said
    assert not (home / "prices.toml").exists()
    (home / "prices.toml").write_text(changed.read_text(encoding="utf-8"), encoding="utf-8")
    code, said = run("check", "--json")
    assert (code, json.loads(said)["ok"], json.loads(said)["total"]) == (3, False, 1)
    # Another file that says the row is held against the month as well.
    assert run("check", "--book", changed)[0] == 3
    (home / "prices.toml").write_text(toml_of(ROW), encoding="utf-8")
    assert run("check")[0] == 0
    new = replace(ROW, id="azure/x/2026-11", unit_price=Decimal("3.61"), effective_from=instant("2026-11-01"))
    changed.write_text(toml_of(new), encoding="utf-8")
    assert run("import", changed)[0] == 0
    assert run("check")[0] == 0
    # What was imported is known, though no month was closed with it.
    own = home / "prices.toml"
    own.write_text(own.read_text(encoding="utf-8").replace("3.61", "3.62"), encoding="utf-8")
    code, said = run("check")
    assert (code, "the row azure/x/2026-11 has other terms than when it was imported" in said) == (3, True)
