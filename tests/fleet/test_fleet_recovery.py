"""A batch whose holder is killed or told to go runs elsewhere. `bench/recovery_bench.py` says how soon."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import FleetBooks
from planned_reference import reference_outputs
from recovery import NOTICES, Blow, RecoveryFleet, RecoveryPlan
from segue_process import read_outputs

from pipeline.report import JobState


@pytest.mark.parametrize(("kills", "notices"), [(1, 1), pytest.param(3, 3, marks=pytest.mark.long)])
def test_a_batch_moves_on_when_its_holder_is_killed_or_told_to_go(tmp_path: Path, kills: int, notices: int) -> None:
    plan = RecoveryPlan(kills=kills, notices=notices, unit_ms=4000, lease_seconds=2)
    with RecoveryFleet(plan, tmp_path) as storm:
        storm.run()
        assert {blow: len(seconds) for blow, seconds in storm.seconds.items()} == {
            Blow.KILL: kills,
            **dict.fromkeys(NOTICES[:notices], 1),
        }
        view = storm.finish()
        assert view.state is JobState.DONE, storm.fleet.report(str(view))
        assert read_outputs(storm.fleet.place.out) == reference_outputs(
            tmp_path / "reference", {"wanderer": plan.units}
        )
        with storm.fleet.store() as store:
            assert FleetBooks.read(store).computed_again() == []
