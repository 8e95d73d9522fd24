"""Formats are kept: a store that this Segue wrote once is read to the same amounts by every Segue that follows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from frozen_store import EXPECTED, amounts_of, unpack
from segue_process import FAKES, ROOT, Place, run_segue

from accounting.checks.verify import verify_store
from accounting.months import replay_month
from cache.store import Store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return unpack(tmp_path / "frozen")


def test_its_entries_are_read_to_the_same_amounts(home: Path) -> None:
    assert amounts_of(home) == json.loads(EXPECTED.read_text(encoding="ascii"))


def test_its_closed_month_is_priced_to_the_same_bytes(home: Path) -> None:
    assert replay_month(Store.open(home), "2026-10", None).same


def test_nothing_of_it_looks_tampered_with(home: Path) -> None:
    checked = verify_store(Store.open(home))
    assert checked.problems == ()


def test_the_job_that_was_killed_goes_on_with_every_unit_that_it_had(home: Path, tmp_path: Path) -> None:
    before = {path for path in (home / "objects").rglob("*") if path.is_file()}
    media = tmp_path / "film.mp4"
    shutil.copy(ROOT / "demo" / "sample.mp4", media)
    place = Place(tmp_path)
    shutil.move(home, place.home)
    done = run_segue(
        ["run", str(media), "--to", "fr", "--out", str(tmp_path / "out"), "--json"],
        place,
        FAKES | {"SEGUE_OWNER": "bob", "SEGUE_FAKE_DELAY_MS": "0"},
    )
    (found,) = done.jobs
    assert (done.code, found["state"]) == (0, "done")
    units = found["units"]
    assert sum(each["cached"] for each in units.values()) > 0
    after = {path.relative_to(place.home) for path in (place.home / "objects").rglob("*") if path.is_file()}
    assert {path.relative_to(home) for path in before} <= after
