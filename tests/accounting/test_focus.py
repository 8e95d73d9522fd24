"""FOCUS rows: they sum to the books, say who pays, and never call unknown prices nothing."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_journals import Journals, job

from accounting.fleet_ledger import FleetLedger, PricingRules
from accounting.focus import COLUMNS, FOCUS_COLUMNS, OWN_COLUMNS, FocusSource, focus_rows
from accounting.job import ReportRules, job_report
from accounting.months import read_period, with_people
from accounting.sharing.idle import IdleRule, with_shared_idle
from accounting.sharing.people import PeopleRules
from cli.money.ledger_focus import job_focus, period_focus, write_focus
from core.money import Money
from ledger.entries import Period
from ledger.price_book.price_files import shipped_book

ANNA, BERT = job("anna"), job("bert")
RULES = PricingRules(now=4_000_000_000_000)
IDLE = IdleRule.SHARED
PEOPLE = (PeopleRules("1-2", "100.000000001 USD"), "USD")
BOTH = Period(Period.month("2026-10").start, Period.month("2026-11").end)

Rows = list[dict[str, str]]


def fleet(folder: Path) -> Journals:
    """Three machines over a month's end: of a cloud with loading and two jobs, of an API's client, without a price."""
    journals = Journals(folder)
    facts = {"cloud": "azure", "size": "Standard_NC4as_T4_v3", "region": "eastus", "spot": True}
    journals.node("node", 0, 7200, "0.361 USD", **facts)
    journals.process("p", 0, "node")
    journals.loaded("p", 100, "99.999")
    first = journals.attempt("p", 200, 3500.5, [("a", 7000, ANNA), ("b", 3001, BERT)])
    journals.record("a", first)
    journals.record("b", first)
    journals.node("run", 0, 60, "0.36 USD")
    journals.process("run", 0)
    api = {"engine": "openai gpt-4o-mini", "provider": "openai", "remote": True}
    usage = {"requests": 1, "input_tokens": 1003, "output_tokens": 997}
    made = journals.attempt("run", 1, 10, [("c", 5000, ANNA), ("d", 4000, BERT)], "translate", usage=usage, **api)
    journals.record("c", made)
    journals.node("poor", 4000, 4100, "")
    journals.process("q", 4000, "poor")
    journals.attempt("q", 4010, 20, [("e", 5000, BERT)])
    return journals


def written(journals: Journals, folder: Path, period: Period = BOTH) -> Rows:
    path = folder / "focus.csv"
    write_focus(path, period_focus(journals.store, shipped_book(), RULES, PEOPLE, IDLE, period))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shared(journals: Journals, period: Period) -> FleetLedger:
    books, _ = with_people(read_period(journals.store, shipped_book(), RULES, period), *PEOPLE)
    return with_shared_idle(books, IDLE)


def nano(rows: Rows) -> int:
    return int(sum((Decimal(row["EffectiveCost"]) for row in rows if row["EffectiveCost"]), Decimal(0)) * 10**9)


def test_the_rows_of_a_period_sum_to_the_screen_to_the_nano_unit(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    books = shared(journals, BOTH)
    rows = written(journals, tmp_path)
    assert nano(rows) == books.totals.whole()["USD"] > 0
    for whose in (ANNA, BERT, ""):
        assert nano([row for row in rows if row["x_JobId"] == whose]) == sum(
            entry.nano for entry in books.entries if entry.job == whose
        )
    assert {row["x_Bucket"] for row in rows} >= {"busy", "load", "idle", "boot", "api_fee", "people"} - {"boot"}
    for name in ("2026-10", "2026-11"):
        month = Period.month(name)
        alone = shared(journals, month)
        billed = [row for row in rows if row["BillingPeriodStart"].startswith(name)]
        assert nano(billed) == alone.totals.whole()["USD"] == nano(written(journals, tmp_path, month))


def test_each_origin_charge_is_divided_and_its_parts_sum_to_one(tmp_path: Path) -> None:
    origins: dict[tuple[str, ...], Rows] = defaultdict(list)
    same = ("ServiceProviderName", "ServiceName", "ResourceId", "SkuPriceId", "BillingPeriodStart", "BillingCurrency")
    for row in written(fleet(tmp_path), tmp_path):
        origins[(*(row[name] for name in same), row["AllocatedMethodId"], row["x_Unpriced"])].append(row)
    for rows in origins.values():
        assert len({(row["ChargePeriodStart"], row["ChargePeriodEnd"]) for row in rows}) == 1
        if rows[0]["AllocatedMethodId"] == "segue-idle-share":
            # To the jobs what they carry of the fleet's idle, and all of it back from nobody.
            assert nano(rows) == sum(int(row["ConsumedQuantity"]) for row in rows) == 0
            assert not any(row["AllocatedMethodDetails"] for row in rows)
            continue
        parts = [json.loads(row["AllocatedMethodDetails"], parse_float=Decimal)["Elements"][0] for row in rows]
        if not rows[0]["x_Unpriced"] and rows[0]["ServiceCategory"] == "Compute":
            assert sum(part["AllocatedRatio"] for part in parts) == 1
            assert sum(part["UsageQuantity"] for part in parts) == sum(int(row["ConsumedQuantity"]) for row in rows)


def test_what_no_job_caused_is_the_unallocated_row(tmp_path: Path) -> None:
    rows = written(fleet(tmp_path), tmp_path)
    idle = [row for row in rows if row["x_NodeSession"] == "node" and row["x_Bucket"] == "idle"]
    assert idle
    assert all(not row["AllocatedResourceId"] and row["AllocatedMethodId"] for row in idle)
    assert all("no job caused it" in row["ChargeDescription"] for row in idle)
    cloud = idle[0]
    assert (cloud["ServiceProviderName"], cloud["RegionId"], cloud["SkuId"], cloud["PricingCategory"]) == (
        "azure",
        "eastus",
        "Standard_NC4as_T4_v3",
        "Dynamic",
    )


def test_usage_without_a_price_has_no_cost_and_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = written(fleet(tmp_path), tmp_path)
    unknown = [row for row in rows if row["x_NodeSession"] == "poor"]
    assert unknown
    for row in unknown:
        assert (row["EffectiveCost"], row["ListCost"], row["ContractedCost"], row["BillingCurrency"]) == ("",) * 4
        assert row["x_Unpriced"]
        assert row["ChargeDescription"].startswith("UNPRICED")
        assert int(row["ConsumedQuantity"]) > 0
    # And what of its idle the jobs carry.
    unknown += [row for row in rows if row["x_Unpriced"] and not row["x_NodeSession"]]
    assert f"{len(unknown)} of them are usage without a price" in capsys.readouterr().err


def test_columns_times_and_amounts_are_as_the_specification_has_them(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    rows = written(journals, tmp_path)
    assert list(rows[0]) == list(COLUMNS)
    assert list(FOCUS_COLUMNS) == sorted(FOCUS_COLUMNS)
    assert all(name.startswith("x_") for name in OWN_COLUMNS)
    fees = [row for row in rows if row["x_Bucket"] == "api_fee"]
    assert {row["x_JobId"] for row in fees} == {ANNA, BERT}
    assert all(row["ServiceProviderName"] == row["InvoiceIssuerName"] == "openai" for row in fees)
    for row in rows:
        # Segue sends no invoice: the amount is in the other costs.
        assert row["BilledCost"] == "0"
        for name in ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"):
            assert row[name].endswith("Z")
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
        if row["EffectiveCost"]:
            amount = row["EffectiveCost"].removeprefix("-")
            assert Money.parse(f"{amount} USD").amount() == amount
            assert amount == row["EffectiveCost"] or row["ChargeCategory"] == "Adjustment"
            assert row["EffectiveCost"] == row["ListCost"] == row["ContractedCost"]


def test_what_corrects_a_closed_month_is_a_correction(tmp_path: Path) -> None:
    books = read_period(fleet(tmp_path).store, shipped_book(), RULES, Period.month("2026-11"))
    late = next(entry for entry in books.entries if entry.nano)
    source = FocusSource(books.entries, (), {}, {}, "provisional", "book", late=frozenset({late.id}))
    rows = list(focus_rows(source))
    assert nano([row for row in rows if row["ChargeClass"] == "Correction"]) == late.nano
    assert nano(rows) == books.totals.whole()["USD"]


def test_the_rows_of_a_job_sum_to_its_report(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    report = job_report(journals.store, ANNA, shipped_book(), ReportRules(RULES, people=PEOPLE[0]))
    rows = list(job_focus(report))
    assert nano(rows) == report.spent.total.nano
    # What the job's own screen says is what the months' screens say of it.
    assert nano([row for row in written(journals, tmp_path) if row["x_JobId"] == ANNA]) == report.spent.total.nano
    assert {row["AllocatedResourceId"] for row in rows} == {ANNA}


def test_names_cannot_become_formulas_and_a_minus_stays_a_number(tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    row = dict.fromkeys(COLUMNS, "")
    write_focus(path, [row | {"x_Owner": "=cmd()", "x_Engine": "@x", "EffectiveCost": "-0.5", "x_Stage": "-1"}])
    (found,) = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    assert (found["x_Owner"], found["x_Engine"], found["x_Stage"]) == ("'=cmd()", "'@x", "'-1")
    assert found["EffectiveCost"] == "-0.5"
