"""`segue catalogue` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from segue_cli import Segue, SegueHere

PLANNED = ("--hours", "400", "--languages", "8", "--speech", "60", "--dubbed", "30%")


@pytest.fixture
def segue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Segue:
    return SegueHere(tmp_path, monkeypatch, capsys)


def test_a_store_that_measured_nothing_says_what_is_unknown_and_what_apis_charge(segue: Segue) -> None:
    done = segue("catalogue", *PLANNED, "--node-rate", "0.149 USD", "--against", "openai/whisper-1")
    assert done.code == 0
    assert "240.0 h of speech, 1,920.0 h to translate, 960.0 h to dub" in done.stdout
    assert "not measured on this store yet" in done.stdout
    assert "dub         not measured here: no stage does it yet" in done.stdout
    # 240 h at 0.006 USD a minute, and the 400 h of the whole files.
    assert next(line for line in done.stdout.splitlines() if "openai whisper-1" in line).split()[2:6] == [
        "86.40",
        "USD",
        "/",
        "144.00",
    ]
    assert done.stdout.count("undecided: ") == 4
    told = segue("catalogue", *PLANNED, "--json").json
    assert told["dubbing"]["measured_here"] is False
    assert told["here"]["machine_ms"] is None
    assert told["here"]["people"] is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--hours", "many", "--languages", "8"), "--hours 'many' is no number"),
        (("--hours", "0", "--languages", "8"), "0 hours are no work"),
        (("--hours", "4", "--languages", "-1"), "-1 languages are no work"),
        (("--hours", "4", "--languages", "1", "--speech", "160"), "160% speech is no work"),
        (("--hours", "4", "--languages", "1", "--dubbed", "nan"), "--dubbed 'nan' is no number"),
        (("--hours", "4", "--languages", "1", "--utilization", "0"), "no utilization"),
        (("--hours", "4", "--languages", "1", "--against", "no/such"), "there is no price for this work at 'no/such'"),
        (("--hours", "4", "--languages", "1", "--on", "H100"), "'H100' is not what engines were measured on here"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_line(segue: Segue, flags: tuple[str, ...], said: str) -> None:
    done = segue("catalogue", *flags)
    assert done.code == 2
    assert said in done.stderr
