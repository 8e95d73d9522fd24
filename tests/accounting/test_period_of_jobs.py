"""A period of some jobs, and summed by two things at once: by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_journals import Journals, job

from accounting.facts import JobOwner
from accounting.fleet_ledger import FleetLedger, PricingRules
from accounting.months import read_period
from accounting.sharing.idle import IdleRule, with_shared_idle
from cli.money.ledger_groups import check_fields, table_json, table_of, unpriced_times
from core.errors import UsageError
from ledger.entries import Period
from ledger.price_book.prices import PriceBook

ANNA, BERT = job("anna"), job("bert")
OWNERS = {ANNA: JobOwner("anna", {"show": "sands"}), BERT: JobOwner("bert", {"show": "sands", "season": "2"})}


def books(folder: Path) -> FleetLedger:
    """0.001 USD a second for 100 s: Anna's 20 s and Bert's 10 and 5 s of work; 5 s of a machine without a price."""
    journals = Journals(folder, datetime(2026, 11, 1, tzinfo=UTC))
    journals.node("m", 0, 100, "3.60 USD")
    journals.process("p", 0, "m")
    journals.record("a", journals.attempt("p", 20, 20, [("a", 100_000, ANNA)]))
    journals.record("b", journals.attempt("p", 40, 10, [("b", 50_000, BERT)]))
    journals.record("c", journals.attempt("p", 50, 5, [("c", 50_000, BERT)], "translate"))
    journals.node("free", 0, 5)
    journals.process("q", 0, "free")
    journals.record("d", journals.attempt("q", 0, 5, [("d", 50_000, BERT)]))
    found = read_period(journals.store, PriceBook(()), PricingRules(now=4_000_000_000_000), Period.month("2026-11"))
    return replace(with_shared_idle(found, IdleRule.FLEET), owners=OWNERS)


def test_an_owner_and_a_label_choose_jobs_and_nothing_that_no_job_caused(tmp_path: Path) -> None:
    whole = books(tmp_path)
    # 65 s of idle, 0.065 USD, are nobody's.
    assert whole.totals.whole() == {"USD": 100_000_000}
    assert whole.of_jobs("anna", {}).totals.whole() == {"USD": 20_000_000}
    assert whole.of_jobs("", {"show": "sands"}).totals.whole() == {"USD": 35_000_000}
    bert = whole.of_jobs("", {"show": "sands", "season": "2"})
    assert bert.totals.whole() == {"USD": 15_000_000} == {"USD": sum(entry.nano for entry in bert.entries)}
    assert [(usage.job, usage.quantity) for usage in bert.unpriced] == [(BERT, 5_000)]
    assert whole.of_jobs("bert", {"show": "dunes"}).totals.whole() == {}
    assert not whole.of_jobs("anna", {}).unpriced_totals


def test_two_fields_are_summed_one_below_the_other_and_their_parts_are_the_whole(tmp_path: Path) -> None:
    found = table_of(books(tmp_path), ["job", "stage"])
    assert {group: sums["USD"].nano for group, sums in found.items()} == {
        ("", ""): 65_000_000,
        (ANNA, "transcribe"): 20_000_000,
        (BERT, "transcribe"): 10_000_000,
        (BERT, "translate"): 5_000_000,
    }
    told = table_json(found)
    assert told[BERT] == {
        "transcribe": {"USD": {"amount": 10_000_000, "node_ms": 10_000}},
        "translate": {"USD": {"amount": 5_000_000, "node_ms": 5_000}},
    }
    assert unpriced_times(books(tmp_path / "again"), ["label:season", "stage"]) == {("2", "transcribe"): 5_000}


@pytest.mark.parametrize("by", [["colour"], ["job", "job"], ["job", "stage", "node"], ["label:"]])
def test_what_cannot_be_summed_by_is_refused(by: list[str]) -> None:
    with pytest.raises(UsageError):
        check_fields(by)
