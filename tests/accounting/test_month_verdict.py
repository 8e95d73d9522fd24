"""The verdict of a month: the fleet with its idle and people against an API for the same work, computed by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from fleet_simulation import row
from ledger_journals import Journals, job, key

from accounting.fleet_ledger import FleetLedger, PricingRules
from accounting.months import close_month, read_period
from accounting.report import JobVerdict
from accounting.sharing.idle import IdleRule, with_shared_idle
from accounting.sharing.people import PeopleRules
from accounting.verdicts.month_verdict import period_verdict
from cache.envelope import Record
from ledger.entries import Period
from ledger.price_book.prices import Meter, PriceBook
from ledger.verdict import CostOutcome, Range

ANNA = job("anna")
NOVEMBER = Period.month("2026-11")
#: Long after the month.
RULES = PricingRules(now=4_000_000_000_000)
TERMS = {"stage": "transcribe", "billing_increment": Decimal(1), "minimum_quantity": Decimal(10)}
#: 0.0001 USD and 0.01 USD a second, at least 10 s a request.
CHEAP = row("cheap/speech", "cheap", Meter.AUDIO_SECOND, "ears", "0.0001", **TERMS)
DEAR = row("dear/speech", "dear", Meter.AUDIO_SECOND, "ears", "0.01", **TERMS)
#: A millionth and two millionths of a dollar a token.
TEXT = [
    row("cheap/in", "cheap", Meter.INPUT_TOKEN, "words", "1", per=1_000_000, stage="translate"),
    row("cheap/out", "cheap", Meter.OUTPUT_TOKEN, "words", "2", per=1_000_000, stage="translate"),
]


def fleet(folder: Path) -> Journals:
    """A machine of 0.001 USD a second that is there for 100 s and hears 60 s and 5 s of speech in 20 of them."""
    journals = Journals(folder, datetime(2026, 11, 1, tzinfo=UTC))
    journals.node("m", 0, 100, "3.60 USD")
    journals.process("p", 0, "m")
    heard = journals.attempt("p", 20, 20, [("a", 60_000, ANNA), ("b", 5_000, ANNA)])
    for unit in ("a", "b"):
        journals.record(unit, heard)
    # A machine of October whose work is not of this month.
    journals.node("before", -90_000, -89_000, "3.60 USD")
    journals.process("q", -90_000, "before")
    journals.record("old", journals.attempt("q", -89_900, 100, [("old", 900_000, ANNA)]))
    return journals


def translated(journals: Journals, **used: int) -> None:
    attempt = journals.attempt("p", 50, 10, [("t", 60_000, ANNA)], "translate", engine="llama small", provider="llama")
    journals.store.put(Record(key("t"), "translate", b"{}", {"attempt": attempt, **used}))


def books(journals: Journals, *rows: object, period: Period = NOVEMBER) -> FleetLedger:
    return read_period(journals.store, PriceBook((rows,)), RULES, period)  # type: ignore[arg-type]


def judged(journals: Journals, *rows: object, hours: str = "", period: Period = NOVEMBER) -> JobVerdict:
    people = PeopleRules(hours, "90 USD" if hours else "")
    return period_verdict(books(journals, *rows, period=period), people, "USD")


def nano(found: Range | None) -> tuple[int, int, int]:
    assert found is not None
    return found.low.nano, found.point.nano, found.high.nano


def test_the_fleets_idle_is_in_a_months_verdict_and_the_minimum_of_a_request_is_its_wider_end(tmp_path: Path) -> None:
    found = judged(fleet(tmp_path), CHEAP, hours="10").found
    assert found is not None
    # Ours: 20 s of work are 0.02, 80 s of idle 0.08, half of it either way: 0.06, 0.10, 0.14.
    # Theirs: 65 s in one recording 0.0065; window by window 60 s and, at least, 10 s: 0.0070.
    # 0.0065 - 0.14, 0.0065 - 0.10, 0.0070 - 0.06.
    assert nano(found.without_people.difference) == (-133_500_000, -93_500_000, -53_000_000)
    assert found.without_people.outcome is CostOutcome.API
    # The month is over: 10 h at 90 USD are all its own.
    assert nano(found.job.difference) == (-900_133_500_000, -900_093_500_000, -900_053_000_000)
    assert found.job.outcome is CostOutcome.API


def test_idle_that_no_job_of_the_month_carries_is_in_its_verdict_all_the_same(tmp_path: Path) -> None:
    # A run of 100 s at 0.001 USD, 20 s of them work; a fleet's machine at 0.002 waits for 400 s for nobody.
    journals = Journals(tmp_path, datetime(2026, 11, 1, tzinfo=UTC))
    journals.node("run", 0, 100, "3.60 USD")
    journals.process("run", 0)
    journals.record("a", journals.attempt("run", 20, 20, [("a", 65_000, ANNA)]))
    journals.wanted(ANNA, 1, 90, ["a"])
    journals.node("waits", 0, 400, "7.20 USD")
    journals.process("q", 0, "waits")
    # 0.65 at the API. The run alone is 0.10 and would win; with 0.80 of idle it is 0.90, half of 0.88 either way.
    found = judged(journals, DEAR, hours="0").found
    assert found is not None
    assert nano(found.without_people.difference) == (-690_000_000, -250_000_000, 190_000_000)
    assert found.job.outcome is CostOutcome.UNDECIDED
    # As long as the month is open, too; and a machine without a price leaves it unknown.
    now = replace(RULES, now=NOVEMBER.start + 86_400_000)
    still = period_verdict(read_period(journals.store, PriceBook(((DEAR,),)), now, NOVEMBER), PeopleRules(), "USD")
    assert still.found is not None
    assert nano(still.found.without_people.difference) == (-690_000_000, -250_000_000, 190_000_000)
    journals.node("free", 0, 400)
    journals.process("r", 0, "free")
    unknown = judged(journals, DEAR, hours="0").found
    assert unknown is not None
    assert "400.0 s of node time" in " ".join(unknown.job.undecided_because)


def test_a_month_without_work_says_so(tmp_path: Path) -> None:
    journals = Journals(tmp_path, datetime(2026, 11, 1, tzinfo=UTC))
    journals.node("waits", 0, 400, "7.20 USD")
    journals.process("q", 0, "waits")
    assert judged(journals, DEAR).why_none == "nothing was computed in this period: what was paid is for no work"


def test_what_was_entered_late_of_a_closed_month_decides_nothing(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    close_month(journals.store, "2026-10", PriceBook(((DEAR,),)), RULES)
    # November alone: 0.65 to 0.70 at the API, 0.06 to 0.14 here. Then 1000 s of October come late, at 0.001: 1 USD,
    # whose audio is October's.
    journals.node("late", -80_000, -79_000, "3.60 USD")
    journals.process("l", -80_000, "late")
    journals.record("l", journals.attempt("l", -80_000, 1000, [("l", 900_000, ANNA)]))
    found = judged(journals, DEAR, hours="0").found
    assert found is not None
    # 0.65 - 1.14, 0.65 - 1.10, 0.70 - 1.06: the API would win, but by that alone.
    assert nano(found.job.difference) == (-490_000_000, -450_000_000, -360_000_000)
    assert found.job.outcome is CostOutcome.UNDECIDED
    said = "1 USD of what was paid were entered late for closed months, whose work is not on the API's bill"
    assert found.job.undecided_because == (said,)


def test_people_turn_a_months_verdict_and_both_stand_side_by_side(tmp_path: Path) -> None:
    found = judged(fleet(tmp_path), DEAR, hours="10-12").found
    assert found is not None
    # 0.65 to 0.70 at the API: 0.65 - 0.14, 0.65 - 0.10, 0.70 - 0.06.
    assert nano(found.without_people.difference) == (510_000_000, 550_000_000, 640_000_000)
    assert found.without_people.outcome is CostOutcome.SELF_HOSTED
    # 900 to 1080 USD of people, 990 in the middle.
    assert nano(found.job.difference) == (-1_079_490_000_000, -989_450_000_000, -899_360_000_000)
    assert found.job.outcome is CostOutcome.API


def test_unset_people_leave_a_month_undecided_only_where_they_could_turn_it(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    cheaper = judged(journals, DEAR)
    assert cheaper.found is not None
    assert cheaper.found.job.outcome is CostOutcome.UNDECIDED
    assert cheaper.found.without_people.outcome is CostOutcome.SELF_HOSTED
    dearer = judged(journals, CHEAP)
    assert dearer.found is not None
    assert dearer.found.job.outcome is CostOutcome.API


def test_the_cheapest_is_compared_with_unless_another_is_named(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    assert judged(journals, DEAR, CHEAP).against["transcribe"].provider == "cheap"
    named = period_verdict(books(journals, DEAR, CHEAP), PeopleRules(), "USD", ["dear/ears"])
    assert named.against["transcribe"].provider == "dear"


def test_text_is_counted_by_the_tokens_of_its_records(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    translated(journals, requests=1, input_tokens=3_000, output_tokens=500)
    found = judged(journals, DEAR, *TEXT)
    # 3000 millionths and 500 x 2 millionths.
    amount = found.against["translate"].amount
    assert amount is not None
    assert amount.nano == 4_000_000
    assert found.found is not None
    # Ours: 10 of 30 s of work: 0.01, and a third of 70 s of idle 0.023333333; half of that either way 0.011666666(5).
    low, point, high = nano(found.paid["translate"])
    assert point == 33_333_333
    assert (low, high) == (33_333_333 - 11_666_666, 33_333_333 + 11_666_666)
    # And all of the machine is on one stage or the other.
    assert found.paid["transcribe"].point.nano + point == 100_000_000


def test_tokens_that_a_record_does_not_tell_are_not_nothing(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    translated(journals, requests=1, input_tokens=3_000, output_tokens=0)
    found = judged(journals, DEAR, *TEXT)
    assert "translate" not in found.against
    assert found.found is not None
    assert found.found.job.outcome is CostOutcome.UNDECIDED


def test_fake_and_unpriced_work_decide_nothing_that_they_could_turn(tmp_path: Path) -> None:
    fake = fleet(tmp_path / "fake")
    fake.record("f", fake.attempt("p", 60, 5, [("f", 5_000, ANNA)], fake=True))
    found = judged(fake, CHEAP, hours="1").found
    assert found is not None
    assert found.job.outcome is CostOutcome.UNDECIDED
    assert "fake engines" in found.job.undecided_because[0]
    unpriced = fleet(tmp_path / "unpriced")
    unpriced.node("free", 0, 100)
    unpriced.process("r", 0, "free")
    unpriced.record("u", unpriced.attempt("r", 20, 20, [("u", 60_000, ANNA)]))
    cheaper = judged(unpriced, DEAR, hours="0").found
    assert cheaper is not None
    assert cheaper.job.outcome is CostOutcome.UNDECIDED
    assert any(line.startswith("unpriced: ") for line in cheaper.job.undecided_because)


def test_the_same_verdict_comes_from_kept_sums_and_whoever_carries_idle_on_the_screen(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    translated(journals, requests=1, input_tokens=3_000, output_tokens=500)
    first, again = judged(journals, DEAR, *TEXT, hours="2"), judged(journals, DEAR, *TEXT, hours="2")
    assert first.as_json() == again.as_json()
    two_months = Period(Period.month("2026-10").start, NOVEMBER.end)
    both = judged(journals, CHEAP, period=two_months)
    assert both.against["transcribe"].usage["audio_ms"] == 965_000
    shared = with_shared_idle(books(journals, DEAR, *TEXT), IdleRule.SHARED)
    assert sum(entry.nano for entry in shared.entries) == 100_000_000


def test_a_part_of_a_month_has_no_verdict(tmp_path: Path) -> None:
    found = judged(fleet(tmp_path), CHEAP, period=Period(NOVEMBER.start, NOVEMBER.end - 1))
    assert found.found is None
    assert "whole months" in found.why_none
