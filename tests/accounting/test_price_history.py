"""Price rows that were changed after a month was closed with them, or after a bill agreed under them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_journals import Journals

from accounting.bill import keep_reconciliation, reconcile
from accounting.bill_file import read_bill
from accounting.closing import LEDGER
from accounting.fleet_ledger import PricingRules
from accounting.months import close_month
from accounting.price_history import price_history
from cache.store import Store
from cli.money.prices import app
from ledger.price_files import instant, toml_of
from ledger.prices import Confidence, Meter, PriceBook, PriceRow, Rounding

RULES = PricingRules()
#: 3.60 USD an hour: 0.10 USD for the 100 s of the machine below.
ROW = PriceRow(
    id="azure/x/2026-10",
    provider="azure",
    meter=Meter.NODE_HOUR,
    sku="Standard_X",
    unit_price=Decimal("3.60"),
    per=1,
    currency="USD",
    effective_from=instant("2026-10-01"),
    effective_to=None,
    observed_at=date(2026, 10, 1),
    source_url="https://prices.azure.com/x",
    confidence=Confidence.LIST,
)
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unit_price": Decimal("3.61")}, "unit_price is 3.61 where it was 3.60"),
        ({"currency": "EUR"}, "currency is EUR where it was USD"),
        ({"meter": Meter.GPU_HOUR}, "meter is gpu_hour where it was node_hour"),
        ({"billing_increment": Decimal(60)}, "billing_increment is 60 where it was 0"),
        ({"minimum_quantity": Decimal(60)}, "minimum_quantity is 60 where it was 0"),
        ({"rounding": Rounding.NEAREST}, "rounding is nearest where it was up"),
        ({"per": 10}, "per is 10 where it was 1"),
        ({"spot": True}, "spot is true where it was false"),
        ({"region": "eastus"}, "region is eastus where it was empty"),
        ({"effective_from": instant("2026-10-11")}, "effective_from is 2026-10-11 where it was 2026-10-01"),
        # The month's price is ended within the month.
        ({"effective_to": instant("2026-10-31")}, "effective_to is 2026-10-31 where it was empty"),
    ],
)
def test_a_row_that_priced_a_closed_month_never_charges_anything_else(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    store = closed(tmp_path)
    book = PriceBook(((replace(ROW, **change),),))  # type: ignore[arg-type]
    found = price_history(store, book)
    assert found.missing == ()
    assert len(found.changed) == 1
    assert found.changed[0] == (
        f"azure/x/2026-10 was in the book of 2026-10: {said}; leave it as it was, and give the new price an id of its "
        "own, with effective_from the day on which it began"
    )


def test_what_is_said_of_a_price_may_change_and_an_open_one_may_end_after_the_month(tmp_path: Path) -> None:
    store = closed(tmp_path)
    later = replace(ROW, effective_to=instant("2026-11-01"), note="as on our bill", confidence=Confidence.MEASURED)
    new = replace(ROW, id="azure/x/2026-11", unit_price=Decimal(4), effective_from=instant("2026-11-01"))
    found = price_history(store, PriceBook(((later, replace(new, retired_from=instant("2027-01-01"))),)))
    assert (found.changed, found.missing) == ((), ())
    # An end that is set is a term like any other.
    ended = closed(tmp_path / "second", later)
    assert price_history(ended, PriceBook(((ROW,),))).changed != ()


def test_a_row_that_priced_entries_and_is_gone_is_a_warning(tmp_path: Path) -> None:
    unused = replace(ROW, id="azure/y/2026-10", sku="Standard_Y")
    store = closed(tmp_path, ROW, unused)
    found = price_history(store, PriceBook(()))
    assert found.changed == ()
    assert found.missing == ("azure/x/2026-10 priced 2026-10 and is in no book that was read",)


def test_a_kept_book_that_is_another_one_is_told(tmp_path: Path) -> None:
    store = closed(tmp_path)
    (kept,) = [name for name in store.children((LEDGER,)) if name.startswith("book-")]
    file = Path(store.home) / LEDGER / kept
    data = file.read_bytes()
    payload = store.read_document((LEDGER, kept))
    assert payload is not None
    file.unlink()
    # As whoever forges it would: the file's own checksum is right again.
    store.write_once((LEDGER, kept), payload.replace(b"3.60", b"9.60"))
    assert file.read_bytes() != data
    (line,) = price_history(store, PriceBook(((ROW,),))).changed
    assert line.startswith("2026-10: the price book ")


def test_a_row_that_a_bill_agreed_under_never_charges_anything_else(tmp_path: Path) -> None:
    store = machine(tmp_path)
    file = tmp_path / "bill.csv"
    file.write_text(BILL, encoding="utf-8")
    keep_reconciliation(store, reconcile(store, read_bill(file), PriceBook(((ROW,),)), RULES))
    assert price_history(store, PriceBook(((ROW,),))).changed == ()
    (line,) = price_history(store, PriceBook(((replace(ROW, unit_price=Decimal(4)),),))).changed
    assert line.startswith(
        "azure/x/2026-10 priced a machine of a reconciled bill at other terms; leave it as it was, and give"
    )


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
    assert "azure/x/2026-10 was in the book of 2026-10: unit_price is 3.61 where it was 3.60" in said
    assert not (home / "prices.toml").exists()
    (home / "prices.toml").write_text(changed.read_text(encoding="utf-8"), encoding="utf-8")
    code, said = run("check", "--json")
    assert (code, json.loads(said)["ok"], json.loads(said)["total"]) == (3, False, 1)
    (home / "prices.toml").write_text(toml_of(ROW), encoding="utf-8")
    assert run("check")[0] == 0
    new = replace(ROW, id="azure/x/2026-11", unit_price=Decimal("3.61"), effective_from=instant("2026-11-01"))
    changed.write_text(toml_of(new), encoding="utf-8")
    assert run("import", changed)[0] == 0
    assert run("check")[0] == 0
