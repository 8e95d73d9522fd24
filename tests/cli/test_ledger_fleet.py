"""`segue ledger fleet`: machines' time, the price of being taken away and of a request, as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_journals import Journals, job
from segue_cli import Segue, SegueHere

ANNA = job("anna")
IN_OCTOBER = ("--since", "2026-10-01", "--until", "2026-11-01")
PEOPLE = {"SEGUE_ENGINEERING_HOURS": "2", "SEGUE_ENGINEERING_RATE": "90 USD"}


@pytest.fixture
def segue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Segue:
    """A month in which a spot machine worked for 40 of its 100 s and lost 10 s, when Azure took it."""
    journals = Journals(tmp_path / "home", datetime(2026, 10, 1, tzinfo=UTC))
    spot = {"cloud": "azure", "size": "Standard_NC4as_T4_v3", "region": "eastus", "spot": True}
    journals.node("node", 0, 100, "0.36 USD", reason="azure: Preempt", gpu_names=("Tesla T4",), **spot)
    journals.process("p", 0, "node")
    for unit, began in (("a", 10), ("b", 30)):
        journals.record(unit, journals.attempt("p", began, 20, [(unit, 60_000, ANNA)]))
    journals.attempt("p", 90, None, [("c", 60_000, ANNA)])
    journals.wanted(ANNA, 0, 100, ["a", "b", "c"])
    return SegueHere(tmp_path, monkeypatch, capsys)


def test_the_screen_says_whose_idle_it_is_and_what_spot_saved(segue: Segue) -> None:
    done = segue("ledger", "fleet", *IN_OCTOBER)
    assert done.code == 0
    rows = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    for name in ("1 x Tesla T4, azure Standard_NC4as_T4_v3 spot", "total"):
        assert rows[name].split()[-10:] == ["50.0", "%", "0.0", "%", "50.0", "%", "0.0", "%", "0.0", "%"]
    assert "is the fleet's to mend: 0.005000 USD; while none was, the plan's: nothing" in done.stdout
    # 10 s at 0.0001. At the book's 0.526 USD an hour 100 s are 0.014611, and a tenth of them were lost.
    assert "machines taken away 1, whose place others took 0; that cost 0.001000 USD" in done.stdout
    assert "on demand 0.014611 USD, of which 0.001461 USD would not have been needed" in done.stdout
    assert "spot saved 0.003150 USD" in done.stdout
    # 0.01 USD for two units; what people cost is unknown.
    assert "cost 0.005000 USD (2 of them, machines and fees); with people unknown" in done.stdout


def test_the_months_screen_says_how_much_was_at_work_and_where_the_rest_is(segue: Segue) -> None:
    # 40 s useful and 10 s lost of 100.
    said = "machines were at work 50.0 % of the time that was paid for; whose idle it was"
    assert said in segue("ledger", *IN_OCTOBER).stdout


def test_people_are_in_the_cost_of_a_request_where_they_are_known(segue: Segue) -> None:
    told = segue("ledger", "fleet", *IN_OCTOBER, "--json", **PEOPLE).json
    # 180 USD and 0.01 for two.
    assert told["requests"] == {
        "successful": 2,
        "cost": {"USD": 5_000_000},
        "cost_with_people": {"USD": 90_005_000_000},
        "unpriced": False,
    }
    assert segue("ledger", *IN_OCTOBER, "--json", **PEOPLE).json["fleet"] == told


def test_a_month_without_a_machine_says_so(segue: Segue) -> None:
    done = segue("ledger", "fleet", "--since", "2026-01-01", "--until", "2026-02-01")
    assert "no machine was paid for" in done.stdout
    told = segue("ledger", "fleet", "--since", "2026-01-01", "--until", "2026-02-01", "--json").json
    assert told["requests"]["cost"] is None
    assert told["utilization"]["paid_ms"] == 0
