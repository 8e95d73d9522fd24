"""`segue ledger forecast` as a person reads it; today is today."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_journals import Journals
from segue_cli import Segue, SegueHere

PEOPLE = {"SEGUE_ENGINEERING_HOURS": "2-4", "SEGUE_ENGINEERING_RATE": "90 USD"}
DAY = 86_400


def fleet(folder: Path, days: int) -> None:
    """A machine for 100 s at 0.01 USD a second on each of so many days up to yesterday."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    journals = Journals(folder / "home", today - timedelta(days=days))
    for day in range(days):
        journals.node(f"node{day}", day * DAY, day * DAY + 100, "36 USD")
        journals.process(f"p{day}", day * DAY, f"node{day}")


@pytest.fixture
def segue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Segue:
    return SegueHere(tmp_path, monkeypatch, capsys)


def test_ten_days_make_a_forecast_without_people_and_with_them(segue: Segue) -> None:
    fleet(segue.folder, 10)
    done = segue("ledger", "forecast", **PEOPLE)
    assert done.code == 0
    assert "an estimate from the last 10 whole days" in done.stdout
    rows = {line.split("  ")[0]: line.split()[-4:] for line in done.stdout.splitlines()}
    # Each day is like the others: the range has no width. People are 180 to 360 USD.
    so_far, point, low, high = map(float, rows["machines and fees"])
    assert so_far <= point == low == high
    assert [float(cell) for cell in rows["all of it"][1:]] == pytest.approx(
        [point + 270, low + 180, high + 360], abs=0.011
    )


def test_too_few_days_make_none_and_unknown_people_are_said_to_be(segue: Segue) -> None:
    fleet(segue.folder, 6)
    done = segue("ledger", "forecast")
    assert "6 whole days of history are too few for a forecast, which takes 7" in done.stdout
    assert "what people cost is unknown" in done.stderr
    told = segue("ledger", "forecast", "--json").json
    assert {each["at_end"] for each in told["amounts"].values()} == {None}
    assert told["people"] is None


def test_nothing_has_run(segue: Segue) -> None:
    fleet(segue.folder, 0)
    done = segue("ledger", "forecast")
    assert done.code == 0
    assert "there is nothing to go by" in done.stdout
